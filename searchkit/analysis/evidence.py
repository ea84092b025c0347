"""What differs between two texts that are near to each other: the words, and whether they matter.

A vector hardly moves when 30 days become 60 or a 'not' is added; a reader of duplicates must see that first.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass

NUMBERS, VERSIONS, DATES, NEGATION = "numbers", "versions", "dates", "negation"
MOST_WORDS = 600  # of a text that are compared word by word: difflib's cost is a product
KEPT_BESIDE = 3  # words shown around a change

# In full, so that 'mark 30' and '2 junior posts' are no dates.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"  # months, too, for who writes them first
_YEAR = r"(?:1\d|20|21)\d\d"
_THOUSANDS = r"\d{1,3}(?:\.\d{3}){2,}(?![\d.])"  # 1.500.000 is no version
_KINDS = (  # the first that fits, at each place of a text
    (
        DATES,
        rf"(?<!\w){_YEAR}-{_DAY}-{_DAY}(?!\d)|(?<![\w.]){_DAY}\.{_DAY}\.{_YEAR}(?!\.?\d)|"
        rf"(?<![\w/]){_DAY}/{_DAY}/(?:{_YEAR}|\d\d)(?![\d/])|"
        rf"(?<![\w.,]){_DAY}(?:st|nd|rd|th)?\.?\s+{_MONTH}(?:\s+{_YEAR})?|"
        rf"(?<!\w){_MONTH}\s+{_DAY}\b(?:,?\s+{_YEAR})?|(?<!\w){_MONTH}\s+{_YEAR}\b",
    ),
    (
        VERSIONS,
        rf"(?<!\w)v\d+(?:\.\d+)*|(?<![\d.])(?!{_THOUSANDS})\d+(?:\.\d+){{2,}}|(?<=version )\d+(?:\.\d+)*",
    ),
    (NUMBERS, r"(?:(?<![\w)\]])[-−])?\d+(?:[.,]\d+)*"),  # also within words: products are told apart so
    (
        NEGATION,
        r"(?<!\w)(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|except|unless|unable)\b|"
        r"(?<!\w)[a-z]+n['’]t\b",
    ),
)
_TELLING = re.compile("|".join(rf"(?P<{name}>{form})" for name, form in _KINDS), re.IGNORECASE)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Change:
    """Words of the first text, and what stands in their place in the second; '' for nothing."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What differs. kinds: of NUMBERS, VERSIONS, DATES, NEGATION, those in which the texts differ."""

    kinds: tuple[str, ...]
    changes: tuple[Change, ...]
    cut: bool = False  # whether there is more than was compared word by word


def evidence(first: str, second: str) -> Evidence:
    """Compare two texts word by word; kinds of differences are looked for in their whole length."""
    one, other = _WORD.findall(first), _WORD.findall(second)
    cut = max(len(one), len(other)) > MOST_WORDS
    steps = opcodes(one[:MOST_WORDS], other[:MOST_WORDS])
    changes = tuple(
        Change(" ".join(one[a:b]), " ".join(other[c:d])) for same, a, b, c, d in steps if not same
    )
    before, after = _telling(first), _telling(second)
    return Evidence(tuple(name for name, _ in _KINDS if before[name] != after[name]), changes, cut)


def opcodes(one: list[str], other: list[str]) -> list[tuple[bool, int, int, int, int]]:
    """Spans of two lists of words in their order: whether they are the same, and where they are in each."""
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    return [(tag == "equal", a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes()]


def _telling(text: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {name: Counter() for name, _ in _KINDS}
    for match in _TELLING.finditer(text):
        kind = match.lastgroup or NUMBERS
        # That it is negated counts, not by which of the words.
        found[kind]["not" if kind == NEGATION else " ".join(match.group().casefold().split())] += 1
    return found


def summary(found: Evidence, most: int = 4) -> str:
    """The first changes in one line: 'days: 30 → 60'."""
    if not found.changes:
        return f"differs after the first {MOST_WORDS} words" if found.cut else "only white space differs"
    shown = [_change(one) for one in found.changes[:most]]
    more = len(found.changes) - len(shown)
    return "; ".join(shown) + (f"; {more} more" if more else "")


def _change(one: Change) -> str:
    return f"{_short(one.before) or '∅'} → {_short(one.after) or '∅'}"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
