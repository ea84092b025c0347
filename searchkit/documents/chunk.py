"""Documents to Passages: spans that fit a model's window, each with its heading path, place and context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from searchkit.documents.mend import mend
from searchkit.documents.places import Places
from searchkit.documents.reading import is_panic
from searchkit.documents.sections import Group, groups, pieces
from searchkit.errors import DocumentError
from searchkit.profile import Chunking
from searchkit.records import Document, Passage

# Cut and counted together: large enough for the tokenizer's threads, small to hold.
BATCH_CHARACTERS = 1 << 18
SAMPLE_CHARACTERS = 450  # of a piece, counted to tell how many characters a token has there
SURE_CHARACTERS_PER_TOKEN = 3.5  # prose and code seldom have fewer
# A megabyte without spaces is one token to WordPiece, and no passage to anybody.
MOST_CHARACTERS_PER_TOKEN = 12
FILL = 0.95  # of what the sample promises; the sample errs, and cutting again costs more than room
FILL_AGAIN = 0.9
LONGEST_LEAD = 0.3  # of a passage's characters that headings may take and still be kept with their text
SMALL_REST = 0.25  # of what a span may hold; a smaller last one is made larger
EVEN_SHARE = 0.58  # of the last two spans together: half, and room for a border
MENDED = 1.1  # of what a span may hold, if it takes a fence or a heading from its neighbour
CONTEXT_SHARE = 0.5  # of the capacity; a longer context is shortened
# Characters at the beginning of a passage that make a title in the context superfluous.
TITLE_LOOKED_FOR = 300

HEADING_SEPARATOR = " > "

CountTokens: TypeAlias = Callable[[Sequence[str]], list[int]]
_Frame: TypeAlias = tuple[str, tuple[str, ...]]  # title and headings that a context is made of

_NO_CONTEXT: _Frame = ("", ())

_SAYS_SOMETHING = re.compile(r"[^\W_]")
_MARKDOWN = frozenset(("markdown", "notebook"))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A span of text that is cut on its own."""

    start: int
    end: int
    group: Group


@dataclass(frozen=True, slots=True)
class _Cut:
    """A candidate for a Passage."""

    start: int
    end: int
    piece: _Piece


def chunk(
    document: Document, chunking: Chunking, *, capacity: int, count_tokens: CountTokens
) -> Iterator[Passage]:
    """Yield the Document's Passages in order: spans apart from each other, of text that says something.

    Together they hold every letter and digit of the text. Each fits `capacity` tokens (and the
    chunking's own maximum) with its context, unless a single character does not. `count_tokens` takes
    texts and returns their numbers of tokens without special ones; both in the same order. With unit
    'document' there is one Passage, however long.

    The same Document always gives the same Passages, and an edit changes only those near it.

    Raises: DocumentError: the text makes a library panic.
    """
    try:
        places = Places(document)
        for passage in _chunk(document, chunking, capacity, count_tokens):
            yield Passage(  # in half the time of replace(): there may be millions
                text=passage.text,
                start=passage.start,
                end=passage.end,
                heading=passage.heading,
                context=passage.context,
                place=places.of(passage.start, passage.end),
            )
    except BaseException as error:
        if not is_panic(error):
            raise
        raise DocumentError(
            f"cannot be cut into passages: {error}"[:300], remedy="convert the file to plain text"
        ) from error


def _chunk(
    document: Document, chunking: Chunking, capacity: int, count_tokens: CountTokens
) -> Iterator[Passage]:
    if chunking.unit == "document":
        yield from _whole(document, chunking)
        return
    cutter = _Cutter(document, chunking, min(capacity, chunking.max_tokens), count_tokens)
    batch: list[_Piece] = []
    size = 0
    for piece in cutter.pieces():
        batch.append(piece)
        size += piece.end - piece.start
        if size >= BATCH_CHARACTERS:
            yield from cutter.passages(batch)
            batch, size = [], 0
    yield from cutter.passages(batch)


def _whole(document: Document, chunking: Chunking) -> Iterator[Passage]:
    span = _trimmed(document.text, 0, len(document.text))
    if span and _SAYS_SOMETHING.search(document.text):
        text = document.text[slice(*span)]
        title = "" if chunking.context == "none" else _title_unless_said(document.title, text)
        yield Passage(text=text, start=span[0], end=span[1], context=title)


class _Cutter:
    """Cuts pieces of one Document, many per call of the token counter."""

    def __init__(
        self, document: Document, chunking: Chunking, capacity: int, count_tokens: CountTokens
    ) -> None:
        self._document = document
        self._text = document.text
        self._context_kind = chunking.context
        self._capacity = max(1, capacity)
        self._count = count_tokens
        self._contexts: dict[_Frame, tuple[str, int]] = {}  # -> context, its tokens

    def pieces(self) -> Iterator[_Piece]:
        """Yield the spans that are cut on their own, in order."""
        for group in groups(self._document, self._capacity):
            for start, end in pieces(self._text, group.start, group.end):
                yield _Piece(start, end, group)

    def passages(self, batch: list[_Piece]) -> Iterator[Passage]:
        """Yield the Passages of neighbouring pieces."""
        self._contexts = {_NO_CONTEXT: ("", 0)}
        frames = [
            self._frame(piece.group.path_of(piece.start, piece.end), frozenset(), "") for piece in batch
        ]
        self._fit_contexts(frames)
        rooms = [self._capacity - self._contexts[frame][1] for frame in frames]
        # A short piece is tried whole: counting it once as a Passage costs less than sampling it first.
        long = [
            piece.end - piece.start > room * SURE_CHARACTERS_PER_TOKEN
            for piece, room in zip(batch, rooms, strict=True)
        ]
        samples = [self._sample(piece) for piece, is_long in zip(batch, long, strict=True) if is_long]
        counts = iter(zip(samples, self._count(samples) if samples else (), strict=True))
        cuts: list[_Cut] = []
        for piece, room, is_long in zip(batch, rooms, long, strict=True):
            characters = piece.end - piece.start
            if is_long:
                sample, count = next(counts)
                characters = int(room * FILL * min(MOST_CHARACTERS_PER_TOKEN, len(sample) / max(1, count)))
            cuts += self._cut(piece, piece.start, piece.end, characters)
        yield from self._fitted(cuts)

    def _fitted(self, cuts: list[_Cut]) -> Iterator[Passage]:
        """Cut again what is too long, until everything fits; then yield in order."""
        done: list[Passage] = []
        while cuts:
            made = self._made(cuts)
            counts = self._count([passage.embedded_text for passage in made])
            again: list[_Cut] = []
            for cut, passage, count in zip(cuts, made, counts, strict=True):
                length = cut.end - cut.start
                if count <= self._capacity or length <= 1:
                    done.append(passage)
                else:
                    smaller = int(length * self._capacity / count * FILL_AGAIN)
                    again += self._cut(cut.piece, cut.start, cut.end, min(smaller, length - 1))
            cuts = again
        done.sort(key=lambda passage: passage.start)
        yield from done

    def _cut(self, piece: _Piece, start: int, end: int, characters: int) -> list[_Cut]:
        """Cut a span into spans of at most `characters`, trimmed; those that say nothing are left out."""
        span = self._text[start:end]
        characters = max(1, characters)
        if len(span) <= characters:
            found = [(0, len(span))]
        else:
            # A heading stays with the text below it: the splitter would give it a passage of its own.
            lead = piece.group.body_start(self._text) - start if start == piece.group.start else 0
            lead = lead if lead <= characters * LONGEST_LEAD else 0
            found = [
                (first + lead, last + lead)
                for first, last in _split(self._document.kind, span[lead:], characters - lead)
            ]
            found[:1] = [(0, found[0][1])] if found else []
            if self._document.kind in _MARKDOWN:
                found = mend(span, found, min(int(characters * MENDED), len(span) - 1))
        cuts = []
        for first, last in found:
            trimmed = _trimmed(self._text, start + first, start + last)
            if trimmed and _SAYS_SOMETHING.search(self._text, *trimmed):
                cuts.append(_Cut(*trimmed, piece))
        return cuts

    def _sample(self, piece: _Piece) -> str:
        """Some of a piece's text: all of a short one, else its beginning, middle and end."""
        length = piece.end - piece.start
        if length <= SAMPLE_CHARACTERS:
            return self._text[piece.start : piece.end]
        third = SAMPLE_CHARACTERS // 3
        middle = piece.start + length // 2
        return (
            self._text[piece.start : piece.start + third]
            + self._text[middle : middle + third]
            + self._text[piece.end - third : piece.end]
        )

    def _made(self, cuts: list[_Cut]) -> list[Passage]:
        """The Passages that spans would become."""
        paths, frames = [], []
        for cut in cuts:
            group = cut.piece.group
            paths.append(group.path_of(cut.start, cut.end))
            own = group.headings_within(cut.start, cut.end)
            frames.append(self._frame(paths[-1], own, self._text[cut.start : cut.start + TITLE_LOOKED_FOR]))
        self._fit_contexts(frames)
        return [
            Passage(
                text=self._text[cut.start : cut.end],
                start=cut.start,
                end=cut.end,
                heading=HEADING_SEPARATOR.join(path),
                context=self._contexts[frame][0],
            )
            for cut, path, frame in zip(cuts, paths, frames, strict=True)
        ]

    def _frame(self, path: tuple[str, ...], own: frozenset[str], beginning: str) -> _Frame:
        """What the context of a passage says at most: title and headings that its own text does not say."""
        if self._context_kind == "none":
            return _NO_CONTEXT
        title = _title_unless_said(self._document.title, beginning)
        if self._context_kind == "title":
            return title, ()
        above = tuple(heading for heading in path if heading not in own)
        same = bool(above) and above[0].casefold() == title.casefold()
        return ("" if same else title), above

    def _fit_contexts(self, frames: Iterable[_Frame]) -> None:
        """Settle, for every frame not met in this batch, the context and its tokens: as much as may be."""
        most = int(self._capacity * CONTEXT_SHARE)
        pending = []
        for frame in frames:
            if frame not in self._contexts:
                whole = next(_shorter(frame))
                # Hardly any tokenizer makes more tokens than characters; the Passage is counted in any case.
                self._contexts[frame] = (whole, len(whole) // 4 + 1 if whole else 0)
                if len(whole) > most:
                    pending.append((frame, _shorter(frame)))
        while pending:
            # The line break that parts context and text is counted with the context.
            tries = [next(candidates, "") for _, candidates in pending]
            counts = self._count([f"{text}\n" for text in tries])
            left = []
            for (frame, candidates), text, count in zip(pending, tries, counts, strict=True):
                if not text or count <= most:
                    self._contexts[frame] = (text, count if text else 0)
                else:
                    left.append((frame, candidates))
            pending = left


def _shorter(frame: _Frame) -> Iterator[str]:
    """Yield contexts from whole to least: without the title, without outer headings, the last cut, none."""
    title, path = frame
    whole = HEADING_SEPARATOR.join(path)
    yield "\n".join(filter(None, (title, whole)))
    for first in range(len(path)):
        yield HEADING_SEPARATOR.join(path[first:])
    last = path[-1] if path else title
    for share in (2, 4, 8):
        yield last[: len(last) // share].strip()


def _title_unless_said(title: str, text: str) -> str:
    """The title, or '' if the text begins by saying it: as words, 'three' does not say 'HR'."""
    said, beginning = title.casefold(), text[:TITLE_LOOKED_FOR].casefold()
    found = said in beginning and re.search(rf"(?<!\w){re.escape(said)}(?!\w)", beginning)
    return "" if found or not said else title


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space at its ends; None if nothing is left."""
    span = text[start:end]
    bare = span.strip()
    if not bare:
        return None
    start += len(span) - len(span.lstrip())
    return start, start + len(bare)


def _split(kind: str, text: str, characters: int) -> list[tuple[int, int]]:
    """Cut text into spans of at most so many characters; a small rest is evened out with the span before."""
    found = [(place, place + len(part)) for place, part in _splitter(kind, characters).chunk_indices(text)]
    if len(found) > 1 and found[-1][1] - found[-1][0] < SMALL_REST * characters:
        start, end = found[-2][0], found[-1][1]
        half = min(characters, int((end - start) * EVEN_SHARE) + 1)
        even = [
            (start + place, start + place + len(part))
            for place, part in _splitter(kind, half).chunk_indices(text[start:end])
        ]
        if len(even) == 2 and even[1][1] - even[1][0] > found[-1][1] - found[-1][0]:
            found[-2:] = even
    return found


def _splitter(kind: str, characters: int) -> Any:
    """What cuts text of a kind into spans of at most so many characters, at the best borders there are."""
    import semantic_text_splitter  # 10 ms that only long pieces pay

    if kind in _MARKDOWN:
        return semantic_text_splitter.MarkdownSplitter(characters)
    return semantic_text_splitter.TextSplitter(characters)
