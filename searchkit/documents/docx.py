"""Word documents: paragraphs, headings by style or outline level, lists and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from searchkit.documents.archive import Archive, attribute, core_properties, local, main_part, open_archive
from searchkit.documents.assemble import Assembly, one_line, table_row
from searchkit.documents.reading import LoadOptions
from searchkit.records import Document, JsonValue, SourceFile

DEEPEST_STYLE = 20  # styles may be based on each other in a circle

_HEADING = re.compile(r"head(?:ing)? ?(?:([1-9])|([a-e]))(?![a-z])", re.I)
_TITLE = re.compile(r"(?:(?:chapter|appendix|part|(?:front|back)matter) ?)?title", re.I)
_CLOSE_LINES = re.compile(r"code(?!.*(?:caption|label))|preformat|source", re.I)
_SKIPPED = frozenset(("Fallback", "del", "moveFrom", "instrText", "pPr", "rPr", "tblPr", "txbxContent"))
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


@dataclass(frozen=True, slots=True)
class _Style:
    level: int  # 0: no heading
    is_title: bool
    close_lines: bool  # no empty line between paragraphs of this style
    listed: bool


_PLAIN = _Style(0, False, False, False)


def load_docx(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document: headings with their levels, list items as '- …', table rows as 'cell | cell'."""
    assembly = Assembly(options.limits.text_characters)
    title = ""
    with open_archive(source, options.limits) as archive:
        part = main_part(archive, "officeDocument", "word/document.xml")
        styles = _styles(archive, part)
        properties = core_properties(archive)
        previous = _PLAIN
        for block in _blocks(archive, part):
            if local(block.tag) == "tbl":
                _table(block, assembly)
                previous = _PLAIN
                continue
            style = _style_of(block, styles)
            text = _text(block)
            if style.level:
                assembly.heading(style.level, text)
                title = title or (one_line(text) if style.is_title else "")
            else:
                close = (style.close_lines and previous.close_lines) or (style.listed and previous.listed)
                mark = "- " if style.listed and text.strip() else ""
                assembly.block(mark + text, gap="\n" if close else "\n\n")
            previous = style
            for box in (found for found in block.iter() if local(found.tag) == "txbxContent"):
                if not _inside_fallback(block, box):
                    assembly.block("\n".join(_text(paragraph) for paragraph in _children(box, "p")))
        for notes in ("footnotes", "endnotes"):
            for kind, name in archive.related(part).values():
                if kind == notes and name in archive:
                    _notes(archive, name, assembly)
    metadata: dict[str, JsonValue] = dict(properties)
    yield Document(
        name=source.name,
        kind="docx",
        text=assembly.text,
        title=properties.get("title", "") or title,
        headings=assembly.headings,
        metadata=metadata,
    )


def _blocks(archive: Archive, part: str) -> Iterator[Element]:
    """Yield the paragraphs and tables of the body, outermost only, in order."""
    for body in _children(archive.tree(part), "body"):
        pending = list(reversed(body))
        while pending:
            element = pending.pop()
            name = local(element.tag)
            if name in ("p", "tbl"):
                yield element
            elif name not in ("sectPr", *_SKIPPED):  # content controls, insertions, custom XML
                pending.extend(reversed(element))


def _text(element: Element) -> str:
    """The text of a paragraph without its text boxes and deleted parts."""
    parts: list[str] = []
    pending = [element]
    while pending:
        item = pending.pop()
        name = local(item.tag)
        if name == "t":
            parts.append(item.text or "")
        elif name in _BREAKS:
            parts.append(_BREAKS[name])
        elif name not in _SKIPPED:
            pending.extend(reversed(item))
    return "".join(parts)


def _table(table: Element, assembly: Assembly) -> None:
    gap = "\n\n"
    for row in _children(table, "tr"):
        cells = []
        for cell in _children(row, "tc"):
            paragraphs = [item for item in cell.iter() if local(item.tag) == "p"]
            cells.append(" ".join(_text(paragraph) for paragraph in paragraphs))
        if line := table_row(cells):
            assembly.block(line, gap=gap)
            gap = "\n"


def _children(element: Element, name: str) -> Iterator[Element]:
    """Children of a name, also within content controls; in order."""
    for child in element:
        found = local(child.tag)
        if found == name:
            yield child
        elif found in ("sdt", "sdtContent", "customXml", "ins", "smartTag"):
            yield from _children(child, name)


def _inside_fallback(block: Element, box: Element) -> bool:
    """Whether a text box is the copy that old versions of Word read."""
    return any(
        item is box
        for fallback in block.iter()
        if local(fallback.tag) == "Fallback"
        for item in fallback.iter()
    )


def _notes(archive: Archive, name: str, assembly: Assembly) -> None:
    for note in archive.tree(name):
        if not attribute(note, "type"):  # separators have one
            assembly.block(" ".join(_text(item) for item in note.iter() if local(item.tag) == "p").strip())


def _style_of(paragraph: Element, styles: dict[str, _Style]) -> _Style:
    properties = next((child for child in paragraph if local(child.tag) == "pPr"), None)
    style, level, listed = _PLAIN, 0, False
    for item in () if properties is None else properties:
        name = local(item.tag)
        if name == "pStyle":
            style = styles.get(attribute(item, "val"), _PLAIN)
        elif name == "outlineLvl":
            level = _outline(item)
        elif name == "numPr":
            numbers = [attribute(child, "val") for child in item if local(child.tag) == "numId"]
            listed = numbers != ["0"]
    level = level or style.level
    return _Style(level, style.is_title, style.close_lines, not level and (listed or style.listed))


def _styles(archive: Archive, part: str) -> dict[str, _Style]:
    """What each paragraph style means, inherited properties included."""
    name = next(
        (name for kind, name in archive.related(part).values() if kind == "styles"), "word/styles.xml"
    )
    if name not in archive:
        return {}
    raw: dict[str, tuple[str, str, int, bool]] = {}  # id -> name, based on, level, listed
    for style in archive.tree(name):
        if local(style.tag) != "style" or attribute(style, "type") == "character":
            continue
        shown, base, level, listed = "", "", 0, False
        for item in style.iter():
            found = local(item.tag)
            if found == "name":
                shown = attribute(item, "val")
            elif found == "basedOn":
                base = attribute(item, "val")
            elif found == "outlineLvl":
                level = _outline(item)
            elif found == "numPr":
                listed = True
        raw[attribute(style, "styleId")] = (shown, base, level, listed)
    return {style: _inherit(style, raw) for style in raw}


def _inherit(style: str, raw: dict[str, tuple[str, str, int, bool]]) -> _Style:
    level, is_title, close_lines, listed = 0, False, False, False
    for _ in range(DEEPEST_STYLE):
        if style not in raw:
            break
        shown, base, own_level, own_listed = raw[style]
        heading = _HEADING.match(shown)
        if not level and heading:
            level = int(heading[1]) if heading[1] else "abcde".index(heading[2].lower()) + 1
        level = level or own_level
        is_title = is_title or bool(_TITLE.fullmatch(shown))
        close_lines = close_lines or bool(_CLOSE_LINES.search(shown))
        listed = listed or own_listed or shown.lower().startswith("list bullet")
        style = base
    return _Style(1 if is_title else level, is_title, close_lines, listed and not level)


def _outline(element: Element) -> int:
    """An outline level as a heading's level, 0 for body text."""
    value = attribute(element, "val")
    return int(value) + 1 if value.isdecimal() and int(value) < 9 else 0
