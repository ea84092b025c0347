"""How long does it take to make a folder of texts searchable, as a whole process?

The same folder of small text files, one passage each, and the same weights: `searchkit index`, and txtai,
Chroma and LanceDB the way their manuals do it (Chroma also with its default embedding function, ONNX
Runtime, on these weights). Each is a process from start to end, in turn, after one round that is not
counted and leaves files and compiled modules in the system's cache. Peak memory is that of the process and
its children added. How alike the stores answer is checked with questions: the share of searchkit's ten best
that is among the other's ten best.

    python -m benchmarks.index_end_to_end [--peers-python PATH] [--onnx-python PATH] [--repeats 2] [--save]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._peers import (
    Finished,
    Unavailable,
    add_pythons,
    alternate,
    make_chroma_onnx,
    module_command,
    run_process,
    searchkit_command,
)
from searchkit.settings import BASE_MODEL

OURS = "searchkit"
PEERS = ("txtai", "chroma", "chroma-onnx", "lancedb")
QUESTIONS = 3
K = 10


class Contender:
    """One way of indexing the folder, each time into a fresh store, and of asking it."""

    def __init__(self, name: str, arguments: argparse.Namespace, docs: Path, work: Path, model: str) -> None:
        self.name = name
        self.finished: list[Finished] = []
        self._python, self._docs, self._model = arguments.peers_python, str(docs), model
        self._store = work / f"store-{name}"

    def index(self) -> float:
        """Index into an empty store. Returns: seconds of the whole process."""
        shutil.rmtree(self._store, ignore_errors=True)
        if self.name == OURS:
            command = searchkit_command(
                "index", self._docs, "--model", BASE_MODEL, "--library", str(self._store), "--json"
            )
        else:
            command = module_command(
                self._python, "_stores", self.name, "index", self._docs, str(self._store), self._model
            )
        self.finished.append(run_process(command))
        return self.finished[-1].seconds

    def ask(self, question: str) -> tuple[list[str], float]:
        """The names of the ten best, and the seconds of the whole process."""
        if self.name == OURS:
            command = searchkit_command(
                "query", question, "-k", str(K), "--library", str(self._store), "--json"
            )
        else:
            command = module_command(
                self._python, "_stores", self.name, "query", str(self._store), self._model, question
            )
        done = run_process(command)
        found = (
            json.loads(done.stdout.strip().splitlines()[-1]) if self.name != OURS else json.loads(done.stdout)
        )
        names = found if isinstance(found, list) else [Path(hit["document"]).stem for hit in found["hits"]]
        return names, done.seconds

    def outcome(self) -> dict[str, Any]:
        """What the last run said of itself."""
        said = self.finished[-1].stdout
        found: dict[str, Any] = json.loads(said if self.name == OURS else said.strip().splitlines()[-1])
        return found


def main() -> None:
    """Index in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--contenders", default=",".join((OURS, *PEERS)))
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    add_pythons(parser, "peers", "onnx")
    arguments = parser.parse_args()

    from searchkit.embedding.sources import find_model

    model = find_model(BASE_MODEL).folder
    texts = _texts.passages(arguments.texts)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        docs, few = work / "docs", work / "few"
        write_folder(docs, texts.texts)
        write_folder(few, texts.texts[:8])
        contenders, absent = {}, {}
        for name in arguments.contenders.split(","):
            try:
                place = str(
                    make_chroma_onnx(work, model, arguments.onnx_python) if name == "chroma-onnx" else model
                )
                Contender(name, arguments, few, work, place).index()  # not counted
                contenders[name] = Contender(name, arguments, docs, work, place)
            except Unavailable as error:
                absent[name] = str(error)
                print(f"without {name}: {error}")
        runs: dict[str, Callable[[], float]] = {name: one.index for name, one in contenders.items()}
        timings = alternate(runs, arguments.repeats)
        outcomes = {name: one.outcome() for name, one in contenders.items()}
        questions = _texts.questions(QUESTIONS)
        answers = {name: [set(one.ask(text)[0]) for text in questions] for name, one in contenders.items()}
    rows: dict[str, Any] = {}
    print(f"\n{len(texts.texts)} files of one passage each, from {texts.origin}")
    print(f"{'':14} {'best s':>8} {'median':>8} {'texts/s':>8} {'ratio':>6} {'peak MiB':>9} {'same hits':>9}")
    for name, timing in timings.items():
        row = timing.rounded(2)
        row["texts_per_s"] = round(len(texts.texts) / timing.best, 1)
        row["ratio"] = round(timing.best / timings[OURS].best, 2) if OURS in timings else None
        peaks = [one.peak_mib for one in contenders[name].finished if one.peak_mib is not None]
        row["peak_mib"] = max(peaks) if peaks else None
        if OURS in answers:
            shared = [len(mine & other) / K for mine, other in zip(answers[OURS], answers[name], strict=True)]
            row["top10_overlap"] = round(sum(shared) / len(shared), 3)
        if name == OURS:
            row["passages"] = outcomes[name]["passages"]
            row["in_run_s"] = outcomes[name]["took_s"]
        rows[name] = row
        print(
            f"{name:14} {timing.best:8.2f} {timing.middle:8.2f} {row['texts_per_s']:8.1f} "
            f"{row['ratio'] or 0:6.2f} {row['peak_mib'] or 0:9.0f} {row.get('top10_overlap', 0):9.2f}"
        )
    figures = {
        "texts": len(texts.texts),
        "origin": texts.origin,
        "characters": sum(map(len, texts.texts)),
        "rows": rows,
        "ratio": "seconds of the peer / seconds of searchkit, best runs",
        "packages": next((outcomes[name]["packages"] for name in outcomes if name != OURS), {}),
        "absent": absent,
    }
    report("index_end_to_end", figures, save=arguments.save)


def write_folder(folder: Path, texts: list[str]) -> None:
    """One file per text; the name is the passage's."""
    os.mkdir(folder)
    for number, text in enumerate(texts):
        (folder / f"{number:05d}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
