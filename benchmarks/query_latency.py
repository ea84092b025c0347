"""How long does one query take: as a whole process, and in a process that is already warm?

The same texts, vectors and weights in a Library of searchkit and in txtai, Chroma and LanceDB as their
defaults have it. Cold: the command `searchkit query`, and for each peer a process that opens its store and
asks once, in turn; files are in the system's cache, nothing else is. Warm: questions asked one after another
of an open store, the embedding of the question included. Quality beside speed: the share of the ten nearest
(by exact search in float32) that is among the ten best.

    python -m benchmarks.query_latency [--cold 10000] [--warm 10000,100000] [--data FOLDER]
                                       [--stores FOLDER] [--save]

--data names a folder with texts.json (a list of texts) and vectors.npy (their vectors by the default model,
in order; more than is asked for is left out); if it is empty or not there, pieces of texts are embedded and
kept in it. Stores of 100,000 passages take minutes to build: --stores keeps them for the next run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._peers import (
    Unavailable,
    Worker,
    add_pythons,
    alternate,
    make_chroma_onnx,
    module_command,
    run_process,
    searchkit_command,
)
from searchkit import Library
from searchkit.embedding.embedder import open_embedder
from searchkit.embedding.sources import find_model
from searchkit.settings import BASE_MODEL

OURS = "searchkit"
VECTOR = "searchkit --vector"  # the same Library, asked as the peers are: by meaning only
PEERS = ("txtai", "chroma", "chroma-onnx", "lancedb")
K = 10
CHARACTERS = 80  # of pieces that this script embeds itself
WARM_UP = 10  # questions


class Known:
    """The default model's Embedder, which looks vectors of known texts up instead of computing them."""

    def __init__(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self._place = {text.strip(): row for row, text in enumerate(texts)}
        self._vectors = vectors
        self._model = open_embedder(BASE_MODEL, device="cpu")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed_counted(self, texts: Sequence[str], instruction: str = "") -> Any:
        """As `Embedder.embed_counted`; a text that is not known is an error."""
        from searchkit.embedding.embedder import EmbeddedTexts

        rows = self._vectors[[self._place[text.strip()] for text in texts]]
        counts = np.zeros(len(texts), dtype=np.int64)
        return EmbeddedTexts(vectors=np.ascontiguousarray(rows), token_counts=counts, truncated=counts > 0)


def main() -> None:
    """Build the stores, ask them cold and warm, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cold", type=int, default=10_000, help="passages")
    parser.add_argument("--warm", default="10000", help="passages, several with commas between")
    parser.add_argument("--data", type=Path, help="folder of texts.json and vectors.npy")
    parser.add_argument("--stores", type=Path, help="folder to keep the stores in, and to find them again")
    parser.add_argument("--repeats", type=int, default=5, help="cold processes of each; 0 only builds")
    parser.add_argument("--questions", type=int, default=200, help="warm")
    parser.add_argument("--contenders", default=",".join((OURS, VECTOR, *PEERS)))
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    add_pythons(parser, "peers", "onnx")
    arguments = parser.parse_args()
    sizes = sorted({arguments.cold, *(int(size) for size in arguments.warm.split(",") if size)})
    figures: dict[str, Any] = {"cold": {}, "warm": {}, "absent": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        texts, vectors, figures["origin"] = data(arguments.data or work / "data", max(sizes))
        asked = _texts.questions(arguments.questions)
        wanted = open_embedder(BASE_MODEL, device="cpu", precision="float32").embed(asked)
        for size in sizes:
            place = (arguments.stores or work) / str(size)
            stores = Stores(arguments, place.resolve(), texts[:size], vectors[:size])
            figures["absent"] |= {f"{name}, {size}": why for name, why in stores.absent.items()}
            if not arguments.repeats:
                continue
            nearest = np.argsort(-(wanted @ vectors[:size].T), axis=1, kind="stable")[:, :K]
            truth = [set(map(str, row)) for row in nearest]
            if size == arguments.cold:
                figures["cold"] = {
                    "passages": size,
                    "rows": cold(stores, asked[0], truth[0], arguments.repeats),
                }
            if str(size) in arguments.warm.split(","):
                figures["warm"][str(size)] = warm(stores, asked, truth)
            figures["packages"] = stores.packages or figures.get("packages", {})
    figures["questions"] = len(asked)
    if not arguments.repeats:
        return
    report("query_latency", figures, save=arguments.save)


class Stores:
    """The same passages in each contender's store, under `folder`."""

    def __init__(
        self, arguments: argparse.Namespace, folder: Path, texts: list[str], vectors: np.ndarray
    ) -> None:
        self.names: list[str] = []
        self.absent: dict[str, str] = {}
        self.packages: dict[str, str] = {}
        self._python, self._folder = arguments.peers_python, folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        np.save(folder / "vectors.npy", vectors)
        model = find_model(BASE_MODEL).folder
        self._models = dict.fromkeys(PEERS, str(model))
        for name in arguments.contenders.split(","):
            built, started = folder / f"{name}.built", time.perf_counter()  # written last: a whole store
            try:
                if name == "chroma-onnx":
                    self._models[name] = str(make_chroma_onnx(folder, model, arguments.onnx_python))
                if name == VECTOR:
                    built = folder / f"{OURS}.built"
                if not built.is_file():
                    ours = name in (OURS, VECTOR)
                    packages = self._build_ours(texts, vectors) if ours else self._build_peer(name)
                    built.write_text(json.dumps(packages), encoding="utf-8")
                    took = time.perf_counter() - started
                    print(f"{name}: {len(texts)} passages in {took:.1f} s, vectors given")
            except Unavailable as error:
                self.absent[name] = str(error)
                print(f"without {name}: {error}")
                continue
            self.names.append(name)
            self.packages |= json.loads(built.read_text(encoding="utf-8"))

    def query_command(self, name: str, text: str) -> list[str]:
        """The whole process that answers one question."""
        store = str(self._folder / name)
        if name in (OURS, VECTOR):
            mode = ["--vector"] if name == VECTOR else []
            store = str(self._folder / OURS)
            return searchkit_command("query", text, "-k", str(K), "--library", store, "--json", *mode)
        return module_command(self._python, "_stores", name, "query", store, self._models[name], text)

    def names_in(self, name: str, stdout: str) -> list[str]:
        """The rows that a process of `query_command` answered with."""
        if name not in (OURS, VECTOR):
            found: list[str] = json.loads(stdout.strip().splitlines()[-1])
            return found
        return [row_of(hit["document"]) for hit in json.loads(stdout)["hits"]]

    def ask_warm(self, name: str, stack: ExitStack) -> Callable[[str], tuple[list[str], float]]:
        """What asks an open store: a worker for peers, and for ours too, so that all pay alike."""
        store = str(self._folder / name)
        if name in (OURS, VECTOR):
            mode = "vector" if name == VECTOR else "hybrid"
            command = module_command(sys.executable, "_ours", str(self._folder / OURS), str(K), mode)
            worker = stack.enter_context(Worker(command))
        else:
            command = module_command(self._python, "_stores", name, "serve", store, self._models[name])
            worker = stack.enter_context(Worker(command))

        def ask(text: str) -> tuple[list[str], float]:
            answer = worker.ask(text=text)
            return answer["names"], answer["s"]

        return ask

    def _build_ours(self, texts: list[str], vectors: np.ndarray) -> dict[str, str]:
        shutil.rmtree(self._folder / OURS, ignore_errors=True)
        rows = self._folder / "rows" / "texts.jsonl"
        rows.parent.mkdir(exist_ok=True)
        rows.write_text("".join(f"{json.dumps(text)}\n" for text in texts), encoding="utf-8")
        known = Known(texts, vectors)
        indexed = Library(self._folder / OURS, open_model=lambda *_, **__: known).index(
            [rows.parent], model=BASE_MODEL
        )
        assert indexed.passages >= 0.999 * len(texts), indexed  # a rule of dashes holds no text
        return {}

    def _build_peer(self, name: str) -> dict[str, str]:
        store = str(self._folder / name)
        shutil.rmtree(store, ignore_errors=True)
        command = module_command(
            self._python, "_stores", name, "load", str(self._folder), store, self._models[name]
        )
        said = run_process(command).stdout.strip().splitlines()[-1]
        packages: dict[str, str] = json.loads(said)["packages"]
        return packages


def cold(stores: Stores, question: str, truth: set[str], repeats: int) -> dict[str, Any]:
    """Whole processes in turn, after one of each that is not counted."""
    answers: dict[str, list[str]] = {}
    peaks: dict[str, float | None] = {}

    def runner(name: str) -> Callable[[], float]:
        def run() -> float:
            done = run_process(stores.query_command(name, question))
            answers[name] = stores.names_in(name, done.stdout)
            peaks[name] = done.peak_mib
            return done.seconds

        return run

    runs = {name: runner(name) for name in stores.names}
    for run in runs.values():
        run()
    timings = alternate(runs, repeats)
    print(f"\n{'cold':14} {'best s':>8} {'median':>8} {'ratio':>6} {'peak MiB':>9} {'of top 10':>9}")
    rows = {}
    for name, timing in timings.items():
        row = timing.rounded()
        row["ratio"] = round(timing.middle / timings[OURS].middle, 2) if OURS in timings else None
        row["peak_mib"] = peaks[name]
        row["top10_overlap"] = len(truth & set(answers[name])) / K
        rows[name] = row
        print(
            f"{name:14} {timing.best:8.3f} {timing.middle:8.3f} {row['ratio'] or 0:6.1f} "
            f"{row['peak_mib'] or 0:9.0f} {row['top10_overlap']:9.2f}"
        )
    return rows


def warm(stores: Stores, asked: list[str], truth: list[set[str]]) -> dict[str, Any]:
    """Questions to open stores, each question to all in turn."""
    rows: dict[str, Any] = {}
    with ExitStack() as stack:
        asks = {}
        for name in stores.names:
            try:
                asks[name] = stores.ask_warm(name, stack)
                for text in asked[:WARM_UP]:
                    asks[name](text)
            except Unavailable as error:
                asks.pop(name, None)
                print(f"without {name}: {error}")
        seconds: dict[str, list[float]] = {name: [] for name in asks}
        shared: dict[str, list[float]] = {name: [] for name in asks}
        # One contender after the other: in turn, each would find the other's data in the caches.
        for name, ask in asks.items():
            time.sleep(1)
            for text, nearest in zip(asked, truth, strict=True):
                names, took = ask(text)
                seconds[name].append(took)
                shared[name].append(len(nearest & set(names)) / K)
    print(f"\n{'warm':14} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>6} {'of top 10':>9}")
    for name in asks:
        middle, late = (1000 * float(np.quantile(seconds[name], share)) for share in (0.5, 0.99))
        ours = 1000 * float(np.quantile(seconds[OURS], 0.5)) if OURS in seconds else None
        rows[name] = {
            "p50_ms": round(middle, 2),
            "p99_ms": round(late, 2),
            "ratio": round(middle / ours, 2) if ours else None,
            "top10_overlap": round(float(np.mean(shared[name])), 4),
        }
        print(
            f"{name:14} {middle:8.2f} {late:8.2f} {rows[name]['ratio'] or 0:6.2f} "
            f"{rows[name]['top10_overlap']:9.3f}"
        )
    return rows


def data(folder: Path, n: int) -> tuple[list[str], np.ndarray, str]:
    """`n` texts and their vectors, from `folder` or made and kept there; and where they are from."""
    texts_file, vectors_file = folder / "texts.json", folder / "vectors.npy"
    if texts_file.is_file() and vectors_file.is_file():
        texts = json.loads(texts_file.read_text(encoding="utf-8"))[:n]
        vectors = np.load(vectors_file, mmap_mode="r")[:n]
        if len(texts) < n or len(vectors) < n:
            raise SystemExit(f"{folder} holds {min(len(texts), len(vectors))} texts, wanted {n}")
        return texts, np.array(vectors, dtype=np.float32), f"{n} texts of --data"
    made = _texts.passages(n, characters=CHARACTERS)
    vectors = open_embedder(BASE_MODEL, device="cpu").embed(made.texts)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(vectors_file, vectors)
    texts_file.write_text(json.dumps(made.texts), encoding="utf-8")
    return made.texts, vectors, made.origin


def row_of(document: str) -> str:
    """'texts.jsonl#17' is row 16."""
    return str(int(document.rpartition("#")[2]) - 1)


if __name__ == "__main__":
    main()
