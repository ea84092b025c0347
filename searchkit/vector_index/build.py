"""Builds a snapshot file from the vectors of record: one pass, in blocks, checked against its promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.vector_index.choose import exact_plan, more_exact
from searchkit.vector_index.container import Checks, append_description, checks_of
from searchkit.vector_index.promise import QUESTION_COSINE, SAMPLE, Truth, stand_ins, tune
from searchkit.vector_index.protocol import FLAT, IndexPlan, Tuning, VectorRecord

# k-means wants some tens of rows a centroid; ranges of components are known from fewer.
TRAIN_ROWS_PER_LIST = 40
TRAIN_ROWS = 40_000
LOOKED_UP = 8_192  # at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was written: perhaps a more exact kind than was asked for."""

    plan: IndexPlan
    tuning: Tuning
    rows: int
    last_id: int  # 0 where there are no rows


def build(plan: IndexPlan, record: VectorRecord, path: Path) -> Built:
    """Write an index over all vectors of record to `path`; equal records give equal files, but for graphs.

    A plan whose promise is not kept by the finished index is replaced by a more exact one. Needs memory for
    the codes and for the rows to train on: 40,000, or 40 for each list where that is more.
    Raises: OSError: the file cannot be written, as on a full disk.
    """
    while plan.kind != FLAT:
        built = _codes(plan, record, path)
        if built is not None:
            return built
        plan = more_exact(plan, len(record.ids()))
    return _flat(record, path)


def _flat(record: VectorRecord, path: Path) -> Built:
    seen = _Seen()
    with path.open("wb") as file:
        for _, vectors in seen.watched(record):
            file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
    append_description(path, FLAT, record.dim, seen.ids(), seen.checks())
    return seen.built(exact_plan(), Tuning())


def _codes(plan: IndexPlan, record: VectorRecord, path: Path) -> Built | None:
    """Write codes; None where they do not keep their promise."""
    from searchkit.vector_index.faiss_index import Builder

    rng = np.random.default_rng(0)
    sample = _sample(record, max(TRAIN_ROWS, TRAIN_ROWS_PER_LIST * plan.lists), rng)
    asked = sample[rng.permutation(len(sample))[:SAMPLE]]
    truth = Truth(stand_ins(asked, QUESTION_COSINE[plan.kind], rng))
    builder, seen = Builder(plan, sample), _Seen()
    del sample
    for first_row, vectors in seen.watched(record):
        builder.add(vectors)
        truth.see(first_row, vectors)
    tuning = tune(builder.codes(seen.ids()), truth)
    if tuning is None:
        return None
    builder.write(path)
    append_description(path, plan.kind, record.dim, seen.ids(), seen.checks())
    return seen.built(plan, tuning)


def _sample(record: VectorRecord, rows: int, rng: np.random.Generator) -> Float32Matrix:
    ids = record.ids()
    chosen = np.sort(rng.permutation(ids)[:rows])
    sample = np.empty((len(chosen), record.dim), dtype=np.float32)
    for first in range(
        0, len(chosen), LOOKED_UP
    ):  # rows come as objects: all at once would take twice as much
        some = chosen[first : first + LOOKED_UP]
        sample[first : first + len(some)] = record.of(some)[1]
    return sample


class _Seen:
    """Notes ids and checks of the rows that pass by."""

    def __init__(self) -> None:
        self._ids: list[Int64Vector] = []
        self._checks: list[Checks] = []

    def watched(self, record: VectorRecord) -> Iterator[tuple[int, Float32Matrix]]:
        """All blocks, each with the number of its first row."""
        first = 0
        for ids, vectors in record.blocks():
            self._ids.append(ids)
            self._checks.append(checks_of(vectors))
            yield first, vectors
            first += len(ids)

    def ids(self) -> Int64Vector:
        return np.concatenate([np.empty(0, dtype=np.int64), *self._ids])

    def checks(self) -> Checks:
        return np.concatenate([np.empty(0, dtype=np.uint32), *self._checks])

    def built(self, plan: IndexPlan, tuning: Tuning) -> Built:
        ids = self.ids()
        return Built(plan=plan, tuning=tuning, rows=len(ids), last_id=int(ids[-1]) if len(ids) else 0)
