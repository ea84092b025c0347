"""What one query finds on either side, how far it moved, and what can be said of why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from searchkit.arrays import Float32Vector, Float64Vector, Int64Vector
from searchkit.collection.snippet import sentences
from searchkit.evaluation import spaces
from searchkit.evaluation.spaces import Vectors
from searchkit.evaluation.two_rankings import kendall, overlap, rank_biased_overlap
from searchkit.library import documents as store
from searchkit.library.database import Database
from searchkit.library.documents import StoredPassage
from searchkit.profile import Side
from searchkit.records import place_in_words

NEAR_TIE = 0.1  # of the way from the first hit to the last shown
LEAST_LETTERS = 4  # of a word that an Instruction may lend a passage: shorter ones stand in every text
LEAST_WORDS = 2  # of a heading that is asked
MOST_CHARACTERS = 300  # of a sentence that is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A passage in one of the rankings, with its place and cosine in both.

    ranks: from 1; None beyond the depth that is compared. Cosines of two models do not compare; ranks do.
    """

    passage_id: int
    document: str
    where: str
    heading: str
    text: str
    rank_first: int | None
    rank_second: int | None
    cosine_first: float
    cosine_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A query and its answers on both sides.

    kendall: of the hits that both show: of one side's alone it would say disorder where there is none. None
    below two.
    """

    query: str
    overlap: float
    rbo: float
    kendall: float | None
    same_first: bool
    why: str
    first: tuple[Seen, ...]
    second: tuple[Seen, ...]


class Looking:
    """Shows what two rankings of places found. ids: (n,) the passage at each place."""

    def __init__(
        self,
        db: Database,
        vectors: tuple[Vectors, ...],
        ids: Int64Vector,
        instructions: tuple[Mapping[Side, str], Mapping[Side, str]],
    ) -> None:
        self._db = db
        self._vectors = vectors
        self._ids = ids
        self._instructions = instructions

    def at(
        self,
        query: str,
        rankings: tuple[Int64Vector, Int64Vector],
        asked: tuple[Float32Vector, Float32Vector],
        k: int,
    ) -> Moved:
        """rankings: places of the nearest on either side; asked: the query's vector on either side."""
        orders = [ranking.tolist() for ranking in rankings]
        union = np.array(list(dict.fromkeys(orders[0][:k] + orders[1][:k])), dtype=np.int64)
        scores = [
            spaces.cosines(self._db, space, vector, union)
            for space, vector in zip(self._vectors, asked, strict=True)
        ]
        seen = self._seen(union, orders, scores)
        first = tuple(seen[one] for one in orders[0][:k] if one in seen)
        second = tuple(seen[one] for one in orders[1][:k] if one in seen)
        shown_by_both = np.isin(union, orders[0][:k]) & np.isin(union, orders[1][:k])
        tau = kendall(scores[0][shown_by_both], scores[1][shown_by_both])
        return Moved(
            query=query,
            overlap=overlap(orders[0], orders[1], k),
            rbo=rank_biased_overlap(orders[0], orders[1]),
            kendall=None if math.isnan(tau) else tau,
            same_first=orders[0][:1] == orders[1][:1],
            why=why(query, first, second, self._lent()),
            first=first,
            second=second,
        )

    def _seen(
        self, union: Int64Vector, orders: list[list[int]], scores: list[Float64Vector]
    ) -> dict[int, Seen]:
        ranks = [{place: at for at, place in enumerate(order, start=1)} for order in orders]
        passages = {one.passage_id: one for one in store.passages(self._db, self._ids[union].tolist())}
        return {
            place: _seen_of(
                passages[int(self._ids[place])],
                (ranks[0].get(place), ranks[1].get(place)),
                (float(scores[0][at]), float(scores[1][at])),
            )
            for at, place in enumerate(union.tolist())
            if int(self._ids[place]) in passages
        }

    def _lent(self) -> set[str]:
        """Words that the second side puts before texts, and the first does not."""
        first, second = ({w for text in one.values() for w in _words(text)} for one in self._instructions)
        return second - first


def _seen_of(
    passage: StoredPassage, ranks: tuple[int | None, int | None], scores: tuple[float, float]
) -> Seen:
    return Seen(
        passage_id=passage.passage_id,
        document=passage.document,
        where=passage.document + place_in_words(passage.kind, passage.place),
        heading=passage.heading,
        text=passage.text,
        rank_first=ranks[0],
        rank_second=ranks[1],
        cosine_first=scores[0],
        cosine_second=scores[1],
    )


def why(query: str, first: tuple[Seen, ...], second: tuple[Seen, ...], lent: set[str]) -> str:
    """What is known of why the first answer is another one; of the same one, how many others changed.

    lent: words that stand before texts on the second side only.
    """
    if not first or not second:
        return "one side found nothing"
    was, now = first[0], second[0]
    if was.passage_id == now.passage_id:
        came = len({one.passage_id for one in second} - {one.passage_id for one in first})
        return f"the first stays; {came} of {len(second)} are others" if came else "the same are shown"
    parts = [
        f"{was.where} goes from 1 to {_rank(was.rank_second)}, {now.where} comes from "
        f"{_rank(now.rank_first)} to 1"
    ]
    apart = was.cosine_first - now.cosine_first
    if apart <= NEAR_TIE * (was.cosine_first - first[-1].cosine_first):
        parts.append(f"they lay {apart:.3f} apart before, so that little turns them")
    else:
        parts.append(
            f"before {apart:.3f} lay between them, now {now.cosine_second - was.cosine_second:.3f} the other "
            "way"
        )
    shared = sorted((lent - _words(query)) & _words(now.text) - _words(was.text))
    if shared:
        parts.append(f"it holds {', '.join(repr(word) for word in shared)} of the second instruction")
    return "; ".join(parts)


def query_from(passage: StoredPassage, *, heading: bool) -> str:
    """A heading or the first sentence of a passage, to ask; the other where it has none; '' for neither."""
    last = passage.heading.rsplit(" > ", 1)[-1].strip()
    usable = last if len(_ANY_WORD.findall(last)) >= LEAST_WORDS else ""
    sentence = " ".join(sentences(passage)[0].split())[:MOST_CHARACTERS]
    sentence = sentence if _ANY_WORD.search(sentence) else ""
    return (usable or sentence) if heading else (sentence or usable)


_ANY_WORD = re.compile(r"\w+")


def _words(text: str) -> set[str]:
    return {word for word in _ANY_WORD.findall(text.casefold()) if len(word) >= LEAST_LETTERS}


def _rank(rank: int | None) -> str:
    return str(rank) if rank is not None else f"beyond {spaces.DEPTH}"
