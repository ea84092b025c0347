"""Results as one page of HTML, and as a picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from searchkit.evaluation import own_report, paper
from searchkit.evaluation.paper import Published
from searchkit.evaluation.results import Result

WIDTH, ROW_HEIGHT, DPI = 8.0, 0.34, 110  # inches; dots per inch
BAR, LINE = "#3b6ea5", "#1d2733"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top }}
th, td {{ padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
code {{ white-space: pre-wrap }}
img {{ max-width: 100%; background: #fff; border-radius: 4px }}
</style>
<h1>{title}</h1>
<p>{about}</p>
<img alt="{alt}" src="data:image/png;base64,{picture}">
<table><tr>{head}</tr>
{rows}
</table>
{notes}
{sources}
{more}
</html>
"""


def write(
    found: Sequence[Result],
    page: Path | None,
    picture: Path | None,
    against: Sequence[Published | None] | None = None,
) -> None:
    """Write a page, a picture, or both; intervals are bootstrapped, 95 %.

    against: what was published of the set of each result, in their order, for columns of their own.
    """
    drawn = png(found)
    if picture is not None:
        picture.write_bytes(drawn)
    if page is not None:
        page.write_text(_page(found, drawn, against), encoding="utf-8")


def png(found: Sequence[Result]) -> bytes:
    """A bar for each main measure with its interval, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 1.1 + ROW_HEIGHT * len(found)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    places = range(len(found))
    scores = [one.main for one in found]
    around = [
        [max(0.0, one.main - one.measured.low) for one in found],
        [max(0.0, one.measured.high - one.main) for one in found],
    ]
    axes.barh(places, scores, xerr=around, color=BAR, ecolor=LINE, capsize=3, height=0.62)
    axes.set_yticks(places, [f"{one.task}  ({one.measured.main})" for one in found])
    axes.invert_yaxis()  # the first on top
    axes.set_xlim(min(0.0, *scores) if scores else 0.0, 100)
    axes.set_xlabel("percent, with 95 % interval")
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    out = io.BytesIO()
    FigureCanvasAgg(figure)  # no screen
    figure.savefig(out, format="png")
    return out.getvalue()


def _page(found: Sequence[Result], drawn: bytes, against: Sequence[Published | None] | None) -> str:
    theirs = () if against is None else paper.columns()
    names = ("task", "kind", "measure", "score", "95 %", *theirs, "others", "of", "instructions")
    models = ", ".join(dict.fromkeys(one.model for one in found))
    beside = against if against is not None else [None] * len(found)
    return _PAGE.format(
        title="What was measured",
        about=html.escape(f"Model: {models}"),
        alt=html.escape(", ".join(f"{one.task} {one.measured.score}" for one in found)),
        picture=base64.b64encode(drawn).decode("ascii"),
        head="".join(f"<th>{name}</th>" for name in names),
        rows="\n".join(_row(one, _figures(other, theirs)) for one, other in zip(found, beside, strict=True)),
        notes="\n".join(
            f"<p>{html.escape(f'{one.task}: {note}')}</p>" for one in found for note in one.measured.notes
        ),
        more=own_report.section(found),
        sources="" if against is None else f"<p>{html.escape(paper.sources())}</p>",
    )


def _figures(published: Published | None, columns: Sequence[str]) -> list[str]:
    return ["" if published is None else f"{published.figures[name]:.2f}" for name in columns]


def _row(one: Result, theirs: Sequence[str]) -> str:
    measured = one.measured
    counts = ", ".join(f"{count:,} {what}" for what, count in measured.counts.items())
    instructions = "<br>".join(
        f"{side}: <code>{html.escape(repr(text))}</code>" for side, text in one.instructions.items() if text
    )
    cells = [html.escape(one.task), measured.kind, measured.main]
    return (
        "<tr>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="number">{measured.score}</td><td>{measured.interval}</td>'
        + "".join(f'<td class="number">{figure}</td>' for figure in theirs)
        + "".join(
            f"<td>{cell}</td>" for cell in (html.escape(measured.others), counts, instructions or "none")
        )
        + "</tr>"
    )
