"""Tables of texts: every row of a CSV, TSV or JSONL file becomes a Document; files are streamed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TextIO

from searchkit.documents.assemble import json_value, one_line
from searchkit.documents.decode import find_encoding, without_surrogates
from searchkit.documents.reading import MIB, LoadOptions
from searchkit.errors import DocumentError
from searchkit.records import Document, Failure, JsonValue, SourceFile

SAMPLE_BYTES = 4 * MIB  # read to tell the encoding
SNIFFED_CHARACTERS = 1 << 14  # read to tell the delimiter
SNIFFED_ROWS = 20
FIELD_KEPT = (
    1000  # characters of a field that metadata repeats; longer ones are text, not something to filter by
)
LISTED_FAILURES = 100  # rows reported one by one; the rest is counted
FLAT_DEPTH = 4

_DELIMITERS = ",;\t|"
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,10})?")
_TITLES = ("title", "subject", "headline", "question", "name")


def load_csv(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield a Document 'file#row' per non-empty row, the first row being column names.

    Rows that cannot be read go to `options.on_failure`.
    """
    with _open(source) as file:
        start = file.read(SNIFFED_CHARACTERS)
        delimiter = "\t" if source.path.suffix.lower() in (".tsv", ".tab") else _delimiter(start)
        # A process-wide setting of the csv module, and only ever raised: it says how long a field may be.
        csv.field_size_limit(max(csv.field_size_limit(), options.limits.row_characters))
        lines = (line.replace("\0", " ") for line in _lines_from(start, file))
        reader = csv.reader(lines, delimiter=delimiter)
        columns = next((row for row in reader if any(cell.strip() for cell in row)), [])
        names = _column_names(columns)
        losses = _Losses(source, options)
        for number, row in _numbered(reader, losses):
            fields: dict[str, JsonValue] = {}
            for index, cell in enumerate(row):
                if cell.strip():
                    fields[names[index] if index < len(names) else f"column {index + 1}"] = cell.strip()
            if _says_something(fields):
                losses.loaded += 1
                yield _row(source, number, fields, alone=len(names) == 1)
        losses.close("rows under its line of column names")


def load_jsonl(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield a Document 'file#row' per line that holds an object or a text.

    Lines that are not JSON go to `options.on_failure`.
    """
    losses = _Losses(source, options)
    number = 0
    with _open(source) as file:
        for line in file:
            if not line.strip():
                continue
            number += 1
            if len(line) > options.limits.row_characters:
                losses.add(
                    number,
                    f"holds {len(line):,} characters, at most {options.limits.row_characters:,} are read",
                )
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                losses.add(
                    number, f"is not JSON: {error if isinstance(error, ValueError) else 'nested too deeply'}"
                )
                continue
            fields = _flatten(value)
            if _says_something(fields):
                losses.loaded += 1
                yield _row(source, number, fields, alone=not isinstance(value, dict))
    losses.close("lines of JSON")


class _Losses:
    """Counts rows loaded and lost, and reports the lost ones."""

    def __init__(self, source: SourceFile, options: LoadOptions) -> None:
        self._name = source.name
        self._report = options.on_failure
        self.loaded = self.lost = 0

    def add(self, number: int, reason: str) -> None:
        """Report row `number`, unless too many have been already."""
        self.lost += 1
        if self.lost <= LISTED_FAILURES:
            self._report(Failure(document=f"{self._name}#{number}", reason=reason))

    def close(self, expected: str) -> None:
        """Report what was only counted. Raises: DocumentError: no row could be read."""
        if self.lost > LISTED_FAILURES:
            reason = f"{self.lost - LISTED_FAILURES:,} more rows could not be read"
            self._report(Failure(document=self._name, reason=reason))
        if not self.loaded:
            found = f"{self.lost:,} that cannot be read" if self.lost else "none"
            raise DocumentError(
                f"holds no row with text: expected {expected}, found {found}", remedy="check the file"
            )


def _open(source: SourceFile) -> TextIO:
    """Open for reading line by line, in the encoding that the beginning shows."""
    with source.path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    encoding = find_encoding(sample, whole=len(sample) < SAMPLE_BYTES)
    binary = source.path.open("rb")
    binary.seek(encoding.bom)
    # What comes after the sample may hold a fault: one bad byte shall not lose the rows before it.
    return io.TextIOWrapper(binary, encoding=encoding.name, errors="replace", newline="")


def _lines_from(start: str, file: TextIO) -> Iterator[str]:
    """The lines of `start` followed by those of `file`, as if nothing had been read yet."""
    head = (
        start.splitlines(keepends=True)
        if not re.search("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", start)
        else None
    )
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", start) if head is None else head
    if lines:
        last = lines.pop()
        yield from lines
        yield last + file.readline() if not last.endswith("\n") else last
    yield from file


def _numbered(reader: Any, losses: _Losses) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with their numbers from 1; one that the reader cannot take is reported and left out."""
    number = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            losses.add(number, f"cannot be read as CSV: {error}")
            continue
        if row:
            number += 1
            yield number, row


def _delimiter(sample: str) -> str:
    """The delimiter that cuts the sample's rows into the same number of fields, above one, most often."""
    best, best_score = ",", 0.0
    lines = sample.splitlines()[:-1] or [sample]  # the last may be cut
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), SNIFFED_ROWS) if row]
        except csv.Error:
            continue
        if rows and len(rows[0]) > 1:
            score = sum(len(row) == len(rows[0]) for row in rows) / len(rows) + len(rows[0]) / 1000
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _column_names(row: list[str]) -> list[str]:
    """Names for the columns: unique, none empty."""
    names: list[str] = []
    for index, cell in enumerate(row):
        name = one_line(without_surrogates(cell))[:100] or f"column {index + 1}"
        names.append(name if name not in names else f"{name} ({index + 1})")
    return names


def _says_something(fields: dict[str, JsonValue]) -> bool:
    """Whether any value holds a letter or a digit: a line of dashes must not fail the whole file."""
    return any(_LETTER_OR_DIGIT.search(str(value)) for value in fields.values())


def _row(source: SourceFile, number: int, fields: dict[str, JsonValue], *, alone: bool) -> Document:
    """The Document of one row: a line 'column: value' per field, or the value itself if it stands alone."""
    texts = {name: without_surrogates(str(value)) for name, value in fields.items()}
    lines = texts.values() if alone else (f"{name}: {value}" for name, value in texts.items())
    titles = {name.lower(): value for name, value in texts.items()}
    return Document(
        name=f"{source.name}#{number}",
        kind="row",
        text="\n".join(lines),
        title=next((one_line(titles[name])[:200] for name in _TITLES if name in titles), ""),
        metadata={name: _typed(value) for name, value in fields.items() if len(str(value)) <= FIELD_KEPT},
    )


def _typed(value: JsonValue) -> JsonValue:
    """A number where a field's text is one, so that filters can compare; leading zeros make it a text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value


def _flatten(value: Any, prefix: str = "", depth: int = 0) -> dict[str, JsonValue]:
    """The fields of a JSON value: 'a.b' for nested objects, lists of plain values joined by ', '."""
    if isinstance(value, dict) and depth < FLAT_DEPTH:
        fields: dict[str, JsonValue] = {}
        for key, item in value.items():
            fields.update(_flatten(item, f"{prefix}.{key}" if prefix else str(key), depth + 1))
        return fields
    if isinstance(value, list) and all(not isinstance(item, (dict, list)) for item in value):
        value = ", ".join(str(item) for item in value if item is not None)
    name = without_surrogates(prefix) or "text"
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, (dict, list)):
        return {name: json.dumps(json_value(value), ensure_ascii=False)}
    if isinstance(value, str):
        return {name: without_surrogates(value).strip()}
    return {name: json_value(value)}
