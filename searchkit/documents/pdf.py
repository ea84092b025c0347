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
# Of a character's size. pdfium breaks a line wherever the file moves its pen, in some files at every word.
SAME_BASELINE = 0.25
LEAST_SPACE, WIDEST_SPACE = 0.08, 3.0  # between two runs of one line; wider is another column
OVERLAP = 0.5

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
    for number, page in enumerate(pages, 1):
        assembly.mark(number)
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
        marks=assembly.marks("page"),
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
    """Yield the lines of a page; those that pdfium breaks between words of one baseline are whole again."""
    characters = _Characters(textpage)
    held: list[str] = []
    start = end = position = 0  # places in `text` of the first and the last character of what is held
    for shown in text.split("\n"):
        bare = shown.strip()
        first = position + len(shown) - len(shown.lstrip())
        position += len(shown) + 1
        if not bare:
            continue
        if held and (gap := characters.gap(end, first)) is not None:
            held += [gap if text[end + 1 : end + 2] != " " else " ", bare]
        else:
            if line := _line(held, characters, text, start, end):
                yield line
            held, start = [bare], first
        end = first + len(bare) - 1
    if line := _line(held, characters, text, start, end):
        yield line


def _line(parts: list[str], characters: _Characters, text: str, start: int, end: int) -> Line | None:
    """The line that `parts` make, with the looks of its first character and its last letter."""
    tidied = tidy("".join(parts))
    if not tidied:
        return None
    size = characters.size(start)
    if len(tidied) > HEADING_CANDIDATE:
        return Line(tidied, size)
    bold, italic = characters.looks(start)
    # A footnote's mark at the end of a heading is set smaller; a paragraph may begin in bold.
    last = next((place for place in range(end, start, -1) if text[place].isalpha()), start)
    return Line(tidied, min(size, characters.size(last)), bold and characters.looks(last)[0], italic)


class _Characters:
    """Where the characters of a page are, and how they look, by their places in the page's text."""

    def __init__(self, textpage: Any) -> None:
        from pypdfium2 import raw

        self._raw, self._page = raw, textpage
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()

    def size(self, place: int) -> float:
        """How large a character is shown, in points; a font's own size knows nothing of the page's scale."""
        char, matrix = self._index(place), self._raw.FS_MATRIX()
        size = float(self._raw.FPDFText_GetFontSize(self._page, char))
        if self._raw.FPDFText_GetMatrix(self._page, char, ctypes.byref(matrix)):
            size *= float((matrix.c**2 + matrix.d**2) ** 0.5)
        return round(size, 1)

    def looks(self, place: int) -> tuple[bool, bool]:
        """Whether a character is bold, and whether it is italic."""
        char = self._index(place)
        self._raw.FPDFText_GetFontInfo(
            self._page, char, self._name, len(self._name), ctypes.byref(self._flags)
        )
        font = self._name.value.lower()
        bold = b"bold" in font or b"black" in font or b"heavy" in font
        bold = bold or self._raw.FPDFText_GetFontWeight(self._page, char) >= BOLD_WEIGHT
        return bold, b"italic" in font or b"oblique" in font or bool(self._flags.value & ITALIC_FLAG)

    def gap(self, end: int, start: int) -> str | None:
        """What stands between two characters that follow each other on one baseline; None if they do not."""
        before, after = self._box(end), self._box(start)
        if before is None or after is None:
            return None
        size = max(self.size(end), self.size(start), 1.0)
        space = after.left - before.right
        if abs(self._baseline(end) - self._baseline(start)) > SAME_BASELINE * size:
            return None
        if not -OVERLAP * size <= space <= WIDEST_SPACE * size:
            return None
        return " " if space > LEAST_SPACE * size else ""

    def _index(self, place: int) -> int:
        return int(self._raw.FPDFText_GetCharIndexFromTextIndex(self._page, place))

    def _box(self, place: int) -> Any:
        box = self._raw.FS_RECTF()
        found = self._raw.FPDFText_GetLooseCharBox(self._page, self._index(place), ctypes.byref(box))
        return box if found else None

    def _baseline(self, place: int) -> float:
        x, y = ctypes.c_double(), ctypes.c_double()
        self._raw.FPDFText_GetCharOrigin(self._page, self._index(place), ctypes.byref(x), ctypes.byref(y))
        return y.value


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
