"""What is said of duplicates among passages: groups, copies, and how each differs from the one they stand by.

Which passages are in which group is known before any text is read; texts are read and compared only of what
is shown, for a Collection may have ten thousand groups, and one footer fifty thousand copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from searchkit.analysis.evidence import Evidence, evidence
from searchkit.analysis.threshold import Threshold
from searchkit.library.documents import StoredPassage
from searchkit.records import Failure, place_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """How many groups, and how many copies of each, are given with their texts; None for all."""

    groups: int | None = None
    copies: int | None = None


EVERYTHING = Show()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A passage of a group, and how it compares with the representative.

    cosine: of the two texts, the best where one stands under several headings, and 1 where it is exact;
    exact: the texts are the same, character by character, under whatever heading; accepted: a person said,
    of these two or by way of others, that they are.
    """

    passage_id: int | None  # None of a passage that is not stored
    document: str
    where: str
    text: str
    cosine: float
    exact: bool
    accepted: bool = False
    differences: Evidence | None = None  # None where there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Passages that say the same as the first, which stands for them. more: copies that are not given."""

    representative: Copy
    copies: tuple[Copy, ...]  # exact ones, then the nearest first
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Duplicates among the passages of a Collection; the largest group comes first.

    threshold: see there; passages, texts: how many were compared; exact, near: how many passages repeat the
    text of the representative, or nearly; total: groups, of which `groups` are the first. against: the
    Collection that representatives are of, '' for the same one. failed: files to be compared that could not
    be read.
    """

    collection: str
    threshold: Threshold
    passages: int
    texts: int
    exact: int
    near: int
    total: int
    groups: tuple[Group, ...] = ()
    against: str = ""
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A passage as it is shown. passage_id: None where it is not stored."""

    passage_id: int | None
    document: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Member:
    """A copy whose text is not read yet. passage: its id."""

    passage: int
    cosine: float
    exact: bool
    accepted: bool


@dataclass(frozen=True, slots=True)
class Members:
    """A group whose texts are not read yet. representative: the id of a passage."""

    representative: int
    copies: Sequence[Member]


# Passages by id; those that are gone are left out.
Texts: TypeAlias = "Callable[[Sequence[int]], Mapping[int, Text]]"


def in_order(groups: Sequence[Members]) -> list[Members]:
    """The largest first, then the one with the nearest copy; of each the exact copies, then the nearest."""
    sorted_groups = [
        Members(one.representative, sorted(one.copies, key=lambda it: (not it.exact, -it.cosine, it.passage)))
        for one in groups
    ]
    return sorted(
        sorted_groups, key=lambda one: (-len(one.copies), -one.copies[0].cosine, one.representative)
    )


def shown(groups: Sequence[Members], show: Show, representatives: Texts, copies: Texts) -> tuple[Group, ...]:
    """Groups with their texts, as far as they are to be shown; of what is gone meanwhile, nothing."""
    some = groups[: show.groups]
    parts = [one.copies[: show.copies] for one in some]
    firsts = representatives([one.representative for one in some])
    others = copies([it.passage for part in parts for it in part])
    made = []
    for one, part in zip(some, parts, strict=True):
        if one.representative not in firsts:
            continue
        first = firsts[one.representative]
        compared: dict[str, Evidence] = {}
        found = tuple(_copy(others[it.passage], it, first, compared) for it in part if it.passage in others)
        if found:
            itself = _as_copy(first, 1.0, exact=True)
            made.append(Group(representative=itself, copies=found, more=len(one.copies) - len(part)))
    return tuple(made)


def stored_text(one: StoredPassage) -> Text:
    """A stored passage as it is shown."""
    return Text(one.passage_id, one.document, one.document + place_in_words(one.kind, one.place), one.text)


def _copy(text: Text, one: Member, first: Text, compared: dict[str, Evidence]) -> Copy:
    if one.exact:
        return _as_copy(text, 1.0, exact=True, accepted=one.accepted)
    if text.text not in compared:
        compared[text.text] = evidence(first.text, text.text)
    return _as_copy(text, one.cosine, exact=False, accepted=one.accepted, differences=compared[text.text])


def _as_copy(
    text: Text, cosine: float, *, exact: bool, accepted: bool = False, differences: Evidence | None = None
) -> Copy:
    return Copy(
        passage_id=text.passage_id,
        document=text.document,
        where=text.where,
        text=text.text,
        cosine=round(min(cosine, 1.0), 6),
        exact=exact,
        accepted=accepted,
        differences=differences,
    )
