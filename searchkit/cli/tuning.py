"""`searchkit tune`: an instruction chosen by measurement."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output
from searchkit.cli.progress import steps
from searchkit.cli.trying import embedder, say_untrained, set_options, side_option, tasks
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.evaluation.tasks import Task
    from searchkit.evaluation.tuning import Tuned, Tuning
    from searchkit.profile import Profile

SHOWN = 12  # instructions in the table of the choice


@click.command("tune")
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[SET]")
@options.library_option
@options.collection_option("Tune the query instruction of this collection, with --questions.")
@click.option(
    "--questions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSONL of question and documents: what is asked of a collection, and what answers it.",
)
@options.profile_option("Whose instructions are the present ones.  [default: none; a collection's own]")
@click.option("--candidate", "candidates", multiple=True, metavar="TEXT", help="Try this, too. Repeatable.")
@click.option(
    "--candidates",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Try these, too: a line each, or JSONL of query and document.",
)
@click.option(
    "--grammar", type=click.IntRange(0), default=24, show_default=True, help="How many of the template."
)
@click.option(
    "--paraphrases",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="How many of the present instruction.",
)
@side_option("query")
@click.option(
    "--held-out",
    type=click.FloatRange(0.2, 0.8),
    default=0.5,
    show_default=True,
    help="Share of the questions that confirm the choice.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    help="Write the winner as a profile.",
)
@click.option("--replace", is_flag=True, help="Write over FILE.toml where it is there.")
@click.option(
    "--force",
    is_flag=True,
    help="Write the best of the choice where none is proven better; never one proven worse.",
)
@set_options
def tune_command(
    target: Path | None,
    library: Library,
    collection: str | None,
    questions: Path | None,
    out: Path | None,
    replace: bool,
    force: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Find the instruction that serves best, or say that none is better than the present one.

    \b
    searchkit tune ./scifact --split validation --profile scientific-retrieval
    searchkit tune -c company-docs --questions questions.jsonl --out mine.toml

    Tried are instructions of the template, paraphrases of the present one, and your own. Each round half of
    them go on, with twice the questions; the last three, and the best of your own, are compared with the
    present one on questions held out, and only a difference that is no chance (p < 0.05, corrected for how
    many are compared) makes a winner. The held-out questions are the same in every run: how often they were
    used before is said, for p does not know of it.

    In retrieval and reranking only the query side changes, and no document is embedded again; of a collection
    nothing is but the questions. All other tasks embed the texts under each instruction.

    A collection is tuned in vector mode. Queries are hybrid by default: whether a winner is one there, too,
    is asked on the held-out questions, and said.
    """
    from searchkit.evaluation import tuning
    from searchkit.evaluation.collection_tuning import tune_collection

    if (target is None) == (questions is None) or (target is not None and collection is not None):
        raise UsageError(
            "name either a SET, or --questions to a collection",
            remedy="searchkit tune SET; or: searchkit tune -c NAME --questions FILE",
        )
    if out is not None:
        _require_place(out, replace)
    wanted = _wanted(asked, as_profile=out is not None)
    with steps("tuning") as on_progress:
        if target is None and questions is not None:
            _no_set_options(asked)
            one = tune_collection(
                library, questions, wanted, collection=collection, split=asked["split"],
                model=asked["model"], on_progress=on_progress,
            )  # fmt: skip
            found = [one]
        elif target is not None:
            task = _one_task(target, asked)
            found = tuning.tune(embedder(asked), task, wanted, on_progress)
    for one in found:
        for note in one.notes:
            click.echo(f"Note: {output.clean(note)}", err=True)
    for model in dict.fromkeys(one.model for one in found if not one.trained):
        say_untrained(model)
    if as_json:
        output.print_json([tuning.plain(one) for one in found])
    else:
        for one in found:
            _print_tuned(one)
    if out is not None:
        base = wanted.profile if questions is None else _stored_profile(library, collection, wanted)
        _write(found[0], out, force, base)


def _require_place(out: Path, replace: bool) -> None:
    """Raise UsageError where no profile can be written, or one would be lost: before minutes are spent."""
    from searchkit.whole_file import require_place

    if out.suffix != ".toml":
        raise UsageError(f"{out} is no name of a profile", remedy=f"as in: --out {out.stem}.toml")
    require_place(out)
    if out.exists() and not replace:
        raise UsageError(f"{out} is there already", remedy="name another file, or write over it: --replace")


def _wanted(asked: dict[str, Any], *, as_profile: bool) -> Tuning:
    from searchkit.evaluation.candidates import read_own
    from searchkit.evaluation.selection import Plan
    from searchkit.evaluation.tuning import Tuning
    from searchkit.profile import Profile

    own: list[tuple[str, str | None]] = [(text, None) for text in asked["candidates"]]
    if asked["file"] is not None:
        own += read_own(asked["file"])
    return Tuning(
        profile=Profile.load(asked["profile"]) if asked["profile"] else None,
        changed=asked["changed"],
        own=tuple(own),
        grammar=asked["grammar"],
        paraphrases=asked["paraphrases"],
        plan=Plan(held_out=asked["held_out"], seed=asked["seed"]),
        as_profile=as_profile,
        kept=options.vectors_folder(),
    )


def _one_task(target: Path, asked: dict[str, Any]) -> Task:
    if target.suffix == ".toml":
        raise UsageError(f"{target} may name several sets", remedy="tune one set after the other")
    return tasks([target], asked)[0]


def _no_set_options(asked: dict[str, Any]) -> None:
    """A collection has its precision and window: what is said of them would be passed over."""
    said = [name for name in ("kind", "labels", "max_tokens") if asked[name]]
    if asked["precision"] != "auto":
        said.append("precision")
    if said:
        raise UsageError(
            f"--{said[0].replace('_', '-').replace('labels', 'label')} is said of a SET",
            remedy="leave it out: a collection is tuned as it was indexed",
        )


def _stored_profile(library: Library, collection: str | None, wanted: Tuning) -> Profile:
    from searchkit.profile import Profile

    with library.reading(collection) as (_, stored):
        return wanted.profile or Profile.from_dict(stored.profile)


def _write(one: Tuned, out: Path, force: bool, base: Profile | None) -> None:
    from searchkit.evaluation import tuning
    from searchkit.whole_file import write_whole

    place = one.winner
    if place is None and force:
        place = tuning.best_unproven(one)
    if place is None:
        why = (
            "all that were compared are proven worse"
            if force
            else "nothing is proven better (--force writes the best of the choice)"
        )
        click.echo(f"{out} is not written: {why}", err=True)
        return
    write_whole(out, tuning.profile_of(one, place, base, out.stem).to_toml().encode("utf-8"))
    click.echo(f"Wrote {out}", err=True)


def _print_tuned(one: Tuned) -> None:
    from rich.text import Text

    from searchkit.evaluation.statistics import said

    out = output.console()
    sides = "the query side" if one.changed == "query" else "both sides"
    mode = "" if one.mode is None else f" in {one.mode} mode"
    out.print(
        Text(
            f"{one.task} · {one.main}{mode} · {len(one.candidates) - 1} instructions on {sides} · "
            f"{one.items - one.held_out:,} items to choose by, {one.held_out:,} held out",
            style="bold",
        )
    )
    chosen = output.table("instruction", "from", *(f"{round_.items:,} items" for round_ in one.rounds))
    reached = sorted(
        range(1, len(one.candidates)),
        key=lambda place: [
            -score if (score := round_.scores.get(place, -math.inf)) == score else math.inf
            for round_ in reversed(one.rounds)
        ],  # nan, a score that is not defined, comes last
    )
    own = [place for place in reached[SHOWN:] if one.candidates[place].origin == "own"]
    for place in [*reached[:SHOWN], *own]:
        scores = [f"{round_.scores[place]:.2f}" if place in round_.scores else "" for round_ in one.rounds]
        chosen.add_row(*map(Text, [one.candidates[place].shown, one.candidates[place].origin, *scores]))
    out.print(chosen)
    if len(reached) > SHOWN + len(own):
        out.print(Text(f"and {len(reached) - SHOWN - len(own)} more, see --json\n"))
    held = output.table("held out", "score", "present", "difference", "95 %", "p", "better, worse")
    for row in one.compared:
        held.add_row(
            *map(
                Text,
                [
                    one.candidates[row.candidate].shown, f"{row.score:.2f}", f"{row.present:.2f}",
                    f"{row.difference:+.2f}", said(row.low, row.high, "+.2f"), output.p_value(row.p),
                    output.better_worse(row.better, row.worse),
                ],
            )
        )  # fmt: skip
    out.print(held)
    out.print(Text(f"Present: {one.candidates[0].shown}"))
    out.print(Text(one.verdict[0].upper() + one.verdict[1:], style="bold"))
    if (usual := one.by_default) is not None:
        out.print(
            Text(
                f"In hybrid mode, the default of queries: {usual.score:.2f}, present {usual.present:.2f}, "
                f"{usual.difference:+.2f} ({said(usual.low, usual.high, '+.2f')}, "
                f"p {output.p_value(usual.p)})"
            )
        )
