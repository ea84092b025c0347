"""Finds the sentence of a passage that shows best why it was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector
from searchkit.collection.hits import marked
from searchkit.records import Hit

if TYPE_CHECKING:
    from searchkit.collection.asking import Answer, Part
    from searchkit.library.documents import StoredPassage

# A sentence ends at a full stop, question or exclamation mark before a space or line end, or at a line end.
_SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s|$)|[。！？]|$)", re.MULTILINE)
_WORD = re.compile(r"\w+")
LEAST_WORDS = 3  # shorter lines (labels, table cells) show little
MAX_CHARACTERS = 240
MAX_SENTENCES = 16  # looked at per passage: bounds the cost for passages of many short lines

# Models of up to this many dimensions are small enough to read every sentence shown, on a CPU as well;
# for larger ones the sentence is chosen by its words.
LIGHT_DIM = 384


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage; marks: (start, end) within it of words of the query."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


def best_sentences(answer: Answer) -> list[Sentence]:
    """For each Hit of an answer, in order, the sentence that answers best, with the query's words marked."""
    found: dict[int, str] = {}
    for name, part in answer.parts.items():
        hits = [hit for hit in answer.result.hits if hit.collection == name]
        found.update(zip((hit.rank for hit in hits), _of_part(hits, part, answer.result.query), strict=True))
    texts = [found[hit.rank] for hit in answer.result.hits]
    part = next(iter(answer.parts.values()))  # words are those of the whole Library: the same in every part
    marks = part.marker.spans(texts, marked(part.terms))
    return [Sentence(*one) for one in zip(texts, marks, strict=True)]


def _of_part(hits: Sequence[Hit], part: Part, query: str) -> list[str]:
    embedder = part.embedder
    if not hits:
        return []
    if embedder is None or part.vector is None or (embedder.device == "cpu" and embedder.dim > LIGHT_DIM):
        return overlapping_sentences(hits, query)
    instruction = embedder.instruction_for(part.profile, "document")
    return nearest_sentences(hits, part.vector, partial(embedder.embed, instruction=instruction))


def sentences(hit: Hit | StoredPassage) -> list[str]:
    """The sentences of a passage that are long enough to show, or the whole of it where none is.

    Its own headings are no answer: they are shown above it.
    """
    headings = set(hit.heading.split(" > "))
    found = [match.group().strip(" \t#>*-|") for match in _SENTENCE.finditer(hit.text)]
    telling = [one for one in found if len(_WORD.findall(one)) >= LEAST_WORDS and one not in headings]
    return telling[:MAX_SENTENCES] or [hit.text.strip()]


def nearest_sentences(
    hits: Sequence[Hit], query: Float32Vector, embed: Callable[[Sequence[str]], Float32Matrix]
) -> list[str]:
    """For each Hit the sentence nearest to the query, in one call of the model.

    query: (dim,) float32; embed: texts to (n, dim) float32 in the query's space.
    """
    split = [sentences(hit) for hit in hits]
    flat = [sentence for group in split for sentence in group]
    scores = embed(flat) @ query
    best, start = [], 0
    for group in split:
        best.append(_shortened(group[int(np.argmax(scores[start : start + len(group)]))]))
        start += len(group)
    return best


def overlapping_sentences(hits: Sequence[Hit], query: str) -> list[str]:
    """For each Hit the sentence that shares most words with the query: needs no model."""
    asked = {word.casefold() for word in _WORD.findall(query)}
    best = []
    for hit in hits:
        found = sentences(hit)
        shared = [len(asked & {word.casefold() for word in _WORD.findall(one)}) for one in found]
        best.append(_shortened(found[int(np.argmax(shared))]))
    return best


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
