"""Review sentences of films and products with their polarity, which the mixture only implies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from benchmarks._mini_labels import TwoLabelled
from benchmarks._mini_wording import grouping
from searchkit.training.examples import Example

SOURCES = {"movie_review_polarity": "film", "customer_review_polarity": "product"}
GOOD = re.compile(
    r"\b(good|great|love|best|excellent|easy|perfect|fun|funny|enjoy\w*|beautiful\w*|recommend)\b"
)
BAD = re.compile(
    r"\b(bad|worst|poor\w*|boring|dull|problem\w*|terrible|waste|fail\w*|disappoint\w*|broke\w*)\b"
)


def reviews(mixture: Mapping[str, Sequence[Example]]) -> TwoLabelled:
    """Sentences by sentiment and by what is reviewed."""
    of = {
        text: (polarity, source)
        for task, source in SOURCES.items()
        for text, polarity in polarities(mixture[task]).items()
    }
    texts = list(of)
    kinds = ("review sentence", "review", "text", "sentence", "piece of feedback")
    return TwoLabelled(
        name="reviews",
        texts=texts,
        labels={
            "sentiment": [of[text][0] for text in texts],
            "subject": [of[text][1] for text in texts],
        },
        wordings={
            "sentiment": grouping(kinds, ("sentiment", "sentiment", "opinion", "feeling", "polarity")),
            "subject": grouping(
                kinds, ("subject", "topic", "what is reviewed", "product category", "domain")
            ),
        },
    )


def polarities(rows: Sequence[Example]) -> dict[str, str]:
    """Texts with 'positive' or 'negative', of the largest set of rows that hang together.

    A row says which two texts are of one polarity and which is of the other; words say which is which.
    """
    largest = max(sides(rows), default={}, key=len)
    said = sum(
        (1 if side else -1) * (len(GOOD.findall(text)) - len(BAD.findall(text)))
        for text, side in largest.items()
    )
    return {text: "positive" if (side == 1) == (said > 0) else "negative" for text, side in largest.items()}


def sides(rows: Sequence[Example]) -> list[dict[str, int]]:
    """Texts of two labels with 0 or 1, in sets of which each hangs together.

    A row's query and positive have one label, its negative has the other. So they are told apart where the
    ties of query and positive alone leave many small groups.
    """
    edges: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for one in rows:
        ties = [(one.positives[0][1], 0), *((text, 1) for _, text in one.negatives)]
        for other, changes in ties:
            edges[one.query[1]].append((other, changes))
            edges[other].append((one.query[1], changes))
    seen: set[str] = set()
    found: list[dict[str, int]] = []
    for start in edges:
        if start in seen:
            continue
        side, waiting = {start: 0}, [start]
        while waiting:
            text = waiting.pop()
            for other, changes in edges[text]:
                if other not in side:
                    side[other] = side[text] ^ changes
                    waiting.append(other)
        seen |= set(side)
        found.append(side)
    return found
