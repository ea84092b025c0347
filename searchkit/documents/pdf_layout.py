"""From the lines that a PDF page shows to paragraphs: joins lines and words, drops running heads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from searchkit.documents.assemble import one_line

LONG_LINES = 0.9  # the share of a page's lines that are shorter than what counts as a long one
FULL_LINE = 0.72  # of the page's long lines; a line shorter than that ends its paragraph
SENTENCE_LINE = 0.92  # the same for a line that ends a sentence
SHORTEST_LONG_LINE = 35  # characters; narrower text is a form, a slide or a list of labels
REPEATED = 0.4  # of the pages; a line at the edge of more pages than that is a running head
FEWEST_PAGES = 4  # below that nothing can be called repeated
EDGE_LINES = 3
PROSE_LINE = 60  # characters; lines from there on tell the size of ordinary text
FULL_HEADING = 0.85  # of the page's long lines; a line longer than that is of a paragraph
MOST_HEADING_LINES = 3  # in a row of one level; more are text set large
HEADING_CHARACTERS = 120
HEADING_RATIOS = ((1.5, 1), (1.12, 2))  # size relative to the body -> level
BOLD_LEVEL, BOLD_ITALIC_LEVEL = 3, 4  # of lines as large as the body
CROWDED = 0.3  # a page with more heading-like lines than that is a cover or a table

_BULLET = re.compile(r"[•●○■□▪◦‣–—*·-]\s|\(?[a-z0-9]{1,3}[.)]\s|[ivx]+[.)]\s", re.I)
_NUMBER = re.compile(r"[$€£(]*-?\d[\d.,]*[)%]*|[—–-]|[$€£%)]")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN_WORD = re.compile("([^\\W\\d_]+)[\x02\ufffe\u00ad](?:[ \t]*\n)?[ \t]*([^\\W\\d_]+)")
_HYPHENS = re.compile("[\x02\ufffe\u00ad]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_OTHER_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PART = re.compile(r"(?:part|chapter|appendix)\s+(?:[ivxlc]+|\d+|[a-z])\b", re.I)
_ITEM = re.compile(r"(?:item|section|article)\s+\d+[a-z]?\b", re.I)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as the page shows it; bold if it begins and ends so."""

    text: str
    size: float
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, or a run of table rows and other short lines."""

    text: str
    level: int  # 0: no heading


class Words:
    """The words of a document, to tell which hyphens at line ends belong to the word."""

    def __init__(self, pages: Sequence[Sequence[Line]]) -> None:
        self._known: Counter[str] = Counter()
        for page in pages:
            for line in page:
                self._known.update(word.lower() for word in _WORD.findall(line.text))

    def mend(self, text: str) -> str:
        """Join words broken at the end of a line; keep the hyphen if the document uses it elsewhere."""
        if not _HYPHENS.search(text):
            return text
        return _HYPHENS.sub("-", _BROKEN_WORD.sub(self._joined, text))

    def _joined(self, match: re.Match[str]) -> str:
        first, second = match[1], match[2]
        whole, hyphenated = f"{first}{second}", f"{first}-{second}"
        if self._known[whole.lower()] or self._known[hyphenated.lower()]:
            return whole if self._known[whole.lower()] >= self._known[hyphenated.lower()] else hyphenated
        # Both halves stand alone elsewhere ('equipment-related'), which halves of one word seldom do.
        apart = min(self._known[first.lower()], self._known[second.lower()])
        return hyphenated if apart > 1 and min(len(first), len(second)) > 2 else whole


def tidy(text: str) -> str:
    """A line without private-use glyphs (bullets become '•') and control characters, spaces single."""
    if not text.isascii():
        text = _PRIVATE.sub("", re.sub("^\\s*[\uf0b7\uf0a7\uf0d8\uf0fc\uf076\uf06e]", "• ", text))
    if "\x02" in text or "\ufffe" in text or "\u00ad" in text:
        return one_line(_OTHER_CONTROLS.sub("", text.replace("\x02", "\ufffe")))
    return one_line(_OTHER_CONTROLS.sub("", text))


def drop_furniture(pages: list[list[Line]]) -> list[list[Line]]:
    """Return the pages without running heads, feet and page numbers."""
    if len(pages) < FEWEST_PAGES:
        return pages
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_masked(line.text) for line in (*page[:EDGE_LINES], *page[-EDGE_LINES:])})
    least = max(FEWEST_PAGES - 1, REPEATED * len(pages))
    repeated = {text for text, count in seen.items() if count >= least}
    return [_without_edges(page, repeated) for page in pages]


def body_size(pages: Sequence[Sequence[Line]]) -> float:
    """The size in which most prose is set, most text where there is no prose: tables are set smaller."""
    prose: Counter[float] = Counter()
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page:
            sizes[line.size] += len(line.text)
            if len(line.text) >= PROSE_LINE and not _is_table(line.text):
                prose[line.size] += len(line.text)
    found = prose or sizes
    return found.most_common(1)[0][0] if found else 0.0


def blocks(page: Sequence[Line], words: Words, body: float) -> Iterator[Block]:
    """Yield what a page says, in order; `body` is the size of ordinary text."""
    lengths = sorted(len(line.text) for line in page)
    long_line = lengths[int(LONG_LINES * len(lengths))] if lengths else 0
    levels = _levels(page, body, long_line)
    index = 0
    while index < len(page):
        start, level = index, levels[index]
        index += 1
        if level:
            while index < len(page) and levels[index] == level and _same_heading(page, start, index):
                index += 1
            yield Block(words.mend(" ".join(line.text for line in page[start:index])), level)
            continue
        joined = [page[start].text]
        loose = False  # whether a line break was kept
        while index < len(page) and not levels[index]:
            if _flows(page[index - 1].text, page[index].text, long_line):
                joined[-1] += f" {page[index].text}"
            elif _is_prose(joined[-1], long_line) or _is_prose(page[index].text, long_line):
                break
            else:
                joined.append(page[index].text)
                loose = True
            index += 1
        yield Block(words.mend("\n".join(joined) if loose else joined[0]), 0)


def _flows(line: str, following: str, long_line: int) -> bool:
    """Whether a paragraph goes on from one line to the next."""
    if long_line < SHORTEST_LONG_LINE or _BULLET.match(following) or _is_table(line) or _is_table(following):
        return False
    if line[-1] in ".!?:;":
        return len(line) >= SENTENCE_LINE * long_line and (line[-1] != ":" or following[0].islower())
    return len(line) >= FULL_LINE * long_line or (following[0].islower() and len(line) >= 0.4 * long_line)


def _is_prose(text: str, long_line: int) -> bool:
    return len(text) >= max(SHORTEST_LONG_LINE, FULL_LINE * long_line) and not _is_table(text)


def _is_table(text: str) -> bool:
    """Whether a third of the line's words are figures."""
    words = text.split()
    figures = sum(_NUMBER.fullmatch(word) is not None for word in words)
    return figures >= 2 and figures >= len(words) / 3


def _levels(page: Sequence[Line], body: float, long_line: int) -> list[int]:
    """For each line the level of the heading it is, 0 for none."""
    full = max(PROSE_LINE, FULL_HEADING * long_line)
    levels = [_level(line, body) if len(line.text) < full else 0 for line in page]
    for index, level in enumerate(levels):
        if not level:
            continue
        following = page[index + 1] if index + 1 < len(page) else None
        if following and _is_table(following.text):
            levels[index] = 0  # the head of a table
        elif following and _looks(following) == _looks(page[index]) and following.text[0].islower():
            # Either a paragraph set large or bold, or a heading that takes two lines.
            ends = index + 2 == len(page) or _looks(page[index + 2]) != _looks(page[index])
            both = len(page[index].text) + len(following.text)
            whole = ends and both < HEADING_CHARACTERS and following.text[-1] not in ",;.:"
            levels[index], levels[index + 1] = (level, level) if whole else (0, 0)
        elif index and len(page[index - 1].text) >= full and _looks(page[index - 1]) == _looks(page[index]):
            levels[index] = 0  # the end of a paragraph set large or bold
    start = 0
    for index in range(1, len(levels) + 1):
        if index == len(levels) or levels[index] != levels[start]:
            if index - start > MOST_HEADING_LINES:
                levels[start:index] = [0] * (index - start)
            start = index
    if sum(level > 0 for level in levels) > CROWDED * len(levels):
        return [level if level and level < BOLD_LEVEL else 0 for level in levels]
    return levels


def _looks(line: Line) -> tuple[float, bool]:
    return line.size, line.bold


def _level(line: Line, body: float) -> int:
    text = line.text
    if not body or len(text) > HEADING_CHARACTERS:
        return 0
    chapter = 1 if _PART.match(text) else 2 if _ITEM.match(text) else 0
    if chapter:  # without emphasis a mention, with a number at its end an entry of the table of contents
        return chapter if (line.bold or line.size > body) and not text[-1].isdecimal() else 0
    letters = sum(char.isalpha() for char in text)
    if letters < 3 or letters < len(text) / 2 or text[-1] in ",;.:":
        return 0
    words = text.split()
    row = _is_table(text) or all(_NUMBER.fullmatch(word) for word in words[-2:])
    if row or _BULLET.match(text[:2]) or text[0].islower():
        return 0
    by_size = next((level for ratio, level in HEADING_RATIOS if line.size >= ratio * body), 0)
    if by_size != 1 and len(text) >= PROSE_LINE and 2 * sum(word[0].islower() for word in words) > len(words):
        return 0  # a sentence
    if by_size:
        return by_size
    if not line.bold or line.size < 0.97 * body:
        return 0
    return BOLD_ITALIC_LEVEL if line.italic else BOLD_LEVEL


def _same_heading(page: Sequence[Line], start: int, index: int) -> bool:
    """Whether line `index` continues the heading that begins at line `start`."""
    length = sum(len(line.text) for line in page[start : index + 1])
    same = _looks(page[start]) == _looks(page[index])
    begins = _PART.match(page[index].text) or _ITEM.match(page[index].text)
    return same and length <= HEADING_CHARACTERS and not begins


def _without_edges(page: list[Line], repeated: set[str]) -> list[Line]:
    """The page from its first to its last line that other pages do not have, a few lines given up at most."""
    first, last = 0, len(page)
    while first < min(EDGE_LINES, last) and _masked(page[first].text) in repeated:
        first += 1
    while last > max(first, len(page) - EDGE_LINES) and _masked(page[last - 1].text) in repeated:
        last -= 1
    return page[first:last]


def _masked(text: str) -> str:
    """A line with its numbers made equal, roman ones of a page number too."""
    return re.sub(r"\d+|^[ivxlc]+$", "#", text.strip().lower())
