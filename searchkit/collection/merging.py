"""Makes one list of the hits of several Collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from searchkit.records import Hit

# Of reciprocal rank fusion: Cormack, Clarke and Büttcher 2009.
RANK_CONSTANT = 60

POOL = 30  # hits of each Collection that one answer is made of, at least

BY_RELEVANCE = "relevance"
BY_RANK = "reciprocal rank"
BY_JUDGE = "cross-encoder"


def merged(lists: Sequence[Sequence[Hit]], *, judged_alike: bool = False) -> tuple[str, list[Hit]]:
    """What hits are ranked by, and all of them in that order, numbered anew; a passage found twice once.

    judged_alike: whether their scores are all a cross-encoder's, which can be compared as they are.

    Cosines under two models or two instructions cannot be compared, relevance can: every hit counts as much
    as the most relevant one from it on in its own list, whose order stays. Where a relevance is not known,
    hits count by their ranks, which gives every Collection the same say.
    """
    if judged_alike:
        by, scored = BY_JUDGE, [hit for hits in lists for hit in hits]
    elif all(hit.relevance is not None for hits in lists for hit in hits):
        by, scored = BY_RELEVANCE, [one for hits in lists for one in _by_relevance(hits)]
    else:
        by, scored = (
            BY_RANK,
            [replace(hit, score=1 / (RANK_CONSTANT + hit.rank)) for hits in lists for hit in hits],
        )
    best: dict[tuple[object, ...], Hit] = {}
    for hit in scored:
        place = (f"{hit.metadata.get('source')}/{hit.document}", hit.start, hit.end)
        other = best.get(place)
        if other is None:
            best[place] = hit
        elif by == BY_RANK:
            best[place] = replace(other, score=other.score + hit.score)
        elif hit.score > other.score:
            best[place] = hit
    order = sorted(best.values(), key=lambda hit: -hit.score)  # stable: Collections in the order asked
    return by, [replace(hit, rank=rank, score=round(hit.score, 6)) for rank, hit in enumerate(order, start=1)]


def _by_relevance(hits: Sequence[Hit]) -> list[Hit]:
    scored: list[Hit] = []
    most = 0.0
    for hit in reversed(hits):
        most = max(most, hit.relevance or 0.0)
        scored.append(replace(hit, score=most))
    return scored[::-1]
