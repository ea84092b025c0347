"""How do the costs of indexing and refreshing grow with the number of passages?

Indexes synthetic documents (seeded) of about 1,000, 10,000 and 100,000 passages, each in a process of its
own, and refreshes without a change. The fake model hashes words and costs next to nothing, which leaves
the pipeline's own cost; `--model` measures with all-MiniLM-L6-v2, up to 10,000 passages unless
`--sizes` says more; `--model-first N` lets it embed N texts and the fake one the rest, which shows the
peak of memory without the hours. As its last line JSON; `--save` also draws growth.png.

    python -m benchmarks.growth [--model | --model-first 2000] [--sizes 1000 10000] [--save]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._conditions import ROOT, report
from benchmarks._documents import PASSAGES_PER_FILE, write_documents
from benchmarks.pipeline import Memory

SIZES = (1_000, 10_000, 100_000)


def measure(size: int, *, model: int | None) -> dict[str, Any]:
    """Index documents of about `size` passages, then refresh; `model`: texts that the real one embeds."""
    with tempfile.TemporaryDirectory() as work:
        docs = Path(work) / "docs"
        write_documents(docs, size // PASSAGES_PER_FILE)
        first = index(docs, Path(work), model=model)
        again = min((index(docs, Path(work), model=model) for _ in range(3)), key=lambda one: one["wall_s"])
        assert again["unchanged"] == first["added"] and again["embedded"] == 0, again
        stored = sum(path.stat().st_size for path in (Path(work) / "library").iterdir())
    figures = {
        "asked": size,
        "files": first["added"],
        "passages": first["passages"],
        "index_s": first["wall_s"],
        "index_ms_per_passage": round(1000 * first["wall_s"] / first["passages"], 4),
        "peak_rss_mb": first["peak_rss_mb"],
        "refresh_s": again["wall_s"],
        "refresh_peak_rss_mb": again["peak_rss_mb"],
        "library_bytes_per_passage": round(stored / first["passages"]),
    }
    print(json.dumps(figures), flush=True)
    return figures


def index(docs: Path, work: Path, *, model: int | None) -> dict[str, Any]:
    """Index or refresh in a process of its own. Returns: its report, wall time, peak of memory."""
    command = [sys.executable, "-m", "benchmarks.growth", "--run", str(docs), str(work / "library")]
    command += ["--model-first", str(model)] if model else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        memory = Memory(running.pid)
        out, _ = running.communicate()
        memory.end()
    assert running.returncode == 0, out
    return {**json.loads(out.splitlines()[-1]), "peak_rss_mb": memory.peak_mb()}


def run(docs: str, folder: str, *, model: int | None) -> dict[str, Any]:
    """Index in this process."""
    import time

    from benchmarks._fake_model import FakeEmbedder, FirstFew
    from searchkit import Library, open_embedder
    from searchkit.settings import BASE_MODEL

    def open_model(*name: Any, **how: Any) -> Any:
        return FirstFew(open_embedder(*name, **how), model) if model else FakeEmbedder()

    library = Library(folder, open_model=open_model)
    started = time.perf_counter()
    done = library.index([docs], model=BASE_MODEL)
    wall = time.perf_counter() - started
    return {
        "added": done.added,
        "unchanged": done.unchanged,
        "passages": done.passages,
        "embedded": done.embedded,
        "wall_s": round(wall, 3),
    }


def draw(figures: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Three panels against passages, a line per model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("index_ms_per_passage", "index: ms per passage"),
        ("refresh_s", "refresh without a change: s"),
        ("peak_rss_mb", "index: peak memory, MB"),
    )
    drawn, axes = pyplot.subplots(1, len(panels), figsize=(12, 3.6), layout="constrained")
    for axis, (key, title) in zip(axes, panels, strict=True):
        for name, rows in figures.items():
            axis.plot([row["passages"] for row in rows], [row[key] for row in rows], marker="o", label=name)
        axis.set(xscale="log", xlabel="passages", title=title)
        axis.set_ylim(bottom=0)  # from nothing: a cost that does not grow looks as if it did not
        axis.grid(alpha=0.3)
    axes[0].legend()
    drawn.savefig(path, dpi=110)


def main() -> None:
    """Measure sizes and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="store_true", help="all-MiniLM-L6-v2 instead of a fake model")
    parser.add_argument("--model-first", type=int, metavar="N", help="all-MiniLM-L6-v2 for N texts")
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--run", nargs=2, metavar=("DOCS", "LIBRARY"), help=argparse.SUPPRESS)
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(run(*arguments.run, model=arguments.model_first)))
        return
    model = sys.maxsize if arguments.model else arguments.model_first
    sizes = arguments.sizes or (SIZES[:2] if arguments.model else SIZES)
    name = "growth-model" if arguments.model else "growth-memory" if model else "growth"
    rows = [measure(size, model=model) for size in sizes]
    about = {"model": "default" if model else "fake", "texts_embedded_by_the_model": model}
    report(name, {**about, "sizes": rows}, save=arguments.save)
    if arguments.save and find_spec("matplotlib") is None:
        print("no plot: matplotlib is not installed", file=sys.stderr)
    elif arguments.save:
        results = ROOT / "benchmarks" / "results"
        kept = {
            label: json.loads(path.read_text(encoding="utf-8"))["sizes"]
            for label, path in (
                ("without a model", results / "growth.json"),
                ("all-MiniLM-L6-v2", results / "growth-model.json"),
            )
            if path.exists()
        }
        draw(kept, results / "growth.png")


if __name__ == "__main__":
    main()
