"""Pictures of what Instructions do: how far paraphrases part, and what each degree of detail gives."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from searchkit.evaluation.variants import Level, Variation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, ROW_HEIGHT, DPI = 8.0, 0.42, 110  # inches; dots per inch
DOT, FIRST, LINE = "#3b6ea5", "#c4552d", "#8a95a3"
COLOURS = ("#8a95a3", "#3b6ea5", "#4f9d69", "#c4552d")


def robustness_png(found: Sequence[Variation]) -> bytes:
    """A row for each set: its paraphrases from worst to best, and the Instruction as it is."""

    def draw(axes: Axes) -> None:
        for row, one in enumerate(found):
            scores = [level.score for level in one.levels]
            axes.plot([min(scores), max(scores)], [row, row], color=LINE, linewidth=3, zorder=1)
            axes.scatter(scores[1:], [row] * len(scores[1:]), color=DOT, zorder=2)
            axes.scatter(scores[:1], [row], color=FIRST, marker="D", zorder=3)
        axes.set_yticks(range(len(found)), [f"{one.task}  ({one.main})\ngap {one.gap:.1f}" for one in found])
        axes.set_xlabel("percent; diamond: the instruction as it is, dots: paraphrases")

    return _png(draw, len(found))


def ablation_png(found: Sequence[Variation]) -> bytes:
    """A row for each set: points more than without Instruction, with 95 % intervals."""

    def draw(axes: Axes) -> None:
        for row, one in enumerate(found):
            for turn, level in enumerate(one.levels):
                _interval(axes, row + 0.2 * (turn - 1.5), level, COLOURS[turn % len(COLOURS)], named=not row)
        axes.axvline(0, color=LINE, linewidth=1)
        axes.set_yticks(
            range(len(found)), [f"{one.task}  ({one.main})\nnone {one.levels[0].score:.1f}" for one in found]
        )
        axes.set_xlabel("points more than without instruction, with 95 % interval")
        axes.legend(loc="best", frameon=False)

    return _png(draw, 2 * len(found))


def _interval(axes: Axes, place: float, level: Level, colour: str, *, named: bool) -> None:
    around = [[max(0.0, level.difference - level.low)], [max(0.0, level.high - level.difference)]]
    axes.errorbar(
        [level.difference], [place], xerr=around, fmt="o", color=colour, capsize=3,
        label=level.name if named else None,
    )  # fmt: skip


def _png(draw: Callable[[Axes], None], rows: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 1.2 + ROW_HEIGHT * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.invert_yaxis()  # the first on top
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
