"""The same Instruction in other words, by rules: no model, no network, the same words for the same seed.

What is kept is the meaning, the names in it, and how it ends: a family was trained to read that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# Each row says one thing; a word or phrase of it may stand for any other of the row. Longer phrases go first.
_ALIKE: tuple[tuple[str, ...], ...] = (
    ("represent", "encode", "embed", "describe", "express"),
    ("for retrieving", "for finding", "to retrieve", "to find", "in order to retrieve"),
    ("for retrieval", "for search", "to be retrieved", "to be found"),
    ("for detecting", "for finding", "to detect", "in order to detect"),
    ("for measuring", "for judging", "to measure", "in order to measure"),
    ("for clustering", "for grouping", "to cluster it", "in order to group it"),
    ("for classification", "for categorisation", "to be classified", "to be put into a category"),
    ("for identifying", "to identify", "to tell", "in order to identify"),
    ("retrieve", "find", "look up", "search for"),
    ("identify", "recognise", "tell", "name"),
    ("supporting", "relevant", "helpful", "matching"),
    ("duplicate", "equivalent", "repeated"),
    ("semantic similarity", "similarity in meaning", "how alike the meanings are"),
    ("with the same meaning", "that mean the same", "of equal meaning"),
    ("question", "query", "inquiry"),
    ("questions", "queries", "inquiries"),
    ("claim", "assertion", "statement"),
    ("sentence", "statement", "phrase"),
    ("sentences", "statements", "phrases"),
    ("document", "text", "piece of writing"),
    ("documents", "texts", "pieces of writing"),
    ("paragraph", "passage", "section"),
    ("paragraphs", "passages", "sections"),
    ("topic", "subject", "theme"),
    ("category", "class", "kind"),
    ("scientific", "science", "research"),
    ("medical", "medicine", "health"),
    ("that answer it", "which answer it", "with the answer"),
)
# They mean other things, too: 'the name of the plant' is no 'identify of the plant'.
_NEVER_REPLACED = frozenset({"name", "tell", "kind", "class", "express", "matching", "section", "theme"})
_BEFORE = ("{}", "Please {}", "Your task: {}", "{}, whatever its wording", "{}, by its meaning")
_WORD = re.compile(r"\w")


def paraphrases(text: str, n: int, seed: int = 0) -> list[str]:
    """Up to n different paraphrases of an Instruction, none of them the Instruction itself; [] of none.

    Fewer where the rules know no more. The end (': ', further lines) stays as it is.
    """
    body, tail = _parted(text)
    if not body or n <= 0:
        return []
    drawn = np.random.default_rng(seed)
    parts = _choices(body)
    found: dict[str, None] = {}
    for _ in range(40 * n):  # draws may repeat one another
        chosen = [options[int(drawn.integers(len(options)))] for options in parts]
        frame = _BEFORE[int(drawn.integers(len(_BEFORE)))] if drawn.random() < 0.25 else "{}"
        made = _framed(frame, "".join(chosen)) + tail
        if made != text:
            found.setdefault(made)
        if len(found) == n:
            break
    return list(found)


def _parted(text: str) -> tuple[str, str]:
    """What is said, and how it ends: the marks and blanks behind it, and all further lines."""
    first = text.split("\n", 1)[0]
    body = first.rstrip(" \t:;,.!?")
    return (body, text[len(body) :]) if _WORD.search(body) else ("", text)


def _choices(body: str) -> list[Sequence[str]]:
    """The text cut where a rule fits: for each piece what may stand there, itself among them."""
    parts: list[Sequence[str]] = []
    at = 0
    for found in _ANY.finditer(body):
        parts.append((body[at : found.start()],))
        own = found.group()
        row = _ALIKE_BY_PHRASE[own.lower()]
        parts.append([own, *(_as(own, one) for one in row if one != own.lower())])
        at = found.end()
    parts.append((body[at:],))
    return parts


def _as(own: str, other: str) -> str:
    """Another phrase, begun with a capital where the own one is."""
    return other[0].upper() + other[1:] if own[0].isupper() else other


def _framed(frame: str, body: str) -> str:
    if frame.startswith("{}"):
        return frame.format(body)
    # Only a word that is no name: 'BBC' at the beginning stays.
    return frame.format(body if body[:2].isupper() else body[0].lower() + body[1:])


_ALIKE_BY_PHRASE = {  # the first row that has it
    phrase: row for row in reversed(_ALIKE) for phrase in row if phrase not in _NEVER_REPLACED
}
_ANY = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _ALIKE_BY_PHRASE), key=len, reverse=True)) + r")\b", re.I
)
