"""Reads what a plan names and commits it: load, chunk, embed what has no vector yet, store.

No write transaction is open while a model works. Vectors are committed every few seconds, under the hash
of their text; a file becomes visible in one step once all its vectors are there. Killed at any moment,
the next run finds the vectors and goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from searchkit.collection.plan import FileToRead, Plan, state_of
from searchkit.documents.chunk import chunk
from searchkit.documents.load import load
from searchkit.embedding.embedder import Embedder
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import DocumentRow, FileState, PassageRow
from searchkit.profile import Profile
from searchkit.records import Document, Failure, Passage

COMMIT_S = 5.0  # of a model's work: what a crash can lose
FIRST_BATCH = 128  # texts; then as many as the model embeds in COMMIT_S, within these bounds
SMALLEST_BATCH, LARGEST_BATCH = 32, 2048
LARGEST_COMMIT = 20_000  # passages of finished files, where all their vectors are already stored

LARGEST_PENDING = 16 << 20  # characters of text waiting to be embedded: bounds memory for whole documents

# A file changed within the grain of the file system's clock (FAT: 2 s) can change again under the same
# time stamp.
CLOCK_GRAIN_NS = 2_000_000_000
UNSETTLED = -1

SPECIAL_TOKENS = 4  # room for start and end tokens and for a token that forms across a border
SMALLEST_CAPACITY = 16  # tokens of text


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    embedded: int = 0
    passages_read: int = 0
    truncated: int = 0
    border_merges: int = 0
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    embedded: int


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """A file whose passages are all stored or pending."""

    source_id: int
    file: FileToRead
    documents: Sequence[DocumentRow]
    failures: Sequence[Failure]


class IndexPipeline:
    """One run over one Collection; the only writer of documents, passages and vectors."""

    def __init__(
        self,
        db: Database,
        collection: StoredCollection,
        open_model: Callable[[], Embedder],
        on_progress: OnProgress | None = None,
    ) -> None:
        self.tally = Tally()
        self._db = db
        self._collection = collection
        self._open_model = open_model
        self._profile = Profile.from_dict(collection.profile)
        self._started_ns = time.time_ns()
        self._on_progress = on_progress or (lambda _: None)
        self._files_total = self._bytes_total = self._files_done = self._bytes_done = 0
        self._batch = FIRST_BATCH
        self._pending: dict[bytes, Passage] = {}
        self._pending_characters = 0
        self._finished: list[_Finished] = []
        self._finished_passages = 0

    @cached_property
    def _embedder(self) -> Embedder:
        """The model, loaded when the first file has to be read: most runs find nothing to read."""
        return self._open_model()

    @cached_property
    def _instruction(self) -> str:
        return self._embedder.instruction_for(self._profile, "document")

    @cached_property
    def _capacity(self) -> int:
        """Tokens of text and context that fit beside the Instruction."""
        taken = self._embedder.count_tokens([self._instruction])[0] + SPECIAL_TOKENS
        room = min(self._profile.chunking.max_tokens, self._embedder.max_tokens - taken)
        return max(SMALLEST_CAPACITY, room)

    def carry_out(self, source_id: int, plan: Plan) -> None:
        """Bring one source of the Collection up to date."""
        self._files_total += len(plan.read)
        self._bytes_total += sum(file.source.size for file in plan.read)
        self.tally.unchanged += plan.unchanged
        self.tally.failed += plan.failures
        self._report()
        self._commit_names(source_id, plan)
        for file in plan.read:
            self._read(source_id, file)
            if self._finished_passages >= LARGEST_COMMIT:
                self._commit()
        self._commit()

    # ---------------------------------------------------------------- reading

    def _read(self, source_id: int, file: FileToRead) -> None:
        rows: list[DocumentRow] = []
        failures: list[Failure] = []
        try:
            for document in load(file.source, on_failure=failures.append):
                passages = [self._take(passage) for passage in self._chunks(document)]
                if passages:
                    rows.append(_document_row(document, passages))
            if not rows and not failures:
                raise DocumentError("holds no text that could be searched")
        except DocumentError as error:
            failures.append(Failure(document=file.source.name, reason=error.in_one_line))
            rows = []
            if isinstance(error, DocumentUnavailable):  # tried again next time; what is stored of it stays
                self.tally.failed += failures
                self._count_file(file)
                return
        self.tally.failed += failures
        self._finished.append(_Finished(source_id=source_id, file=file, documents=rows, failures=failures))
        self._finished_passages += sum(len(row.passages) for row in rows)

    def _chunks(self, document: Document) -> Iterable[Passage]:
        count_tokens = self._embedder.count_tokens
        return chunk(document, self._profile.chunking, capacity=self._capacity, count_tokens=count_tokens)

    def _take(self, passage: Passage) -> PassageRow:
        """Queue a passage's text for embedding and return the row that will refer to it."""
        passage = _storable(passage)
        text_hash = hash_of(passage.embedded_text)
        if text_hash not in self._pending:
            self._pending[text_hash] = passage
            self._pending_characters += len(passage.text)
        self.tally.passages_read += 1
        if len(self._pending) >= self._batch or self._pending_characters >= LARGEST_PENDING:
            # of the file being read, texts and vectors only
            self._commit()
        return PassageRow(text_hash, passage.start, passage.end, passage.heading, passage.page)

    # ---------------------------------------------------------------- writing

    def _commit(self) -> None:
        """Embed what has no vector yet, then store texts, vectors and finished files in one transaction."""
        if not self._pending and not self._finished:
            return
        collection_id, recipe_id = self._collection.collection_id, self._collection.recipe_id
        known = vectors.hashes_with_vector(self._db, recipe_id, list(self._pending))
        fresh = [text_hash for text_hash in self._pending if text_hash not in known]
        started = time.perf_counter()
        made = self._embedder.embed_counted(
            [self._pending[text_hash].embedded_text for text_hash in fresh], self._instruction
        )
        took = time.perf_counter() - started
        with self._db.transaction() as tx:
            texts = [
                (text_hash, passage.context, passage.text) for text_hash, passage in self._pending.items()
            ]
            store.put_texts(tx, collection_id, texts)
            vectors.put_vectors(tx, recipe_id, fresh, made.vectors, made.truncated)
            for done in self._finished:
                state = self._settled(state_of(done.file.source, done.file.sha256))
                store.put_file(tx, collection_id, done.source_id, state, done.documents, done.failures)
            if self._finished:
                catalogue.advance(tx, collection_id)
        self.tally.border_merges += made.border_merges
        self._count(made.truncated.sum(), len(fresh), took)
        self._pending.clear()
        self._pending_characters = 0
        self._finished.clear()
        self._finished_passages = 0
        self._report()

    def _count(self, truncated: int, embedded: int, took: float) -> None:
        for done in self._finished:
            self._count_file(done.file)
            had_documents = done.file.replaces is not None and done.file.replaces.documents > 0
            if done.documents:
                self.tally.changed += had_documents
                self.tally.added += not had_documents
        self.tally.embedded += embedded
        self.tally.truncated += int(truncated)
        if embedded:
            affordable = int(COMMIT_S * embedded / max(took, 1e-6))
            self._batch = min(max(affordable, SMALLEST_BATCH), LARGEST_BATCH)

    def _commit_names(self, source_id: int, plan: Plan) -> None:
        """Store what needs no reading: moves, removals and new time stamps."""
        if not (plan.moved or plan.touched or plan.removed):
            return
        with self._db.transaction() as tx:
            for before, state in plan.moved:
                store.move_file(tx, before.file_id, source_id, self._settled(state))
            for before, state in plan.touched:
                store.touch_file(tx, before.file_id, self._settled(state))
            for before in plan.removed:
                store.remove_file(tx, before.file_id)
            if plan.moved or plan.removed:
                catalogue.advance(tx, self._collection.collection_id)
        self.tally.moved += len(plan.moved)
        self.tally.removed += sum(before.documents > 0 for before in plan.removed)

    def _settled(self, state: FileState) -> FileState:
        fresh = state.mtime_ns > self._started_ns - CLOCK_GRAIN_NS
        return replace(state, mtime_ns=UNSETTLED) if fresh else state

    def _count_file(self, file: FileToRead) -> None:
        self._files_done += 1
        self._bytes_done += file.source.size

    def _report(self) -> None:
        self._on_progress(
            Progress(
                files_done=self._files_done,
                files_total=self._files_total,
                bytes_done=self._bytes_done,
                bytes_total=self._bytes_total,
                embedded=self.tally.embedded,
            )
        )


def hash_of(text: str) -> bytes:
    """The address of a text: SHA-256 of its UTF-8 form."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def _document_row(document: Document, passages: Sequence[PassageRow]) -> DocumentRow:
    return DocumentRow(
        name=document.name,
        kind=document.kind,
        title=_utf8(document.title),
        metadata=document.metadata,
        passages=passages,
    )


def _storable(passage: Passage) -> Passage:
    """Replace lone surrogates, which escapes in JSON can produce and UTF-8 cannot hold."""
    try:
        (passage.text + passage.context + passage.heading).encode("utf-8")
    except UnicodeEncodeError:
        return replace(
            passage, text=_utf8(passage.text), context=_utf8(passage.context), heading=_utf8(passage.heading)
        )
    return passage


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
