"""PowerPoint: one page per slide, its title as heading, then texts, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from searchkit.documents.archive import Archive, attribute, core_properties, local, main_part, open_archive
from searchkit.documents.assemble import Assembly, one_line, table_row
from searchkit.documents.reading import LoadOptions
from searchkit.records import Document, JsonValue, SourceFile

_TITLES = frozenset(("title", "ctrTitle"))
_FURNITURE = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))


def load_pptx(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with a heading 'Slide 3: title' and a page start per slide."""
    assembly = Assembly(options.limits.text_characters)
    first_title = ""
    with open_archive(source, options.limits) as archive:
        presentation = main_part(archive, "officeDocument", "ppt/presentation.xml")
        properties = core_properties(archive)
        for number, part in enumerate(_slides(archive, presentation), 1):
            assembly.page()
            shown = _slide(archive, part, number, assembly)
            first_title = first_title or shown
    metadata: dict[str, JsonValue] = dict(properties)
    title = properties.get("title", "")
    yield Document(
        name=source.name,
        kind="pptx",
        text=assembly.text,
        # PowerPoint's own default, in whatever language, is a generic word: prefer what the first slide says.
        title=first_title or title,
        headings=assembly.headings,
        page_starts=assembly.page_starts,
        metadata=metadata,
    )


def _slides(archive: Archive, presentation: str) -> Iterator[str]:
    """Yield the slides' parts in the order of the show."""
    parts = archive.related(presentation)
    for item in archive.tree(presentation).iter():
        if local(item.tag) == "sldId":
            # Both the slide's own id and the relation's are called 'id': the latter has a namespace.
            relation = next((value for key, value in item.items() if key.endswith("}id")), "")
            kind, name = parts.get(relation, ("", ""))
            if kind == "slide":
                yield name


def _slide(archive: Archive, part: str, number: int, assembly: Assembly) -> str:
    """Append one slide; return its title."""
    titles: list[str] = []
    blocks: list[list[str]] = []
    for shape in _shapes(archive.tree(part)):
        placeholder = _placeholder(shape)
        if placeholder in _TITLES:
            titles += _paragraphs(shape)
        elif placeholder not in _FURNITURE:
            blocks.append(_rows(shape) if local(shape.tag) == "graphicFrame" else _paragraphs(shape))
    title = one_line(" ".join(titles))
    if title or any(blocks):
        assembly.heading(1, f"Slide {number}: {title}" if title else f"Slide {number}")
    for lines in blocks:
        assembly.block("\n".join(lines))
    for kind, name in archive.related(part).values():
        if kind == "notesSlide" and name in archive:
            notes = [line for shape in _shapes(archive.tree(name)) if _placeholder(shape) == "body"
                     for line in _paragraphs(shape)]  # fmt: skip
            if notes:
                assembly.block("Notes: " + "\n".join(notes))
    return title


def _shapes(slide: Element) -> Iterator[Element]:
    """Yield shapes and tables, those in groups too, in the order of the file."""
    pending = [slide]
    while pending:
        item = pending.pop()
        name = local(item.tag)
        if name in ("sp", "graphicFrame"):
            yield item
        elif name != "Fallback":
            pending.extend(reversed(item))


def _placeholder(shape: Element) -> str:
    """What kind of placeholder a shape fills; '' if it is none."""
    found = next((item for item in shape.iter() if local(item.tag) == "ph"), None)
    return "" if found is None else attribute(found, "type") or "body"


def _paragraphs(shape: Element) -> list[str]:
    """The non-empty paragraphs of a shape or a table's cell."""
    lines = []
    for paragraph in (item for item in shape.iter() if local(item.tag) == "p"):
        parts = []
        for item in paragraph.iter():
            name = local(item.tag)
            parts.append((item.text or "") if name == "t" else "\n" if name == "br" else "")
        if text := "".join(parts).strip():
            lines.append(text)
    return lines


def _rows(frame: Element) -> list[str]:
    """The rows of a table as 'cell | cell'; none for charts and other pictures."""
    rows = []
    for row in (item for item in frame.iter() if local(item.tag) == "tr"):
        cells = [" ".join(_paragraphs(cell)) for cell in row if local(cell.tag) == "tc"]
        if line := table_row(cells):
            rows.append(line)
    return rows
