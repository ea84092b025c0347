"""What a cluster is about: the words that tell its texts from those of the others.

Class-based TF-IDF, with texts counted in place of words, so that one long text does not speak for a cluster:

    weight of a word = share of the cluster's texts that hold it
                       x log(that share / mean of the shares in all clusters)

Function words stand in every cluster alike and so weigh next to nothing, in whatever language; those that
stand in most texts are left out altogether.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from searchkit.library.clusters import OUTLIERS
from searchkit.library.words import words as as_indexed

WORDS = 8  # of a cluster
EVERYWHERE = 0.5  # of all texts: a word that stands in more of them is about nothing
RARE = 2  # texts: a word that stands in fewer says nothing of a cluster, unless that is all there is
# Times the mean share, or the root of the number of clusters where that is less: a word that is not so much
# more frequent in a cluster comes last: in short texts "how" and "to" vary by chance between clusters.
TELLING = 2.0
VARIANT = 3  # letters by which 'card' and 'cards', 'transfer' and 'transferred' differ: one word of the two
_WORD = re.compile(r"[^\W\d_][\w+#]+")


def words_of(text: str) -> set[str]:
    """The different words of a text, folded; numbers and single letters are none."""
    return set(_WORD.findall(as_indexed(text).lower()))


def counted(texts: Iterable[tuple[int, str]]) -> tuple[dict[int, Counter[str]], Counter[int]]:
    """From (cluster, text) pairs: in how many texts of each cluster a word stands, and its texts."""
    holding: dict[int, Counter[str]] = {}
    sizes: Counter[int] = Counter()
    for number, text in texts:
        holding.setdefault(number, Counter()).update(words_of(text))
        sizes[number] += 1
    return holding, sizes


def telling_words(
    holding: Mapping[int, Counter[str]], sizes: Mapping[int, int], n: int = WORDS
) -> dict[int, tuple[str, ...]]:
    """For each cluster the n words that tell it from the others, the most telling first.

    Fewer where there are fewer. Of a single cluster the most frequent words, for there are no others.
    """
    numbers = sorted(holding)
    total = sum(sizes[number] for number in numbers)
    everywhere: Counter[str] = Counter()
    for number in numbers:
        everywhere.update(holding[number])
    index = {
        word: place
        for place, word in enumerate(
            sorted(
                word
                for word, count in everywhere.items()
                if count >= min(RARE, total) and (count <= EVERYWHERE * total or total <= RARE)
            )
        )
    }
    # A single cluster has nothing to be told from: all but the words of every text, by how many hold them.
    if len(numbers) == 1 or not index:
        return {number: _distinct(_frequent(holding[number], n), n) for number in numbers}
    means = np.zeros(len(index))
    for number in numbers:
        for word, count in holding[number].items():
            if word in index:
                means[index[word]] += count / sizes[number] / len(numbers)
    found = {}
    least = min(TELLING, math.sqrt(len(numbers)))
    for number in numbers:
        own = holding[number]
        ratios = {
            word: count / sizes[number] / means[index[word]] for word, count in own.items() if word in index
        }
        weights = {word: own[word] / sizes[number] * math.log(ratio) for word, ratio in ratios.items()}
        telling = [word for word, weight in weights.items() if weight > 0]
        telling.sort(key=lambda word: (ratios[word] < least, -weights[word], word))
        found[number] = _distinct(telling, n)
    return found


def names(words: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """A name for each cluster: its first word, and as many more as tell it from those named before it."""
    taken = {OUTLIERS}  # what a filter calls something else
    found = {}
    for number in sorted(words):
        own = words[number]
        longer = (" ".join(own[: count + 1]) for count in range(len(own)))
        found[number] = next((name for name in longer if name not in taken), f"cluster {number}")
        taken.add(found[number])
    return found


def _frequent(holding: Counter[str], n: int) -> list[str]:
    return sorted(holding, key=lambda word: (-holding[word], word))[: 4 * n]


def _distinct(ranked: Sequence[str], n: int) -> tuple[str, ...]:
    """The first n, of variants of a word only the first."""
    kept: list[str] = []
    for word in ranked:
        if len(kept) == n:
            break
        if not any(_variants(word, other) for other in kept):
            kept.append(word)
    return tuple(kept)


def _variants(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= VARIANT and len(long) - len(short) <= VARIANT and long.startswith(short)
