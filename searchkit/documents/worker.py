"""Loads files in a process of its own: a parser that crashes there costs one file and not the run.

The process reads names of files from its stdin and answers on its stdout in frames: a kind, a length,
bytes. What travels is JSON and UTF-8 and never a pickle: a hostile file may have taken over this
process, and must not reach the one that asked through the answer. Ends when its stdin ends, as it does
when the one that asked has died; where a parser holds Python's lock just then, as soon as it lets go, or
when it has used more processor time than patience allows (not on Windows).
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from searchkit.documents.load import load, sha256_of
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import UNITS, Document, Failure, Heading, Marks, SourceFile

READY, FILE, DIGEST, DOCUMENT, TEXT, LOST, END = b"R", b"F", b"S", b"D", b"T", b"L", b"E"
HEADER = struct.Struct(">cQ")  # kind, bytes that follow
TEXT_PART = 1 << 22  # characters of a Document in one frame: neither side holds a large text three times
LARGEST_FRAME = 1 << 30  # bytes; more is no frame of ours
LARGEST_NUMBER = 1 << 53  # of a line, page or row; a database holds it, and any lines counted from it
DEEPEST = 200  # levels of metadata: json reads deeper ones than it can write again

# A file that says nothing for so long is given up. The slowest kind takes 2 to 4 s per MB.
PATIENCE_S = 120.0
PATIENCE_S_PER_MB = 10.0
PROCESSOR_SHARE = 2.0  # processor time that may be used within one patience: some parsers use several cores

FAILED = 70  # exit code where answering itself failed, for want of memory most likely
MORE_EXPENDABLE = 500  # of 1,000, where Linux looks for the process to end that gives memory back

# Lone surrogates, as in names of files and in JSON's escapes, pass both ways unchanged.
_SURROGATES = "surrogatepass"


class BrokenFrame(Exception):
    """What came is no frame, or not the one that should have come."""


class CutOff(BrokenFrame):
    """The stream ended before the answer did."""


def patience_s(source: SourceFile) -> float:
    """Seconds after which a file that says nothing is given up."""
    return PATIENCE_S + PATIENCE_S_PER_MB * source.size / 1_000_000


def write_frame(stream: IO[bytes], kind: bytes, data: bytes) -> None:
    """Write one frame; the caller flushes."""
    stream.write(HEADER.pack(kind, len(data)))
    stream.write(data)


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one frame. Returns: kind and bytes; None at the end of the stream. Raises: BrokenFrame, CutOff."""
    head = stream.read(HEADER.size)
    if not head:
        return None
    if len(head) < HEADER.size:
        raise CutOff("the stream ends within a frame")
    kind, length = HEADER.unpack(head)
    if length > LARGEST_FRAME:
        raise BrokenFrame(f"a frame of {length} bytes")
    data = stream.read(length)
    if len(data) < length:
        raise CutOff("the stream ends within a frame")
    return kind, data


# -------------------------------------------------------------------- values and frames

# What taking apart the JSON of a hostile process can raise: int() of 1e999, json of a hundred thousand "[".
_NONE_OF_OURS = (ValueError, TypeError, OverflowError, RecursionError)


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
    marks = document.marks
    counted = marks and [marks.unit, marks.starts, marks.numbers, marks.by_line, marks.sheets]
    about = [document.name, document.kind, document.title, headings, counted]
    yield DOCUMENT, _json([*about, dict(document.metadata), len(parts)])
    for start in parts:
        yield TEXT, document.text[start : start + TEXT_PART].encode("utf-8", _SURROGATES)


def document_of(data: bytes, frames: Iterable[tuple[bytes, bytes]]) -> Document:
    """The Document of a DOCUMENT frame; its text is taken from the frames that follow.

    Raises: BrokenFrame: they are not what they should be, or hold what no Library can store.
    """
    try:
        name, kind, title, headings, counted, metadata, parts = _value(data)
        texts = []
        for _, (what, part) in zip(range(parts), frames, strict=False):
            if what != TEXT:
                raise BrokenFrame(f"expected text, found {what!r}")
            texts.append(part.decode("utf-8", _SURROGATES))
        if len(texts) < parts:
            raise BrokenFrame("a text is not complete")
        made = Document(
            name=str(name),
            kind=str(kind),
            text="".join(texts),
            title=str(title),
            headings=tuple(Heading(start=int(at), level=int(n), text=str(text)) for at, n, text in headings),
            marks=None if counted is None else _marks_of(*counted),
            metadata=dict(metadata),
        )
        (made.name + made.kind + made.title).encode("utf-8")
        _require_shallow(metadata, DEEPEST)
    except _NONE_OF_OURS as error:
        raise BrokenFrame(f"a Document that is none: {error}") from error
    starts = [heading.start for heading in made.headings]
    if made.marks is not None:
        starts += [*made.marks.starts, *(start for start, _ in made.marks.sheets)]
    if any(not 0 <= start <= len(made.text) for start in starts):
        raise BrokenFrame("a heading or mark outside of the text")
    return made


def _marks_of(unit: Any, starts: Any, numbers: Any, by_line: Any, sheets: Any) -> Marks:
    made = Marks(
        unit=str(unit),
        starts=tuple(int(start) for start in starts),
        numbers=tuple(int(number) for number in numbers),
        by_line=bool(by_line),
        sheets=tuple((int(start), str(name)) for start, name in sheets),
    )
    if made.unit not in UNITS or len(made.starts) != len(made.numbers):
        raise ValueError("marks that mark nothing")
    if any(not 0 < number <= LARGEST_NUMBER for number in made.numbers):
        raise ValueError("a mark's number that no file has")
    "".join(name for _, name in made.sheets).encode("utf-8")
    return made


def _require_shallow(value: Any, levels: int) -> None:
    if isinstance(value, (dict, list)):
        if not levels:
            raise ValueError("metadata nested too deeply")
        for one in value.values() if isinstance(value, dict) else value:
            _require_shallow(one, levels - 1)


def pack_lost(failure: Failure) -> bytes:
    """A Failure as the bytes of a LOST frame."""
    return _json([failure.document, failure.reason])


def unpack_lost(data: bytes) -> Failure:
    """The Failure of a LOST frame. Raises: BrokenFrame."""
    try:
        document, reason = _value(data)
        return Failure(document=_shown(document), reason=_shown(reason))
    except _NONE_OF_OURS as error:
        raise BrokenFrame(f"a Failure that is none: {error}") from error


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
        kind = DocumentUnavailable if unavailable else DocumentError
        return kind(_shown(message), remedy=_shown(remedy))
    except _NONE_OF_OURS as error:
        raise BrokenFrame(f"an end that is none: {error}") from error


def _shown(value: Any) -> str:
    """What will be printed; lone surrogates cannot be."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", _SURROGATES)


def _value(data: bytes) -> Any:
    return json.loads(data.decode("utf-8", _SURROGATES))


# -------------------------------------------------------------------- the process


def main() -> None:
    """Answer for every file named on stdin, until it ends."""
    _step_forward()
    allow = _processor_limit()
    # Parsers print; what they say must not get between the frames.
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    files: queue.SimpleQueue[SourceFile] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, files), daemon=True).start()
    try:
        write_frame(answers, READY, b"")
        answers.flush()
        while True:
            _answer(files.get(), answers, allow)
    except OSError:
        os._exit(1)  # nobody listens any more: a broken pipe, on Windows an invalid argument
    except BaseException:
        os._exit(FAILED)  # the one that asked reports it; a traceback would land on the user's terminal


def _listen(asked: IO[bytes], files: queue.SimpleQueue[SourceFile]) -> None:
    """Take in what is asked, even while a file is read; leave at once when nobody asks any more."""
    try:
        while (frame := read_frame(asked)) is not None:
            files.put(unpack_file(frame[1]))
    finally:
        os._exit(0)


def _answer(source: SourceFile, answers: IO[bytes], allow: Callable[[float], None]) -> None:
    def lost(failure: Failure) -> None:
        write_frame(answers, LOST, pack_lost(failure))

    ended: DocumentError | None = None
    processor_s = PROCESSOR_SHARE * patience_s(source)
    allow(processor_s)
    try:
        # Before it is loaded: what is written to it in between then shows as a change on the next run. Said
        # at once: should loading crash this process, that is noted of the content that did it.
        write_frame(answers, DIGEST, sha256_of(source))
        answers.flush()
        for document in load(source, on_failure=lost):
            for kind, data in document_frames(document):
                write_frame(answers, kind, data)
            allow(processor_s)
    except DocumentError as error:
        ended = error
    write_frame(answers, END, pack_end(ended))
    answers.flush()  # so that a process that dies with the next file has said all of this one


def _processor_limit() -> Callable[[float], None]:
    """What gives this process so many more seconds of processor time, after which the kernel ends it.

    An orphan in a parser that holds Python's lock cannot see that its stdin has ended. Processor time does
    not pass while an answer waits to be taken.
    """
    if sys.platform == "win32":
        return lambda _: None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if (soft, hard) != (resource.RLIM_INFINITY, resource.RLIM_INFINITY):
        return lambda _: None  # the user's own limit will do
    last, granted = 0.0, 0.0

    def allow(seconds: float) -> None:
        nonlocal last, granted
        used = time.process_time()
        if seconds != granted or used - last > 1.0:  # not for each row: they come by the hundred thousand
            last, granted = used, seconds
            resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))

    return allow


def _step_forward() -> None:
    """Where memory runs out, rather this process is ended than the one that asked. Linux only."""
    mine = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        if int(mine.read_text()) < MORE_EXPENDABLE:
            mine.write_text(str(MORE_EXPENDABLE))
