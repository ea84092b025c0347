"""Indexes made and read by FAISS; owns the library and stops its quirks here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.vector_index.protocol import FLAT, DamagedIndex, Neighbours


def write_index(ids: Int64Vector, vectors: Float32Matrix, path: Path) -> None:
    """Write an index over the rows to `path`.

    ids: (n,) int64, unique; vectors: (n, dim) float32 rows of length 1.
    Raises: OSError: the file cannot be written, as on a full disk.
    """
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(np.ascontiguousarray(vectors), ids)
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # FAISS's only kind of error, with its source line in the text
        raise OSError(f"FAISS could not write {path.name}: {str(error).splitlines()[0]}") from error


class FaissIndex:
    """A snapshot file, memory-mapped: opening costs no read of the vectors."""

    kind = FLAT
    promised_recall = 1.0

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: DamagedIndex: it is not an index of ours."""
        try:
            index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            self._ids: Int64Vector = faiss.vector_to_array(index.id_map)
            self._inner: Any = faiss.downcast_index(index.index)
        except (RuntimeError, AttributeError, ValueError) as error:
            raise DamagedIndex(str(error).splitlines()[0]) from error
        self._index = index  # owns the memory that _inner looks into

    @property
    def rows(self) -> int:
        """How many vectors the file holds."""
        return int(self._index.ntotal)

    def search(self, queries: Float32Matrix, k: int, *, without: Int64Vector) -> list[Neighbours]:
        """See VectorIndex.search."""
        without = without[np.isin(without, self._ids)]
        k = min(k, self.rows - len(without))
        if k <= 0:
            return [Neighbours(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        parameters: Any = None
        if len(without):
            kept = faiss.IDSelectorNot(faiss.IDSelectorBatch(without))
            parameters = faiss.SearchParameters(sel=kept)  # type: ignore[call-arg]  # added by FAISS at import
        scores, ids = self._index.search(np.ascontiguousarray(queries), k, params=parameters)
        # FAISS pads with id -1 when it finds fewer than k, which Python would read as the last row.
        return [Neighbours(i[i >= 0], s[i >= 0]) for i, s in zip(ids, scores, strict=True)]

    def vectors(self) -> tuple[Int64Vector, Float32Matrix]:
        """All ids and vectors as the file holds them, for checks against the vectors of record."""
        return self._ids, self._inner.reconstruct_n(0, self.rows)
