"""Hard negatives: texts that a model finds near a query and that are not what is looked for.

They are looked for among the positives and negatives of the query's own task, by searchkit's own index. Some
of what is found near is right without anybody having said so. Left out are texts that say the same as the
query or a positive, those tied to it by other rows, and those whose score, by the guide, is more than a share
of the positive's.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.embedding.batching import distinct
from searchkit.training.batches import groups_of
from searchkit.training.examples import GROUP, Example, Pair
from searchkit.vector_index.build import Built, build
from searchkit.vector_index.choose import choose_index
from searchkit.vector_index.exact import ExactIndex
from searchkit.vector_index.protocol import FLAT, VectorIndex
from searchkit.vector_index.snapshot import open_snapshot, publish
from searchkit.whole_file import write_whole

# (instruction, text) pairs to (n, dim) rows of length 1.
Embed: TypeAlias = Callable[[Sequence[Pair]], Float32Matrix]
INDEX_MEMORY = 2 << 30
TOGETHER = 256  # queries that are searched at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """How negatives are chosen.

    count: of a row at most. below: a candidate's score to the query is at most this share of the positive's,
    see `highest`.
    depth: the nearest texts that are looked at. keep: whether the negatives that a row has stay, before those
    that are found. guide: whose cosines are the scores, without Instruction; None for the searching model.
    """

    count: int = 4
    below: float = 0.95
    depth: int = 100
    keep: bool = False
    guide: Embed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """What was found for a task."""

    task: str
    rows: int
    negatives: int
    without: int  # rows that have none
    as_they_were: int  # rows for which nothing was found, and which have the negatives they had
    too_near: int  # candidates left out because they may well be right


def without_instructions(embed: Embed) -> Embed:
    """A model that reads texts alone.

    For one that pools the Instruction with the text: what all texts share brings all of them nearer to each
    other, and hardly one of them would score less than a share of the positive's.
    """
    return lambda pairs: embed([("", text) for _, text in pairs])


def highest(positive: float, below: float) -> float:
    """The highest score of a negative: less than the positive's, by a share of it, on either side of zero."""
    return positive - (1 - below) * abs(positive)


def mine_task(rows: Sequence[Example], embed: Embed, mining: Mining) -> tuple[list[Example], Mined]:
    """The rows of a task with the negatives found for them; in order."""
    groups = groups_of(rows)
    pool, _ = distinct([pair for one in rows for pair in (*one.positives, *one.negatives)])
    at_of = {pair: at for at, pair in enumerate(pool)}
    queries, query_of = distinct([one.query for one in rows])
    query_vectors, pool_vectors = embed(queries), embed(pool)
    if mining.guide is None:
        asked, told = query_vectors, pool_vectors
    else:
        guide = without_instructions(mining.guide)
        asked, told = guide(queries), guide(pool)
    found = _nearest(query_vectors, pool_vectors, mining.depth)
    made: list[Example] = []
    too_near = as_they_were = 0
    for row, one in enumerate(rows):
        query = query_of[row]
        candidates = _candidates(found[query], one, pool, groups)
        scores = told[[*candidates, *(at_of[pair] for pair in one.positives)]] @ asked[query]
        limit = highest(float(scores[len(candidates) :].max()), mining.below)
        kept = [at for at, score in zip(candidates, scores, strict=False) if score <= limit]
        too_near += len(candidates) - len(kept)
        before = one.negatives if mining.keep else ()
        new = [pool[at] for at in kept if pool[at] not in before][: max(0, mining.count - len(before))]
        if not new and not before and one.negatives:  # somebody said that they are wrong: better than none
            before, as_they_were = one.negatives, as_they_were + 1
        made.append(replace(one, negatives=(*before, *new)))
    counts = [len(one.negatives) for one in made]
    mined = Mined(
        task=rows[0].task,
        rows=len(rows),
        negatives=sum(counts),
        without=counts.count(0),
        as_they_were=as_they_were,
        too_near=too_near,
    )
    return made, mined


def write_rows(rows: Sequence[Example], file: Path) -> None:
    """Write rows as JSONL, gzipped if the name ends so; whole, or what was there stays.

    Raises: UsageError: the file cannot be written.
    """
    text = "".join(f"{json.dumps(_said(one), ensure_ascii=False)}\n" for one in rows).encode("utf-8")
    # Without a time, so that equal rows are equal files.
    write_whole(file, gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)


def _said(one: Example) -> dict[str, Any]:
    def pairs(some: Sequence[Pair]) -> Any:
        return list(some[0]) if len(some) == 1 else [list(pair) for pair in some]

    row: dict[str, Any] = {"query": list(one.query), "pos": pairs(one.positives)}
    if one.negatives:
        row["neg"] = pairs(one.negatives)
    if one.group is not None:
        row[GROUP] = one.group
    return {**row, "task_name": one.task}


def _candidates(
    found: Int64Vector, one: Example, pool: Sequence[Pair], groups: Mapping[str, int]
) -> list[int]:
    """Of what was found for a row, what says something else, and is not tied to it; each text once."""
    mine = groups[one.query[1]]
    seen = {text.strip() for _, text in (one.query, *one.positives)}
    kept = []
    for at in found.tolist():
        text = pool[at][1].strip()
        if text not in seen and groups.get(pool[at][1]) != mine:
            kept.append(at)
        seen.add(text)
    return kept


def _nearest(queries: Float32Matrix, vectors: Float32Matrix, depth: int) -> list[Int64Vector]:
    """The `depth` nearest rows of each query, best first."""
    record = _InMemory(vectors)
    none = np.empty(0, dtype=np.int64)
    with TemporaryDirectory(prefix="searchkit-mining-", ignore_cleanup_errors=True) as folder:
        index = _index(record, Path(folder))
        return [
            one.ids
            for start in range(0, len(queries), TOGETHER)
            for one in index.search(queries[start : start + TOGETHER], depth, without=none)
        ]


def _index(record: _InMemory, folder: Path) -> VectorIndex:
    plan = choose_index(len(record.vectors), record.dim, INDEX_MEMORY)
    if plan.kind == FLAT:
        return ExactIndex(record.ids(), record.vectors)
    built: list[Built] = []
    file = folder / "mining.snapshot"
    size, checksum = publish(file, lambda part: built.append(build(plan, record, part)))
    return open_snapshot(file, built[0].plan, size=size, checksum=checksum).index(built[0].tuning, record)


class _InMemory:
    """Vectors as an index asks for them; a row's position is its id."""

    BLOCK = 8192

    def __init__(self, vectors: Float32Matrix) -> None:
        self.vectors = vectors
        self.dim: int = vectors.shape[1]

    def ids(self) -> Int64Vector:
        """See VectorRecord."""
        return np.arange(len(self.vectors), dtype=np.int64)

    def blocks(self) -> Iterator[tuple[Int64Vector, Float32Matrix]]:
        """See VectorRecord."""
        for start in range(0, len(self.vectors), self.BLOCK):
            block = self.vectors[start : start + self.BLOCK]
            yield np.arange(start, start + len(block), dtype=np.int64), block

    def of(self, ids: Int64Vector) -> tuple[Int64Vector, Float32Matrix]:
        """See VectorRecord."""
        wanted = np.unique(ids)
        return wanted, self.vectors[wanted]
