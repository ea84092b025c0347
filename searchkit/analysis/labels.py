"""What a cluster is about: the words that tell its texts from those of the others.

Class-based TF-IDF, with texts counted in place of words, so that one long text does not speak for a cluster:

    weight of a word = share of the cluster's texts that hold it
                       x log(that share / mean of the shares in all clusters)

Function words stand in every cluster alike and so weigh next to nothing, in whatever language; those that
stand in most texts of every cluster are left out altogether.

A single cluster has nothing to be told from. Its words are those that stand more often in the half of its
texts nearest to its middle than in the other half; what is left is filled with long words that many texts
hold. (LOG "what is a single cluster called?")
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np

from searchkit.library.clusters import OUTLIERS
from searchkit.library.words import words as as_indexed

WORDS = 8  # of a cluster
EVERYWHERE = 0.5  # of the texts of every cluster: a word that stands in more of them is about nothing
RARE = 2  # texts: a word that stands in fewer says nothing of a cluster, unless that is all there is
# Times the mean share, or the root of the number of clusters where that is less: a word that is not so much
# more frequent in a cluster comes last: in short texts "how" and "to" vary by chance between clusters.
TELLING = 2.0
VARIANT = 3  # letters by which 'card' and 'cards', 'transfer' and 'transferred' differ: one word of the two
SURE = 2.0  # standard errors between the two halves of a single cluster: less is chance


def words_of(text: str) -> set[str]:
    """The different words of a text, folded; numbers and single letters are none."""
    return set(_word().findall(as_indexed(text).lower()))


@cache
def _word() -> re.Pattern[str]:
    r"""A word, of the full text's characters: marks belong to it, without them Hindi falls into pieces.

    `re` has no class for marks, which \w lacks; they are listed when the first text is read.
    """
    marks = "".join(_ranges(ord for ord in range(sys.maxunicode) if unicodedata.category(chr(ord))[0] == "M"))
    return re.compile(rf"[^\W\d_][\w{marks}+#]+")


def _ranges(ordinals: Iterable[int]) -> Iterable[str]:
    """Ascending numbers of characters as ranges of a character class."""
    first = last = -2
    for one in ordinals:
        if one != last + 1:
            if first >= 0:
                yield f"{re.escape(chr(first))}-{re.escape(chr(last))}"
            first = one
        last = one
    if first >= 0:
        yield f"{re.escape(chr(first))}-{re.escape(chr(last))}"


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

    Fewer where there are fewer. Of a single cluster, or where nothing tells them apart, long words of many
    texts.
    """
    numbers = sorted(holding)
    telling = _candidates(holding, sizes) if len(numbers) > 1 else set()
    if not telling:
        return {number: _distinct(_frequent(holding[number]), n) for number in numbers}
    index = {word: place for place, word in enumerate(sorted(telling))}
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
        ranked = [word for word, weight in weights.items() if weight > 0]
        ranked.sort(key=lambda word: (ratios[word] < least, -weights[word], -len(word), word))
        found[number] = _distinct(ranked, n)
    return found


def _candidates(holding: Mapping[int, Counter[str]], sizes: Mapping[int, int]) -> set[str]:
    """Words that may tell clusters apart: not too rare, and not frequent in every one of them.

    Judged cluster by cluster: of all texts the largest cluster may be most, and its topic then in most texts.
    """
    everywhere: Counter[str] = Counter()
    for own in holding.values():
        everywhere.update(own)
    total = sum(sizes[number] for number in holding)
    frequent: list[set[str]] = [
        {word for word, count in own.items() if count > EVERYWHERE * sizes[number]}
        for number, own in holding.items()
    ]
    rare = {word for word, count in everywhere.items() if count < min(RARE, total)}
    return set(everywhere) - frequent[0].intersection(*frequent) - rare


def words_of_one(near: Iterable[str], far: Iterable[str], n: int = WORDS) -> tuple[str, ...]:
    """Words of a single cluster, from the half of its texts nearest to its middle and from the others."""
    holding, sizes = counted([*((0, text) for text in near), *((1, text) for text in far)])
    one, other = holding.get(0, Counter()), holding.get(1, Counter())
    weights = {}
    for word, count in one.items():
        here, there = count / sizes[0], other[word] / max(sizes[1], 1)
        both = (count + other[word]) / (sizes[0] + sizes[1])
        error = math.sqrt(both * (1 - both) * (1 / sizes[0] + 1 / max(sizes[1], 1)))
        if error and here - there >= SURE * error:
            weights[word] = len(word) * here * math.log(2 * here / (here + there))
    telling = sorted(weights, key=lambda word: (-weights[word], word))
    return _distinct([*telling, *(word for word in _frequent(one + other) if word not in weights)], n)


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


def _frequent(holding: Counter[str]) -> list[str]:
    """Words by how many texts hold them, times their letters: function words are short in any language."""
    return sorted(holding, key=lambda word: (holding[word] < RARE, -holding[word] * len(word), word))


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
