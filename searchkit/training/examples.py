"""Rows to train on: MEDI's form, from JSONL, plain or gzipped, or from one JSON list. Knows no tokens."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from searchkit.embedding.hashes import file_sha256
from searchkit.errors import TrainingInvalid, near_names

Pair: TypeAlias = tuple[str, str]  # (Instruction, text)

FORM = (
    '{"query": [instruction, text], "pos": [instruction, text], "neg": [instruction, text], "task_name": ...}'
)
TASK_KEYS = ("task_name", "task_id", "task")
GROUP = "group"
KEYS = ("query", "pos", "neg", GROUP, *TASK_KEYS)
SLIPS = ("neg", GROUP)  # what a row may lack: a key that begins like one of them means it
NOT_BLANK = re.compile(r"[^ \t\r\n]")
LIKE_NEG = re.compile(r"(^|hard|[\W_])neg", re.IGNORECASE)  # negatives, hard_neg, hardNegatives
BLOCK = 1 << 20  # characters of a JSON list that are read at once
LARGEST_ROW = 1 << 26  # characters; a list that is damaged is not read to its end in search of a row's


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row: a query, what is near to it, what is near but wrong. Each an (Instruction, text) pair."""

    query: Pair
    positives: tuple[Pair, ...]  # one at least
    negatives: tuple[Pair, ...]  # may be none
    task: str
    group: str | None = None  # of the task; query and positives are tied to all others of it


def find_files(patterns: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """The files that paths and globs name, relative to the folder; each once, in a stable order.

    Raises:
        TrainingInvalid: one of them names no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        place = str(folder / Path(pattern).expanduser())
        files = (
            [Path(place)] if Path(place).is_file() else sorted(map(Path, glob.glob(place, recursive=True)))
        )
        files = [file for file in files if file.is_file()]
        if not files:
            raise TrainingInvalid(
                f"no file is '{pattern}' under {folder}",
                remedy="name JSONL files, .jsonl.gz or a JSON list, relative to the recipe's file",
            )
        found |= dict.fromkeys(files)
    return tuple(found)


def read_examples(files: Sequence[Path]) -> dict[str, list[Example]]:
    """Rows by task, in the order of the files.

    Raises:
        TrainingInvalid: a file cannot be read, or a row has not the form; names file and line.
    """
    by_task: dict[str, list[Example]] = {}
    # One copy of each Instruction and task: a file has a few of them, a hundred thousand times.
    known: dict[str, str] = {}
    for file in files:
        for place, row in _rows(file):
            example = _example(row, place, known)
            by_task.setdefault(example.task, []).append(example)
    if not by_task:
        raise TrainingInvalid(
            f"no rows in {', '.join(str(file) for file in files)}", remedy=f"a row is: {FORM}"
        )
    return by_task


def data_fingerprint(files: Sequence[Path]) -> str:
    """A hash of the files' contents in order, wherever they lie."""
    return hashlib.sha256("".join(file_sha256(file) for file in files).encode("ascii")).hexdigest()


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """(file and line, value) of each row."""
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as stream:
            first, number = stream.read(1), 1
            while first.isspace() or first == "\ufeff":
                number += first == "\n"
                first = stream.read(1)
            if first == "[":
                yield from _listed(file, stream)
                return
            line = first + stream.readline()
            while line:
                if line.strip():
                    yield f"{file}:{number}", _parsed(line, f"{file}:{number}")
                line = stream.readline()
                number += 1
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:  # gzip: cut off, damaged, or none
        raise TrainingInvalid(
            f"{file} cannot be read: {error}", remedy="expected JSON Lines in UTF-8, plain or gzipped"
        ) from error


def _listed(file: Path, stream: TextIO) -> Iterator[tuple[str, Any]]:
    """The rows of one JSON list, whose bracket has been read; a part of the file at a time."""
    decoder = json.JSONDecoder()
    text, at, number, size = "", 0, 1, BLOCK
    while True:
        at = _after_blanks(text, at)
        if number == 1 and text[at : at + 1] == "]":
            _require_end(text[at + 1 :], stream, f"{file}: after the list")
            return
        place = f"{file}: row {number}"
        try:
            row, end = decoder.raw_decode(text, at)
            end = _after_blanks(text, end)
            wrong = "the list has no end" if end == len(text) else ""
        except json.JSONDecodeError as error:
            wrong = error.msg
        except (ValueError, RecursionError) as error:  # a number of more digits than Python reads
            raise _no_json(place, error) from error
        if wrong:
            more = stream.read(size)
            if not more or len(text) - at > LARGEST_ROW:
                raise _no_json(place, wrong)
            # Twice as much each time that a row is not whole: else a long one is read over and over.
            text, at, size = text[at:] + more, 0, 2 * size
            continue
        yield place, row
        if text[end] == "]":
            _require_end(text[end + 1 :], stream, f"{file}: after row {number}")
            return
        if text[end] != ",":
            raise _no_json(place, f"expected a comma or the end of the list, found {text[end]!r}")
        at, number, size = end + 1, number + 1, BLOCK


def _require_end(text: str, stream: TextIO, place: str) -> None:
    """Refuse what follows a list: its rows would be lost without a word."""
    while not (found := NOT_BLANK.search(text)):
        text = stream.read(BLOCK)
        if not text:
            return
    raise _no_json(place, f"the list has ended, found {text[found.start() :][:20]!r}")


def _after_blanks(text: str, at: int) -> int:
    found = NOT_BLANK.search(text, at)
    return found.start() if found else len(text)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(place, error) from error


def _no_json(place: str, error: object) -> TrainingInvalid:
    return TrainingInvalid(f"{place}: no JSON: {error}", remedy=f"a row is: {FORM}")


def _example(row: Any, place: str, known: dict[str, str]) -> Example:
    if not isinstance(row, dict):
        raise _refused(place, f"a {type(row).__name__}, expected an object")
    if odd := [key for key in ("query", "pos") if key not in row]:
        raise _refused(place, f"no {' and no '.join(odd)}")
    # Other keys are let be, rows bring many; a likely slip of the pen would silently lose what it says.
    missing = tuple(key for key in SLIPS if key not in row)
    slips = [key for key in row if key not in KEYS and key.startswith(missing)]
    unread = [key for key in row if key not in KEYS and isinstance(row[key], str | list | dict)]
    slips += [key for key in unread if "neg" not in row and LIKE_NEG.search(key)]
    if slips:
        raise _refused(place, f"unknown key '{slips[0]}'{near_names(slips[0], KEYS)}")
    task = _name(next((row[key] for key in TASK_KEYS if row.get(key) is not None), None))
    if task is None:
        raise _refused(place, "no task_name")
    _require_whole(task, "task_name", place)
    group = _name(row.get(GROUP))
    if group is None and row.get(GROUP) is not None:
        raise _refused(place, f"{GROUP} is {_shown(row[GROUP])}, expected a text or a whole number")
    _require_whole(group or "", GROUP, place)
    positives = _pairs(row["pos"], "pos", place, known)
    if not positives:
        raise _refused(place, "no pos")
    return Example(
        query=_pair(row["query"], "query", place, known),
        positives=positives,
        negatives=_pairs(row.get("neg") or [], "neg", place, known),
        task=known.setdefault(task, task),
        group=None if group is None else known.setdefault(group, group),
    )


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _pairs(value: Any, key: str, place: str, known: dict[str, str]) -> tuple[Pair, ...]:
    """One pair or a list of pairs."""
    if isinstance(value, list) and all(isinstance(one, list) for one in value):
        return tuple(_pair(one, key, place, known) for one in value)
    return (_pair(value, key, place, known),)


def _pair(value: Any, key: str, place: str, known: dict[str, str]) -> Pair:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(one, str) for one in value):
        raise _refused(place, f"{key} is {_shown(value)}, expected [instruction, text]")
    instruction, text = value
    if not text.strip():
        raise _refused(place, f"{key} has an empty text")
    for one in value:
        _require_whole(one, key, place)
    return known.setdefault(instruction, instruction), text


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."


def _require_whole(text: str, key: str, place: str) -> None:
    """Refuse half of a surrogate pair, which JSON may spell and no file can hold."""
    try:
        if not text.isascii():  # which costs nothing, and is so of most
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise _refused(place, f"{key} has half of a character, {half} without its other half") from error


def _refused(place: str, found: str) -> TrainingInvalid:
    return TrainingInvalid(f"{place}: {found}", remedy=f'a row is: {FORM}; without instruction: ["", text]')
