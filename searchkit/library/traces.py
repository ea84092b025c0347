"""Recognises bytes of what was forgotten, in files and among stored values, by fingerprints of pieces.

A piece is a window of 24 bytes, or a whole short value of 8 to 23. Kept are a keyed hash of it and where to
begin looking, never its bytes: so a search can be finished by a process that never saw the text.

Every place of a block is looked at, in eight passes over 64-bit words: what it costs depends on the bytes,
and little on how many pieces there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

LONG, SHORT = 24, 8  # bytes: of a window, and of the shortest value that is looked for
EVERY = 48  # bytes of a value for each window
MOST_OF_VALUE = 64  # windows
MOST = 50_000  # pieces in all: beyond, places that only look like one become common
# Zeros and ruled lines say nothing about whom they came from.
DISTINCT_LONG, DISTINCT_SHORT = 8, 5
BLOCK = 1 << 18  # stays in a core's cache

_PIECE = np.dtype([("anchor", "<u4"), ("length", "u1"), ("check", "<u8")])
_SEEN_BITS = 20


def hashed(key: bytes, value: bytes) -> bytes:
    """The keyed hash that stands for a place, a size, a content or a text."""
    return hashlib.blake2b(value, key=key, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Traces:
    """Fingerprints of pieces. key: secret of the Library; pieces: (n,) of anchor, length and check."""

    key: bytes
    pieces: npt.NDArray[np.void]

    @classmethod
    def of(cls, key: bytes, values: Iterable[bytes]) -> Traces:
        """Fingerprints of pieces of all values, of larger ones at even distances; see Sample."""
        sample = Sample(key)
        for value in values:
            sample.add(value)
        return sample.traces()

    @classmethod
    def stored(cls, key: bytes, blobs: Iterable[bytes]) -> Traces:
        """Those that `as_bytes` gave, together."""
        return cls(key, np.frombuffer(b"".join(blobs), dtype=_PIECE))

    def as_bytes(self) -> bytes:
        """As they are stored."""
        return self.pieces.tobytes()

    def __len__(self) -> int:
        return len(self.pieces)

    def among(self, blocks: Iterable[bytes]) -> Traces:
        """Those whose piece stands in one of the blocks, which are looked at one by one."""
        left, found = self.pieces, np.empty(0, dtype=_PIECE)
        finder = _Finder(self.key, left)
        for block in blocks:
            if not len(left):
                break
            if (here := finder.found_in(block)).any():
                found, left = np.concatenate([found, left[here]]), left[~here]
                finder = _Finder(self.key, left)
        return Traces(self.key, found)

    def without(self, others: Traces) -> Traces:
        """Those that are not among the others."""
        return Traces(self.key, self.pieces[~np.isin(self.pieces["check"], others.pieces["check"])])


class Sample:
    """Gathers fingerprints of values that come one by one, however many: of their pieces MOST are kept.

    Those with the smallest checks stay: any piece has the same chance, and one met twice is there once.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._factors = _factors(key)
        self._found: dict[int, tuple[int, int]] = {}  # check -> anchor, length
        self._below = 1 << 64  # checks from here on are not kept any more

    def add(self, value: bytes) -> None:
        """Take in the pieces of a value."""
        for piece in pieces_of(value):
            check = _check(self._key, piece)
            if check < self._below and check not in self._found:
                self._found[check] = (_anchor(piece, self._factors), len(piece))
        if len(self._found) >= 2 * MOST:
            self._shrink()

    def traces(self) -> Traces:
        """What was gathered."""
        self._shrink()
        rows = [(anchor, length, check) for check, (anchor, length) in self._found.items()]
        return Traces(self._key, np.array(rows, dtype=_PIECE))

    def _shrink(self) -> None:
        if len(self._found) > MOST:
            kept = sorted(self._found)[:MOST]
            self._found = {check: self._found[check] for check in kept}
            self._below = kept[-1]


def pieces_of(value: bytes) -> Iterator[bytes]:
    """Windows of a value at even distances, or all of a short one; none of less than 8 bytes.

    Where a file keeps a value in two places, as SQLite does with what outgrows a page, one window may be cut
    in two; its neighbours are whole.
    """
    if len(value) < LONG:
        if len(value) >= SHORT and len(set(value)) >= DISTINCT_SHORT:
            yield value
        return
    count = min(MOST_OF_VALUE, len(value) // EVERY + 1)
    last = len(value) - LONG
    for i in range(count):
        at = last * i // max(1, count - 1)
        if len(set(window := value[at : at + LONG])) >= DISTINCT_LONG:
            yield window


def blocks_of(path: Path) -> Iterator[bytes]:
    """A file in blocks, each with the end of the one before, so that no piece falls between two.

    Raises: OSError.
    """
    with path.open("rb") as file:
        rest = b""
        while more := file.read(BLOCK):
            yield rest + more
            rest = (rest + more)[1 - LONG :]


def blocks_of_values(values: Iterable[bytes]) -> Iterator[bytes]:
    """Values in blocks, with a gap between any two."""
    some: list[bytes] = []
    size = 0
    for value in values:
        some.append(value)
        size += len(value)
        if size >= BLOCK:
            yield bytes(SHORT).join(some)
            some, size = [], 0
    yield bytes(SHORT).join(some)


class _Finder:
    """Finds pieces in a block: a table of bits passes over nearly all places, anchor and check decide."""

    def __init__(self, key: bytes, pieces: npt.NDArray[np.void]) -> None:
        self._key = key
        self._pieces = pieces
        self._factors = _factors(key)
        self._kinds = []  # (words of 8 bytes in an anchor, bits, anchors in order, their pieces)
        for words, chosen in ((1, pieces["length"] < LONG), (3, pieces["length"] >= LONG)):
            if chosen.any():
                order = np.flatnonzero(chosen)[np.argsort(pieces["anchor"][chosen], kind="stable")]
                anchors = pieces["anchor"][order]
                bits = np.zeros(1 << _SEEN_BITS, dtype=np.bool_)
                bits[anchors >> (32 - _SEEN_BITS)] = True
                self._kinds.append((words, bits, anchors, order))

    def found_in(self, block: bytes) -> npt.NDArray[np.bool_]:
        """Which pieces stand in a block. Returns: (n,) bool."""
        here = np.zeros(len(self._pieces), dtype=np.bool_)
        for shift in range(8):
            words = np.frombuffer(block, dtype="<u8", offset=shift, count=max(0, len(block) - shift) // 8)
            for many, bits, anchors, order in self._kinds:
                if len(words) >= many:
                    hashed = _hashed(words, many, self._factors)
                    likely = np.flatnonzero(bits[hashed >> np.uint64(64 - _SEEN_BITS)])
                    wanted = (hashed[likely] >> np.uint64(32)).astype(np.uint32)
                    first = np.searchsorted(anchors, wanted, side="left")
                    last = np.searchsorted(anchors, wanted, side="right")
                    for i in np.flatnonzero(first < last).tolist():
                        at = shift + 8 * int(likely[i])
                        self._compare(block, at, order[first[i] : last[i]], here)
        return here

    def _compare(
        self, block: bytes, at: int, candidates: npt.NDArray[np.int64], here: npt.NDArray[np.bool_]
    ) -> None:
        for piece in candidates.tolist():
            length = int(self._pieces["length"][piece])
            if not here[piece] and at + length <= len(block):
                here[piece] = _check(self._key, block[at : at + length]) == self._pieces["check"][piece]


def _hashed(
    words: npt.NDArray[np.uint64], many: int, factors: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """A hash of the `many` words from each one on, in its upper bits: sums of products modulo 2**64."""
    count = len(words) - many + 1
    hashed: npt.NDArray[np.uint64] = words[:count] * factors[0]
    for i in range(1, many):
        hashed += words[i : i + count] * factors[i]
    return hashed


def _factors(key: bytes) -> npt.NDArray[np.uint64]:
    drawn = hashlib.blake2b(b"factors", key=key, digest_size=24).digest()
    return np.frombuffer(drawn, dtype="<u8").astype(np.uint64) | np.uint64(1)


def _anchor(piece: bytes, factors: npt.NDArray[np.uint64]) -> int:
    many = 3 if len(piece) >= LONG else 1
    return int(_hashed(np.frombuffer(piece, dtype="<u8", count=many), many, factors)[0]) >> 32


def _check(key: bytes, piece: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(piece, key=key, digest_size=8).digest(), "little")
