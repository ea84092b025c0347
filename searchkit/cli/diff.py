"""`searchkit diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output
from searchkit.cli.progress import steps

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.evaluation.diff import Compared, Difference
    from searchkit.evaluation.moved import Moved, Seen

SHOWN_HITS = 3  # of each side, for people
SHOWN_TEXT = 60  # characters


@click.command("diff")
@click.argument("first", required=False, metavar="[A]")
@click.argument("second", required=False, metavar="[B]")
@options.collection_option("Whose passages. Without it, A and B are two collections.")
@click.option("--model-a", metavar="ID|DIR", help="A's model.  [default: the collection's]")
@click.option("--model-b", metavar="ID|DIR", help="B's model.  [default: the collection's]")
@click.option(
    "--queries", metavar="FILE", help="What is asked: lines, or .jsonl.  [default: made of passages]"
)
@click.option(
    "--sample", type=click.IntRange(min=0), default=2_000, show_default=True, metavar="N",
    help="Embed N passages at most, drawn at random; 0 for all.",
)  # fmt: skip
@click.option(
    "-k",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    metavar="N",
    help="Hits that are compared.",
)
@click.option(
    "--literal",
    is_flag=True,
    help="Put instructions of A and B before texts also where the model takes none.",
)
@click.option(
    "--show", type=click.IntRange(min=0), default=5, show_default=True, metavar="N", help="Queries shown."
)
@options.library_option
@options.json_option
def diff_command(
    first: str | None,
    second: str | None,
    collection: str | None,
    model_a: str | None,
    model_b: str | None,
    library: Library,
    show: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show which answers move when profile B takes the place of A over the passages of a collection.

    With one profile, the collection's own is A. Where only the query instruction differs, the stored vectors
    serve; else passages are embedded for the run. Searched is by meaning, exactly. Nothing is stored, and
    nothing is judged: searchkit eval says which is better. Many models take no instructions and answer alike
    under all profiles, unless --literal puts those of the profiles you name before texts.

    \b
    searchkit diff scientific-retrieval -c wiki
    searchkit diff company-docs wiki-retrieval -c wiki --queries questions.txt
    searchkit diff -c wiki --model-b intfloat/e5-base-v2
    searchkit diff wiki wiki-2
    """
    from dataclasses import asdict

    from searchkit.cli.query import queries_of
    from searchkit.evaluation.diff import Wanted, diff, diff_collections

    wanted = Wanted(
        profiles=(first, second) if second is not None else (None, first),
        models=(model_a, model_b),
        queries=None if asked["queries"] is None else queries_of(None, asked["queries"]),
        sample=asked["sample"],
        k=asked["k"],
        literal=asked["literal"],
    )
    with steps("embedding") as told:
        on_progress = None if told is None else lambda done, total: told("", done, total)
        if collection is not None:
            found = diff(library, collection, wanted, on_progress)
        elif first is None or second is None or model_a or model_b:
            raise click.UsageError("name two collections; or the collection whose passages to use: -c NAME")
        else:
            found = diff_collections(library, first, second, wanted, on_progress)
    if as_json:
        output.print_json(asdict(found))
        return
    _print(found, show)


def _print(found: Difference, show: int) -> None:
    from searchkit.evaluation.statistics import said

    for letter, side in (("A", found.first), ("B", found.second)):
        click.echo(f"{letter}  {_side(side)}")
    for notice in found.notices:
        click.echo(f"Note: {notice}", err=True)
    made = "made " if found.made else ""
    shown = output.table(
        f"over {output.counted(found.queries, f'{made}query', f'{made}queries')}, "
        f"{output.counted(found.passages, 'passage')}",
        "mean", "95 %",
    )  # fmt: skip
    for name, mean in found.measures.items():
        shown.add_row(name, f"{mean.mean:.3f}", said(mean.low, mean.high, ".3f"))
    output.console().print(shown)
    for one in [one for one in found.moved if one.rbo < 1][:show]:
        _print_moved(one)


def _side(side: Compared) -> str:
    texts = ", ".join(f"{name} {text!r}" for name, text in side.instructions.items() if text)
    how = "passages embedded for this run" if side.embedded else "stored vectors"
    name = side.name if side.name == side.model else f"{side.name}: {side.model}"
    return output.clean(f"{name}, {texts or 'no instruction'}; {how}")


def _print_moved(one: Moved) -> None:
    click.echo(
        f"{output.clean(one.query)}\n  rbo {one.rbo:.2f}, overlap {one.overlap:.0%}: {output.clean(one.why)}"
    )
    shown = output.table("", "A", "B", "cosine A", "cosine B", "passage")
    for letter, hits in (("A", one.first), ("B", one.second)):
        for hit in hits[:SHOWN_HITS]:
            shown.add_row(letter, *_row(hit))
    output.console().print(shown)


def _row(hit: Seen) -> tuple[str, ...]:
    text = output.clean(hit.text)
    cut = text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"
    ranks = (str(rank) if rank is not None else "-" for rank in (hit.rank_first, hit.rank_second))
    return (
        *ranks,
        f"{hit.cosine_first:.3f}",
        f"{hit.cosine_second:.3f}",
        f"{output.clean(hit.where)}: {cut}",
    )
