"""From files to passages: loads, cuts and hashes, in the order of the plan. Knows no database, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeAlias

from searchkit.collection.plan import FileToRead
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, Metadata, Passage, SourceFile

PASSAGES_AT_ONCE = 64  # handed over together: a hand-over between threads costs as much as a passage
WEIGHT_OF_PASSAGE = 400  # characters that a passage's object, hash and place are worth in memory

# Yields a file's Documents; tells the second function of rows that are lost, and before all the third one
# the SHA-256 of what it is going to load.
Load: TypeAlias = Callable[
    [SourceFile, Callable[[Failure], None], Callable[[bytes], None]], Generator[Document, None, None]
]
Cut: TypeAlias = Callable[[Document], Iterable[Passage]]
# Whether a text, given by its hash, may be taken from a file.
Takes: TypeAlias = Callable[[SourceFile, bytes], bool]


@dataclass(frozen=True, slots=True)
class PassagesRead:
    """Passages of the Document that is being read, each with the hash of its embedded text."""

    passages: Sequence[tuple[bytes, Passage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRead:
    """The end of a Document; its passages came before."""

    name: str
    kind: str
    title: str
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """The end of a file; its Documents came before, and count only if `keep` is set."""

    file: FileToRead
    sha256: bytes
    failures: Sequence[Failure]
    keep: bool = True
    unavailable: bool = False  # it is tried again next time, and what is stored of it stays


Read: TypeAlias = PassagesRead | DocumentRead | FileRead


def read(files: Iterable[FileToRead], load: Load, cut: Cut, takes: Takes | None = None) -> Iterator[Read]:
    """Yield what the files hold, in their order. A file that fails says so at its end, and never raises.

    takes: which texts may be taken; None for all. A Document without one is left out.
    """
    for file in files:
        yield from _read(file, load, cut, takes)


def weigh(one: Read) -> int:
    """About the characters of memory that a value takes."""
    if isinstance(one, PassagesRead):
        return sum(len(passage.text) + WEIGHT_OF_PASSAGE for _, passage in one.passages)
    return WEIGHT_OF_PASSAGE


def hash_of(text: str) -> bytes:
    """The address of a text: SHA-256 of its UTF-8 form."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def _read(file: FileToRead, load: Load, cut: Cut, takes: Takes | None) -> Iterator[Read]:
    source = file.source
    # Taken by who loads the file, just before: what is written to it later shows as a change on the next run,
    # however long ago the plan looked at it, and however late its turn comes here.
    digests: list[bytes] = []
    failures: list[Failure] = []
    found, unavailable, left_out = False, False, False
    try:
        # Closed here and now where cutting fails: what is left of the file must not be read for the next.
        with closing(load(source, failures.append, digests.append)) as documents:
            for document in documents:
                empty = True
                for passages in _passages(document, cut):
                    taken = passages if takes is None else _taken(passages, source, takes)
                    left_out |= len(taken.passages) < len(passages.passages)
                    if taken.passages:
                        empty = False
                        yield taken
                if not empty:
                    found = True
                    yield _end_of(document)
        if not (found or failures or left_out):
            raise DocumentError("holds no text that could be searched")
    except DocumentError as error:
        failures.append(_failure(source, error))
        found, unavailable = False, isinstance(error, DocumentUnavailable) or not digests
    sha256 = digests[0] if digests else b""
    yield FileRead(file=file, sha256=sha256, failures=failures, keep=found, unavailable=unavailable)


def _failure(source: SourceFile, error: DocumentError) -> Failure:
    return Failure(document=source.name, reason=error.in_one_line)


def _end_of(document: Document) -> DocumentRead:
    return DocumentRead(
        name=document.name,
        kind=document.kind,
        title=_utf8(document.title),
        metadata=document.metadata,
    )


def _passages(document: Document, cut: Cut) -> Iterator[PassagesRead]:
    some: list[tuple[bytes, Passage]] = []
    for passage in map(_storable, cut(document)):
        some.append((hash_of(passage.embedded_text), passage))
        if len(some) >= PASSAGES_AT_ONCE:
            yield PassagesRead(some)
            some = []
    if some:
        yield PassagesRead(some)


def _taken(read: PassagesRead, source: SourceFile, takes: Takes) -> PassagesRead:
    return PassagesRead([one for one in read.passages if takes(source, one[0])])


def _storable(passage: Passage) -> Passage:
    """Replace lone surrogates, which escapes in JSON can produce and UTF-8 cannot hold."""
    try:
        (passage.text + passage.context + passage.heading).encode("utf-8")
    except UnicodeEncodeError:
        return replace(
            passage, text=_utf8(passage.text), context=_utf8(passage.context), heading=_utf8(passage.heading)
        )
    return passage


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
