"""ROUGE-L of two short texts, and whether two answers are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
# An answer's words: a minus before a number changes it, and what ends C++, C# or A- makes it another word.
_OF_ANSWER = re.compile(r"(?:(?<!\w)-\.?(?=\d))?\w+(?:[+#]+|-+(?!\w))?")
_MINUS = "\u2212"


def rouge_l(said: str, expected: str) -> float:
    """F-measure of the longest common subsequence of words, precision and recall alike (0 to 1).

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1, with beta 1. Words are
    runs of letters, digits and underscores in any script, without case and not stemmed. Two texts without
    words are equal.
    """
    one, other = _words(said), _words(expected)
    if not one or not other:
        return float(one == other)
    return 2 * _common(one, other) / (len(one) + len(other))


def same(said: str, expected: str) -> bool:
    """Whether two answers are equal without case, punctuation and what blanks they have.

    A minus before a number counts, and so do +, # and - at the end of a word. An answer without words, such
    as '+', is compared as it is.
    """
    one, other = (_OF_ANSWER.findall(_plain(text).replace(_MINUS, "-")) for text in (said, expected))
    return one == other if one or other else said.strip() == expected.strip()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[str]:
    return _WORD.findall(_plain(text))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, row by row."""
    before = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for column, against in enumerate(other):
            row.append(before[column] + 1 if word == against else max(before[column + 1], row[column]))
        before = row
    return before[-1]
