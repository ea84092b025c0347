"""Excel workbooks: a heading per sheet, rows as 'cell | cell', dates and percentages as people see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from searchkit.documents.archive import Archive, attribute, core_properties, local, main_part, open_archive
from searchkit.documents.assemble import Assembly, table_row
from searchkit.documents.reading import LoadOptions
from searchkit.records import Document, JsonValue, SourceFile

WIDEST_GAP = 8  # empty cells kept between filled ones; a cell far to the right would else cost thousands

_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_PERCENT_FORMATS = frozenset((9, 10))
_NOT_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
_COLUMN = re.compile(r"[A-Z]{1,3}")


@dataclass(frozen=True, slots=True)
class _Book:
    """What a cell's content is to be read with."""

    strings: list[str]
    formats: list[str]  # by cell style: 'date', 'percent' or ''
    origin: datetime  # what day 0 is


def load_xlsx(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with all visible sheets that hold something, values as last computed."""
    assembly = Assembly(options.limits.text_characters)
    with open_archive(source, options.limits) as archive:
        workbook = main_part(archive, "officeDocument", "xl/workbook.xml")
        properties = core_properties(archive)
        parts = archive.related(workbook)
        tree = archive.tree(workbook)
        book = _book(archive, parts, tree)
        names: list[JsonValue] = []
        for sheet in (item for item in tree.iter() if local(item.tag) == "sheet"):
            relation = next((value for key, value in sheet.items() if key.endswith("}id")), "")
            kind, part = parts.get(relation, ("", ""))
            if kind == "worksheet" and attribute(sheet, "state") in ("", "visible"):
                name = attribute(sheet, "name")
                if _sheet(archive, part, name, book, assembly):
                    names.append(name)
    yield Document(
        name=source.name,
        kind="xlsx",
        text=assembly.text,
        title=properties.get("title", ""),
        headings=assembly.headings,
        metadata={**properties, "sheets": names},
    )


def _sheet(archive: Archive, part: str, name: str, book: _Book, assembly: Assembly) -> bool:
    """Append a sheet; return whether it holds anything."""
    gap = "\n\n"
    for row in archive.events(part, frozenset(("row",))):
        line = table_row(_cells(row, book))
        if line:
            if gap == "\n\n":
                assembly.heading(1, f"Sheet: {name}")
            assembly.block(line, gap=gap)
            gap = "\n"
    return gap == "\n"


def _cells(row: Element, book: _Book) -> Iterator[str]:
    """Yield a row's cells with the empty ones between them, wide gaps shortened."""
    last = 0
    for cell in row:
        if local(cell.tag) != "c":
            continue
        text = _value(cell, book)
        match = _COLUMN.match(attribute(cell, "r"))
        column = _number(match[0]) if match else last + 1
        if text:
            yield from [""] * min(column - last - 1, WIDEST_GAP)
            yield text
            last = column


def _value(cell: Element, book: _Book) -> str:
    kind = attribute(cell, "t")
    if kind == "inlineStr":
        return _string(cell)
    raw = next((item.text or "" for item in cell if local(item.tag) == "v"), "")
    if kind == "s":
        return book.strings[int(raw)] if raw.isdecimal() and int(raw) < len(book.strings) else ""
    if kind == "b":
        return "true" if raw == "1" else "false"
    if kind in ("str", "d", "e") or not raw:
        return raw
    style = attribute(cell, "s")
    shown = book.formats[int(style)] if style.isdecimal() and int(style) < len(book.formats) else ""
    try:
        number = float(raw)
        if shown == "date":
            return _date(number, book.origin)
    except (ValueError, OverflowError):
        return raw
    return f"{number * 100:.10g}%" if shown == "percent" else f"{number:.15g}"


def _date(days: float, origin: datetime) -> str:
    if 0 <= days < 1:
        return (origin + timedelta(days=days)).strftime("%H:%M:%S")
    # Day 60 of the old calendar is a 29 February 1900 that never was.
    moment = origin + timedelta(days=days + (1 if days < 60 and origin.year == 1899 else 0))
    moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0)
    return moment.isoformat(" ") if moment.time() != moment.min.time() else moment.date().isoformat()


def _book(archive: Archive, parts: dict[str, tuple[str, str]], workbook: Element) -> _Book:
    strings: list[str] = []
    formats: list[str] = []
    for kind, part in parts.values():
        if kind == "sharedStrings" and part in archive:
            strings = [_string(item) for item in archive.events(part, frozenset(("si",)))]
        elif kind == "styles" and part in archive:
            formats = _formats(archive.tree(part))
    old_mac = any(
        local(item.tag) == "workbookPr" and attribute(item, "date1904") in ("1", "true")
        for item in workbook.iter()
    )
    return _Book(strings, formats, datetime(1904, 1, 1) if old_mac else datetime(1899, 12, 30))


def _formats(styles: Element) -> list[str]:
    """What each cell style makes of a number."""
    custom: dict[str, str] = {}
    formats: list[str] = []
    for item in styles.iter():
        name = local(item.tag)
        if name == "numFmt":
            custom[attribute(item, "numFmtId")] = _NOT_FORMAT.sub("", attribute(item, "formatCode"))
        elif name == "cellXfs":
            for style in item:
                code = attribute(style, "numFmtId")
                known = int(code) if code.isdecimal() else 0
                text = custom.get(code, "").lower()
                date = known in _DATE_FORMATS or (code in custom and re.search("[dmyh]|ss", text) is not None)
                percent = known in _PERCENT_FORMATS or "%" in text
                formats.append("date" if date else "percent" if percent else "")
    return formats


def _string(element: Element) -> str:
    """The text of a string item: its runs, without readings (phonetic guides)."""
    parts: list[str] = []
    pending = [element]
    while pending:
        item = pending.pop()
        name = local(item.tag)
        if name == "t":
            parts.append(item.text or "")
        elif name != "rPh":
            pending.extend(reversed(item))
    return "".join(parts)


def _number(letters: str) -> int:
    """A column's number from 1: 'A' is 1, 'AA' is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
