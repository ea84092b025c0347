"""Loads files in a process of its own: a parser that crashes there costs one file and not the run.

The process reads names of files from its stdin and answers on its stdout in frames: a kind, a length,
bytes. What travels is JSON and UTF-8 and never a pickle: a hostile file may have taken over this
process, and must not reach the one that asked through the answer. Ends when its stdin ends, as it does
when the one that asked has died.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from searchkit.documents.load import load
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, Heading, SourceFile

READY, FILE, DOCUMENT, TEXT, LOST, END = b"R", b"F", b"D", b"T", b"L", b"E"
HEADER = struct.Struct(">cQ")  # kind, bytes that follow
TEXT_PART = 1 << 22  # characters of a Document in one frame: neither side holds a large text three times
LARGEST_FRAME = 1 << 30  # bytes; more is no frame of ours

# Lone surrogates, as in names of files and in JSON's escapes, pass both ways unchanged.
_SURROGATES = "surrogatepass"


class BrokenFrame(Exception):
    """What came is no frame, or ended in the middle of one."""


def write_frame(stream: IO[bytes], kind: bytes, data: bytes) -> None:
    """Write one frame; the caller flushes."""
    stream.write(HEADER.pack(kind, len(data)))
    stream.write(data)


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one frame. Returns: kind and bytes; None at the end of the stream. Raises: BrokenFrame."""
    head = stream.read(HEADER.size)
    if not head:
        return None
    if len(head) < HEADER.size:
        raise BrokenFrame("the stream ends within a frame")
    kind, length = HEADER.unpack(head)
    if length > LARGEST_FRAME:
        raise BrokenFrame(f"a frame of {length} bytes")
    data = stream.read(length)
    if len(data) < length:
        raise BrokenFrame("the stream ends within a frame")
    return kind, data


# -------------------------------------------------------------------- values and frames


def pack_file(source: SourceFile) -> bytes:
    """A SourceFile as the bytes of a FILE frame."""
    return _json([str(source.path), source.name, source.size, source.mtime_ns])


def unpack_file(data: bytes) -> SourceFile:
    """The SourceFile of a FILE frame."""
    path, name, size, mtime_ns = _value(data)
    return SourceFile(path=Path(path), name=name, size=size, mtime_ns=mtime_ns)


def document_frames(document: Document) -> Iterator[tuple[bytes, bytes]]:
    """A Document as frames: what it is, then its text in parts."""
    parts = range(0, len(document.text), TEXT_PART)
    headings = [[heading.start, heading.level, heading.text] for heading in document.headings]
    about = [document.name, document.kind, document.title, headings, document.page_starts]
    yield DOCUMENT, _json([*about, dict(document.metadata), len(parts)])
    for start in parts:
        yield TEXT, document.text[start : start + TEXT_PART].encode("utf-8", _SURROGATES)


def document_of(data: bytes, frames: Iterable[tuple[bytes, bytes]]) -> Document:
    """The Document of a DOCUMENT frame; its text is taken from the frames that follow.

    Raises: BrokenFrame: they are not what they should be.
    """
    try:
        name, kind, title, headings, page_starts, metadata, parts = _value(data)
        texts = []
        for _, (what, part) in zip(range(parts), frames, strict=False):
            if what != TEXT:
                raise BrokenFrame(f"expected text, found {what!r}")
            texts.append(part.decode("utf-8", _SURROGATES))
        if len(texts) < parts:
            raise BrokenFrame("a text is not complete")
        return Document(
            name=str(name),
            kind=str(kind),
            text="".join(texts),
            title=str(title),
            headings=tuple(Heading(start=int(at), level=int(n), text=str(text)) for at, n, text in headings),
            page_starts=tuple(int(start) for start in page_starts),
            metadata=dict(metadata),
        )
    except (ValueError, TypeError) as error:
        raise BrokenFrame(f"a Document that is none: {error}") from error


def pack_lost(failure: Failure) -> bytes:
    """A Failure as the bytes of a LOST frame."""
    return _json([failure.document, failure.reason])


def unpack_lost(data: bytes) -> Failure:
    """The Failure of a LOST frame. Raises: BrokenFrame."""
    try:
        document, reason = _value(data)
    except (ValueError, TypeError) as error:
        raise BrokenFrame(f"a Failure that is none: {error}") from error
    return Failure(document=str(document), reason=str(reason))


def pack_end(error: DocumentError | None) -> bytes:
    """How a file ended, as the bytes of an END frame."""
    if error is None:
        return _json(None)
    return _json([isinstance(error, DocumentUnavailable), error.message, error.remedy])


def unpack_end(data: bytes) -> DocumentError | None:
    """How the file of an END frame ended. Raises: BrokenFrame."""
    try:
        if (said := _value(data)) is None:
            return None
        unavailable, message, remedy = said
    except (ValueError, TypeError) as error:
        raise BrokenFrame(f"an end that is none: {error}") from error
    return (DocumentUnavailable if unavailable else DocumentError)(str(message), remedy=str(remedy))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", _SURROGATES)


def _value(data: bytes) -> Any:
    return json.loads(data.decode("utf-8", _SURROGATES))


# -------------------------------------------------------------------- the process


def main() -> None:
    """Answer for every file named on stdin, until it ends."""
    # Parsers print; what they say must not get between the frames.
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    files: queue.SimpleQueue[SourceFile] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, files), daemon=True).start()
    try:
        write_frame(answers, READY, b"")
        answers.flush()
        while True:
            _answer(files.get(), answers)
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more


def _listen(asked: IO[bytes], files: queue.SimpleQueue[SourceFile]) -> None:
    """Take in what is asked, even while a file is read; leave at once when nobody asks any more."""
    try:
        while (frame := read_frame(asked)) is not None:
            files.put(unpack_file(frame[1]))
    finally:
        os._exit(0)


def _answer(source: SourceFile, answers: IO[bytes]) -> None:
    def lost(failure: Failure) -> None:
        write_frame(answers, LOST, pack_lost(failure))

    ended: DocumentError | None = None
    try:
        for document in load(source, on_failure=lost):
            for kind, data in document_frames(document):
                write_frame(answers, kind, data)
    except DocumentError as error:
        ended = error
    write_frame(answers, END, pack_end(ended))
    answers.flush()  # so that a process that dies with the next file has said all of this one
