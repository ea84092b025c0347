"""Markdown and plain text: front matter, template tags, headings; offsets stay those of the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from searchkit.documents.assemble import HEADING_CHARACTERS, json_value, one_line
from searchkit.documents.decode import blank, decode, spans_between
from searchkit.documents.reading import LoadOptions, read_bytes
from searchkit.records import Document, Heading, JsonValue, SourceFile

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
_RST_LINE = re.compile(r"([=\-~^\"'*+#:.])\1{2,}[ \t]*$")
_ADOC_OR_ORG = re.compile(r"(={1,6}|\*{1,6})[ \t]+(?=\S)")
_TEX = re.compile(r"[ \t]*\\(part|chapter|section|subsection|subsubsection)\*?\{([^}\n]+)\}")
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}


def load_markdown(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document whose text is the file's, with front matter, ERB tags and comments blanked.

    Blanked means: white space of the same length and the same lines.
    """
    text, encoding = decode(read_bytes(source, options.limits))
    front, text = take_front_matter(text)
    if source.name.lower().endswith(".erb") and "<%" in text:
        text = blank(text, spans_between(text, "<%", "%>"))
    headings, comments = markdown_headings(text)
    text = blank(text, comments)
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
        metadata=front,
    )


def load_text(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document whose text is the file's; headings where the suffix names a markup that has them."""
    text, encoding = decode(read_bytes(source, options.limits))
    find = _HEADINGS_BY_SUFFIX.get(source.path.suffix.lower())
    headings = tuple(find(text)) if find else ()
    yield Document(
        name=source.name,
        kind="text",
        text=text,
        title=headings[0].text if headings and headings[0].level == 1 else "",
        headings=headings,
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
    """Return ATX and setext headings outside fenced code and comments, and where the comments are."""
    headings: list[Heading] = []
    comments: list[tuple[int, int]] = []
    all_comments = spans_between(text, "<!--", "-->") if "<!--" in text else iter(())
    comment = next(all_comments, None)
    fence, position, comment_end = "", 0, 0
    before: tuple[int, str] | None = None  # the line above, if a setext underline could belong to it
    for line in text.split("\n"):
        start, position = position, position + len(line) + 1
        while comment and comment[0] < position and not (fence or _FENCE.match(line)):
            if comment[0] >= max(start, comment_end):
                comments.append(comment)
                comment_end = comment[1]
            comment = next(all_comments, None)
        if start < comment_end:
            before = None
        elif mark := _FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            before = None
        elif fence:
            continue
        elif atx := _ATX.match(line):
            _add(headings, start, len(atx[1]), _without_closing_marks(line[atx.end() :]))
            before = None
        elif before and (under := _SETEXT.match(line)):
            _add(headings, before[0], 1 if under[1][0] == "=" else 2, before[1])
            before = None
        else:
            before = None if _NO_SETEXT_TEXT.match(line) else (start, line)
    return tuple(headings), comments


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


def _marked_headings(text: str) -> Iterator[Heading]:
    """AsciiDoc's '== Heading' and Org's '** Heading'."""
    position = 0
    for line in text.split("\n"):
        if match := _ADOC_OR_ORG.match(line):
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


_HEADINGS_BY_SUFFIX = {
    ".rst": _rst_headings,
    ".adoc": _marked_headings,
    ".asciidoc": _marked_headings,
    ".org": _marked_headings,
    ".tex": _tex_headings,
}
