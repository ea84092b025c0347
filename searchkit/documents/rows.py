"""Tables of texts: every row of a CSV, TSV or JSONL file becomes a Document; files are streamed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol, TextIO

from searchkit.documents.assemble import json_value, one_line
from searchkit.documents.decode import find_encoding, without_surrogates
from searchkit.documents.reading import MIB, LoadOptions
from searchkit.errors import DocumentError
from searchkit.records import Document, Failure, JsonValue, Marks, SourceFile

SAMPLE_BYTES = 4 * MIB  # read to tell the encoding
SNIFFED_CHARACTERS = 1 << 14  # read to tell the delimiter
SNIFFED_ROWS = 20
SEPARATOR_CHARACTERS = 16  # of Excel's line 'sep=;', at most
MOST_PREAMBLE = 10  # lines above the column names, such as a report's title and date
# Characters of a field that metadata repeats; longer ones are text, not something to filter by.
FIELD_KEPT = 1000
LISTED_FAILURES = 100  # rows reported one by one; the rest is counted
FLAT_DEPTH = 4

_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"sep=([,;\t|])[ \t]{0,8}(?:\r\n|\r|\n)", re.I)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,10})?")
_TITLES = ("title", "subject", "headline", "question", "name")


def load_csv(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield a Document 'file#row' per non-empty row, the first row with several cells being column names.

    Rows that cannot be read go to `options.on_failure`, so does a quote that is not closed; the lines
    below it are then rows of their own.
    """
    losses = _Losses(source, options)
    for number, lines, fields, alone in csv_rows(source, options, losses):
        if _says_something(fields):
            losses.loaded += 1
            yield _row(source, number, lines, fields, alone=alone)
    losses.close("rows under its line of column names")


def csv_rows(
    source: SourceFile, options: LoadOptions, losses: Losses
) -> Iterator[tuple[int, tuple[int, int], dict[str, JsonValue], bool]]:
    """Yield each row's number, first and last line, cells by column, and whether there is one column only."""
    with _open(source) as file:
        start = file.read(SNIFFED_CHARACTERS)
        declared = _SEPARATOR.match(start)  # Excel's own line, no row
        start = start[declared.end() :] if declared else start
        delimiter = "\t" if source.path.suffix.lower() in (".tsv", ".tab") else _delimiter(start)
        delimiter = declared[1] if declared else delimiter
        # A process-wide setting of the csv module, and only ever raised: it says how long a field may be.
        csv.field_size_limit(max(csv.field_size_limit(), options.limits.row_characters))
        raw = (line.replace("\0", " ") for line in _lines_from(start, file))
        reader = _Reader(raw, delimiter, first=2 if declared else 1)
        preamble = _preamble_rows(start, delimiter)
        columns = next(
            islice((row for row in reader if any(cell.strip() for cell in row)), preamble, None), []
        )
        names = _column_names(columns)
        reader.columns = len(columns)
        for number, lines, row in _numbered(reader, losses):
            fields: dict[str, JsonValue] = {}
            for index, cell in enumerate(row):
                if cell.strip():
                    fields[names[index] if index < len(names) else f"column {index + 1}"] = cell.strip()
            yield number, lines, fields, len(names) == 1


def load_jsonl(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield a Document 'file#row' per line that holds an object or a text.

    Lines that are not JSON go to `options.on_failure`.
    """
    losses = _Losses(source, options)
    for number, line, value in json_rows(source, options, losses):
        fields = _flatten(value)
        if _says_something(fields):
            losses.loaded += 1
            yield _row(source, number, (line, line), fields, alone=not isinstance(value, dict))
    losses.close("lines of JSON")


def json_rows(source: SourceFile, options: LoadOptions, losses: Losses) -> Iterator[tuple[int, int, Any]]:
    """Yield the number, the line and the value of each line that is not empty."""
    number = 0
    with _open(source) as file:
        for place, line in enumerate(file, 1):
            if not line.strip():
                continue
            number += 1
            if len(line) > options.limits.row_characters:
                losses.add(
                    number,
                    f"holds {len(line):,} characters, at most {options.limits.row_characters:,} are read",
                    place,
                )
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = error if isinstance(error, ValueError) else "nested too deeply"
                losses.add(number, f"is not JSON: {reason}", place)
                continue
            yield number, place, value


class Losses(Protocol):
    """Takes note of rows that cannot be read."""

    def add(self, number: int, reason: str, line: int | None = None) -> None:
        """Note row `number`, on `line` where that is known."""


class _Losses:
    """Counts rows loaded and lost, and reports the lost ones."""

    def __init__(self, source: SourceFile, options: LoadOptions) -> None:
        self._name = source.name
        self._report = options.on_failure
        self.loaded = self.lost = 0

    def add(self, number: int, reason: str, line: int | None = None) -> None:
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


class _Reader:
    """A csv.reader that knows when a row swallowed those below it because a quote was not closed."""

    def __init__(self, lines: Iterator[str], delimiter: str, first: int) -> None:
        self.delimiter = delimiter
        self.columns = 0
        self._first = first  # number of the first line
        self._raw: list[str] = []  # the lines of the row being read
        self._rows = csv.reader(self._kept(lines), delimiter=delimiter)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self._raw.clear()
        row = next(self._rows)
        if len(self._raw) > 1 and (self._is_open() or self._holds_rows()):
            raise _OpenQuote(self.lines[0], self._raw.copy())
        return row

    @property
    def lines(self) -> tuple[int, int]:
        """The first and the last line of the row read last, from 1."""
        last = self._rows.line_num + self._first - 1
        return last - len(self._raw) + 1, last

    def _kept(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self._raw.append(line)
            yield line

    def _is_open(self) -> bool:
        """Whether the lines end within quotes: then one more line still belongs to them."""
        row = next(csv.reader([*self._raw, "\n"], delimiter=self.delimiter))
        return row != next(csv.reader(self._raw, delimiter=self.delimiter))

    def _holds_rows(self) -> bool:
        """Whether a quote is closed in the middle of a field, and most lines above it are rows themselves."""
        try:
            next(csv.reader(self._raw, delimiter=self.delimiter, strict=True))
        except csv.Error:
            rows = [next(csv.reader([line], delimiter=self.delimiter), []) for line in self._raw[1:]]
            return self.columns > 1 and 2 * sum(len(row) == self.columns for row in rows) >= len(rows)
        return False


class _OpenQuote(Exception):
    """A row that begins at `line`, from 1, opens a quote that is not closed at the end of a field."""

    def __init__(self, line: int, raw: list[str]) -> None:
        super().__init__(f"line {line:,} opens a quote that is not closed")
        self.line, self._raw = line, raw

    def rows(self, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Its lines as rows of their own, with their numbers; the quote is a character like others."""
        for row in csv.reader(self._raw[:1], delimiter=delimiter, quoting=csv.QUOTE_NONE):
            yield self.line, row
        for number, line in enumerate(self._raw[1:], self.line + 1):
            with suppress(csv.Error):
                for row in filter(None, csv.reader([line], delimiter=delimiter)):
                    yield number, row


def _numbered(reader: _Reader, losses: Losses) -> Iterator[tuple[int, tuple[int, int], list[str]]]:
    """Yield rows with their numbers from 1, their first and their last line.

    One that the reader cannot take is reported and left out.
    """
    number = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except _OpenQuote as found:
            losses.add(
                number + 1,
                f"opens a quote on line {found.line:,} that is not closed: that line and those below it "
                "are read as rows of their own",
            )
            for line, row in found.rows(reader.delimiter):
                number += 1
                yield number, (line, line), row
            continue
        except csv.Error as error:
            number += 1
            losses.add(number, f"cannot be read as CSV: {error}")
            continue
        if row:
            number += 1
            yield number, reader.lines, row


def _delimiter(sample: str) -> str:
    """The delimiter that cuts the sample's rows into the same number of fields, above one, most often."""
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        lengths = Counter(map(len, _sampled_rows(sample, delimiter)))
        for length, count in lengths.most_common(2):  # the most common one may be that of broken rows
            score = count / lengths.total() + length / 1000
            if length > 1 and score > best_score:
                best, best_score = delimiter, score
    return best


def _preamble_rows(sample: str, delimiter: str) -> int:
    """How many rows stand above the column names: each has one cell where most others have more."""
    rows = _sampled_rows(sample, delimiter)
    several = [len(row) for row in rows if len(row) > 1]
    if 2 * len(several) < len(rows) or not several:
        return 0
    usual = Counter(several).most_common(1)[0][0]
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows[: MOST_PREAMBLE + 1]]
    lone = [count == 1 and (len(row) == 1 or usual > 2) for row, count in zip(rows, filled, strict=False)]
    return lone.index(False) if False in lone else 0


def _sampled_rows(sample: str, delimiter: str) -> list[list[str]]:
    """The first rows that are not empty; none if the sample cannot be read with this delimiter."""
    lines = sample.splitlines()
    if len(sample) >= SNIFFED_CHARACTERS - SEPARATOR_CHARACTERS and len(lines) > 1:
        lines.pop()  # it may be cut
    try:
        rows = list(islice(csv.reader(lines, delimiter=delimiter), SNIFFED_ROWS))
    except csv.Error:
        return []
    return [row for row in rows if any(cell.strip() for cell in row)]


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


def _row(
    source: SourceFile, number: int, lines: tuple[int, int], fields: dict[str, JsonValue], *, alone: bool
) -> Document:
    """The Document of one row: a line 'column: value' per field, or the value itself if it stands alone.

    lines: its first and its last one in the file.
    """
    texts = {name: without_surrogates(str(value)) for name, value in fields.items()}
    shown = "\n".join(texts.values() if alone else (f"{name}: {value}" for name, value in texts.items()))
    # A row that runs over lines begins on the first one; which of its characters stand where, only it knows.
    starts = (0,) if lines[0] == lines[1] else (0, len(shown) - 1)
    titles = {name.lower(): value for name, value in texts.items()}
    return Document(
        name=f"{source.name}#{number}",
        kind="row",
        text=shown,
        title=next((one_line(titles[name])[:200] for name in _TITLES if name in titles), ""),
        marks=Marks(unit="line", starts=starts, numbers=lines[: len(starts)]),
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
