"""An embedder whose vectors depend on the Instruction, and small sets whose texts it knows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.profile import Profile, Side

DIM = 12
MEANINGS = 400
GOOD = "supporting"


class ReadingEmbedder:
    """Texts are 'q17' or 'd17': what they mean, 17, and noise of their own under each Instruction.

    good: an Instruction with this word in it has less noise; '' where none is better. trained: whether the
    family takes Instructions.
    """

    model, dim, max_tokens, device, precision = "reading", DIM, 256, "cpu", "float32"
    family = SimpleNamespace(name="reading")

    def __init__(self, *, good: str = GOOD, seed: int = 0, noise: float = 1.4, trained: bool = True) -> None:
        self.good, self.seed, self.noise, self.trained = good, seed, noise, trained
        self.embedded: list[tuple[str, str]] = []
        self._meaning = np.random.default_rng(seed).normal(size=(MEANINGS, DIM))

    def embed(self, texts: Sequence[str], instruction: str = "") -> Float32Matrix:
        self.embedded += [(instruction, text) for text in texts]
        keys = np.asarray([int(text[1:]) for text in texts])
        made = self._meaning[keys].copy()
        scale = 0.4 if self.good and self.good in instruction else self.noise
        for side in "qd":
            rows = [row for row, text in enumerate(texts) if text[0] == side]
            drawn = np.random.default_rng([self.seed, ord(side), zlib.crc32(instruction.encode())])
            made[rows] += scale * drawn.normal(size=(MEANINGS, DIM))[keys[rows]]
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    def instruction_for(self, profile: Profile, side: Side) -> str:
        return profile.instruction(side).render() if self.trained else ""

    def check_instruction(self, instruction: str) -> None:
        pass

    def fingerprint(self) -> dict[str, str]:
        return {"weights": f"reading-{self.seed}-{self.noise}-{self.good}"}


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def retrieval(folder: Path, n: int = 100) -> Path:
    write(folder / "corpus.jsonl", [{"_id": f"d{one}", "text": f"d{one}"} for one in range(n)])
    write(folder / "queries.jsonl", [{"_id": f"q{one}", "text": f"q{one}"} for one in range(n)])
    lines = "".join(f"q{one}\td{one}\t1\n" for one in range(n))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines, encoding="utf-8")
    return folder


def pairs(file: Path, n: int = 100) -> Path:
    """Two pairs of each first text, one that says the same."""
    rows = [{"a": f"q{one}", "b": f"d{one}", "label": 1} for one in range(n)]
    rows += [{"a": f"q{one}", "b": f"d{one + n}", "label": 0} for one in range(n)]
    return write(file, rows)


def every_kind(folder: Path) -> dict[str, Path]:
    """A small set of each kind, by its kind."""
    drawn = np.random.default_rng(1)
    numbers = [int(one) for one in drawn.integers(0, 300, 90)]
    labelled = [{"text": f"d{one}", "label": str(one % 3)} for one in range(90)]
    return {
        "retrieval": retrieval(folder / "notes", 60),
        "pairs": pairs(folder / "pairs" / "pairs.jsonl", 45),
        "sts": write(
            folder / "sts.jsonl",
            [{"a": f"q{one}", "b": f"d{one + one % 2}", "score": one % 2 + 0.1} for one in range(60)],
        ),
        "reranking": write(
            folder / "ranks.jsonl",
            [
                {
                    "query": f"q{one}",
                    "positive": [f"d{one}"],
                    "negative": [f"d{(one + gap) % 300}" for gap in (7, 8, 9)],
                }
                for one in range(60)
            ],
        ),
        "judgement": write(
            folder / "captions.jsonl",
            [
                {"hyp": f"q{one}", "refs": [f"d{one + one % 2}", f"d{other}"], "human_score": one % 2}
                for one, other in enumerate(numbers)
            ],
        ),
        "clustering": write(folder / "topics.jsonl", labelled),
        "classification": write(folder / "classes.jsonl", labelled),
    }
