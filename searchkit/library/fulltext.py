"""Finds passages by their words: FTS5 over the stored texts, ranked by BM25."""

from __future__ import annotations

import re

import numpy as np

from searchkit.arrays import Float32Vector, Int64Vector
from searchkit.library.database import Database
from searchkit.library.words import is_unspaced, words

MAX_WORDS = 64  # of a query: the rarest ones
CONTEXT_WEIGHT = 1.0  # of title and headings against the text itself
# Words are taken from the rarest on until so many texts match: each costs 2 us, and words that many texts
# hold change little (LOG "which words of a query are looked for?").
MATCHES = 5_000
CHUNK = 500

_WORD = re.compile(r"\w(?:[\w.@'’_-]*\w)?")


def expression(db: Database, query: str) -> str:
    """A query in plain words as an FTS5 expression: any of its words, the rarest of many; '' for no words.

    Nothing of the query is syntax. What is written together, as E-204 or a@b.example, must stand together.
    """
    terms = dict.fromkeys(map(_term, _WORD.findall(words(query).casefold())))
    counted = "SELECT count(*) FROM (SELECT 1 FROM fulltext WHERE fulltext MATCH ? LIMIT ?)"
    counts = {term: int(db.rows(counted, (term, MATCHES))[0][0]) for term in terms}
    chosen: list[str] = []
    left = MATCHES
    for term in sorted((term for term in terms if counts[term]), key=counts.__getitem__)[:MAX_WORDS]:
        if chosen and counts[term] > left:
            break
        chosen.append(term)
        left -= counts[term]
    return " OR ".join(chosen)


def _term(word: str) -> str:
    lonely = len(word) == 1 and is_unspaced(word)
    return f'"{word}"*' if lonely else f'"{word}"'  # texts hold pairs, which begin with it


def search(
    db: Database, collection_id: int, match: str, n: int, *, allowed: Int64Vector | None = None
) -> tuple[Int64Vector, Float32Vector]:
    """The n passages of a Collection that match best by BM25.

    match: an FTS5 expression, '' for none; allowed: ids of the passages that may be found, None for all.
    Returns: ids (m,) int64 and scores (m,) float32, larger is better, best first; passages of equal text
    share a score and follow each other by id. Raises: QueryInvalid: the expression has no meaning.
    """
    ids: list[int] = []
    scores: list[float] = []
    kept = None if allowed is None else set(allowed.tolist())
    matching = f"""SELECT rowid, -bm25(fulltext, {CONTEXT_WEIGHT}, 1.0) AS score FROM fulltext
                   WHERE fulltext MATCH ? ORDER BY score DESC"""
    ranked = db.matches(matching, (match,)) if match else []
    for first in range(0, len(ranked), CHUNK):
        chunk: dict[int, float] = dict(ranked[first : first + CHUNK])
        places = db.rows_among(
            "SELECT text_id, passage_id FROM passages WHERE collection_id = ? AND text_id IN ({})",
            list(chunk),
            before=(collection_id,),
        )
        found = [(-chunk[text], passage) for text, passage in places if kept is None or passage in kept]
        for score, passage in sorted(found):
            ids.append(passage)
            scores.append(-score)
        if len(ids) >= n:
            break
    return np.array(ids[:n], dtype=np.int64), np.array(scores[:n], dtype=np.float32)
