"""How many of the ten nearest vectors does a search find, how fast, and in how much memory?

Builds each index over the same base vectors with all cores in a process of its own, opens it in another
one, and asks it one query at a time in one thread, at several settings. Recall is judged by an exact scan.
searchkit answers as its query pipeline does: snapshot, then exact rescoring from the vectors of record.

    python -m benchmarks.vector_search [--vectors FILE.npy] [--rows 10000 100000 1000000]
                                       [--only NAME ...] [--save]

FILE.npy holds float32 rows of length 1; base rows are its first, queries its last ones. Without it,
clustered random vectors are made, and the result says so. With --save, what was measured is put beside what
results/vector_search.json holds of other contenders and sizes, and the plot is drawn anew.
Peers that are not installed are left out and named; they are listed in benchmarks/requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import RESULTS, ROOT, report, versions
from benchmarks._vector_peers import CONTENDERS, K, Search
from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.library.database import FILE_NAME as DATABASE

QUERIES = 1_000
SLOW_S = 20.0  # a setting that takes longer than this is judged by the queries done until then
PEERS = ("hnswlib", "usearch", "lancedb", "sqlite-vec")
# Every library that may start threads of its own is told to use one while it searches.
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "TOKIO_WORKER_THREADS",
        "LANCE_CPU_THREADS",
    )
}


def made(rows: int, dim: int = 384) -> Float32Matrix:
    """Clustered unit vectors. Returns: (rows, dim) float32."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((max(1, rows // 50), dim), dtype=np.float32)
    matrix = centres[rng.integers(len(centres), size=rows)]
    matrix += 0.9 * rng.standard_normal((rows, dim), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def nearest(base: Float32Matrix, queries: Float32Matrix) -> Int64Vector:
    """The exact answer. Returns: (queries, K) rows of the base."""
    rows = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for first in range(0, len(base), 20_000):
        part = queries @ base[first : first + 20_000].T
        numbers = np.broadcast_to(first + np.arange(part.shape[1]), part.shape)
        rows, scores = np.concatenate([rows, numbers], 1), np.concatenate([scores, part], 1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
    return rows


def timed(search: Search, queries: Float32Matrix, right: Int64Vector) -> dict[str, Any]:
    """Ask one by one, after a few to warm up. Latencies in milliseconds."""
    for query in queries[:10]:
        search(query)
    took, found, begun = [], 0, time.perf_counter()
    for query, expected in zip(queries, right, strict=True):
        started = time.perf_counter()
        rows = search(query)
        took.append(time.perf_counter() - started)
        found += len(np.intersect1d(rows, expected))
        if time.perf_counter() - begun > SLOW_S:
            break
    p50, p99 = (float(ms) for ms in np.quantile(took, [0.5, 0.99]) * 1000)
    recall = float(found / (K * len(took)))
    return {"recall": round(recall, 4), "p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "n": len(took)}


def memory() -> tuple[int, int]:
    """Bytes of this process in RAM: with mapped indexes, and apart from these the record's mapped pages.

    Pages of the record are the system's cache, which it lends to whoever reads the file, and takes back.
    """
    held = {True: 0, False: 0}
    record = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, size = line.partition(" ")
        if name == "Rss:":
            held[record] += int(size.split()[0]) * 1024
        elif not name.endswith(":"):  # the head of a mapping, with its file at the end
            record = line.endswith(DATABASE)
    return held[False], held[True]


def build(name: str, rows: int, vectors: Path, folder: Path) -> dict[str, Any]:
    """Build one index; runs in a process of its own."""
    base = np.load(vectors, mmap_mode="r")[:rows]
    (folder / "dim").write_text(str(base.shape[1]))
    started = time.perf_counter()
    noted = CONTENDERS[name].build(base, folder)
    return {"build_s": round(time.perf_counter() - started, 2), **noted}


def search(name: str, rows: int, vectors: Path, folder: Path) -> dict[str, Any]:
    """Search one index at all its settings; runs in a process of its own."""
    contender, points = CONTENDERS[name], []
    queries = np.ascontiguousarray(np.load(vectors, mmap_mode="r")[-QUERIES:])
    right = np.load(folder.parent / "right.npy")
    before, _ = memory()
    after = record = 0
    for setting, ask in contender.settings(folder):
        points.append({"setting": setting, **timed(ask, queries, right)})
        after, record = map(max, memory(), (after, record))  # while it is open
        print(f"{rows:>9,} {name:20} {setting:24} {points[-1]}", file=sys.stderr, flush=True)
    return {
        "points": points,
        "index_bytes_per_vector": round(contender.index_bytes(folder) / rows, 1),
        "rss_bytes_per_vector": round((after - before) / rows, 1),
        "mapped_record_bytes_per_vector": round(record / rows, 1),
    }


def measure(name: str, rows: int, vectors: Path, work: Path) -> dict[str, Any] | None:
    """Build and search in fresh processes. None when the contender is not installed or fails."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        figures: dict[str, Any] = {"contender": name, "rows": rows}
        for step, env in (("build", {}), ("search", ONE_THREAD)):
            command = [sys.executable, "-m", "benchmarks.vector_search", "--step", step, "--only", name]
            command += ["--rows", str(rows), "--vectors", str(vectors), "--folder", folder]
            done = subprocess.run(
                command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, check=False
            )
            if done.returncode:
                print(f"{name} at {rows:,}: left out", file=sys.stderr)
                return None
            figures |= json.loads(done.stdout.splitlines()[-1])
        return figures


def merged(new: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """What was measured now, and what the file holds of other contenders and sizes."""
    old = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.is_file() else []
    done = {(run["rows"], run["contender"]) for run in new}
    kept = [run for run in old if (run["rows"], run["contender"]) not in done]
    order = list(CONTENDERS)
    return sorted(kept + new, key=lambda run: (run["rows"], order.index(run["contender"])))


def plot(runs: list[dict[str, Any]], path: Path) -> None:
    """Recall against latency, a panel for each number of rows."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes = sorted({run["rows"] for run in runs})
    figure, panels = plt.subplots(1, len(sizes), figsize=(6.4 * len(sizes), 5.2), squeeze=False)
    for panel, rows in zip(panels[0], sizes, strict=True):
        for run in (run for run in runs if run["rows"] == rows):
            points = sorted(run["points"], key=lambda point: point["p50_ms"])
            ours = run["contender"].startswith("searchkit")
            label = f"{run['contender']}, {run['index_bytes_per_vector']:,.0f} B/vector"
            x, y = [p["p50_ms"] for p in points], [p["recall"] for p in points]
            style = "o-" if ours else "s--"
            colour = f"C{list(CONTENDERS).index(run['contender'])}"
            panel.plot(x, y, style, label=label, color=colour, linewidth=2 if ours else 1, markersize=5)
        panel.set(xscale="log", xlabel="p50 of one query, one thread (ms)", ylim=(0.8, 1.003))
        panel.set(title=f"{rows:,} x 384", ylabel=f"recall@{K}")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what was asked for and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, help="float32 rows of length 1, as a .npy file")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--save", action="store_true", help="keep the figures and the plot in results/")
    parser.add_argument("--step", choices=["build", "search"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        step = build if asked.step == "build" else search
        print(json.dumps(step(asked.only[0], asked.rows[0], asked.vectors, asked.folder)))
        return
    runs = []
    with tempfile.TemporaryDirectory() as work:
        vectors = asked.vectors
        if vectors is None:
            vectors = Path(work) / "made.npy"
            np.save(vectors, made(max(asked.rows) + QUERIES))
        held = np.load(vectors, mmap_mode="r")
        for rows in asked.rows:
            if rows + QUERIES > len(held):
                print(f"{rows:,} rows: {vectors.name} has too few", file=sys.stderr)
                continue
            np.save(Path(work) / "right.npy", nearest(held[:rows], np.ascontiguousarray(held[-QUERIES:])))
            found = (measure(name, rows, vectors.absolute(), Path(work)) for name in asked.only)
            runs += [run for run in found if run is not None]
    path = RESULTS / "vector_search.json"
    figures = {
        "vectors": "given: real texts under a sentence model" if asked.vectors else "made: clustered, random",
        "queries": QUERIES,
        "peers": versions(PEERS),
        "runs": merged(runs, path) if asked.save else runs,
    }
    report("vector_search", figures, save=asked.save)
    if asked.save:
        plot(figures["runs"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
