"""ROUGE-L of two short texts, and whether two answers are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


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

    An answer without words, such as '+', is compared as it is.
    """
    one, other = _words(said), _words(expected)
    return one == other if one or other else said.strip() == expected.strip()


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, row by row."""
    before = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for column, against in enumerate(other):
            row.append(before[column] + 1 if word == against else max(before[column + 1], row[column]))
        before = row
    return before[-1]
