"""HTML: what a reader sees of a page, with its headings; knows neither files' suffixes nor mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from searchkit.documents.assemble import Assembly, one_line, table_row
from searchkit.documents.decode import (
    blank,
    declared_codec,
    decode,
    find_encoding,
    spans_between,
    tidy_newlines,
    without_template_tags,
)
from searchkit.documents.prose import take_front_matter
from searchkit.documents.reading import LoadOptions, read_bytes, too_large, words
from searchkit.errors import DocumentError
from searchkit.records import Document, SourceFile

DECLARATION_BYTES = 4096

_DECLARED = re.compile(rb"""(?:charset|encoding)\s{0,9}=\s{0,9}["']?([A-Za-z0-9_.:-]{1,40})""")
_UNSEEN = words(
    "script style template noscript svg canvas iframe object embed audio video head nav button select "
    "textarea datalist dialog"
)
_UNSEEN_ROLES = words("navigation banner contentinfo search menu menubar dialog")
_BLOCKS = words(
    "address article aside blockquote body center details dd div dl dt fieldset figcaption figure "
    "footer form header hr li main ol p pre section summary table tbody td tfoot th thead tr ul "
    "caption"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_END = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_NOFRAMES = re.compile(r"(</?)noframes\b", re.I)
_TOO_DEEP = re.compile("excessive depth|resource limit", re.I)


def load_html(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with the visible text of the page, without navigation."""
    limits = options.limits
    if source.size > limits.tree_bytes:
        raise too_large(source.size, limits.tree_bytes)
    markup, encoding = _decode_html(read_bytes(source, limits))
    fields, markup = take_front_matter(markup)
    markup = without_template_tags(source.name, markup)
    if fields or "<html" not in markup[:DECLARATION_BYTES].lower():  # a template: its tags are no text
        for opening, closing in (("{%", "%}"), ("{{", "}}"), ("{#", "#}")):
            markup = blank(markup, spans_between(markup, opening, closing))
    assembly = Assembly(limits.text_characters)
    title = read_html(markup, assembly)
    front_title = fields.get("title")
    if encoding:
        fields["encoding"] = encoding
    yield Document(
        name=source.name,
        kind="html",
        text=assembly.text,
        title=one_line(front_title) if isinstance(front_title, str) else title,
        headings=assembly.headings,
        metadata=fields,
    )


def read_html(markup: str, assembly: Assembly) -> str:
    """Append what `markup` shows to `assembly`; return the page's title, '' if it has none."""
    # 20 ms that only pages pay. Of the parsers at hand, the one that is not quadratic on broken pages.
    from lxml import etree  # type: ignore[import-untyped]

    if not markup.strip():
        return ""
    # Without huge_tree libxml2 stops at a depth of 256 or a text of 10 MB, and says so in its log only.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_pis=True, huge_tree=True)
    # What stands in <noframes> is text to libxml2, though only pages of frames hide it.
    markup = _NOFRAMES.sub(r"\1div", markup)
    # Text behind the end of the page is text to every browser; libxml2 drops it.
    markup = _END.sub("", markup)
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise DocumentError(
            f"cannot be parsed as HTML: {error}", remedy="check that the file is HTML"
        ) from error
    if any(_TOO_DEEP.search(entry.message) for entry in parser.error_log):
        raise DocumentError(
            "is nested too deeply to be read whole: expected at most 2,048 levels",
            remedy="convert it to text or Markdown",
        )
    if root is None:
        return ""
    title = root.find(".//title")
    content = _content(root)
    heading = _heading_outside(root, content)
    if heading is not None:
        assembly.heading(1, "".join(heading.itertext()))
    _Page(assembly).walk(etree.iterwalk(content, events=("start", "end", "comment")), content)
    return one_line("".join(title.itertext())) if title is not None else ""


class _Page:
    """Turns the events of a walk over a page into blocks."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._line: list[str] = []  # inline text since the last block
        self._cells: list[str] | None = None  # of the table row being read
        self._last = ""  # 'row' or 'item' if the last block was one and its table or list goes on
        self._pre = 0
        self._marker = ""

    def walk(self, walker: Any, content: Any) -> None:
        """Read all events; `content` is the element whose own tail is not part of the walk."""
        for event, element in walker:
            tag = element.tag
            if event == "start":
                if element is not content and _is_unseen(element):
                    self._break_at(tag)
                    walker.skip_subtree()
                else:
                    self._start(tag, element)
                    self._text(element.text)
            else:
                if event == "end" and not _is_unseen(element):
                    self._end(tag)
                if element is not content:
                    self._text(element.tail)
        self._flush()

    def _text(self, text: str | None) -> None:
        if text:
            self._line.append(text if self._pre else re.sub(r"\s+", " ", text))

    def _start(self, tag: str, element: Any) -> None:
        if tag == "br":
            self._line.append("\n")
        elif tag == "q":
            self._line.append('"')
        elif tag in _HEADINGS:
            self._flush()
        elif tag in _BLOCKS:
            self._break_at(tag)
            if tag == "tr" and not _is_layout(element):
                self._cells = []
            elif tag == "li" and self._cells is None:
                self._marker = "- "
            elif tag == "pre":
                self._pre += 1

    def _end(self, tag: str) -> None:
        if tag == "q":
            self._line.append('"')
        elif tag in _HEADINGS:
            if self._cells is None:
                self._assembly.heading(_HEADINGS[tag], "".join(self._line))
                self._line.clear()
                self._marker = ""
            else:
                self._line.append(" ")
        elif tag in ("td", "th") and self._cells is not None:
            self._cells.append("".join(self._line))
            self._line.clear()
        elif tag == "tr" and self._cells is not None:
            self._append(table_row(self._cells), "row")
            self._cells = None
            self._line.clear()
        elif tag in _BLOCKS:
            self._break_at(tag)
            self._pre -= tag == "pre" and self._pre > 0
            if tag in ("table", "ul", "ol"):
                self._last = ""

    def _break_at(self, tag: str) -> None:
        """End the running block; within a table's cell only put a space."""
        if self._cells is not None:
            self._line.append(" ")
        elif tag in _BLOCKS:
            self._flush()

    def _flush(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        if not self._pre:
            text = "\n".join(filter(None, (one_line(line) for line in text.split("\n"))))
        if text.strip():
            self._append(self._marker + text, "item" if self._marker else "")
            self._marker = ""

    def _append(self, text: str, kind: str) -> None:
        """Append a block, close to the last one if both are rows of a table or items of a list."""
        self._assembly.block(text, gap="\n" if kind and kind == self._last else "\n\n")
        self._last = kind


def _content(root: Any) -> Any:
    """The element that holds the page's own text: its one main or article, else its body."""
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = root.findall(path)
        if len(found) == 1 and len("".join(found[0].itertext()).strip()) > 200:
            return found[0]
    body = root.find(".//body")
    return root if body is None else body


def _heading_outside(root: Any, content: Any) -> Any:
    """The page's only h1, if the walk over its content passes it by: it stands in the page's header."""
    found = root.findall(".//h1")
    if len(found) != 1:
        return None
    line = [found[0], *found[0].iterancestors()]
    if any(_is_unseen(part) and part.tag != "header" and part.get("role") != "banner" for part in line):
        return None
    within = line[: line.index(content)] if content in line else line
    return found[0] if content not in line or any(_is_unseen(part) for part in within) else None


def _is_unseen(element: Any) -> bool:
    """Whether a reader does not see the element, or sees it on every page of the site."""
    tag = element.tag
    if not isinstance(tag, str):
        return True
    if tag in _UNSEEN or element.get("role") in _UNSEEN_ROLES or element.get("hidden") is not None:
        return True
    if tag in ("header", "footer"):  # those of an article are its own
        return all(parent.tag not in ("article", "main", "section") for parent in element.iterancestors())
    return False


def _is_layout(row: Any) -> bool:
    """Whether a table row holds another table, headings or code, and so arranges the page instead of data."""
    return next(row.iterdescendants("table", "pre", *_HEADINGS), None) is not None


def _decode_html(data: bytes) -> tuple[str, str]:
    """Like `decode`, but bytes that are not UTF-8 are read as the page declares."""
    declared = _DECLARED.search(data[:DECLARATION_BYTES])
    encoding = None if declared is None else declared[1].decode("ascii")
    if encoding and not find_encoding(data[:DECLARATION_BYTES], whole=False).bom:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            name = declared_codec(encoding)
            if name and name not in ("utf-8", "utf-16", "utf-32"):
                with suppress(UnicodeError):  # not the page's after all: judge by the bytes
                    return tidy_newlines(data.decode(name, "replace")), name
    return decode(data)
