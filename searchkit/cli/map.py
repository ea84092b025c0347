"""`searchkit map`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import options, output, progress
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.analysis.mapping import Map
    from searchkit.collection.library import Library

DEFAULT_FILE = Path("map.html")
PICTURE = ".png"


@click.command("map")
@options.collection_option("The collection to map.  [default: the only one, else company-docs]")
@click.option(
    "-o",
    "--output",
    "html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the page there.  [default: map.html, with --png none]",
)
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Write a picture there.")
@click.option(
    "--color-by",
    metavar="FIELD",
    help="Colour by a field that filters know: type, author ...  [default: cluster, without clusters type]",
)
@click.option(
    "--method",
    type=click.Choice(["tsne", "umap"]),
    default="tsne",
    help="umap needs the package umap-learn.  [default: tsne]",
)
@click.option(
    "--level",
    type=click.Choice(["passage", "document"]),
    default="passage",
    help="A point for each passage, or for each document.  [default: passage]",
)
@click.option("--query", metavar="TEXT", help="Mark the first hits of this query.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Of more points show so many, taken at random.  [default: 100,000]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another one lays the map out anew.")
@options.filter_options
@options.library_option
@options.json_option
def map_command(
    library: Library, collection: str | None, html: Path | None, png: Path | None, as_json: bool, **asked: Any
) -> None:
    """Draw a map of a collection: each passage a point, near to passages that are like it.

    \b
    searchkit map -o map.html
    searchkit map --color-by type --where "modified >= 2025"
    searchkit map --level document --query "how do I get a laptop" --png map.png

    The page is one file and opens offline. It shows text and place of the point under the pointer, marks what
    a search finds, and a lasso (Shift and drag) takes points together and saves them as CSV or JSON. Colours
    are those of the stored clusters (see searchkit cluster), or of any field that filters know.

    The same collection gives the same map. Only --query needs the model. The page holds the texts that it
    shows, also after they are forgotten; searchkit index leaves such pages out.
    """
    from searchkit.analysis import mapping

    started = time.perf_counter()
    html = html or (None if png else DEFAULT_FILE)
    _require_places(html, png)
    if png:
        from searchkit.analysis.map_picture import require_matplotlib

        require_matplotlib()
    asked["limit"] = asked["limit"] or mapping.LIMIT
    wanted = mapping.checked(mapping.Wanted(**asked))
    with progress.share("laying out") as on_progress:
        found = mapping.layout(library, collection, wanted, on_progress=on_progress)
    for notice in found.notices:
        click.echo(f"Note: {notice}", err=True)
    written = _write(found, html, png)
    took_s = time.perf_counter() - started
    if as_json:
        output.print_json(_plain(found, html, png, took_s))
        return
    from searchkit.analysis.map_page import about

    click.echo(f"{found.collection}: {about(found)}, in {took_s:.1f} s")
    for path in written:
        click.echo(f"  wrote {path}")


def _require_places(html: Path | None, png: Path | None) -> None:
    """Raise UsageError where the files asked for cannot be written: before minutes are spent on them."""
    from searchkit.whole_file import require_place

    for path in filter(None, (html, png)):
        require_place(path)
    if html and png and html.resolve() == png.resolve():
        raise UsageError(f"page and picture would both be {png}", remedy="give them two names")
    if html and html.suffix.lower() == PICTURE:
        raise UsageError(f"{html} is named as a picture, and -o writes a page", remedy=f"use: --png {html}")
    if png and png.suffix.lower() != PICTURE and (png.is_file() or not png.exists()):  # a pipe has any name
        raise UsageError(f"{png} does not end in {PICTURE}", remedy=f"use: --png {png.with_suffix(PICTURE)}")


def _write(found: Map, html: Path | None, png: Path | None) -> list[Path]:
    written = []
    if html:
        from searchkit.analysis.map_page import write_html

        write_html(found, html)
        written.append(html)
    if png:
        from searchkit.analysis.map_picture import write_png

        write_png(found, png)
        written.append(png)
    return written


def _plain(found: Map, html: Path | None, png: Path | None, took_s: float) -> dict[str, Any]:
    """The stable JSON form."""
    return {
        "collection": found.collection,
        "method": found.method,
        "level": found.level,
        "points": len(found.points),
        "of": found.total,
        "color_by": found.colours.field,
        "grouped": found.colours.grouped,
        "kind": found.colours.kind,
        "categories": [{"name": name, "points": count} for name, count in found.colours.categories],
        "query": found.query or None,
        "hits": len(found.hits),
        "html": str(html) if html else None,
        "png": str(png) if png else None,
        "took_s": round(took_s, 3),
    }
