"""The words of searchkit, as frozen values that travel between its parts.

Document     one source read: a file, a mail, a notebook; for CSV and JSONL one row
Passage      the span of a Document that is embedded
body         of its text what stands in the Document, without title and headings put before it
Place        where a Passage stands in its file, in the terms of that file: lines, a page, a cell, rows
Instruction  the sentence put before a text                        (profile.py)
Profile      task + Instructions for both sides + chunking         (profile.py)
Model family how a kind of model takes an Instruction              (embedding/, families/*.toml)
recipe       fingerprint of everything that shapes a stored vector
Library      the folder that holds the truth and the snapshots
Collection   a named set of sources under one Profile and one model
cluster      Passages of a Collection that belong together; has a number, a name, words, a centroid
theme        clusters near to each other
snapshot     a file built from the vectors of record: their rows, or codes; can always be deleted
Hit          a Passage found, with score (larger is better everywhere) and rank
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
Metadata: TypeAlias = Mapping[str, JsonValue]

NO_METADATA: Metadata = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that discovery found under a source root."""

    path: Path  # absolute
    name: str  # relative to the source root, '/' between parts, always valid UTF-8
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of a Document."""

    start: int  # character offset of the heading's line in Document.text
    level: int  # 1 is the outermost
    text: str


UNITS = ("line", "page", "slide", "cell", "row")
PAGES = ("page", "slide")  # what a Passage does not run over without need


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Where in a Document's text each line, page, slide, cell or row of its file begins.

    From `starts[i]` to the next start the text stands in number `numbers[i]`; where `by_line` is set, each
    line feed after a start begins the next number: a text of a million lines needs one start.
    """

    unit: str  # one of UNITS
    starts: tuple[int, ...] = (0,)  # character offsets in Document.text, ascending
    numbers: tuple[int, ...] = (1,)  # as many, from 1
    by_line: bool = False
    sheets: tuple[tuple[int, str], ...] = ()  # of a workbook: where in the text each begins, and its name


LINES = Marks(unit="line", by_line=True)  # of a text that has the line feeds of its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source read. `text` is what offsets of Passages count in."""

    name: str  # SourceFile.name; for a row '<SourceFile.name>#<row>'
    kind: str  # 'markdown', 'text', 'html', 'pdf', 'docx', 'pptx', 'xlsx', 'mail', 'notebook', 'row', 'code'
    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()  # by start
    marks: Marks | None = None  # None where the file has nothing to count by, as a mail
    # Front matter, author, dates, row fields: JSON values only.
    metadata: Metadata = field(default_factory=lambda: NO_METADATA)

    @property
    def page_starts(self) -> tuple[int, ...]:
        """Where each page or slide with text begins; () where there are none."""
        return self.marks.starts if self.marks and self.marks.unit in PAGES else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in its file a Passage stands, both ends included. A person counts as it does, from 1."""

    unit: str  # one of UNITS
    first: int
    last: int
    sheet: str = ""  # of a workbook, where the Passage begins
    last_sheet: str = ""  # where it ends

    @property
    def page(self) -> int | None:
        """The page or slide on which it begins; None where the unit is another."""
        return self.first if self.unit in PAGES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The span of a Document that is embedded."""

    text: str  # Document.text[start:end]
    start: int
    end: int
    heading: str = ""  # path of headings above the passage, ' > ' between levels
    context: str = ""  # put before the text when embedding: title and heading path, or ''
    place: Place | None = None  # None where the Document has no marks

    @property
    def embedded_text(self) -> str:
        """The text that follows the Instruction into the model."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file that gave no Documents, and why."""

    document: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What one `index` run did. Files are counted in the first five fields, Passages after that."""

    collection: str
    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: tuple[Failure, ...] = ()
    passages: int = 0  # in the Collection after the run
    embedded: int = 0  # texts that went through the model in this run
    reused: int = 0  # passages of added and changed files whose vector was already stored
    truncated: int = 0  # embedded texts longer than the model's window
    took_s: float = 0.0
    notices: tuple[str, ...] = ()  # said once: what the model does with the Instruction, and the like


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A Passage that answers a query, and why it was found."""

    rank: int  # from 1
    score: float  # what Hits are ranked by, larger is better: see QueryResult.mode
    document: str  # Document.name
    passage_id: int
    heading: str
    start: int
    end: int
    text: str
    collection: str = ""
    relevance: float | None = None  # percentile, 0 to 100: collection/relevance.py; None where not known
    cosine: float | None = None  # None where the query was not embedded
    bm25: float | None = None  # None where none of the query's words led here
    vector_rank: int | None = None  # among what the vectors led to, from 1
    text_rank: int | None = None  # among what the words led to
    found: tuple[int, float] | None = None  # rank and score before it was reranked
    highlights: tuple[tuple[int, int], ...] = ()  # (start, end) within text of words of the query
    before: tuple[str, ...] = ()  # the texts of the Passages before and after, where they were asked for
    after: tuple[str, ...] = ()
    place: Place | None = None
    where: str = ""  # document and place as a person reads them: 'hr/leave.md:120-133'
    metadata: Metadata = field(default_factory=lambda: NO_METADATA)


MODES = ("hybrid", "vector", "text", "fts")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """The Hits of one query, best first.

    mode: what their scores are. 'vector' the cosine; 'text' and 'fts' BM25; 'hybrid' the cosine and something
    for the words in common, BM25 on a scale that follows the cosines found (collection/query_pipeline.py).
    Of several Collections 'relevance', or 'reciprocal rank' where that is not known of all, or
    'cross-encoder' where one has judged them (collection/merging.py). 'similar': see Library.similar.
    """

    query: str
    collection: str  # ', ' between several
    profile: str
    model: str
    took_ms: float
    mode: str = "vector"
    relevant: bool | None = None  # whether anything relevant was found; None where that is not known
    offset: int = 0  # how many Hits were passed over
    more: bool = False  # whether there are Hits after these
    hits: tuple[Hit, ...] = field(default=())
    reranked_by: str = ""  # what judged the Hits again, and gave those of one Collection their scores
    notices: tuple[str, ...] = ()  # what the user should know
    explanation: Metadata | None = None  # how it was found, where that was asked for


def place_in_words(kind: str, place: Place | None) -> str:
    """What follows a Document's name to say where in it: ':120-133', ', page 3', ", sheet 'A', rows 3-9", ''.

    kind: Document.kind; the line of a row is told from the number of the row in its name.
    """
    if place is None:
        return ""
    span = str(place.first) if place.first == place.last else f"{place.first}-{place.last}"
    if place.unit == "line" and kind != "row":
        return f":{span}"
    if place.sheet != place.last_sheet:
        return (
            f", sheet '{place.sheet}', {place.unit} {place.first} "
            f"to sheet '{place.last_sheet}', {place.unit} {place.last}"
        )
    sheet = f", sheet '{place.sheet}'" if place.sheet else ""
    return f"{sheet}, {place.unit}{'' if place.first == place.last else 's'} {span}"
