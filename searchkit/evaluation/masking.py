"""A copy of a Library without the headings and titles that are asked, in the documents that they ask for.

A heading is embedded with its passages, and so is a title: asked as it stands it finds its own words, which
says nothing of how a question is answered that somebody puts in words of his own. In the copy the passages of
the one document that is looked for lack the heading, wherever it stands in their context or as a line of
their own, and are embedded anew; all others keep what they had. Then queries go their usual way, through
vectors and words alike, and neither finds a copy of what was asked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import numpy as np

from searchkit.collection import recipe, recovery
from searchkit.collection.library import Library
from searchkit.errors import LibraryError
from searchkit.library import documents as store
from searchkit.library import twin, vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.contents import Content, contents_of
from searchkit.library.database import Database
from searchkit.library.words import words as as_indexed

Phrase: TypeAlias = tuple[str, ...]  # words, without case and marks
OnDone = Callable[[int, int], None]  # how much is done, of how much
Read = TypeVar("Read")

TOGETHER = 256  # passages embedded at a time
_WORD = re.compile(r"\w+")
_UNSEEN = re.compile(r"\]\([^)]*\)|\{[#:.][^}]*\}|<[^>]*>")  # targets of links, anchors, tags
_BORDER = " > "  # between the headings of a context


def phrase_of(text: str) -> Phrase:
    """The words of a text, by which headings are compared; pairs of characters where there are no spaces."""
    return tuple(_WORD.findall(as_indexed(text).casefold().replace("_", " ")))


@contextmanager
def copied(
    library: Library,
    collection: str,
    read: Callable[[Database, StoredCollection], Read],
    on_copied: OnDone | None = None,
) -> Iterator[tuple[Library, Read]]:
    """A copy of one Collection with the models that are open, gone afterwards; see library/twin.py.

    read: asked first, of the same committed state: what it raises, it raises before anything is copied.
    Yields: the copy, and what `read` returned. Raises: LibraryNotWritable: there is no room for the copy.
    """
    with twin.room(library.folder) as folder:
        try:
            with library.reading(collection) as (db, chosen):
                found = read(db, chosen)
                twin.copy(db, chosen, folder, on_copied)
            yield library.beside(folder), found
        except LibraryError as error:
            if str(folder) not in error.message:
                raise
            raise type(error)(
                f"the copy that is measured failed, your Library is as it was: {error.message}",
                remedy=f"see what room there is in {folder.parent}, then run the same command again",
            ) from error


def masked(content: Content, phrases: Set[Phrase]) -> tuple[str, str]:
    """Context and text without the lines and headings that say one of the phrases and nothing else."""
    context = "\n".join(
        kept
        for line in content.context.split("\n")
        if (kept := _BORDER.join(part for part in line.split(_BORDER) if phrase_of(part) not in phrases))
        and phrase_of(line) not in phrases
    )
    return context, "\n".join(line for line in content.text.split("\n") if not _says(line, phrases)).strip()


def _says(line: str, phrases: Set[Phrase]) -> bool:
    """Whether a line says a phrase and nothing else, but for the name of a column before it."""
    plain = _UNSEEN.sub(" ", line)
    value = plain.partition(": ")[2]
    return phrase_of(plain) in phrases or bool(value and phrase_of(value) in phrases)


def mask(
    library: Library,
    collection: str,
    phrases: Mapping[int, Set[Phrase]],
    on_masked: OnDone | None = None,
) -> None:
    """Take phrases out of Documents, by id, of a copy. What is left empty goes."""
    with library.reading(collection) as (db, chosen):
        changed = []
        for content in contents_of(db, chosen.collection_id):
            if content.document_id in phrases:
                context, text = masked(content, phrases[content.document_id])
                if (context, text) != (content.context, content.text):
                    changed.append((content.passage_id, context, text))
    kept = [
        (i, context, text, f"{context}\n{text}" if context else text)
        for i, context, text in changed
        if phrase_of(text)
    ]
    gone = {i for i, *_ in changed} - {i for i, *_ in kept}
    embedder = library.embedder(chosen) if kept else None
    hashes = {i: hashlib.sha256(embedded.encode("utf-8")).digest() for i, _, _, embedded in kept}
    with library.writing(collection) as (db, chosen):
        with db.transaction() as tx:
            for start in range(0, len(kept), TOGETHER):
                block = kept[start : start + TOGETHER]
                assert embedder is not None
                made = embedder.embed_counted(
                    [embedded for *_, embedded in block], chosen.recipe.get(recipe.INSTRUCTION, "")
                )
                store.put_texts(
                    tx, chosen.collection_id, [(hashes[i], context, text) for i, context, text, _ in block]
                )
                vectors.put_vectors(
                    tx,
                    chosen.recipe_id,
                    [hashes[i] for i, *_ in block],
                    made.vectors,
                    np.asarray(made.truncated),
                )
                if on_masked is not None:
                    on_masked(start + len(block), len(kept))
            twin.change_texts(tx, chosen, [*hashes.items(), *((i, None) for i in sorted(gone))])
        recovery.publish_if_due(db, chosen)
