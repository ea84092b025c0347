"""Commits what a plan names: takes passages as they are read, embeds what has no vector yet, stores.

Reading goes ahead of the model: processes load files, a thread cuts and hashes.

No write transaction is open while a model works. Vectors are committed every few seconds, under the hash
of their text; a file becomes visible in one step once all its vectors are there. Killed at any moment,
the next run finds the vectors and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from searchkit.collection.ahead import ahead
from searchkit.collection.extraction import Extraction, processes_for
from searchkit.collection.plan import FileToRead, Plan, state_of
from searchkit.collection.reading import DocumentRead, FileRead, PassagesRead, Read, Takes, read, weigh
from searchkit.documents.chunk import chunk
from searchkit.documents.load import load, sha256_of
from searchkit.embedding.embedder import Embedder
from searchkit.library import collections as catalogue
from searchkit.library import documents as store
from searchkit.library import vectors
from searchkit.library.collections import StoredCollection
from searchkit.library.database import Database
from searchkit.library.documents import DocumentRow, FileState, PassageRow
from searchkit.profile import Profile
from searchkit.records import Document, Failure, Passage, SourceFile

COMMIT_S = 5.0  # of a model's work: what a crash can lose
FIRST_BATCH = 128  # texts; then as many as the model embeds in COMMIT_S, within these bounds
SMALLEST_BATCH, LARGEST_BATCH = 32, 2048
LARGEST_COMMIT = 20_000  # passages of finished files, where all their vectors are already stored
LARGEST_PENDING = 16 << 20  # characters of text waiting to be embedded: bounds memory for whole documents
AHEAD_CHARACTERS = 16 << 20  # read, cut, and not yet taken

# A file changed within the grain of the file system's clock (FAT: 2 s) can change again under the same
# time stamp: the stamp is stored negative, which no file's equals, and the file is hashed the next time.
CLOCK_GRAIN_NS = 2_000_000_000

SPECIAL_TOKENS = 4  # room for start and end tokens and for a token that forms across a border
SMALLEST_CAPACITY = 16  # tokens of text


def capacity_of(embedder: Embedder, profile: Profile) -> int:
    """Tokens of text and context that fit beside the document Instruction."""
    taken = embedder.count_tokens([embedder.instruction_for(profile, "document")])[0] + SPECIAL_TOKENS
    return max(SMALLEST_CAPACITY, min(profile.chunking.max_tokens, embedder.max_tokens - taken))


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
    notices: list[str] = field(default_factory=list)


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
    sha256: bytes
    documents: Sequence[DocumentRow] | None  # None: those stored stay
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
        self._passages: list[PassageRow] = []  # of the Document being read
        self._documents: list[DocumentRow] = []  # of the file being read
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
        return capacity_of(self._embedder, self._profile)

    def carry_out(self, source_id: int, plan: Plan, takes: Takes | None = None) -> None:
        """Bring one source of the Collection up to date. takes: which texts may be taken; None for all."""
        self._files_total += len(plan.read)
        self._bytes_total += sum(file.source.size for file in plan.read)
        self.tally.unchanged += plan.unchanged
        self.tally.failed += plan.failures
        self._report()
        self._commit_names(source_id, plan)
        if plan.read:
            with self._reading(plan.read, takes) as reading:
                for one in reading:
                    self._take(source_id, one)
                self._commit()

    # ---------------------------------------------------------------- reading

    @contextmanager
    def _reading(self, files: Sequence[FileToRead], takes: Takes | None) -> Iterator[Iterator[Read]]:
        """What the files hold, read ahead of the model where that is worth a thread and processes."""
        to_load = [file.source for file in files]
        processes = processes_for(to_load)
        if not processes:
            yield read(files, _load_here, self._cut, takes)
            return
        extraction = Extraction(to_load, processes)
        try:
            # The processes start and read while the model is loaded, here: the thread finds it open.
            _ = self._capacity
            made = read(files, extraction.documents, self._cut, takes)
            with ahead(made, weigh, AHEAD_CHARACTERS, interrupt=extraction.close) as reading:
                yield reading
        finally:
            extraction.close()

    def _cut(self, document: Document) -> Iterable[Passage]:
        count_tokens = self._embedder.count_tokens
        return chunk(document, self._profile.chunking, capacity=self._capacity, count_tokens=count_tokens)

    def _take(self, source_id: int, one: Read) -> None:
        """Queue passages for embedding; note Documents and files whose passages are all queued."""
        if isinstance(one, PassagesRead):
            for text_hash, passage in one.passages:
                self._take_passage(text_hash, passage)
        elif isinstance(one, DocumentRead):
            self._documents.append(
                DocumentRow(
                    name=one.name,
                    kind=one.kind,
                    title=one.title,
                    metadata=one.metadata,
                    passages=tuple(self._passages),
                )
            )
            self._passages.clear()
        else:
            self._take_file(source_id, one)

    def _take_passage(self, text_hash: bytes, passage: Passage) -> None:
        if text_hash not in self._pending:
            self._pending[text_hash] = passage
            self._pending_characters += len(passage.text)
        self._passages.append(
            PassageRow(text_hash, passage.start, passage.end, passage.heading, passage.place)
        )
        self.tally.passages_read += 1
        if len(self._pending) >= self._batch or self._pending_characters >= LARGEST_PENDING:
            # of the file being read, texts and vectors only
            self._commit()

    def _take_file(self, source_id: int, one: FileRead) -> None:
        documents = self._documents_of(one)
        self._documents.clear()
        self._passages.clear()
        self.tally.failed += one.failures
        if one.unavailable:  # tried again next time; what is stored of it stays
            self._count_file(one.file)
            return
        self._finished.append(
            _Finished(
                source_id=source_id,
                file=one.file,
                sha256=one.sha256,
                documents=documents,
                failures=one.failures,
            )
        )
        self._finished_passages += sum(len(row.passages) for row in documents or ())
        if self._finished_passages >= LARGEST_COMMIT:
            self._commit()

    def _documents_of(self, one: FileRead) -> tuple[DocumentRow, ...] | None:
        """What a file holds now; None where what is stored stays."""
        if one.keep:
            return tuple(self._documents)
        before = one.file.replaces
        # Read once and not this time: the file is the same, so it is the reader that has become worse.
        if one.failures and before is not None and before.documents and before.state.sha256 == one.sha256:
            return None
        return ()

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
                state = self._settled(state_of(done.file.source, done.sha256))
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
            self.tally.unchanged += done.documents is None
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
        return replace(state, mtime_ns=-state.mtime_ns) if fresh else state

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


def _load_here(
    source: SourceFile, on_failure: Callable[[Failure], None], on_digest: Callable[[bytes], None]
) -> Generator[Document, None, None]:
    on_digest(sha256_of(source))
    yield from load(source, on_failure=on_failure)
