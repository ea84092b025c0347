"""Tells which words of a query stand in a text, and where: as the full text would match them."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache

from searchkit.library.migrations import TOKENIZER
from searchkit.library.words import is_unspaced, words

# Words as a query's are cut (fulltext.py): letters and digits, and what may stand within. Python's \w lacks
# marks, which belong to the words of Hindi and of decomposed accents.
_TOKEN = re.compile(r"\w[\w\u0300-\u036f\u0900-\u0dff._@'’-]*")
_BORDER = "._@'’-"

Spans = tuple[tuple[int, int], ...]
Word = tuple[str, str]  # a word of a query and the FTS5 expression for it


def held(texts: Sequence[str], words: Sequence[Word]) -> list[set[int]]:
    """For every text the places in `words` of those that stand in it."""
    tokens = [{word for word, _, _ in _tokens(text)} for text in texts]
    matching = _matching(set().union(*tokens), words)
    unspaced = [(place, word) for place, (word, _) in enumerate(words) if is_unspaced(word)]
    return [
        {place for token in found for place in matching.get(token, ())}
        | {place for place, word in unspaced if word in text}
        for text, found in zip(texts, tokens, strict=True)
    ]


def spans(texts: Sequence[str], words: Sequence[Word]) -> list[Spans]:
    """For every text the (start, end), in characters, of each place where a word stands, in order."""
    tokens = [list(_tokens(text)) for text in texts]
    matching = _matching({word for found in tokens for word, _, _ in found}, words)
    unspaced = [word for word, _ in words if is_unspaced(word)]
    return [
        tuple(
            sorted(
                [(start, end) for word, start, end in found if word in matching] + _runs_of(unspaced, text)
            )
        )
        for text, found in zip(texts, tokens, strict=True)
    ]


def _runs_of(pairs: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Where pairs of characters stand, those that overlap or touch as one."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(
        (place.start(), place.start() + len(pair))
        for pair in pairs
        for place in re.finditer(f"(?={re.escape(pair)})", text)
    ):
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return runs


def _tokens(text: str) -> Iterable[tuple[str, int, int]]:
    """(word, start, end) for the words of a text."""
    for found in _TOKEN.finditer(text):
        word = found[0].rstrip(_BORDER)
        yield word, found.start(), found.start() + len(word)


def _matching(tokens: set[str], asked: Sequence[Word]) -> dict[str, list[int]]:
    """For each token the places of the words that match it, in an index of nothing but the tokens."""
    firsts = {_folded(word[:1]) for word, _ in asked}
    kept = [token for token in tokens if _folded(token[:1]) in firsts]  # stemming leaves beginnings alone
    found: dict[str, list[int]] = {}
    if not kept:
        return found
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as index:
        index.execute(f"""CREATE VIRTUAL TABLE token USING fts5(word, content='', tokenize="{TOKENIZER}")""")
        index.execute("BEGIN")
        index.executemany(
            "INSERT INTO token (rowid, word) VALUES (?, ?)", enumerate(map(words, kept), start=1)
        )
        for place, (word, match) in enumerate(asked):
            if not is_unspaced(word):
                for (row,) in index.execute("SELECT rowid FROM token WHERE token MATCH ?", (match,)):
                    found.setdefault(kept[row - 1], []).append(place)
    return found


@cache
def _folded(character: str) -> str:
    """What the index makes of a word's first character."""
    return unicodedata.normalize("NFKD", character).casefold()[:1]
