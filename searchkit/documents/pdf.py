"""PDF: the lines of each page with their looks, and where pages begin; what lines mean is pdf_layout's."""

from __future__ import annotations

import ctypes
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from searchkit.documents.assemble import Assembly, one_line
from searchkit.documents.decode import without_surrogates
from searchkit.documents.pdf_layout import Line, Words, blocks, body_size, drop_furniture, tidy
from searchkit.documents.reading import LoadOptions
from searchkit.errors import DocumentError
from searchkit.records import Document, JsonValue, SourceFile

GARBAGE_SHARE = 0.3  # of a page's visible characters; above it the page's text layer is no text
LEAST_LETTERS = 12  # on all pages together; fewer are a stamp on a scan
HEADING_CANDIDATE = 130  # characters; the looks of longer lines are not asked for
BOLD_WEIGHT = 600
ITALIC_FLAG = 1 << 6  # of a font descriptor

# pdfium must never be entered by two threads at a time.
_PDFIUM = threading.Lock()
_WRONG_PASSWORD = 4  # pdfium's error code


@dataclass(frozen=True, slots=True)
class _Page:
    lines: list[Line]
    garbled: bool


def load_pdf(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document: paragraphs with lines and hyphenated words joined, running heads left out.

    Headings are short lines set larger or bolder than the body.
    """
    with _PDFIUM:
        read, properties = _read(source, options)
    _refuse_unreadable(read)
    pages = drop_furniture([page.lines for page in read])
    words, body = Words(pages), body_size(pages)
    assembly = Assembly(options.limits.text_characters)
    for page in pages:
        assembly.page()
        for block in blocks(page, words, body):
            if block.level:
                assembly.heading(block.level, block.text)
            else:
                assembly.block(block.text)
    title = properties.pop("title", "")
    metadata: dict[str, JsonValue] = {**properties, "pages": len(pages)}
    if garbled := [number for number, page in enumerate(read, 1) if page.garbled]:
        metadata["unreadable_pages"] = list(garbled)
    headings = assembly.headings
    yield Document(
        name=source.name,
        kind="pdf",
        text=assembly.text,
        title=title if _is_title(title) else next((h.text for h in headings[:3] if h.level == 1), ""),
        headings=headings,
        page_starts=assembly.page_starts,
        metadata=metadata,
    )


def _read(source: SourceFile, options: LoadOptions) -> tuple[list[_Page], dict[str, str]]:
    """Return the lines of every page, and title, author and the like."""
    import pypdfium2  # 60 ms that only PDFs pay

    with source.path.open("rb") as file:
        start = file.read(1024)
    if b"%PDF-" not in start:
        raise DocumentError(
            "does not begin as a PDF does ('%PDF-')",
            remedy="check that the file is whole and its suffix right",
        )
    try:
        document = pypdfium2.PdfDocument(source.path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", 0) == _WRONG_PASSWORD or "password" in str(error).lower():
            raise DocumentError(
                "is encrypted", remedy="remove the password and save the file again"
            ) from error
        raise DocumentError(
            f"cannot be opened as PDF: {error}", remedy="fetch or print the file again: it is cut or damaged"
        ) from error
    with document:
        found = document.get_metadata_dict(skip_empty=True)
        names = {"Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords"}
        properties = {
            names[key]: one_line(without_surrogates(value))[:500]
            for key, value in found.items()
            if key in names
        }
        pages: list[_Page] = []
        characters = 0
        for index in range(len(document)):
            pages.append(_page(document, index))
            characters += sum(len(line.text) for line in pages[-1].lines)
            if characters > options.limits.text_characters:
                raise DocumentError(
                    f"holds more than {options.limits.text_characters:,} characters of text",
                    remedy="split the file, or leave it out through .searchkitignore",
                )
    return pages, properties


def _page(document: Any, index: int) -> _Page:
    """A page's lines with their looks; none if pdfium cannot read the page or it is garbled."""
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _Page([], False)
    textpage = page.get_textpage()
    try:
        text = textpage.get_text_range(errors="replace")
        garbled = _is_garbled(text)
        return _Page([] if garbled else list(_lines(textpage.raw, text)), garbled)
    finally:
        textpage.close()
        page.close()


def _lines(textpage: Any, text: str) -> Iterator[Line]:
    from pypdfium2 import raw

    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    position = 0
    for shown in text.split("\n"):
        tidied = tidy(shown)
        if tidied:
            place = position + len(shown) - len(shown.lstrip())
            char = raw.FPDFText_GetCharIndexFromTextIndex(textpage, place)
            bold = italic = False
            if len(tidied) <= HEADING_CANDIDATE:
                raw.FPDFText_GetFontInfo(textpage, char, name, len(name), ctypes.byref(flags))
                font = name.value.lower()
                bold = b"bold" in font or b"black" in font or b"heavy" in font
                bold = bold or raw.FPDFText_GetFontWeight(textpage, char) >= BOLD_WEIGHT
                italic = b"italic" in font or b"oblique" in font or bool(flags.value & ITALIC_FLAG)
            yield Line(tidied, round(_height(raw, textpage, char), 1), bold, italic)
        position += len(shown) + 1


def _height(raw: Any, handle: Any, char: int) -> float:
    """How large a character is shown, in points; the font's own size knows nothing of the page's scale."""
    matrix = raw.FS_MATRIX()
    if not raw.FPDFText_GetMatrix(handle, char, ctypes.byref(matrix)):
        return float(raw.FPDFText_GetFontSize(handle, char))
    return float(raw.FPDFText_GetFontSize(handle, char)) * float((matrix.c**2 + matrix.d**2) ** 0.5)


def _refuse_unreadable(pages: list[_Page]) -> None:
    """Raise DocumentError unless some page has a text layer that says something."""
    letters = sum(char.isalpha() for page in pages for line in page.lines for char in line.text)
    if letters >= LEAST_LETTERS:
        return
    garbled = sum(page.garbled for page in pages)
    if garbled:
        raise DocumentError(
            f"holds glyphs without meaning on {garbled} of {len(pages)} pages: its fonts do not say which "
            "letters they show, expected a text layer",
            remedy="recognise its text anew, for example with: ocrmypdf --force-ocr",
        )
    raise DocumentError(
        f"has no text layer: {len(pages)} pages of pictures, expected text",
        remedy="recognise its text first, for example with: ocrmypdf",
    )


def _is_garbled(text: str) -> bool:
    """Whether glyphs for private use, or none at all, take the place of letters."""
    visible = [char for char in text if not char.isspace()]
    odd = sum(
        (char > "\x7f" and unicodedata.category(char) in ("Co", "Cn")) or char == "\ufffd" for char in visible
    )
    return odd > GARBAGE_SHARE * len(visible)


def _is_title(title: str) -> bool:
    """Whether a title in the file's properties is one: not a file name, an id, or a program's default."""
    letters = sum(char.isalpha() for char in title)
    named = title.lower().startswith(("untitled", "microsoft word -", "document", "slide 1", "powerpoint"))
    return letters >= 4 and letters >= len(title) / 2 and not named and "." not in title[-6:]
