"""Tells which words of a query stand in a text, and where: as the full text would match them."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
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


class Marker:
    """Looks for the words of one query; what was found out of a word of a text is remembered."""

    def __init__(self, asked: Sequence[Word]) -> None:
        self._asked = asked
        self._firsts = {_folded(word[:1]) for word, _ in asked}
        self._unspaced = [(place, word) for place, (word, _) in enumerate(asked) if is_unspaced(word)]
        self._matching: dict[str, list[int]] = {}  # of a text's words, the places of those that match
        self._tokens: dict[str, list[tuple[str, int, int]]] = {}

    def held(self, texts: Sequence[str]) -> list[set[int]]:
        """For every text the places, among the words asked for, of those that stand in it."""
        self._look_up(texts)
        return [
            {place for token, _, _ in self._tokens[text] for place in self._matching[token]}
            | {place for place, word in self._unspaced if word in text}
            for text in texts
        ]

    def spans(self, texts: Sequence[str], places: Collection[int]) -> list[Spans]:
        """For every text the (start, end), in characters, of each word of certain places, in order."""
        self._look_up(texts)
        wanted = set(places)
        unspaced = [word for place, word in self._unspaced if place in wanted]
        found = []
        for text in texts:
            spaced = [
                (start, end)
                for token, start, end in self._tokens[text]
                if not wanted.isdisjoint(self._matching[token])
            ]
            found.append(tuple(sorted(spaced + _runs_of(unspaced, text))))
        return found

    def _look_up(self, texts: Sequence[str]) -> None:
        """Find out which words of the texts match, in an index of nothing but these words."""
        for text in texts:
            if text not in self._tokens:
                self._tokens[text] = list(_tokens(text))
        new = {token for text in texts for token, _, _ in self._tokens[text]} - self._matching.keys()
        self._matching.update((token, []) for token in new)
        kept = [token for token in new if _folded(token[:1]) in self._firsts]  # stemming leaves beginnings
        if not kept:
            return
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as index:
            index.execute(
                f"""CREATE VIRTUAL TABLE token USING fts5(word, content='', tokenize="{TOKENIZER}")"""
            )
            index.execute("BEGIN")
            index.executemany(
                "INSERT INTO token (rowid, word) VALUES (?, ?)", enumerate(map(words, kept), start=1)
            )
            for place, (word, match) in enumerate(self._asked):
                if not is_unspaced(word):
                    for (row,) in index.execute("SELECT rowid FROM token WHERE token MATCH ?", (match,)):
                        self._matching[kept[row - 1]].append(place)


def _runs_of(pairs: Iterable[str], text: str) -> list[tuple[int, int]]:
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


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """(word, start, end) for the words of a text."""
    for found in _TOKEN.finditer(text):
        word = found[0].rstrip(_BORDER)
        start = found.start()
        yield word, start, start + len(word)


@cache
def _folded(character: str) -> str:
    """What the index makes of a word's first character."""
    return unicodedata.normalize("NFKD", character).casefold()[:1]
