"""Finds passages by their words: FTS5 over the stored texts, ranked by BM25."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field, replace

import numpy as np

from searchkit.arrays import Float64Vector, Int64Vector
from searchkit.library.database import Database, Transaction
from searchkit.library.migrations import DROP_FULL_TEXT, FULL_TEXT
from searchkit.library.words import is_unspaced, words

MAX_WORDS = 64  # of a query: the rarest ones
CONTEXT_WEIGHT = 1.0  # of title and headings (LOG "what are words of title and headings worth?")
# Words are taken from the rarest on until so many texts match: each costs 2 us, and words that many texts
# hold change little, beside vectors even less (LOG "which words of a query are looked for?").
MATCHES = 5_000
MATCHES_BESIDE_VECTORS = 1_000
COUNTED = 4  # times as many texts: beyond, words are equally common
CHUNK = 128
MOST_TIES = 1_000  # texts of one template score alike: so many beyond n are told apart by who asks

_WITHIN = "._@'’-"  # what stands within a word and not at its ends


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a query."""

    word: str
    match: str  # the FTS5 expression for it
    texts: int  # that hold it: counted no further than `expression` needs to know
    weight: float  # inverse document frequency as BM25 has it; the larger, the rarer
    telling: bool = False  # whether it is among the rarest, which are looked for first


@dataclass(frozen=True, slots=True)
class WordQuery:
    """FTS5 expressions for a query in plain words; '' for none."""

    telling: str  # any of its rarest words
    all: str  # any of its words; '' where that is the same
    terms: tuple[Term, ...] = field(default=(), compare=False)  # its different words, as they stand in it


def expression(db: Database, query: str, matches: int = MATCHES) -> WordQuery:
    """What to look for in about so many texts. Nothing of the query is syntax.

    What is written together, as E-204 or a@b.example, must stand together.
    """
    most = COUNTED * matches
    terms = _terms(db, query, most)
    known = sorted((term for term in terms if term.texts), key=lambda term: term.texts)[:MAX_WORDS]
    telling: list[Term] = []
    left = matches
    for term in known:
        if telling and term.texts > left:
            break
        telling.append(term)
        left -= term.texts
    wider = _any(known) if len(known) > len(telling) else ""
    return WordQuery(_any(telling), wider, tuple(replace(term, telling=term in telling) for term in terms))


def _any(terms: list[Term]) -> str:
    return " OR ".join(term.match for term in terms)


def _terms(db: Database, query: str, most: int) -> tuple[Term, ...]:
    """The different words of a query; texts are counted up to `most` for each."""
    different = {word.casefold(): word for word in _words(words(query))}  # FTS5 folds what it is given
    stored = int((db.row("SELECT max(text_id) FROM texts") or (0,))[0] or 0)  # to count them takes a pass
    counted = "SELECT count(*) FROM (SELECT 1 FROM fulltext WHERE fulltext MATCH ? LIMIT ?)"
    terms = []
    for word in different.values():
        match = _term(word)
        texts = int(db.rows(counted, (match, most))[0][0])
        terms.append(Term(word, match, texts, _weight(texts, stored, most)))
    return tuple(terms)


def _weight(texts: int, stored: int, most: int) -> float:
    """log(1 + (N - n + 0.5) / (n + 0.5)) for n of N texts (Robertson and Zaragoza 2009, 3.1).

    Of a word that is not counted to the end it is taken to lie in the middle, on a scale of logarithms.
    """
    held = math.sqrt(texts * stored) if texts == most else texts
    held = min(held, stored)
    return math.log1p((stored - held + 0.5) / (held + 0.5))


def _words(text: str) -> list[str]:
    """Runs of letters, digits and marks, with what may stand within a word."""
    kept = (c if unicodedata.category(c)[0] in "LNM" or c in _WITHIN else " " for c in text)
    return [word for part in "".join(kept).split() if (word := part.strip(_WITHIN))]


def _term(word: str) -> str:
    lonely = len(word) == 1 and is_unspaced(word)
    return f'"{word}"*' if lonely else f'"{word}"'  # texts hold pairs, which begin with it


def search(
    db: Database, collection_id: int, match: str, n: int, *, allowed: Int64Vector | None = None
) -> tuple[Int64Vector, Float64Vector]:
    """The n passages of a Collection that match best by BM25, and all that score as the last of them.

    match: an FTS5 expression, '' for none; allowed: ids of the passages that may be found, None for all.
    Returns: ids (m,) int64 and scores (m,) float64, larger is better, best first.
    Raises: QueryInvalid: the expression has no meaning.
    """
    matching = f"""SELECT rowid, -bm25(fulltext, {CONTEXT_WEIGHT}, 1.0) AS score FROM fulltext
                   WHERE fulltext MATCH ? ORDER BY score DESC, rowid"""
    ranked = db.matches(matching, (match,)) if match else []
    kept = None if allowed is None else set(allowed.tolist())
    found: list[tuple[float, int]] = []
    for first in range(0, len(ranked), CHUNK):
        if len(found) >= n and -found[-1][0] > ranked[first][1]:
            break
        chunk: dict[int, float] = dict(ranked[first : first + CHUNK])
        places = db.rows_among(
            # '+' keeps SQLite from reading all passages of the Collection instead.
            "SELECT text_id, passage_id FROM passages WHERE +collection_id = ? AND text_id IN ({})",
            list(chunk),
            before=(collection_id,),
        )
        found += sorted(
            (-chunk[text], passage) for text, passage in places if kept is None or passage in kept
        )
    last = found[min(n, len(found)) - 1][0] if found else 0.0
    found = [one for one in found if one[0] <= last]
    found = found[: n + MOST_TIES]
    ids = np.array([passage for _, passage in found], dtype=np.int64)
    return ids, np.array([-score for score, _ in found], dtype=np.float64)


def problems(db: Database) -> list[str]:
    """What is wrong with the index of words; empty when it holds every text once. `rebuild` mends it."""
    texts = int(db.rows("SELECT count(*) FROM texts")[0][0])
    indexed = int(db.rows("SELECT count(*) FROM fulltext_docsize JOIN texts ON text_id = id")[0][0])
    alone = int(db.rows("SELECT count(*) FROM fulltext_docsize")[0][0]) - indexed
    found = [f"{texts - indexed:,} texts are missing in the full text"] if texts != indexed else []
    return found + ([f"{alone:,} rows of the full text have no text"] if alone else [])


def rebuild(tx: Transaction) -> None:
    """Index all texts anew, whatever is left of the index."""
    if tx.rows("SELECT 1 FROM sqlite_master WHERE name = 'fulltext_data'"):
        # FTS5 drops no table that it cannot open, and opens none without averages and structure: empty ones.
        tx.run("INSERT OR REPLACE INTO fulltext_data (id, block) VALUES (1, x''), (10, zeroblob(7))")
    for statement in (*DROP_FULL_TEXT, *FULL_TEXT):
        tx.run(statement)


def optimize(tx: Transaction) -> None:
    """Merge the index into one segment: words of deleted texts stand in older ones until then."""
    tx.run("INSERT INTO fulltext (fulltext) VALUES ('optimize')")
