"""Writes a map as a picture: points, their colours explained beside them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.analysis.map_colours import CATEGORY, GREY, NONE, SCALE, in_words
from searchkit.analysis.map_page import about, called, title
from searchkit.analysis.mapping import Map
from searchkit.errors import UsageError
from searchkit.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (12.8, 8.0)
DOTS_PER_INCH = 125
NAME_SHOWN = 32  # characters of a category


def require_matplotlib() -> None:
    """Raise UsageError unless matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "a picture needs the package matplotlib, which is not installed",
            remedy="install it with: pip install matplotlib, or leave out --png",
        ) from error


def write_png(found: Map, path: Path) -> None:
    """Write the picture. Raises: UsageError: matplotlib is not installed, or the file cannot be written."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    _points(found, axes)
    if found.colours.kind == CATEGORY:
        _legend(found, axes)
    else:
        _scale(found, figure, axes)
    axes.set_title(_plain(f"{title(found)}\n{about(found)}"), loc="left", fontsize=10)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    made = io.BytesIO()
    with warnings.catch_warnings():
        # Of characters that its font lacks: they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(made, format="png", metadata={"Software": None})
    write_whole(path, made.getvalue())


def _points(found: Map, axes: Axes) -> None:
    points, colours = found.points, found.colours
    area = max(2.0, min(40.0, 12_000 / (len(points) + 150)))
    if colours.kind == CATEGORY:
        drawn = [colours.colour(int(one or 0)) for one in colours.of]
    else:
        steps = [colours.share(one) for one in colours.of]
        drawn = [GREY if one is None else SCALE[min(len(SCALE) - 1, int(one * len(SCALE)))] for one in steps]
    axes.scatter(
        [one.x for one in points], [one.y for one in points], s=area, c=drawn, alpha=0.85, linewidths=0
    )
    for at, rank in found.hits.items():
        one = points[at]
        axes.scatter(one.x, one.y, s=4 * area, facecolors="none", edgecolors="black", linewidths=1)
        axes.annotate(str(rank), (one.x, one.y), xytext=(5, 4), textcoords="offset points", fontsize=8)


def _legend(found: Map, axes: Axes) -> None:
    entries = []
    for at, (name, count) in enumerate(found.colours.categories):
        short = name if len(name) <= NAME_SHOWN else f"{name[: NAME_SHOWN - 3]}..."
        entries.append((found.colours.colour(at), f"{short}  {count:,}"))
    _swatches(entries, axes, called(found.colours), at=(1.0, 1.0))


def _swatches(
    entries: Sequence[tuple[str, str]], axes: Axes, heading: str, *, at: tuple[float, float]
) -> None:
    """A legend of colours and what they are called; at: its upper left corner, in parts of the axes."""
    drawn = [axes.scatter([], [], s=36, c=colour) for colour, _ in entries]
    # Given one by one: of those that it gathers itself, matplotlib leaves out names that begin with '_'.
    axes.legend(
        drawn,
        [_plain(text) for _, text in entries],
        loc="upper left",
        bbox_to_anchor=at,
        frameon=False,
        fontsize=9,
        title=_plain(heading),
        alignment="left",
    )


def _scale(found: Map, figure: Figure, axes: Axes) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    colours = found.colours
    steps = len(SCALE)
    norm = BoundaryNorm([step / steps for step in range(steps + 1)], steps)
    bar = figure.colorbar(
        ScalarMappable(norm, ListedColormap(SCALE)), ax=axes, shrink=0.5, label=_plain(called(colours))
    )
    bar.set_ticks([0, 1], labels=[in_words(colours.kind, one) for one in (colours.low, colours.high)])
    if without := sum(one is None for one in colours.of):
        _swatches([(GREY, f"{NONE}  {without:,}")], axes, "", at=(1.0, 0.2))


def _plain(text: str) -> str:
    """For matplotlib '$' begins a formula."""
    return text.replace("$", r"\$")
