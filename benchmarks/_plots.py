"""Draws throughput.png, latency.png and relevance.png from results/*.json; needs matplotlib.

python -m benchmarks._plots
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks._conditions import RESULTS

OURS, OTHERS = "#1f6f8b", "#b8b8b8"


def main() -> None:
    """Draw what there are results for."""
    matplotlib.use("Agg")  # no window: files only
    throughput = [
        *_sets("embedding_throughput"),
        *_rows("instructor_throughput", "INSTRUCTOR base size, mixed lengths", "ratio"),
    ]
    draw(throughput, RESULTS / "throughput.png", "texts per second, times the reference's")
    latency = [
        *_rows("index_end_to_end", "index, whole process", "best_s"),
        *_latency("query_latency"),
    ]
    draw(latency, RESULTS / "latency.png", "seconds; query, warm: milliseconds (p50)")
    if found := _load("relevance"):
        draw_roc(found["roc"], found["threshold"], RESULTS / "relevance.png")


def draw(panels: list[tuple[str, dict[str, float]]], path: Path, unit: str) -> None:
    """One panel of bars per (title, value by contender)."""
    from matplotlib import pyplot

    if not panels:
        print(f"nothing to draw in {path.name}")
        return
    longest = max(len(values) for _, values in panels)
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 0.36 * longest + 1.4), squeeze=False, layout="constrained"
    )
    for axis, (title, values) in zip(axes[0], panels, strict=True):
        names = list(values)[::-1]
        bars = axis.barh(
            names,
            [values[name] for name in names],
            color=[OURS if name.startswith("searchkit") else OTHERS for name in names],
        )
        axis.bar_label(bars, fmt="{:.3g}", padding=3, fontsize=8)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(unit, fontsize=9)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    print(path.name)


def draw_roc(roc: dict[str, list[float]], threshold: float, path: Path) -> None:
    """Answerable questions over unanswerable ones that are called relevant, for every percentile."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(4.2, 4.0), layout="constrained")
    axis.plot(roc["unanswerable"], roc["answerable"], color=OURS)
    chosen = roc["threshold"].index(threshold)
    point = (roc["unanswerable"][chosen], roc["answerable"][chosen])
    axis.plot(*point, "o", color=OURS)
    axis.annotate(f"from {threshold:g} % on", point, xytext=(12, -14), textcoords="offset points", fontsize=8)
    axis.set_xlabel("unanswerable questions called relevant, %", fontsize=9)
    axis.set_ylabel("answerable questions called relevant, %", fontsize=9)
    axis.set_xlim(0, 30)
    axis.set_ylim(70, 100.5)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    print(path.name)


def _sets(name: str) -> list[tuple[str, dict[str, float]]]:
    found = _load(name)
    sets: dict[str, Any] = found["sets"] if found else {}
    return [
        (
            f"{title}, {one['texts']} texts",
            {who: row["ratio"] for who, row in one["rows"].items() if "ratio" in row},
        )
        for title, one in sets.items()
    ]


def _rows(name: str, title: str, key: str) -> list[tuple[str, dict[str, float]]]:
    found = _load(name)
    return [(title, {who: row[key] for who, row in found["rows"].items() if row.get(key)})] if found else []


def _latency(name: str) -> list[tuple[str, dict[str, float]]]:
    found = _load(name)
    if not found:
        return []
    panels = []
    if found["cold"]:
        cold = {who: row["median_s"] for who, row in found["cold"]["rows"].items()}
        panels.append((f"query, cold, {found['cold']['passages']:,} passages", cold))
    for size, rows in found["warm"].items():
        panels.append(
            (f"query, warm, {int(size):,} passages", {who: row["p50_ms"] for who, row in rows.items()})
        )
    return panels


def _load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


if __name__ == "__main__":
    main()
