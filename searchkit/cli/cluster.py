"""`searchkit cluster`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output, progress
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.analysis.showing import Clustering, Member
    from searchkit.collection.library import Library
    from searchkit.library.documents import StoredPassage

WORDS_SHOWN = 5
WORDS_OF_THEME = 3
TEXT_SHOWN = 70  # characters of a passage
OUTDATED = 0.1  # of the passages, come or gone: from there on new clusters are suggested
CSV_COLUMNS = ("cluster", "name", "document", "heading", "start", "end", "cosine", "outlier", "text")


@click.command("cluster")
@options.collection_option("The collection to group.  [default: the only one, else company-docs]")
@click.option("--k", default="auto", metavar="auto|N", help="How many clusters.  [default: auto]")
@click.option(
    "--method",
    type=click.Choice(["kmeans", "hdbscan"]),
    default="kmeans",
    help="hdbscan leaves out what lies between clusters.  [default: kmeans]",
)
@click.option(
    "--min-size",
    type=int,
    metavar="N",
    help="Of hdbscan: passages of the smallest cluster.  [default: 0.3 %, at least 5]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another one begins elsewhere.")
@click.option(
    "--by-instruction",
    metavar="TEXT",
    help="Compare the stored clusters with those under another instruction.",
)
@click.option("--show", "only_show", is_flag=True, help="Show the stored clusters; make none.")
@options.library_option
@options.wait_option
@options.list_option("a line for each passage")
def cluster_command(
    collection: str | None,
    library: Library,
    form: str,
    only_show: bool,
    by_instruction: str | None,
    wait: float,
    **asked: Any,
) -> None:
    """Group the passages of a collection by what they are about, and name each group.

    \b
    searchkit cluster
    searchkit cluster --k 20 -c tickets
    searchkit query "late delivery" --where "cluster = 'invoices'"
    searchkit cluster --by-instruction "Represent the ticket for clustering by urgency: "

    The clusters are stored. Passages indexed later belong to the nearest one, until clusters are made again;
    those of hdbscan take in what is no farther from their middle than the floor that each has. Where no
    clusters stand apart, auto makes one.

    A filter knows them by name, by number, by their words (cluster has invoice), and 'outliers'.

    With --by-instruction the passages are embedded anew, under the instruction given and for this once, and
    the stored clusters are compared with as many made so. Passages in no cluster take no part. Nothing else
    here needs a model.

    --format csv prints a line for each passage, all other formats a cluster with what stands for it.
    """
    if only_show or by_instruction is not None:
        _refuse_options_of_making("--show" if only_show else "--by-instruction")
    if only_show and by_instruction is not None:
        raise UsageError("--show and --by-instruction show different things", remedy="leave out one of them")
    if by_instruction is not None:
        from searchkit.cli.instructed import print_comparison

        print_comparison(library, collection, by_instruction, form)
        return
    from searchkit.analysis import clusters

    if only_show:
        found = clusters.show(library, collection=collection)
    else:
        wanted = clusters.Wanted(**{**asked, "k": _number(asked["k"])})
        with progress.steps() as on_progress:
            found = clusters.make(
                library,
                collection=collection,
                wanted=wanted,
                patience=options.patience(wait),
                on_progress=on_progress,
            )
    if form == "csv":
        _print_csv(clusters.members(library, collection=found.collection))
        for notice in found.notices:
            click.echo(notice, err=True)
    elif form == "table":
        _print_table(found)
    else:
        output.print_json(_plain(found))


def _refuse_options_of_making(option: str) -> None:
    context = click.get_current_context()
    for name in ("k", "method", "min_size", "seed"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"{option} makes no clusters, and --{name.replace('_', '-')} says how they are made",
                remedy=f"leave out one of the two; {option} goes by the clusters that are stored",
            )


def _number(k: str) -> int | None:
    if k.strip().lower() == "auto":
        return None
    try:
        return int(k)
    except ValueError:
        raise UsageError(f"--k is '{k}', expected auto or a number", remedy="as in: --k 20") from None


def _print_table(found: Clustering) -> None:
    from rich.text import Text

    out = output.console()
    several = len(found.themes) > 1
    shown = output.table(*(["theme"] if several else []), "#", "name", "passages", "words", "for example")
    by_number = {one.number: one for one in found.clusters}
    for theme in found.themes:
        title = f"{', '.join(theme.words[:WORDS_OF_THEME])} ({theme.passages:,})"
        for one in (by_number[number] for number in theme.clusters):
            cells = [str(one.number), one.name, f"{one.passages:,}", ", ".join(one.words[:WORDS_SHOWN])]
            example = _in_short(one.examples[0]) if one.examples else ""
            shown.add_row(*map(Text, [*([title] if several else []), *cells, example]))
            title = ""  # once for all of its clusters
    if found.clusters:
        out.print(shown)
    for notice in found.notices:
        out.print(Text(notice))
    if found.outliers:
        out.print(Text(f"{found.outlying:,} outliers; the farthest:"))
        for other in found.outliers:
            out.print(Text(f"  {output.clean(other.passage.document)}  {_in_short(other.passage)}"))
    out.print(Text(" · ".join(_about(found)), style="dim"))


def _about(found: Clustering) -> list[str]:
    about = [
        found.collection,
        f"{found.passages:,} passages",
        f"{len(found.clusters):,} clusters",
        found.method,
    ]
    if found.since:
        joined = f"{found.since - found.since_in_none:,} joined the nearest"
        left = f", {found.since_in_none:,} none" if found.since_in_none else ""
        about.append(f"{found.since:,} came since: {joined}{left}")
    if found.gone:
        about.append(f"{found.gone:,} have gone since")
    if found.since + found.gone > OUTDATED * max(found.passages, 1):
        about.append(f"make them again: searchkit cluster -c {found.collection}")
    return about


def _plain(found: Clustering) -> dict[str, Any]:
    """The stable JSON form."""
    return {
        "collection": found.collection,
        "method": found.method,
        "k": found.asked,
        "passages": found.passages,
        "since": found.since,
        "since_in_none": found.since_in_none,
        "gone": found.gone,
        "clusters": [
            {
                "number": one.number,
                "name": one.name,
                "words": one.words,
                "theme": one.theme,
                "passages": one.passages,
                "outliers": one.outliers,
                "examples": [_plain_passage(passage) for passage in one.examples],
            }
            for one in found.clusters
        ],
        "themes": [
            {"theme": one.number, "words": one.words, "clusters": one.clusters, "passages": one.passages}
            for one in found.themes
        ],
        "outliers": {
            "passages": found.outlying,
            "farthest": [
                {**_plain_passage(one.passage), "cluster": one.number, "cosine": round(one.cosine, 6)}
                for one in found.outliers
            ],
        },
        "notices": found.notices,
        "study": [_rounded(one) for one in found.study],
    }


def _rounded(measured: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 6) for name, value in measured.items()}


def _plain_passage(passage: StoredPassage) -> dict[str, Any]:
    return {"document": passage.document, "start": passage.start, "end": passage.end, "text": passage.text}


def _print_csv(members: Iterable[Member]) -> None:
    click.echo(output.csv_line(CSV_COLUMNS), nl=False)
    for one in members:
        passage = one.passage
        place = [passage.document, passage.heading, passage.start, passage.end]
        cells = [one.number, one.name, *place, round(one.cosine, 6), int(one.outlier)]
        click.echo(output.csv_line([*cells, passage.text]), nl=False)


def _in_short(passage: StoredPassage) -> str:
    text = output.clean(passage.text)
    return text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 3]}..."
