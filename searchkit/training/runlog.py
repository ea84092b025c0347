"""The log of a run: one JSON object a line, and the curve drawn from it. Knows no networks."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from searchkit.durable import write_durably

SMOOTHED = 0.98  # of the loss curve: what is kept of the mean at each step


class RunLog:
    """A file of lines, appended to."""

    def __init__(self, file: Path | None, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the log anew with these lines, whole or not at all, and open it for more.

        file: None to keep lines in memory only.
        """
        self._stream: TextIO | None = None
        self.lines: list[dict[str, Any]] = [dict(one) for one in lines]
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_durably(file, "".join(f"{_line(one)}\n" for one in self.lines).encode("utf-8"))
        self._stream = file.open("a", encoding="utf-8")

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line."""
        self.lines.append(dict(line))
        if self._stream is not None:
            self._stream.write(f"{_line(line)}\n")
            self._stream.flush()

    def sync(self) -> None:
        """Have on disk what was added: before a checkpoint, which has no line again that it knows of."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def read_log(file: Path, up_to_step: int | None = None) -> list[dict[str, Any]]:
    """The log's lines, those of steps up to this one; without a last one cut off, and those of others."""
    if not file.is_file():
        return []
    lines = []
    # Not splitlines, which cuts at characters that texts may hold.
    for text in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if not (isinstance(line, dict) and isinstance(line.get("step"), int)):
            continue
        if up_to_step is None or line["step"] <= up_to_step:
            lines.append(line)
    return lines


def draw_curve(lines: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the loss by step, smoothed by task and as a whole, and evaluations below; needs matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return  # a picture less; the log has all of it
    steps = [one for one in lines if "loss" in one]
    scores = [one for one in lines if "score" in one]
    if not steps:
        return
    figure = Figure(figsize=(9, 6 if scores else 4), dpi=110, layout="constrained")
    panels = figure.subplots(2 if scores else 1, 1, squeeze=False, sharex=True)[:, 0]
    losses = [float(one["loss"]) for one in steps]
    numbers = [int(one["step"]) for one in steps]
    panels[0].plot(numbers, losses, ".", markersize=2, color="#b0b0b0")
    panels[0].plot(numbers, smoothed(losses), color="#1f5fa8")
    panels[0].set_ylabel("loss")
    if scores:
        panels[1].plot(
            [int(one["step"]) for one in scores], [one["score"] for one in scores], "o-", color="#b3541e"
        )
        panels[1].set_ylabel("score")
    panels[-1].set_xlabel("step")
    made = io.BytesIO()
    figure.savefig(made, format="png", metadata={"Software": None})
    write_durably(file, made.getvalue())


def smoothed(values: Sequence[float]) -> list[float]:
    """A running mean that weighs what was long ago less, without a bias towards its start."""
    mean, weight, result = 0.0, 0.0, []
    for value in values:
        mean = SMOOTHED * mean + (1 - SMOOTHED) * value
        weight = SMOOTHED * weight + (1 - SMOOTHED)
        result.append(mean / weight)
    return result


def _line(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False)
