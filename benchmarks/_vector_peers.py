"""What takes part in vector_search.py: each builds an index in a folder, and opens and searches it again.

Peers are imported where they are used: none of them is needed to run the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks._stored_vectors import open_stored, store
from searchkit.arrays import Float32Matrix, Float32Vector, Int64Vector
from searchkit.collection import recovery
from searchkit.library import collections as catalogue
from searchkit.library.database import Database
from searchkit.vector_index import choose
from searchkit.vector_index.protocol import HNSW, IVF, IndexPlan

K = 10
NONE = np.empty(0, dtype=np.int64)
Search = Callable[[Float32Vector], Int64Vector]  # (dim,) -> row numbers of the base, best first


class Contender(Protocol):
    """One index with one way of storing vectors."""

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        """Make the index with all cores. Returns: what is worth noting of it."""

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        """Open it once and give a search function for each setting, cheapest first."""

    def index_bytes(self, folder: Path) -> int:
        """Bytes on disk of what is searched."""


@dataclass(frozen=True)
class Ours:
    """A Library's snapshot, with rescoring from the vectors of record in SQLite.

    plan: rows -> plan, None for the one that searchkit chooses.
    """

    plan: Callable[[int], IndexPlan] | None = None
    efforts: tuple[int, ...] = ()

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        """Rows are numbered from 1, as passages are; storing them is not counted as building."""
        import time

        store(folder, base)
        if self.plan is not None:
            plan = self.plan(len(base))
            recovery.choose_index = lambda rows, dim, memory: plan  # type: ignore[assignment]
        with Database.write(folder) as db:
            started = time.perf_counter()
            recovery.publish(db, catalogue.collections(db)[0])
            took = time.perf_counter() - started
            published = catalogue.snapshot(db, 1)
        assert published is not None
        return {"build_s": round(took, 2), "kind": published.kind, **published.search}

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        db, index = open_stored(folder)

        def search(query: Float32Vector) -> Int64Vector:
            return index.search(query[None, :], K, without=NONE)[0].ids - 1

        tuned = getattr(index, "_tuning", None)
        if tuned is not None:
            for effort in self.efforts:
                index._tuning = replace(tuned, effort=effort)
                yield f"effort {effort}", search
            index._tuning = tuned
        yield "as published", search
        db.close()

    def index_bytes(self, folder: Path) -> int:
        return sum(path.stat().st_size for path in folder.glob("*.snapshot"))


@dataclass(frozen=True)
class Hnswlib:
    """A graph over float32 rows."""

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=base.shape[1])
        index.init_index(max_elements=len(base), M=choose.HNSW_LINKS, ef_construction=100, random_seed=1)
        for i in range(0, len(base), 50_000):
            index.add_items(base[i : i + 50_000], np.arange(i, min(i + 50_000, len(base))))
        index.save_index(str(folder / "hnswlib.bin"))
        return {"M": choose.HNSW_LINKS, "ef_construction": 100}

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=int((folder / "dim").read_text()))
        index.load_index(str(folder / "hnswlib.bin"))
        index.set_num_threads(1)
        for ef in (16, 32, 64, 128, 256, 512):
            index.set_ef(ef)
            yield f"ef {ef}", lambda query: index.knn_query(query, K)[0][0].astype(np.int64)

    def index_bytes(self, folder: Path) -> int:
        return (folder / "hnswlib.bin").stat().st_size


@dataclass(frozen=True)
class Usearch:
    """A graph over rows of a smaller type."""

    dtype: str

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        from usearch.index import Index

        index = Index(ndim=base.shape[1], metric="cos", dtype=self.dtype, connectivity=choose.HNSW_LINKS)
        for i in range(0, len(base), 50_000):
            rows = np.ascontiguousarray(base[i : i + 50_000])
            index.add(np.arange(i, i + len(rows)), rows, threads=os.cpu_count() or 1)
        index.save(str(folder / "usearch.bin"))
        return {"connectivity": choose.HNSW_LINKS, "dtype": self.dtype}

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        from usearch.index import Index

        index = Index.restore(str(folder / "usearch.bin"), view=False)
        for expansion in (16, 32, 64, 128, 256, 512):
            index.expansion_search = expansion
            yield (
                f"expansion {expansion}",
                lambda query: index.search(query, K, threads=1).keys.astype(np.int64),
            )

    def index_bytes(self, folder: Path) -> int:
        return (folder / "usearch.bin").stat().st_size


@dataclass(frozen=True)
class LanceDb:
    """A columnar file with an index beside it; rows are compared again exactly (`refine_factor`)."""

    index_type: str

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        import lancedb
        import pyarrow as pa

        dim, rows = base.shape[1], len(base)

        def batches() -> Iterator[pa.RecordBatch]:
            for i in range(0, rows, 20_000):
                part = np.ascontiguousarray(base[i : i + 20_000])
                vectors = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), dim)
                yield pa.RecordBatch.from_arrays([pa.array(range(i, i + len(part))), vectors], schema=schema)

        schema = pa.schema([("row", pa.int64()), ("vector", pa.list_(pa.float32(), dim))])
        table = lancedb.connect(folder / "lance").create_table("t", data=batches(), schema=schema)
        partitions = max(1, round(rows**0.5 / 2))
        options: dict[str, Any] = {} if "HNSW" in self.index_type else {"num_sub_vectors": dim // 8}
        table.create_index("cosine", index_type=self.index_type, num_partitions=partitions, **options)
        return {"index_type": self.index_type, "partitions": partitions}

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        import lancedb

        table = lancedb.connect(folder / "lance").open_table("t")

        def search(query: Float32Vector) -> Int64Vector:
            asked = table.search(query).distance_type("cosine").nprobes(probes).refine_factor(5)
            found: Int64Vector = asked.select(["row", "_distance"]).limit(K).to_arrow()["row"].to_numpy()
            return found

        for probes in (5, 10, 20, 50, 100):
            yield f"nprobes {probes}, refine 5", search

    def index_bytes(self, folder: Path) -> int:
        """The index alone: its rows are on disk besides."""
        return sum(p.stat().st_size for p in (folder / "lance").rglob("*") if "_indices" in p.parts)


@dataclass(frozen=True)
class SqliteVec:
    """Float32 rows in SQLite, all compared. Through apsw: Python's own sqlite3 may lack extensions."""

    def build(self, base: Float32Matrix, folder: Path) -> dict[str, Any]:
        db = self._open(folder)
        db.execute(f"CREATE VIRTUAL TABLE v USING vec0(vector float[{base.shape[1]}] distance_metric=cosine)")
        for i in range(0, len(base), 10_000):
            with db:
                part = np.ascontiguousarray(base[i : i + 10_000])
                db.executemany(
                    "INSERT INTO v (rowid, vector) VALUES (?, ?)",
                    ((i + j, row.tobytes()) for j, row in enumerate(part)),
                )
        db.close()
        return {}

    def settings(self, folder: Path) -> Iterator[tuple[str, Search]]:
        db = self._open(folder)
        sql = "SELECT rowid FROM v WHERE vector MATCH ? AND k = ? ORDER BY distance"
        yield "all rows", lambda query: np.array([r[0] for r in db.execute(sql, (query.tobytes(), K))])

    def index_bytes(self, folder: Path) -> int:
        return (folder / "vec.db").stat().st_size

    def _open(self, folder: Path) -> Any:
        import apsw
        import sqlite_vec

        db = apsw.Connection(str(folder / "vec.db"))
        db.enable_load_extension(True)
        db.load_extension(sqlite_vec.loadable_path())
        return db


def _lists(rows: int) -> IndexPlan:
    return choose.more_exact(IndexPlan(kind=HNSW, promised_recall=choose.PROMISED_RECALL), rows)


def _graph(_: int) -> IndexPlan:
    return IndexPlan(kind=HNSW, links=choose.HNSW_LINKS, promised_recall=choose.PROMISED_RECALL)


WALKS = (16, 32, 64, 128, 256, 512)
CONTENDERS: dict[str, Contender] = {
    "searchkit": Ours(),
    f"searchkit {IVF}": Ours(_lists, (8, 16, 32, 64, 128, 256, 512)),
    f"searchkit {HNSW}": Ours(_graph, WALKS),
    "hnswlib": Hnswlib(),
    "usearch f16": Usearch("f16"),
    "usearch i8": Usearch("i8"),
    "lancedb IVF_PQ": LanceDb("IVF_PQ"),
    "lancedb IVF_HNSW_SQ": LanceDb("IVF_HNSW_SQ"),
    "sqlite-vec": SqliteVec(),
}
