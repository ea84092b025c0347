"""`searchkit robustness` and `searchkit ablate`: how much the wording of an instruction matters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output
from searchkit.cli.progress import steps
from searchkit.cli.trying import embedder, say_untrained, set_options, side_option, tasks

if TYPE_CHECKING:
    from searchkit.evaluation import variants
    from searchkit.evaluation.variants import Variation


@click.command("robustness")
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SET...")
@click.option(
    "--paraphrases",
    "k",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="Of each instruction.",
)
@options.profile_option("Whose instructions.  [default: the first that the template makes]")
@side_option("query")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw the gaps.")
@set_options
def robustness_command(
    targets: tuple[Path, ...], k: int, png: Path | None, as_json: bool, **asked: Any
) -> None:
    """Measure how much the wording of an instruction matters: the gap between its paraphrases.

    The measurement of figure 4 of INSTRUCTOR's paper. Paraphrases are made by rules, and are the same for the
    same seed. p and intervals are adjusted for the instructions of a set, not for how many sets there are.
    """
    from searchkit.evaluation import plots, variants
    from searchkit.whole_file import require_place, write_whole

    if png is not None:
        require_place(png)
    chosen = tasks(targets, asked)
    with steps("measuring") as on_progress:
        found = variants.robustness(embedder(asked), chosen, _varied(asked), k, on_progress)
    _print_variations(found, as_json, gaps=True)
    if png is not None:
        write_whole(png, plots.robustness_png(found))


@click.command("ablate")
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SET...")
@options.profile_option("Whose instructions.  [default: the first that the template makes]")
@side_option("both")
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw the differences."
)
@set_options
def ablate_command(targets: tuple[Path, ...], png: Path | None, as_json: bool, **asked: Any) -> None:
    """Measure how much of an instruction is needed: none, a tag, a simple one, a detailed one.

    The measurement of figure 5 of INSTRUCTOR's paper, on one model: a tag is the name of the set, a simple
    instruction names domain and kind of text, the detailed one is the profile's. p and intervals are adjusted
    for the instructions of a set, not for how many sets there are.
    """
    from searchkit.evaluation import plots, variants
    from searchkit.whole_file import require_place, write_whole

    if png is not None:
        require_place(png)
    chosen = tasks(targets, asked)
    with steps("measuring") as on_progress:
        found = variants.ablate(embedder(asked), chosen, _varied(asked), on_progress)
    _print_variations(found, as_json, gaps=False)
    if png is not None:
        write_whole(png, plots.ablation_png(found))


def _varied(asked: dict[str, Any]) -> variants.Varying:
    from searchkit.evaluation import variants
    from searchkit.evaluation.selection import Plan
    from searchkit.profile import Profile

    return variants.Varying(
        profile=Profile.load(asked["profile"]) if asked["profile"] else None, changed=asked["changed"],
        plan=Plan(seed=asked["seed"]), kept=options.vectors_folder(),
    )  # fmt: skip


def _print_variations(found: Sequence[Variation], as_json: bool, *, gaps: bool) -> None:
    from rich.text import Text

    from searchkit.evaluation import variants
    from searchkit.evaluation.statistics import said

    for model in dict.fromkeys(one.model for one in found if not one.trained):
        say_untrained(model)
    if as_json:
        output.print_json(variants.plain(found))
        return
    out = output.console()
    shown = output.table("task", "measure", "", "score", "difference", "95 %", "p", "before queries")
    for one in found:
        for turn, level in enumerate(one.levels):
            cells = [one.task, one.main] if not turn else ["", ""]
            apart = ["", "", ""] if not turn else [
                f"{level.difference:+.2f}", said(level.low, level.high, "+.2f"), output.p_value(level.p)
            ]  # fmt: skip
            row = [*cells, level.name, f"{level.score:.2f}", *apart, repr(level.texts["query"])]
            shown.add_row(*map(Text, row))
    out.print(shown)
    for one in found if gaps else ():
        p = (
            f"p = {output.p_value(one.gap_p)}"
            if one.gap_p == one.gap_p
            else "too few items to tell that from chance"
        )
        out.print(Text(f"{one.task}: best and worst are {one.gap:.2f} points apart ({p})"))
    for one in found:
        if one.warning:
            click.echo(f"warning: {output.clean(one.task)}: {one.warning}", err=True)
