"""What says the same in a Library: passages, Documents, those of another Collection or of files; decisions.

These are the functions to call. Each reads what it needs in one committed state, closes the database,
compares, and opens it again for the texts that are shown: a comparison may take minutes, and nobody waits
for it. What is forgotten meanwhile is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from searchkit.analysis.against import repeated, require_comparable
from searchkit.analysis.copies import (
    EVERYTHING,
    Found,
    Group,
    Member,
    Members,
    Show,
    Text,
    in_order,
    shown,
    stored_text,
)
from searchkit.analysis.joined import Joined, checked, join
from searchkit.analysis.knn import OnShare, say_nothing
from searchkit.analysis.overlap import CONTAINED, Documents, FoundDocuments, overlapping, shown_documents
from searchkit.analysis.texts import Texts, texts_not_stored, texts_of
from searchkit.analysis.threshold import Threshold
from searchkit.collection.choosing import chosen_or_default
from searchkit.collection.library import NO_PATIENCE, Library, Patience
from searchkit.errors import CollectionNotFound, UsageError
from searchkit.library import documents as store
from searchkit.library import duplicates as kept
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database, Transaction
from searchkit.library.duplicates import Decisions
from searchkit.library.naming import names_of
from searchkit.records import place_in_words

Pair: TypeAlias = tuple[int, int]  # ids of passages


def duplicates(
    library: Library,
    collection: str | None = None,
    *,
    threshold: float | None = None,
    show: Show = EVERYTHING,
    on_share: OnShare = say_nothing,
) -> Found:
    """Find the passages of a Collection that say the same, exactly or nearly.

    collection: None for the default one. threshold: the cosine from which on texts are duplicates; None for
    what the Collection suggests. on_share: told which share of the comparison is done, 0 to 1.
    Raises: UsageError: the threshold is no cosine. CollectionNotFound, LibraryError.
    """
    checked(threshold)
    mine, texts, said = _read(library, collection)
    joined = join(texts, said, threshold, on_share)
    groups = _members(joined)
    with _again(library, mine) as db:
        read = partial(_stored, db)
        return _found(mine.name, "", joined.threshold, texts, groups, shown(groups, show, read, read))


def duplicate_documents(
    library: Library,
    collection: str | None = None,
    *,
    threshold: float | None = None,
    contained: float = CONTAINED,
    show: Show = EVERYTHING,
    on_share: OnShare = say_nothing,
) -> FoundDocuments:
    """Find the Documents of a Collection that hold the same passages.

    contained: the share of one that the other must have, above 0 and up to 1; the rest, and what is raised,
    as for `duplicates`. Of a group every Document is given.
    """
    checked(threshold)
    if not 0 < contained <= 1:
        raise UsageError(
            f"the share to be contained is {contained:g}, expected above 0 and up to 1",
            remedy="leave it out for 0.5",
        )
    mine, texts, said = _read(library, collection)
    joined = join(texts, said, threshold, on_share)
    documents = Documents(joined)
    made = overlapping(documents, contained)
    with _again(library, mine) as db:
        names = names_of(db, [documents.ids[row] for rows in made for row in rows])
    groups = shown_documents(documents, made, names)
    return FoundDocuments(
        collection=mine.name,
        threshold=joined.threshold,
        documents=len(documents.ids),
        passages=len(texts.rows),
        total=len(groups),
        groups=tuple(groups[: show.groups]),
    )


def duplicates_against(
    library: Library,
    other: str,
    collection: str | None = None,
    *,
    threshold: float | None = None,
    show: Show = EVERYTHING,
) -> Found:
    """Find the passages of a Collection that repeat one of another, around those of the other.

    The threshold is measured in the other, on a sample of its texts.
    Raises: as `duplicates`. RecipeMismatch: vectors of the two cannot be compared.
    """
    checked(threshold)
    with library.reading(collection) as (db, mine):
        base = chosen_or_default(db, other)
        require_comparable(mine, base)
        texts, base_texts = texts_of(db, mine), texts_of(db, base)
        said = kept.decisions(db, texts.hashes.keys() | base_texts.hashes.keys())
    limit, groups = repeated(texts, base_texts, said, threshold)
    with _again(library, mine, base) as db:
        read = partial(_stored, db)
        return _found(mine.name, base.name, limit, texts, groups, shown(groups, show, read, read))


def duplicates_of_files(
    library: Library,
    paths: Sequence[str | Path],
    collection: str | None = None,
    *,
    threshold: float | None = None,
    show: Show = EVERYTHING,
) -> Found:
    """Find the passages of files that repeat one of a Collection, around the stored ones; nothing is stored.

    Files are read, cut and embedded as the Collection's; those that could not be are in the answer's
    `failed`. Raises: as `duplicates`. UsageError: a path does not exist. RecipeMismatch, ModelError: its
    model is another one now, or does not open.
    """
    checked(threshold)
    with library.reading(collection) as (_, mine):
        pass
    read = library.unstored(paths, mine)  # may take long: nothing is open meanwhile
    hashes = [kept.body_hash(one.text) for _, _, one in read.passages]
    texts = texts_not_stored(read.vectors, hashes)
    with _again(library, mine) as db:
        base = texts_of(db, mine)
        said = kept.decisions(db, texts.hashes.keys() | base.hashes.keys())
    limit, groups = repeated(texts, base, said, threshold)
    new = {
        at: Text(None, name, name + place_in_words(kind, one.place), one.text)
        for at, (name, kind, one) in enumerate(read.passages)
    }
    with _again(library, mine) as db:
        made = shown(groups, show, partial(_stored, db), lambda ids: {at: new[at] for at in ids})
    return replace(_found("new files", mine.name, limit, texts, groups, made), failed=read.failures)


# -------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is now known of the texts of two passages. same: None for nothing; changed: by this."""

    first: int
    second: int
    same: bool | None
    changed: bool


def decide(
    library: Library,
    *,
    accept: Sequence[Pair] = (),
    reject: Sequence[Pair] = (),
    undecide: Sequence[Pair] = (),
    patience: Patience = NO_PATIENCE,
) -> list[Decision]:
    """Note that pairs of passages are duplicates, or none, or take back what was noted: all, or nothing.

    It holds for their texts, wherever these stand. Raises: UsageError: a passage does not exist, a pair has
    one text, or is named twice. LibraryError.
    """
    asked = [
        (pair, same) for pairs, same in ((accept, True), (reject, False), (undecide, None)) for pair in pairs
    ]
    if not asked:
        return []
    _require_once([pair for pair, _ in asked])
    ids = sorted({one for pair, _ in asked for one in pair})
    with Database.read(library.folder) as db:
        collection = next(iter(_bodies(db, ids).values()))[0]
    with library.writing(collection, patience=patience) as (db, _), db.transaction() as tx:
        found = _bodies(tx, ids)
        body = {one: kept.body_hash(text) for one, (_, text) in found.items()}
        for (first, second), _ in asked:
            if body[first] == body[second]:
                raise UsageError(
                    f"passages {first} and {second} have the same text; nothing was noted",
                    remedy="name two passages of a group that are not marked as exact",
                )
        return [
            Decision(
                first=first, second=second, same=same,
                changed=kept.decide(tx, body[first], body[second], same),
            )
            for (first, second), same in asked
        ]  # fmt: skip


def _require_once(pairs: Sequence[Pair]) -> None:
    seen: set[frozenset[int]] = set()
    for first, second in pairs:
        if frozenset((first, second)) in seen:
            raise UsageError(
                f"passages {first} and {second} are named twice; nothing was noted",
                remedy="say once of each pair what it is",
            )
        seen.add(frozenset((first, second)))


def _bodies(db: Database | Transaction, ids: Sequence[int]) -> Mapping[int, tuple[str, str]]:
    found = kept.passage_texts(db, ids)
    if missing := [one for one in ids if one not in found]:
        raise UsageError(
            f"there is no passage {missing[0]}; nothing was noted",
            remedy="take the numbers from: searchkit duplicates; an edited passage has a new one",
        )
    return found


# -------------------------------------------------------------------- reading


def _found(
    collection: str,
    against: str,
    threshold: Threshold,
    texts: Texts,
    groups: Sequence[Members],
    given: tuple[Group, ...],
) -> Found:
    """groups: all of them; given: those with their texts."""
    exact = sum(one.exact for group in groups for one in group.copies)
    return Found(
        collection=collection,
        against=against,
        threshold=threshold,
        passages=len(texts.rows),
        texts=len(texts.firsts),
        exact=exact,
        near=sum(len(one.copies) for one in groups) - exact,
        total=len(groups),
        groups=given,
    )


def _read(library: Library, collection: str | None) -> tuple[StoredCollection, Texts, Decisions]:
    with library.reading(collection) as (db, mine):
        texts = texts_of(db, mine)
        return mine, texts, kept.decisions(db, texts.hashes)


@contextmanager
def _again(library: Library, *read: StoredCollection) -> Iterator[Database]:
    """The database once more. Raises: CollectionNotFound: it is not the Collection that was read."""
    with Database.read(library.folder) as db, db.one_state():
        for one in read:
            now = chosen_or_default(db, one.name)
            if (now.collection_id, now.recipe_id) != (one.collection_id, one.recipe_id):
                raise CollectionNotFound(
                    f"collection '{one.name}' was made anew while its passages were compared",
                    remedy="ask again: searchkit duplicates",
                )
        yield db


def _stored(db: Database, passage_ids: Sequence[int]) -> dict[int, Text]:
    return {one.passage_id: stored_text(one) for one in store.passages(db, passage_ids)}


def _members(joined: Joined) -> list[Members]:
    """Groups of passages: those of bodies that were joined, and of one body that stands in several places."""
    texts = joined.texts
    inside = {body for rows in joined.groups for body in rows}
    alone = [[body] for body, held in texts.passages.items() if len(held) > 1 and body not in inside]
    groups = []
    for leader, *others in (*joined.groups, *alone):
        representative, *exact = texts.passages[leader]
        copies = [Member(one, 1.0, exact=True, accepted=False) for one in exact]
        for body, cosine in zip(others, texts.cosines(leader, others) if others else (), strict=True):
            said = joined.said_same(leader, body)
            copies += [Member(one, float(cosine), False, said) for one in texts.passages[body]]
        groups.append(Members(representative, copies))
    return in_order(groups)
