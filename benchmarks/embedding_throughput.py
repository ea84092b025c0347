"""How many texts per second does all-MiniLM-L6-v2 embed, and how equal are the vectors?

The same weights (all-MiniLM-L6-v2) and the same texts: sentence-transformers in float32, its ONNX backend in
float32 and 8 bits, and searchkit in each of its precisions, each in a process of its own, in turn. Two
sets: passages of about 340 characters, and texts of mixed lengths. Vectors are compared with those of
sentence-transformers in float32; what their difference costs in retrieval is asked by precision_quality.

    python -m benchmarks.embedding_throughput [--onnx-python PATH] [--repeats 3] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._peers import Unavailable, Worker, add_pythons, alternate, module_command
from benchmarks.machine import limits, minilm_operations

REFERENCE = "sentence-transformers float32"
WARM_UP = 128  # texts


def contenders(arguments: argparse.Namespace, work: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name to interpreter and how the encoder is opened."""
    from searchkit.embedding.precision import PRECISIONS

    export = str(work / "onnx-model")
    peers: dict[str, tuple[str, dict[str, Any]]] = {
        REFERENCE: (arguments.peers_python, {"kind": "sentence-transformers"}),
        "sentence-transformers ONNX float32": (
            arguments.onnx_python, {"kind": "sentence-transformers-onnx", "folder": export}),
        "sentence-transformers ONNX int8": (
            arguments.onnx_python, {"kind": "sentence-transformers-onnx", "folder": export, "int8": True}),
    }  # fmt: skip
    ours = {
        f"searchkit {precision}{'' if runtime == 'auto' else f' {runtime}'}": (
            sys.executable,
            {"kind": "searchkit", "precision": precision, "runtime": runtime},
        )
        for precision in PRECISIONS
        for runtime in arguments.runtimes.split(",")
    }
    return {**peers, **ours}


class Encoders:
    """The contenders that could be opened, each a warm worker."""

    def __init__(self, stack: ExitStack, work: Path) -> None:
        self._stack, self._work = stack, work
        self.workers: dict[str, Worker] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.absent: dict[str, str] = {}

    def open(self, name: str, python: str, how: dict[str, Any], warm_up: dict[str, Any]) -> None:
        """Open one and let it embed a little; what cannot be opened is noted with its reason."""
        worker = self._stack.enter_context(Worker(module_command(python, "_encoders")))
        try:
            self.facts[name] = worker.ask(do="open", **how)
            worker.ask(do="embed", **warm_up)
        except Unavailable as error:
            self.absent[name] = str(error)
            self.facts.pop(name, None)
            print(f"without {name}: {error}")
            return
        self.workers[name] = worker

    def measure(
        self, name: str, request: dict[str, Any], repeats: int
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Embed one set with each, in turn. Returns: timings and vectors by contender."""
        outs = {one: str(self._work / f"{name}-{number}.npy") for number, one in enumerate(self.workers)}

        def runner(one: str) -> Callable[[], float]:
            return lambda: float(self.workers[one].ask(do="embed", **request, out=outs[one])["s"])

        timings = alternate({one: runner(one) for one in self.workers}, repeats)
        return timings, {one: np.load(path) for one, path in outs.items()}


def compare(
    timings: dict[str, Any], vectors: dict[str, np.ndarray], n: int, reference: str
) -> dict[str, dict[str, Any]]:
    """Texts per second, ratio and cosine to the reference by contender."""
    rows = {}
    for name, timing in timings.items():
        row = {"texts_per_s": round(n / timing.best, 1), "texts_per_s_median": round(n / timing.middle, 1)}
        if reference in timings:
            cosines = (unit(vectors[name]) * unit(vectors[reference])).sum(axis=1)
            row["ratio"] = round(timings[reference].best / timing.best, 2)
            row["ratio_median"] = round(timings[reference].middle / timing.middle, 2)
            row["min_cosine"] = round(float(cosines.min()), 6)
            row["mean_cosine"] = round(float(cosines.mean()), 6)
        rows[name] = {**row, **timing.rounded()}
    return rows


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, in double precision: cosines near 1 are what is asked for."""
    exact = rows.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)


def shares(
    rows: dict[str, dict[str, Any]], facts: dict[str, dict[str, Any]], peak: dict[str, float], work_gop: float
) -> None:
    """Add to each row its rate of multiplying and the share of the machine's peak in its precision."""
    for name, row in rows.items():
        precision = facts[name].get("precision") or ("int8" if "int8" in name else "float32")
        row["gops"] = round(work_gop / row["best_s"], 1)
        if precision in peak:
            row["share_of_peak"] = round(row["gops"] / peak[precision], 3)


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print one set as a table."""
    print(f"\n{title}")
    print(f"{'':36} {'texts/s':>9} {'median':>9} {'ratio':>6} {'min cos':>9} {'mean cos':>9} {'of peak':>8}")
    for name, row in rows.items():
        print(
            f"{name:36} {row['texts_per_s']:9.1f} {row['texts_per_s_median']:9.1f} "
            f"{row.get('ratio', float('nan')):6.2f} {row.get('min_cosine', float('nan')):9.5f} "
            f"{row.get('mean_cosine', float('nan')):9.5f} {row.get('share_of_peak', float('nan')):8.1%}"
        )


def main() -> None:
    """Measure both sets and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1024, help="of each set")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--runtimes", default="auto", help="of searchkit, several with commas: auto,onnx,torch"
    )
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    add_pythons(parser, "peers", "onnx")
    arguments = parser.parse_args()

    from searchkit.embedding.embedder import open_embedder
    from searchkit.embedding.sources import find_model
    from searchkit.settings import BASE_MODEL

    counter = open_embedder(BASE_MODEL, device="cpu")
    model = str(find_model(BASE_MODEL).folder)
    sets = {"passages": _texts.passages(arguments.texts), "mixed": _texts.mixed_lengths(arguments.texts)}
    figures: dict[str, Any] = {"machine": limits(), "sets": {}}
    peak = figures["machine"]["matrix_gops"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        files = {name: work / f"{name}.json" for name in (*sets, "warm-up")}
        files["warm-up"].write_text(json.dumps(sets["mixed"].texts[:WARM_UP]), encoding="utf-8")
        encoders = Encoders(stack, work)
        for name, (python, how) in contenders(arguments, work).items():
            encoders.open(name, python, {**how, "model": model}, {"texts": str(files["warm-up"])})
        for name, texts in sets.items():
            files[name].write_text(json.dumps(texts.texts), encoding="utf-8")
            lengths = [min(count + 2, counter.max_tokens) for count in counter.count_tokens(texts.texts)]
            timings, vectors = encoders.measure(name, {"texts": str(files[name])}, arguments.repeats)
            rows = compare(timings, vectors, len(texts.texts), REFERENCE)
            shares(rows, encoders.facts, peak, minilm_operations(lengths))
            show(f"{name}: {len(lengths)} texts, {sum(lengths)} tokens, from {texts.origin}", rows)
            figures["sets"][name] = {
                "texts": len(lengths),
                "origin": texts.origin,
                "tokens": {"sum": sum(lengths), "median": float(np.median(lengths)), "max": max(lengths)},
                "rows": rows,
            }
    figures |= {"contenders": encoders.facts, "absent": encoders.absent, "reference": REFERENCE}
    report("embedding_throughput", figures, save=arguments.save)


if __name__ == "__main__":
    main()
