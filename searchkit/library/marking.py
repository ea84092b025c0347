"""Tells which words of a query stand in a text, and where: as the full text would match them."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache

from searchkit.library.migrations import TOKENIZER
from searchkit.library.words import UNSPACED, words

# What the tokenizer takes for one token: letters, digits, and marks, which Python's \w lacks. Scripts without
# spaces have tokens of their own, the pairs of words.py.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0966-\u0dff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_TOKEN = re.compile(f"(?:(?![{UNSPACED}])[^\\W_]|[{_MARKS}])+")
_PAIR = re.compile(f"[{UNSPACED}]+")

REMEMBERED = 64  # texts whose tokens are kept: those of a page, which are asked for twice

Spans = tuple[tuple[int, int], ...]


class Marker:
    """Looks for the words of one query; what was found out of a token is remembered."""

    def __init__(self, asked: Sequence[str]) -> None:
        self._pairs = {place: word for place, word in enumerate(asked) if _PAIR.fullmatch(word)}
        self._phrases = {
            place: tuple(_TOKEN.findall(word)) for place, word in enumerate(asked) if place not in self._pairs
        }
        self._beginning: dict[str, list[int]] = {}  # a part of a word -> the words that begin with it
        for place, phrase in self._phrases.items():
            for part in phrase[:1]:
                self._beginning.setdefault(part, []).append(place)
        self._parts = sorted({part for phrase in self._phrases.values() for part in phrase})
        self._firsts = {_folded(part[:1]) for part in self._parts}
        self._matching: dict[str, frozenset[str]] = {}  # of a token, the parts of words that it matches
        self._tokens: dict[str, list[tuple[str, int, int]]] = {}

    def held(self, texts: Sequence[str]) -> list[set[int]]:
        """For every text the places, among the words asked for, of those that stand in it."""
        split = self._look_up(texts)
        return [
            self._phrases_in(tokens) | _pairs_in(text, self._pairs)
            for text, tokens in zip(texts, split, strict=True)
        ]

    def spans(self, texts: Sequence[str], places: Collection[int]) -> list[Spans]:
        """For every text the (start, end), in characters, of each word of certain places, in order."""
        split = self._look_up(texts)
        phrases = [phrase for place, phrase in self._phrases.items() if place in places]
        alone = {phrase[0] for phrase in phrases if len(phrase) == 1}
        together = [phrase for phrase in phrases if len(phrase) > 1]
        pairs = [pair for place, pair in self._pairs.items() if place in places]
        return [
            _united(
                [
                    (start, end)
                    for token, start, end in tokens
                    if (found := self._matching[token]) and not alone.isdisjoint(found)
                ]
                + [span for phrase in together for span in self._places(phrase, tokens)]
                + list(_runs_of(pairs, text))
            )
            for text, tokens in zip(texts, split, strict=True)
        ]

    def _phrases_in(self, tokens: Sequence[tuple[str, int, int]]) -> set[int]:
        there = set().union(*(self._matching[token] for token in {token for token, _, _ in tokens}))
        found = set()
        for part in there:
            for place in self._beginning.get(part, ()):
                phrase = self._phrases[place]
                if len(phrase) == 1 or (
                    there.issuperset(phrase) and next(self._places(phrase, tokens), None) is not None
                ):
                    found.add(place)
        return found

    def _places(
        self, phrase: tuple[str, ...], tokens: Sequence[tuple[str, int, int]]
    ) -> Iterator[tuple[int, int]]:
        """Where tokens follow each other that match the parts of a word, as 'E' and '204'."""
        for first in range(len(tokens) - len(phrase) + 1 if phrase else 0):
            if all(part in self._matching[tokens[first + i][0]] for i, part in enumerate(phrase)):
                yield tokens[first][1], tokens[first + len(phrase) - 1][2]

    def _look_up(self, texts: Sequence[str]) -> list[list[tuple[str, int, int]]]:
        """The texts' tokens; finds out which of them match, in an index of nothing but these."""
        split = []
        for text in texts:
            tokens = self._tokens.get(text)
            if tokens is None:
                tokens = [(found[0], found.start(), found.end()) for found in _TOKEN.finditer(text)]
                if len(self._tokens) < REMEMBERED:
                    self._tokens[text] = tokens
            split.append(tokens)
        new = {token for tokens in split for token, _, _ in tokens} - self._matching.keys()
        self._matching.update((token, frozenset()) for token in new)
        kept = [token for token in new if _folded(token[:1]) in self._firsts]  # stemming leaves beginnings
        if kept:
            self._match(kept)
        return split

    def _match(self, tokens: list[str]) -> None:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as index:
            index.execute(
                f"""CREATE VIRTUAL TABLE token USING fts5(word, content='', tokenize="{TOKENIZER}")"""
            )
            index.execute("BEGIN")
            index.executemany(
                "INSERT INTO token (rowid, word) VALUES (?, ?)", enumerate(map(words, tokens), start=1)
            )
            for part in self._parts:
                for (row,) in index.execute("SELECT rowid FROM token WHERE token MATCH ?", (f'"{part}"',)):
                    self._matching[tokens[row - 1]] |= {part}


def _pairs_in(text: str, pairs: dict[int, str]) -> set[int]:
    if not pairs:
        return set()
    unified = unicodedata.normalize("NFKC", text)
    return {place for place, pair in pairs.items() if next(_runs_of([pair], unified), None) is not None}


def _runs_of(pairs: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Where pairs of characters stand; a single one where it begins a pair, or stands alone."""
    for pair in pairs:
        start = text.find(pair)
        while start >= 0:
            end = start + len(pair)
            if len(pair) > 1 or _is_unspaced_at(text, end) or not _is_unspaced_at(text, start - 1):
                yield start, end
            start = text.find(pair, start + 1)


def _is_unspaced_at(text: str, place: int) -> bool:
    return 0 <= place < len(text) and _PAIR.match(text[place]) is not None


def _united(spans: Iterable[tuple[int, int]]) -> Spans:
    """In order; those that overlap or touch as one."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return tuple(runs)


@cache
def _folded(character: str) -> str:
    """What the index makes of a word's first character."""
    return unicodedata.normalize("NFKD", character).casefold()[:1]
