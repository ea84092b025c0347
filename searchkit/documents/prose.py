"""Markdown and plain text: front matter, template tags, headings; offsets stay those of the file."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from searchkit.documents.assemble import HEADING_CHARACTERS, json_value, one_line
from searchkit.documents.decode import blank, decode, without_template_tags
from searchkit.documents.reading import LoadOptions, read_bytes, suffix_of
from searchkit.records import LINES, Document, Heading, JsonValue, SourceFile

FRONT_MATTER_CHARACTERS = 1 << 16

_FRONT = re.compile(r"\s*?^(---|\+\+\+)[ \t]*\n(.*?)^\1[ \t]*(?:\n|\Z)", re.S | re.M)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_SETEXT_TEXT = re.compile(r"\s{4}|\s*([-*+>|]|\d+[.)])(\s|$)|\s*$")
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),  # links and images: their text
    (re.compile(r"[ \t]*\{#[^}]*\}[ \t]*$"), ""),  # an anchor behind the heading
    (re.compile(r"(?<!`)(`{1,3})(?!`)(.+?)(?<!`)\1(?!`)"), r"\2"),
    (re.compile(r"(\*\*|__|\*|(?<!\w)_)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"</?[A-Za-z][^>]*>"), ""),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)
_HTML_HEADING = re.compile(r"[ \t]{0,8}<h([1-6])\b[^>\n]{0,200}>(.{1,1000}?)</h\1>", re.S | re.I)
_ALT = re.compile(r"""\balt=["']([^"'\n]{1,200})""")
_TAG = re.compile(
    r"</?(?:a|b|br|center|details|div|em|figure|h[1-6]|hr|i|img|kbd|li|ol|p|picture|source|span|strong|sub|"
    r"summary|sup|table|tbody|td|th|thead|tr|u|ul|video)(?:\s[^<>]*)?/?>"
)
_BADGE = re.compile(r"\[!\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)\]\([^)\n]{0,500}\)")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)|[@-Z\\^_])")
_RST_LINE = re.compile(r"([=\-~^\"'*+#:.])\1{2,}[ \t]*$")
_ADOC = re.compile(r"(={1,6})[ \t]+(?=\S)")
_ORG = re.compile(r"(\*{1,6})[ \t]+(?=\S)")
_TEX = re.compile(r"[ \t]*\\(part|chapter|section|subsection|subsubsection)\*?\{([^}\n]+)\}")
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}


def load_markdown(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document whose text is the file's, with what no reader sees of it blanked.

    That is front matter, ERB and HTML tags, badges and comments.

    Blanked means: white space of the same length and the same lines.
    """
    text, encoding = decode(read_bytes(source, options.limits))
    front, text = take_front_matter(text)
    text = without_template_tags(source.name, text)
    headings, unseen = markdown_headings(text)
    text = blank(text, unseen)
    title = front.get("title")
    if not isinstance(title, str) or not title.strip():
        title = next((heading.text for heading in headings if heading.level == 1), "")
    if encoding:
        front["encoding"] = encoding
    yield Document(
        name=source.name,
        kind="markdown",
        text=text,
        title=one_line(title),
        headings=headings,
        marks=LINES,
        metadata=front,
    )


def load_text(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document whose text is the file's; headings where the suffix names a markup that has them."""
    text, encoding = decode(read_bytes(source, options.limits))
    text = without_template_tags(source.name, text)
    if "\x1b" in text:  # a terminal's colours
        text = _ANSI.sub(lambda match: " " * len(match[0]), text)
    find = _HEADINGS_BY_SUFFIX.get(suffix_of(source.name))
    headings = tuple(find(text)) if find else ()
    yield Document(
        name=source.name,
        kind="text",
        text=text,
        title=headings[0].text if headings and headings[0].level == 1 else "",
        headings=headings,
        marks=LINES,
        metadata={"encoding": encoding} if encoding else {},
    )


def take_front_matter(text: str) -> tuple[dict[str, JsonValue], str]:
    """Return the front matter's fields (YAML between '---', TOML between '+++') and the text without it.

    Its place in the text is blanked. Front matter that cannot be parsed keeps its title, if a line says it.
    """
    match = _FRONT.match(text[:FRONT_MATTER_CHARACTERS])
    if not match:
        return {}, text
    mark, raw = match[1], match[2]
    try:
        fields = tomllib.loads(raw) if mark == "+++" else _yaml(raw)
    except Exception:  # YAML's constructors raise ValueError, TypeError and more on hostile values
        title = re.search(r"^title[ \t]*[:=](.*)", raw, re.M)
        fields = {"title": title[1].strip(" \t'\"")} if title else {}
    if not isinstance(fields, dict):
        return {}, text  # a horizontal rule at the beginning, then prose
    value = json_value(fields)
    return (value if isinstance(value, dict) else {}), blank(text, [match.span()])


def markdown_headings(text: str) -> tuple[tuple[Heading, ...], list[tuple[int, int]]]:
    """Return the headings outside code and comments, and the spans that no reader of the page sees.

    Headings are ATX, setext and HTML; unseen are comments, HTML tags and badges.
    """
    headings: list[Heading] = []
    unseen = _Unseen(text)
    fence, position = "", 0
    before: tuple[int, str] | None = None  # the line above, if a setext underline could belong to it
    for line in text.split("\n"):
        start, position = position, position + len(line) + 1
        line = unseen.without_comment(line, start)
        if mark := _FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            before = None
            continue
        if fence:
            continue
        if "<h" in line and (html := _HTML_HEADING.match(text, start)):
            shown = html[2] if plain_inline(html[2]) else " ".join(_ALT.findall(html[2]))
            _add(headings, start, int(html[1]), shown)
        if "<" in line or "](" in line:
            line = unseen.hide(line, start)
        if atx := _ATX.match(line):
            _add(headings, start, len(atx[1]), _without_closing_marks(line[atx.end() :]))
            before = None
        elif before and (under := _SETEXT.match(line)):
            _add(headings, before[0], 1 if under[1][0] == "=" else 2, before[1])
            before = None
        else:
            before = None if _NO_SETEXT_TEXT.match(line) else (start, line)
    return tuple(headings), unseen.spans


class _Unseen:
    """Collects what a page's source holds and its reader does not see, line by line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._comment_end = 0
        self._closed = "-->" in text  # whether a comment that opens may still close
        self.spans: list[tuple[int, int]] = []  # in order, apart

    def without_comment(self, line: str, start: int) -> str:
        """A line, with its beginning blanked if that belongs to a comment opened above."""
        inside = min(len(line), self._comment_end - start)
        return " " * inside + line[inside:] if inside > 0 else line

    def hide(self, line: str, start: int) -> str:
        """A line outside fences with comments, tags and badges blanked, except in code spans."""
        if line.startswith("    ") and "<!--" not in line:
            return line  # indented code
        code = _code_spans(line)
        inside = max(0, self._comment_end - start)  # of a comment opened above
        found: list[tuple[int, int]] = []
        place = 0
        while self._closed and (place := line.find("<!--", place)) >= 0:
            if end := _end_around(code, place):
                place = end
                continue
            close = self._text.find("-->", start + place + 4)
            if close < 0:
                self._closed = False
                break
            self._comment_end = close + 3
            found.append((place, close + 3 - start))
            place = close + 3 - start
        if "[![" in line and not _BADGE.sub("", line).strip():
            found.append((inside, len(line)))
        found += [match.span() for match in _TAG.finditer(line)]
        hidden, done = [], inside
        for first, end in sorted(found):
            if first >= done and not _end_around(code, first):
                hidden.append((first, end))
                done = end
        self.spans += [(start + first, start + end) for first, end in hidden]
        return blank(line, [(first, min(end, len(line))) for first, end in hidden])


def _end_around(spans: list[tuple[int, int]], place: int) -> int:
    """Where the span that holds `place` ends; 0 if none does."""
    index = bisect_right(spans, (place, place)) - 1
    for start, end in spans[max(0, index) : index + 2]:
        if start <= place < end:
            return end
    return 0


def _code_spans(line: str) -> list[tuple[int, int]]:
    """Where the text between backticks is, those included."""
    runs = [match.span() for match in re.finditer("`+", line)] if "`" in line else []
    following: dict[int, int] = {}  # length of a run -> the next run of that length
    closing = [-1] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        closing[index] = following.get(length, -1)
        following[length] = index
    spans, index = [], 0
    while index < len(runs):
        if closing[index] > index:
            spans.append((runs[index][0], runs[closing[index]][1]))
            index = closing[index]
        index += 1
    return spans


def plain_inline(text: str) -> str:
    """A heading's text without the marks of emphasis, code, links and anchors."""
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return one_line(text)


def _add(headings: list[Heading], start: int, level: int, text: str) -> None:
    if shown := plain_inline(text[: 4 * HEADING_CHARACTERS]):
        headings.append(Heading(start=start, level=level, text=shown[:HEADING_CHARACTERS]))


def _without_closing_marks(text: str) -> str:
    """An ATX heading's text without the '#' that may close it."""
    text = text.strip()
    bare = text.rstrip("#")
    return bare if not bare or bare[-1].isspace() else text


def _yaml(raw: str) -> Any:
    import yaml  # 15 ms that only files with front matter pay

    return yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}


def _rst_headings(text: str) -> Iterator[Heading]:
    """Underlined lines; the order in which underlines first occur gives the levels."""
    levels: list[str] = []
    position, above = 0, ""
    for line in text.split("\n"):
        if above.strip() and not above[0].isspace() and _RST_LINE.match(line) and not _RST_LINE.match(above):
            mark = line[0]
            if len(line.rstrip()) >= min(len(above.rstrip()), 3):
                if mark not in levels:
                    levels.append(mark)
                start = position - len(above) - 1
                yield Heading(
                    start=start, level=levels.index(mark) + 1, text=one_line(above)[:HEADING_CHARACTERS]
                )
        position += len(line) + 1
        above = line


def _marked_headings(text: str, mark: re.Pattern[str]) -> Iterator[Heading]:
    """AsciiDoc's '== Heading', in which '** x' is an item of a list, or Org's '** Heading'."""
    position = 0
    for line in text.split("\n"):
        if match := mark.match(line):
            yield Heading(
                start=position, level=len(match[1]), text=one_line(line[match.end() :])[:HEADING_CHARACTERS]
            )
        position += len(line) + 1


def _tex_headings(text: str) -> Iterator[Heading]:
    """LaTeX's sectioning commands."""
    position = 0
    for line in text.split("\n"):
        if match := _TEX.match(line):
            level = _TEX_LEVELS[match[1]]
            yield Heading(start=position, level=level, text=one_line(match[2])[:HEADING_CHARACTERS])
        position += len(line) + 1


_HEADINGS_BY_SUFFIX: dict[str, Callable[[str], Iterator[Heading]]] = {
    ".rst": _rst_headings,
    ".adoc": partial(_marked_headings, mark=_ADOC),
    ".asciidoc": partial(_marked_headings, mark=_ADOC),
    ".org": partial(_marked_headings, mark=_ORG),
    ".tex": _tex_headings,
}
