"""What is to be forgotten and what was: a wish, its traces until they are proven gone, and marks that last.

Marks say which files and texts may not come back, as hashes under a key of the Library: neither a name nor
a word is kept. Whoever has the Library can confirm a name that he guesses, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from searchkit.library import classifiers, clusters, duplicates
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library.database import Database, Row, Transaction
from searchkit.library.traces import Sample, Traces, hashed
from searchkit.library.words import words
from searchkit.paths import escape_name, names_of, path_of, places, unescape_name

WHOLE = b""  # in place of a text: the file as such
EVERYWHERE = 0  # in place of a Collection's id: the whole Library
LONGEST_WORD = 8  # bytes of a word that are looked for: full text keeps stems, and shares beginnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file of one Collection, and those of its Documents that are meant."""

    collection_id: int
    collection: str
    root: Path
    file_id: int
    name: str
    size: int
    sha256: bytes
    documents: tuple[int, ...]
    whole: bool  # the file with all its Documents, and not only some of them
    now: tuple[int, bytes] | None = None  # size and SHA-256 of the file as it is, where somebody has looked

    @property
    def places(self) -> tuple[bytes, ...]:
        """Where the file lies; the first says it for sure."""
        return places(self.root, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much was taken out of the tables."""

    documents: int
    passages: int
    shared: int  # of them: their text stays, for other Documents hold it too


NOTHING = Erased(documents=0, passages=0, shared=0)


@dataclass(frozen=True, slots=True)
class Marks:
    """What may not come back into a Collection, as keyed hashes: files, and of other files the texts."""

    key: bytes
    files: frozenset[bytes]
    texts: Mapping[bytes, frozenset[bytes]]

    def of_places(self, places: Iterable[bytes]) -> bool:
        """Whether the file at these places, which are those of one file, was forgotten."""
        return any(hashed(self.key, place) in self.files for place in places)

    def of_size(self, size: int) -> bool:
        """Whether a file of this size was forgotten: only then is its content worth a look."""
        return _of_size(self.key, size) in self.files

    def of_content(self, sha256: bytes) -> bool:
        """Whether a file with this content was forgotten, under whatever name."""
        return _of_content(self.key, sha256) in self.files

    def within(self, places: Iterable[bytes]) -> frozenset[bytes]:
        """Keyed hashes of the texts of a file that were forgotten."""
        none: frozenset[bytes] = frozenset()
        return none.union(*(self.texts.get(hashed(self.key, place), none) for place in places))


def _of_size(key: bytes, size: int) -> bytes:
    return hashed(key, b"size\0%d" % size)


def _of_content(key: bytes, sha256: bytes) -> bytes:
    return hashed(key, b"content\0" + sha256)


# -------------------------------------------------------------------- finding


def held(db: Database, name: str, collection_id: int | None = None) -> list[Held]:
    """Files with a Document of that name, or of that name themselves; of one Collection, or of all."""
    rows = db.rows(
        f"""{_HELD} WHERE f.file_id IN (SELECT file_id FROM files WHERE name = ?
              UNION SELECT file_id FROM documents WHERE name = ?)
              AND (? IS NULL OR c.collection_id = ?) ORDER BY c.name, f.file_id""",
        (name, name, collection_id, collection_id),
    )
    return [_held(db, row, name) for row in rows]


def held_at(db: Database, path: Path, collection_id: int | None = None) -> list[Held]:
    """The file at an absolute path, or one of its Documents ('/docs/staff.csv#12'); once per Collection."""
    rows = db.rows(
        f"{_HELD} WHERE ? IS NULL OR c.collection_id = ? ORDER BY c.name, f.file_id",
        (collection_id, collection_id),
    )
    found = [_held(db, row, row[4]) for row in rows if _lies_at(path, _path(row[2]), row[4])]
    for root in dict.fromkeys(_path(row[2]) for row in rows) if not found else ():
        for name in names_of(root, path):
            found += (one for one in held(db, name, collection_id) if one.root == root)
    return found


def _lies_at(path: Path, root: Path, name: str) -> bool:
    if unescape_name(name.rpartition("/")[2]) != path.name:  # what costs no look at any folder goes first
        return False
    return bool({*places(root, name)} & {*places(path.parent, escape_name(path.name))})


def _path(root: bytes) -> Path:
    return Path(os.fsdecode(root))


_HELD = """SELECT c.collection_id, c.name, s.root, f.file_id, f.name, f.size, f.sha256
           FROM files f JOIN sources s USING (source_id) JOIN collections c USING (collection_id)"""


def _held(db: Database, row: Row, name: str) -> Held:
    documents = db.rows("SELECT document_id, name FROM documents WHERE file_id = ?", (row[3],))
    meant = [document_id for document_id, own in documents if name in (own, row[4])]
    return Held(
        collection_id=row[0],
        collection=row[1],
        root=_path(row[2]),
        file_id=row[3],
        name=row[4],
        size=row[5],
        sha256=row[6],
        documents=tuple(meant),
        whole=name == row[4],
    )


def passages_of(db: Database, files: Iterable[Held]) -> int:
    """How many passages the Documents meant have together."""
    documents = [document_id for one in files for document_id in one.documents]
    return sum(
        row[0]
        for row in db.rows_among(
            "SELECT count(*) FROM passages WHERE document_id IN ({}) GROUP BY document_id", documents
        )
    )


# -------------------------------------------------------------------- erasing


def erase(tx: Transaction, files: Sequence[Held], *, everywhere: bool) -> Erased:
    """Take Documents out of all tables, with the texts and vectors that nobody else holds, and note the wish.

    Texts that an interrupted run left without a passage go too: whose they were cannot be told.

    everywhere: marks hold for the whole Library, and not only for the Collections of `files`.
    """
    key = _key(tx)
    sample = Sample(key)
    text_ids: list[int] = []
    for one in files:
        text_ids += _describe(tx, one, sample)
        for document_id in one.documents:
            for value in _of_document(tx, document_id):
                sample.add(value)
    marks = [mark for one in files for mark in _marks(tx, key, one)]
    for collection_id in sorted({one.collection_id for one in files}):
        classifiers.delete_of(tx, collection_id)
        clusters.delete(tx, collection_id)  # a name may be a word of the text, a centroid be its vector
    for one in files:
        if one.whole:
            store.remove_file(tx, one.file_id)
        else:
            store.remove_documents(tx, one.documents)
        _remove_source_alone(tx, one)
        catalogue.advance(tx, one.collection_id)
    shared = _erase_texts(tx, text_ids, sample)
    tx.run("INSERT INTO forgetting (traces) VALUES (?)", (sample.traces().as_bytes(),))
    for collection_id, file, text in marks:
        _mark(tx, EVERYWHERE if everywhere else collection_id, file, text)
    return Erased(documents=sum(len(one.documents) for one in files), passages=len(text_ids), shared=shared)


def _mark(tx: Transaction, collection_id: int, file: bytes, text: bytes) -> None:
    """Note a mark, and that nobody has let the file back any more."""
    tx.run(
        """DELETE FROM forgotten
           WHERE file = ?1 AND text = ?2 AND collection_id < 0 AND ?3 IN (0, -collection_id)""",
        (file, text, collection_id),
    )
    tx.run(
        "INSERT OR IGNORE INTO forgotten (collection_id, file, text) VALUES (?, ?, ?)",
        (collection_id, file, text),
    )


def _describe(tx: Transaction, one: Held, sample: Sample) -> list[int]:
    """Note the names to look for. Returns: the text of every passage meant."""
    if one.whole:
        sample.add(one.name.encode())
        sample.add(os.fsencode(unescape_name(one.name)))
    text_ids: list[int] = []
    for document_id in one.documents:
        text_ids += [
            row[0] for row in tx.rows("SELECT text_id FROM passages WHERE document_id = ?", (document_id,))
        ]
    return text_ids


def _of_document(tx: Transaction, document_id: int) -> Iterator[bytes]:
    for row in tx.rows("SELECT name, title, metadata FROM documents WHERE document_id = ?", (document_id,)):
        yield from (value.encode() for value in row)
    for row in tx.rows("SELECT DISTINCT heading FROM passages WHERE document_id = ?", (document_id,)):
        yield row[0].encode()


def _marks(tx: Transaction, key: bytes, one: Held) -> Iterator[tuple[int, bytes, bytes]]:
    """For a file its places and its content, so that it stays away under another name too; else its texts.

    The text of a row is known wherever the row moves in its file. A text that the file holds once more, in
    another Document, is not marked: the two could not be told apart.
    """
    at = [hashed(key, place) for place in one.places]
    if one.whole:
        yield from ((one.collection_id, place, WHOLE) for place in at)
        for size, sha256 in dict.fromkeys([(one.size, one.sha256), one.now or (0, b"")]):
            if sha256:
                yield one.collection_id, _of_size(key, size), WHOLE
                yield one.collection_id, _of_content(key, sha256), WHOLE
        return
    meant = set(one.documents)
    holders: dict[bytes, set[int]] = {}
    for document_id, text_hash in tx.rows(
        """SELECT d.document_id, t.hash FROM documents d JOIN passages p USING (document_id)
           JOIN texts t USING (text_id) WHERE d.file_id = ?""",
        (one.file_id,),
    ):
        holders.setdefault(text_hash, set()).add(document_id)
    for text_hash, documents in holders.items():
        if documents <= meant:
            yield from ((one.collection_id, place, hashed(key, text_hash)) for place in at)


def _remove_source_alone(tx: Transaction, one: Held) -> None:
    """A source that is the forgotten file itself goes with it: its path is a name, too."""
    if one.whole and path_of(one.root, one.name) == one.root:
        source = (one.collection_id, os.fsencode(one.root))
        tx.run("DELETE FROM sources WHERE collection_id = ? AND root = ?", source)


def _erase_texts(tx: Transaction, text_ids: Iterable[int], sample: Sample) -> int:
    """Delete texts without a passage. Returns: how many of `text_ids` stay, counted as often as named."""
    meant = list(text_ids)
    loose = [row[0] for row in tx.rows("SELECT DISTINCT text_id FROM loose_texts")]
    kept: set[int] = set()
    for text_id in dict.fromkeys([*meant, *loose]):
        if tx.rows("SELECT 1 FROM passages WHERE text_id = ? LIMIT 1", (text_id,)):
            kept.add(text_id)
            tx.run(
                """DELETE FROM vectors WHERE text_id = ? AND NOT EXISTS (
                     SELECT 1 FROM passages p JOIN collections c USING (collection_id)
                     WHERE p.text_id = vectors.text_id AND c.recipe_id = vectors.recipe_id)""",
                (text_id,),
            )
            continue
        for context, text in tx.rows("SELECT context, text FROM texts WHERE text_id = ?", (text_id,)):
            said = _long_words(f"{context} {text}")
            for value in (context, text, *(word[:LONGEST_WORD] for word in said)):  # such words are ASCII
                sample.add(value.encode())
            duplicates.forget(tx, text_id, text)
        for (vector,) in tx.rows("SELECT vector FROM vectors WHERE text_id = ?", (text_id,)):
            sample.add(vector)
        for table in ("vectors", "loose_texts", "texts"):
            tx.run(f"DELETE FROM {table} WHERE text_id = ?", (text_id,))
    return sum(text_id in kept for text_id in meant)


def _long_words(text: str) -> set[str]:
    """Beginnings of words as full text spells them: plain letters and digits, in lower case."""
    return {
        word
        for word in words(text).lower().split()
        if len(word) >= LONGEST_WORD and word.isascii() and word.isalnum()
    }


# -------------------------------------------------------------------- finishing


def wishes(db: Database) -> int:
    """How many wishes are not proven yet."""
    return int(db.rows("SELECT count(*) FROM forgetting")[0][0])


def pending(db: Database) -> tuple[list[int], Traces]:
    """Ids of the wishes that are not proven yet, and the traces to look for; without wishes, none."""
    rows = db.rows("SELECT forget_id, traces FROM forgetting ORDER BY forget_id")
    key = db.rows("SELECT key FROM forgotten_key")[0][0]
    return [row[0] for row in rows], Traces.stored(key, (row[1] for row in rows))


def settle(tx: Transaction, forget_ids: Sequence[int]) -> None:
    """Note that the traces are gone."""
    tx.run_many("DELETE FROM forgetting WHERE forget_id = ?", ((one,) for one in forget_ids))


def stored_values(db: Database) -> Iterator[bytes]:
    """All texts and blobs that tables hold, and every word of the full text: what may stand in the file."""
    yield from (row[0].encode() for row in db.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    tables = db.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'fulltext%'")
    for (table,) in tables:
        for row in db.scan(f'SELECT * FROM "{table}"'):
            yield from (value.encode() for value in row if isinstance(value, str))
            yield from (value for value in row if isinstance(value, bytes))
    db.rows("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, fulltext, row)")
    yield from (row[0].encode() for row in db.scan("SELECT term FROM temp.vocabulary"))


# -------------------------------------------------------------------- what stays away


def marks(db: Database, collection_id: int) -> Marks:
    """What may not come back into a Collection."""
    rows = db.rows(
        "SELECT collection_id, file, text FROM forgotten WHERE collection_id IN (?, ?, ?)",
        (EVERYWHERE, collection_id, -collection_id),
    )
    let_back = {(file, text) for of, file, text in rows if of == -collection_id}
    away = {(file, text) for _, file, text in rows} - let_back
    texts: dict[bytes, set[bytes]] = {}
    for file, text in away:
        if text != WHOLE:
            texts.setdefault(file, set()).add(text)
    return Marks(
        key=db.rows("SELECT key FROM forgotten_key")[0][0],
        files=frozenset(file for file, text in away if text == WHOLE),
        texts={file: frozenset(some) for file, some in texts.items()},
    )


def lift(tx: Transaction, collection_id: int, at: Iterable[bytes], sha256: bytes | None) -> bool:
    """Let a file come back into one Collection, and what was forgotten of it; it is read again.

    A mark that holds for the whole Library gets an exception: the same with the Collection's id below zero.

    at: the places of the file. sha256: of its content now, None where that is not known.
    Returns: whether there was anything that kept it away.
    """
    key = _key(tx)
    wanted = set(at)
    files = [hashed(key, place) for place in wanted]
    real = cache(os.path.realpath)
    if any(tx.rows("SELECT 1 FROM forgotten WHERE file = ? AND text <> ?", (file, WHOLE)) for file in files):
        for file_id, root, name in tx.rows(
            "SELECT file_id, root, name FROM files JOIN sources USING (source_id) WHERE collection_id = ?",
            (collection_id,),
        ):
            if wanted.intersection(places(_path(root), name, real)):
                tx.run("UPDATE files SET reader = ? WHERE file_id = ?", (store.NOBODY, file_id))
    lifted = 0
    for file in files if sha256 is None else [*files, _of_content(key, sha256)]:
        lifted += tx.changed(
            "DELETE FROM forgotten WHERE file = ? AND collection_id = ?", (file, collection_id)
        )
        lifted += tx.changed(
            """INSERT OR IGNORE INTO forgotten (collection_id, file, text)
               SELECT ?, file, text FROM forgotten WHERE file = ? AND collection_id = ?""",
            (-collection_id, file, EVERYWHERE),
        )
    return lifted > 0


def _key(tx: Transaction) -> bytes:
    key: bytes = tx.rows("SELECT key FROM forgotten_key")[0][0]
    return key
