"""The file format of snapshots: what is searched first, then which rows those are, then a description.

    payload   from byte 0, so that FAISS can map the file by itself: float32 rows, or an index of FAISS
    ids       int64, ascending: the passage of each row
    checks    uint32: CRC-32 of the vector of record that each row was made from
    header    JSON: format, kind, rows, dim
    footer    length of the header, its CRC-32, and MAGIC

All numbers are little-endian; sections start at multiples of 64 bytes. What a file holds was checked as it
was written; its whole checksum lies in the Library (`snapshot.check`).
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.vector_index.protocol import FLAT, KINDS, DamagedIndex

FORMAT = 1
MAGIC = b"SKITSNAP"
_FOOTER = struct.Struct("<II8s")
_ALIGN = 64

Checks: TypeAlias = npt.NDArray[np.uint32]  # (n,)


@dataclass(frozen=True, slots=True)
class Container:
    """An opened file, mapped once: it stays what it is, whatever happens to its name.

    ids, checks: (rows,); vectors: (rows, dim) float32, the payload of a flat file, None for other kinds. All
    are read only where they are looked at.
    """

    kind: str
    rows: int
    dim: int
    ids: Int64Vector
    checks: Checks
    vectors: Float32Matrix | None


def checks_of(vectors: Float32Matrix) -> Checks:
    """One CRC-32 a row. Returns: (n,) uint32."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return np.fromiter((zlib.crc32(row) for row in rows), dtype=np.uint32, count=len(rows))


def append_description(path: Path, kind: str, dim: int, ids: Int64Vector, checks: Checks) -> None:
    """Complete a file whose payload is written. ids: (n,) ascending; checks: (n,).

    Raises: OSError: the file cannot be written, as on a full disk.
    """
    with path.open("ab") as file:
        at = _pad(file)
        file.write(ids.astype("<i8", copy=False).tobytes())
        checks_at = _pad(file)
        file.write(checks.astype("<u4", copy=False).tobytes())
        header = json.dumps(
            {
                "format": FORMAT,
                "kind": kind,
                "rows": len(ids),
                "dim": dim,
                "ids_at": at,
                "checks_at": checks_at,
            }
        ).encode()
        file.write(header)
        file.write(_FOOTER.pack(len(header), zlib.crc32(header), MAGIC))


def open_container(path: Path) -> Container:
    """Read a file's description and map its ids. Raises: DamagedIndex: it is not a snapshot of ours."""
    try:
        header = _header(path)
        if header["format"] != FORMAT:
            raise DamagedIndex(f"its format is {header['format']}, this searchkit reads {FORMAT}")
        kind, rows, dim = str(header["kind"]), int(header["rows"]), int(header["dim"])
        if kind not in KINDS:
            raise DamagedIndex(f"its kind is '{kind}', this searchkit knows {', '.join(KINDS)}")
        ids = _mapped(path, "<i8", int(header["ids_at"]), (rows,))
        checks = _mapped(path, "<u4", int(header["checks_at"]), (rows,))
        vectors = _mapped(path, "<f4", 0, (rows, dim)) if kind == FLAT else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedIndex(f"it is no snapshot of searchkit: {error}") from error
    return Container(kind, rows, dim, ids, checks, vectors)


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _FOOTER.size))
        footer = file.read()
        if len(footer) < _FOOTER.size:
            raise ValueError("it is too short")
        length, crc, magic = _FOOTER.unpack(footer)
        if magic != MAGIC or length > end - _FOOTER.size:
            raise ValueError("its last bytes are not those of one")
        file.seek(end - _FOOTER.size - length)
        header = file.read(length)
    if zlib.crc32(header) != crc:
        raise ValueError("its description is damaged")
    described: dict[str, Any] = json.loads(header)
    return described


def _mapped(path: Path, dtype: str, offset: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if 0 in shape:
        return np.empty(shape, dtype=dtype)  # nothing can be mapped of no bytes
    # As a plain array: every small operation on a memmap object costs ten times as much.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape))


def _pad(file: BinaryIO) -> int:
    """Write up to the start of the next section. Returns: where that is."""
    file.write(bytes(-file.tell() % _ALIGN))
    return file.tell()
