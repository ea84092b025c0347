"""Excel workbooks: a heading per sheet, rows as 'cell | cell', dates and percentages as people see them."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

from searchkit.documents.archive import core_properties, main_part, open_archive
from searchkit.documents.assemble import Assembly, table_row
from searchkit.documents.reading import LoadOptions
from searchkit.errors import DocumentError
from searchkit.records import Document, JsonValue, SourceFile

WIDEST_GAP = 8  # empty cells kept between filled ones; a cell far to the right would else cost thousands
LAST_ROW = 1_048_576  # Excel's; openpyxl would count up to whatever number a row claims to have
# openpyxl fills the gaps that a file leaves between cells and between rows: 4 s for this many cells.
MOST_EMPTY = 200_000_000
EMPTY_ROW = 10  # a row costs at least as much as so many cells

_STREAMED = ("xl/worksheets/", "xl/sharedStrings")
_EAST_ASIAN_DATES = frozenset((*range(27, 37), *range(50, 59)))  # built into Excel, unknown to openpyxl
_DAYS = 2_957_000  # the last that is a date in Python whether counting from 1900 or from 1904
_LITERAL = re.compile(r'"[^"]*"|\\.')


def load_xlsx(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with all visible sheets that hold something, values as last computed."""
    assembly = Assembly(options.limits.text_characters)
    with open_archive(source, options.limits) as archive:
        properties = core_properties(archive)  # openpyxl would make up what is missing
        copy = archive.only_xml(main_part(archive, "officeDocument", "xl/workbook.xml"), streamed=_STREAMED)
    with warnings.catch_warnings():
        # What openpyxl says would be lost on saving is of no interest here.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")
        names = _workbook(copy, assembly)
    yield Document(
        name=source.name,
        kind="xlsx",
        text=assembly.text,
        title=properties.get("title", ""),
        headings=assembly.headings,
        marks=assembly.marks("row", by_line=True, sheets=[str(name) for name in names]),
        metadata={**properties, "sheets": names},
    )


def _workbook(file: IO[bytes], assembly: Assembly) -> list[JsonValue]:
    """Append the visible sheets; return the names of those that hold something."""
    import openpyxl  # 150 ms that only workbooks pay

    names: list[JsonValue] = []
    last = 0  # row appended
    with closing(openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)) as book:
        for name, cells in _rows(book):
            if not (line := table_row(_with_gaps(cells))):
                continue
            number = cells[0].row
            if name not in names[-1:]:
                assembly.mark(number)  # a passage of heading and rows begins with the first row
                assembly.heading(1, f"Sheet: {name}")
                names.append(name)
                assembly.mark(number)
                assembly.block(line)
            else:
                if number != last + 1:
                    assembly.mark(number)
                assembly.block(line, gap="\n")
            last = number
    return names


def _rows(book: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield the filled cells of each row of the visible sheets, and the sheet's name with them."""
    empty = 0
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        for row in sheet.iter_rows(max_row=LAST_ROW):
            cells = [cell for cell in row if cell.value is not None] if row else []
            empty += max(len(row), EMPTY_ROW) - len(cells)
            if empty > MOST_EMPTY:
                raise DocumentError(
                    f"holds more than {MOST_EMPTY:,} empty cells between filled ones",
                    remedy="delete the stray cells far below or to the right, and save the file again",
                )
            if cells:
                yield sheet.title, cells


def _with_gaps(cells: list[Any]) -> Iterator[str]:
    """Yield the texts of a row's filled cells with the empty ones between them, wide gaps shortened."""
    last = 0
    for cell in cells:
        if text := _shown(cell):
            yield from [""] * min(cell.column - last - 1, WIDEST_GAP)
            yield text
            last = cell.column


def _shown(cell: Any) -> str:
    """A filled cell as people see it, but with dates in ISO form and numbers in full."""
    value = cell.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if cell.style_array.numFmtId in _EAST_ASIAN_DATES and 0 <= value < _DAYS:
            return _moment(_east_asian(value, cell))
        if "%" in _LITERAL.sub("", cell.number_format):
            return f"{value * 100:.10g}%"
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return _moment(value)


def _east_asian(value: float, cell: Any) -> Any:
    from openpyxl.utils.datetime import from_excel

    return from_excel(value, cell.parent.parent.epoch)


def _moment(value: Any) -> str:
    """A date, time or duration; seconds are the finest people see."""
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(int(abs(value).total_seconds()), 60)
        return f"{'-' if value.days < 0 else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, datetime.datetime):
        whole_day = value.time() == datetime.time()
        return value.date().isoformat() if whole_day else value.isoformat(" ", "seconds")
    return value.isoformat("seconds") if isinstance(value, datetime.time) else str(value)
