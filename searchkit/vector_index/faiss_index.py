"""Indexes of codes made and read by FAISS; owns the library and stops its quirks here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from searchkit.arrays import BoolVector, Float32Matrix, Float32Vector, Int64Vector
from searchkit.vector_index.protocol import HNSW, IVF, DamagedIndex, IndexPlan

RABITQ_BITS = 2  # 1 needs twice the candidates, 3 take three times as long to scan (LOG "which index ...?")
BLOCK_CODES = 32  # rows that FAISS's fast scan compares at once; the only size RaBitQ takes
TRAIN_ROUNDS = 10  # of k-means: more move recall by less than its spread
HNSW_BUILD_EFFORT = 100  # rows in sight while a row is linked


class FaissCodes:
    """Codes that FAISS searches; see rescored.Codes. Safe to search from several threads."""

    def __init__(self, index: Any, ids: Int64Vector, plan: IndexPlan) -> None:
        self._index = index
        self.ids = ids
        self.plan = plan

    def nearest(self, query: Float32Vector, n: int, effort: int) -> Int64Vector:
        """See Codes.nearest."""
        if self.plan.kind == IVF:
            looked: Any = faiss.IVFRaBitQSearchParameters()
            looked.nprobe = min(effort, self._index.nlist)
        else:
            looked = faiss.SearchParametersHNSW()  # type: ignore[attr-defined]  # its stubs lack it
            looked.efSearch = max(effort, n)
        with _one_thread():
            return _rows(self._index, query, n, looked)

    def scan(self, query: Float32Vector, n: int, kept: BoolVector | None) -> Int64Vector:
        """See Codes.scan."""
        index: Any
        looked: Any
        if self.plan.kind == IVF:
            index, looked = self._index, faiss.IVFRaBitQSearchParameters()
            looked.nprobe = index.nlist
        else:
            index, looked = faiss.downcast_index(self._index.storage), faiss.SearchParameters()
        bits = None if kept is None else np.packbits(kept, bitorder="little")
        if bits is not None:
            select: Any = faiss.IDSelectorBitmap
            looked.sel = select(bits)  # holds no reference to the bits: `bits` must live on
        return _rows(index, query, n, looked)


class Builder:
    """Makes codes of vectors that come in blocks.

    plan: kind IVF or HNSW; sample: (s, dim) float32 rows to train on.
    """

    def __init__(self, plan: IndexPlan, sample: Float32Matrix) -> None:
        dim, metric = sample.shape[1], faiss.METRIC_INNER_PRODUCT
        if plan.kind == IVF:
            index: Any = faiss.IndexIVFRaBitQFastScan(
                faiss.IndexFlatIP(dim), dim, plan.lists, metric, BLOCK_CODES, True, RABITQ_BITS
            )
            index.cp.niter = TRAIN_ROUNDS
            index.cp.min_points_per_centroid = 1  # else FAISS prints a warning for small samples
        else:
            make: Any = faiss.IndexHNSWSQ  # its stubs know one way to make it, this is another
            index = make(dim, faiss.ScalarQuantizer.QT_4bit, plan.links, metric)
            index.hnsw.efConstruction = HNSW_BUILD_EFFORT
        index.train(np.ascontiguousarray(sample))
        self._index = index
        self._plan = plan

    def add(self, vectors: Float32Matrix) -> None:
        """Append rows, on all cores. vectors: (b, dim) float32."""
        self._index.add(np.ascontiguousarray(vectors))

    def codes(self, ids: Int64Vector) -> FaissCodes:
        """What was added, to be searched in memory. ids: (n,) of the rows in their order."""
        return FaissCodes(self._index, ids, self._plan)

    def write(self, path: Path) -> None:
        """Write the codes as the payload of a file. Raises: OSError: it cannot be written."""
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:  # FAISS's only kind of error, with its source line in the text
            raise OSError(f"FAISS could not write {path.name}: {str(error).splitlines()[0]}") from error


def open_codes(path: Path, ids: Int64Vector, plan: IndexPlan) -> FaissCodes:
    """Open the payload of a snapshot file, memory-mapped where FAISS can: a graph costs no read at all.

    Raises: DamagedIndex: it is not the index that the plan says.
    """
    try:
        index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise DamagedIndex(str(error).splitlines()[0]) from error
    expected = {IVF: "IndexIVFRaBitQFastScan", HNSW: "IndexHNSWSQ"}[plan.kind]
    if type(index).__name__ != expected or index.ntotal != len(ids):
        found = f"{index.ntotal} rows of {type(index).__name__}"
        raise DamagedIndex(f"it holds {found}, {len(ids)} of {expected} were described")
    return FaissCodes(index, ids, plan)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Search without helpers: waiting for them takes longer than they save, four times when cores are busy.

    OpenMP keeps this number for each calling thread, so that nobody else's changes.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _rows(index: Any, query: Float32Vector, n: int, looked: Any) -> Int64Vector:
    _, rows = index.search(np.ascontiguousarray(query)[None, :], n, params=looked)
    # FAISS pads with -1 when it finds fewer than n, which Python would read as the last row.
    found: Int64Vector = rows[0][rows[0] >= 0]
    return found
