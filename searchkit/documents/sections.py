"""A Document's text as spans that belong together: sections under headings, pages, pieces between paragraphs.

Knows lengths and places, counts no tokens. Every border depends on the text near it and not on
where in the file it is, so that an edit moves the borders near it and no others.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from searchkit.records import Document, Heading

SMALL_SECTION = 40  # estimated tokens; a smaller section is joined to its neighbour
ROOM_FOR_JOINED = 0.9  # of the capacity, as an estimate: joined sections shall not have to be cut again
MOST_BARE_HEADINGS = 6  # headings without text that are kept with the text that follows
BYTES_PER_TOKEN = 4  # of UTF-8: near for English, and right within a factor of two for other scripts
PIECE_SHORTEST, PIECE_LONGEST = 4096, 16384  # characters between two borders in text without headings
BORDER_LOOKED_AT = 48  # characters behind a possible border that decide whether it becomes one

_SHOWN = re.compile(r"\S")
_LETTER = re.compile(r"[^\W_]")
_BORDERS = tuple(
    re.compile(pattern) for pattern in (r"\n[ \t]*\n\s*", r"\n", r"[.!?;。！？；]\s*", r"[ \t\u3000]+")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """A span of text under one heading, or before the first."""

    start: int
    end: int
    path: tuple[str, ...]  # headings above, the section's own last
    has_body: bool  # whether it holds more than its heading
    has_heading: bool  # False for what stands before the first heading, and behind the border of a page


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring sections that are cut as one text."""

    sections: tuple[Section, ...]

    @property
    def start(self) -> int:
        """Where its text begins."""
        return self.sections[0].start

    @property
    def end(self) -> int:
        """Where its text ends."""
        return self.sections[-1].end

    def path_of(self, start: int, end: int) -> tuple[str, ...]:
        """The headings that all text between `start` and `end` stands under."""
        met = [part for part in self.sections if part.start < end and part.end > start]
        bodies = [part for part in met if part.has_body] or met
        common = bodies[0].path
        for part in bodies[1:]:
            shared = 0
            while shared < min(len(common), len(part.path)) and common[shared] == part.path[shared]:
                shared += 1
            common = common[:shared]
        return common or bodies[0].path

    def body_start(self, text: str) -> int:
        """Where its first text that is no heading begins."""
        first = next((part for part in self.sections if part.has_body), None)
        if first is None or not first.has_heading:
            return self.start
        line_end = text.find("\n", first.start, first.end)
        return first.start if line_end < 0 else line_end

    def headings_within(self, start: int, end: int) -> frozenset[str]:
        """The headings whose own lines stand between `start` and `end`."""
        return frozenset(
            part.path[-1]
            for part in self.sections
            if part.has_heading and start <= part.start < end and part.path
        )


def estimated_tokens(text: str) -> int:
    """About how many tokens `text` has; cheap."""
    return (len(text) if text.isascii() else len(text.encode("utf-8", "replace"))) // BYTES_PER_TOKEN


def groups(document: Document, capacity: int) -> Iterator[Group]:
    """Yield the Document's sections in order, small ones joined to neighbours within `capacity` tokens."""
    held: list[Section] = []
    done: Group | None = None  # kept back, for a bare heading that ends the Document
    size = 0
    for section in _sections(document):
        if _SHOWN.search(document.text, section.start, section.end) is None:
            continue
        own = estimated_tokens(document.text[section.start : min(section.end, section.start + 8 * capacity)])
        # A heading without text goes with what follows it; alone it would answer queries with nothing.
        bare = len(held) < MOST_BARE_HEADINGS and all(_is_bare(part) for part in held)
        fits = size < SMALL_SECTION and size + own <= ROOM_FOR_JOINED * capacity
        related = held and _related(held, section)
        joins = (bare and (related or not document.page_starts)) or (related and fits)
        if held and not joins:
            kept = len(held)
            while kept > 1 and _is_bare(held[kept - 1]) and not document.page_starts:
                kept -= 1
            if done:
                yield done
            done, held = Group(tuple(held[:kept])), held[kept:]
            size = sum(estimated_tokens(document.text[part.start : part.end]) for part in held)
        held.append(section)
        size += own
    if held and done and not document.page_starts and all(_is_bare(part) for part in held):
        done, held = Group((*done.sections, *held)), []
    if done:
        yield done
    if held:
        yield Group(tuple(held))


def pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a long span at borders that its own text chooses; yield the spans between them."""
    while end - start > PIECE_LONGEST:
        border = _border(text, start + PIECE_SHORTEST, start + PIECE_LONGEST)
        yield start, border
        start = border
    if start < end:
        yield start, end


def _is_bare(section: Section) -> bool:
    return section.has_heading and not section.has_body


def _related(held: Sequence[Section], section: Section) -> bool:
    """Whether a section continues the sections held, or stands below what they all stand below."""
    first = held[0]
    bare = first.has_heading and not first.has_body  # then the others stand below it
    above = first.path if bare or not first.has_heading else first.path[:-1]
    parent = section.path[:-1] if section.has_heading else section.path
    return parent[: len(above)] == above


def _sections(document: Document) -> Iterator[Section]:
    """Yield the spans between headings and between pages that do not flow into each other."""
    text, headings = document.text, document.headings
    borders = {heading.start: heading for heading in headings}
    cuts = sorted({0, *borders, *_page_cuts(document)} - {len(text)})
    open_headings: list[Heading] = []
    for index, start in enumerate(cuts):
        end = cuts[index + 1] if index + 1 < len(cuts) else len(text)
        heading = borders.get(start)
        if heading is not None:
            while open_headings and open_headings[-1].level >= heading.level:
                open_headings.pop()
            open_headings.append(heading)
        path = tuple(part.text for part in open_headings)
        has_body = heading is None or _has_body(text, start, end)
        yield Section(start, end, path, has_body, heading is not None)


def _has_body(text: str, start: int, end: int) -> bool:
    """Whether a section holds letters or digits below its heading's line."""
    line_end = text.find("\n", start, end)
    return line_end >= 0 and _LETTER.search(text, line_end, end) is not None


def _page_cuts(document: Document) -> Iterator[int]:
    """Yield page starts, except those in the middle of a sentence."""
    text = document.text
    for start in document.page_starts:
        before = text[max(0, start - 8) : start].rstrip()
        if not (before and before[-1] not in '.!?:;"”)' and text[start : start + 1].islower()):
            yield start


def _border(text: str, earliest: int, latest: int) -> int:
    """The best border between two places: between paragraphs, else lines, sentences, words.

    Among equals the one whose following text has the smallest checksum: a choice that an edit
    elsewhere does not change.
    """
    for pattern in _BORDERS:
        best, best_mark = 0, -1
        for match in pattern.finditer(text, earliest, latest):
            place = match.end()
            mark = zlib.crc32(text[place : place + BORDER_LOOKED_AT].encode("utf-8", "replace"))
            if best_mark < 0 or mark < best_mark:
                best, best_mark = place, mark
        if best:
            return best
    return earliest  # no border at all: short pieces, because cutting one takes more than linear time
