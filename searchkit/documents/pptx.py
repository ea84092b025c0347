"""PowerPoint: one page per slide, its title as heading, then texts, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from searchkit.documents.archive import core_properties, main_part, open_archive
from searchkit.documents.assemble import Assembly, one_line, table_row
from searchkit.documents.reading import LoadOptions
from searchkit.records import Document, JsonValue, SourceFile

_TITLES = frozenset(("TITLE", "CENTER_TITLE"))
_FURNITURE = frozenset(("SLIDE_NUMBER", "DATE", "FOOTER", "HEADER", "SLIDE_IMAGE"))
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"


def load_pptx(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with a heading 'Slide 3: title' and a mark per slide."""
    from pptx.package import Package  # 150 ms that only slides pay

    assembly = Assembly(options.limits.text_characters)
    first_title = ""
    with open_archive(source, options.limits) as archive:
        properties = core_properties(archive)  # python-pptx would make up what is missing
        copy = archive.only_xml(main_part(archive, "officeDocument", "ppt/presentation.xml"))
    # Not pptx.Presentation(), which is this but refuses .ppsx.
    for number, slide in enumerate(Package.open(copy).main_document_part.presentation.slides, 1):
        assembly.mark(number)
        shown = _slide(slide, number, assembly)
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
        marks=assembly.marks("slide"),
        metadata=metadata,
    )


def _slide(slide: Any, number: int, assembly: Assembly) -> str:
    """Append one slide; return its title."""
    titles: list[str] = []
    blocks: list[list[str]] = []
    _choose_alternatives(slide.element)
    for shape in _shapes(slide.shapes):
        placeholder = _placeholder(shape)
        if placeholder in _TITLES:
            titles += _paragraphs(shape.text_frame)
        elif shape.has_table:
            blocks.append(_rows(shape.table))
        elif shape.has_text_frame and placeholder not in _FURNITURE:
            blocks.append(_paragraphs(shape.text_frame))
    title = one_line(" ".join(titles))
    if title or any(blocks):
        assembly.heading(1, f"Slide {number}: {title}" if title else f"Slide {number}")
    for lines in blocks:
        assembly.block("\n".join(lines))
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and (lines := _paragraphs(notes)):
        assembly.block("Notes: " + "\n".join(lines))
    return title


def _choose_alternatives(element: Any) -> None:
    """Replace shapes given in two versions, such as those with a formula, by the newer one.

    python-pptx would read neither.
    """
    for both in list(element.iter(f"{_ALTERNATIVES}AlternateContent")):
        for choice in both.findall(f"{_ALTERNATIVES}Choice")[:1]:
            for child in list(choice):
                both.addprevious(child)
        both.getparent().remove(both)


def _shapes(shapes: Any) -> Iterator[Any]:
    """Yield shapes and tables, those in groups too, in the order of the file."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _placeholder(shape: Any) -> str:
    """What kind of placeholder a shape fills; '' if it is none."""
    return str(shape.placeholder_format.type.name) if shape.is_placeholder else ""


def _paragraphs(frame: Any) -> list[str]:
    """The non-empty paragraphs of a shape or a table's cell."""
    texts = (paragraph.text.replace("\v", "\n").strip() for paragraph in frame.paragraphs)
    return [text for text in texts if text]


def _rows(table: Any) -> list[str]:
    """The rows of a table as 'cell | cell'."""
    lines = (table_row(" ".join(_paragraphs(cell.text_frame)) for cell in row.cells) for row in table.rows)
    return [line for line in lines if line]
