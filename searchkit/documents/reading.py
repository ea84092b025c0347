"""What every loader takes: limits, and where to report a part that is lost; knows no format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from searchkit.errors import DocumentError
from searchkit.records import Document, Failure, SourceFile

MIB = 1 << 20
TEMPLATE_SUFFIX = ".erb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one file may cost. Beyond that it is refused, whatever its kind."""

    file_bytes: int = 512 * MIB
    unpacked_bytes: int = 512 * MIB  # of all members of an archive together
    unpack_ratio: int = 200  # of one member; Office's own XML stays below 100
    members: int = 20_000  # of an archive
    # Of a page, mail, notebook or member of an Office file: parsed whole, at ten times its size in memory.
    tree_bytes: int = 64 * MIB
    text_characters: int = 256 * MIB  # of one Document made from an archive or a PDF
    row_characters: int = 8 * MIB  # of one row of CSV or JSONL


def _ignore(failure: Failure) -> None:
    """Do nothing: the caller asked for no reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What the door hands to a loader beside the file."""

    limits: Limits = Limits()
    on_failure: Callable[[Failure], None] = _ignore  # a row that is lost while the others survive


Loader: TypeAlias = Callable[[SourceFile, LoadOptions], Iterator[Document]]


def words(text: str) -> frozenset[str]:
    """The words of `text`: a table of names that can be read at a glance."""
    return frozenset(text.split())


def suffix_of(name: str) -> str:
    """A file's suffix in lower case; for a template (page.md.erb) the one below '.erb', if it has one."""
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem).suffix if path.suffix == TEMPLATE_SUFFIX else ""
    return inner or path.suffix


def is_panic(error: BaseException) -> bool:
    """Whether a Rust extension panicked: such errors pass `except Exception`, like Ctrl-C and exit."""
    return not isinstance(error, Exception) and type(error).__name__ == "PanicException"


def megabytes(size: int) -> str:
    """`size` in bytes, as a person reads it."""
    return f"{size / MIB:,.1f} MB" if size >= MIB else f"{size:,} bytes"


def read_bytes(source: SourceFile, limits: Limits) -> bytes:
    """Return the file's bytes, one more than allowed at most.

    Raises: DocumentError: it grew beyond the limit since it was found. OSError: it cannot be read.
    """
    with source.path.open("rb") as file:
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise too_large(len(data), limits.file_bytes)
    return data


def too_large(found: int, allowed: int) -> DocumentError:
    """The error for a file or a part of it that exceeds its limit, both in bytes."""
    return DocumentError(
        f"holds {megabytes(found)}, at most {megabytes(allowed)} are read",
        remedy="split the file, or leave it out through .searchkitignore",
    )
