"""A Library is looked over: what is wrong is said, and a check that cannot be carried out stops no other."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from searchkit.collection import doctor, forgetting, recovery
from searchkit.collection.checks import OF_MODEL
from searchkit.collection.doctor import examine
from searchkit.collection.library import Library
from searchkit.errors import CollectionNotFound, LibraryDamaged, ModelNotFound
from searchkit.library.database import FILE_NAME, Database
from searchkit.profile import Instruction, Profile
from searchkit.settings import DEFAULT_MODEL
from searchkit.vector_index.protocol import Neighbours
from tests.collection.conftest import write
from tests.fakes import DIM, WordEmbedder


class Quiet(WordEmbedder):
    """A model of which nothing is to be said."""

    def notices_for(self, profile):
        return ()


@pytest.fixture
def indexed(library_folder, docs):
    """Make a Library of the documents, and look it over with another model in place of its own."""
    Library(library_folder, open_model=lambda model: Quiet()).index([docs])

    def look(embedder=None, collection=None):
        return examine(Library(library_folder, open_model=lambda model: embedder or Quiet()), collection)

    return look


def by_name(report):
    return {check.name: check for check in report.checks}


def wrong(report):
    return {check.name: check.status for check in report.checks if check.status != "ok"}


def test_all_is_well_with_what_was_just_indexed(indexed):
    report = indexed()
    assert wrong(report) == {} and report.status == "ok"
    names = [check.name for check in report.checks]
    assert names == ["versions", "database", "space", "stored", "snapshot", *OF_MODEL]
    found = by_name(report)
    assert found["canaries"].facts["passages"] == 3 and found["canaries"].facts["least"] > 0.999999
    assert found["snapshot"].facts["recall@10"] == 1.0
    assert found["versions"].facts["sqlite"] == sqlite3.sqlite_version


def test_the_same_library_gives_the_same_answer(indexed):
    assert indexed().checks[3:] == indexed().checks[3:]


class Drifted(Quiet):
    """The same by its fingerprint, and turned by an angle."""

    def __init__(self, angle, precision="float32"):
        super().__init__()
        self.angle, self.precision = angle, precision

    def embed(self, texts, instruction=""):
        made = super().embed(texts, instruction)
        turned = np.roll(made, 1, axis=1)
        turned -= (turned * made).sum(axis=1, keepdims=True) * made
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        return (np.cos(self.angle) * made + np.sin(self.angle) * turned).astype(np.float32)


@pytest.mark.parametrize(
    ("angle", "precision", "status"),
    [(0.005, "float32", "ok"), (0.05, "float32", "fail"), (0.05, "int8", "warn"), (0.5, "int8", "fail")],
)
def test_vectors_that_drift_are_seen_though_the_fingerprint_is_the_same(indexed, angle, precision, status):
    found = by_name(indexed(Drifted(angle, precision)))["canaries"]
    assert found.status == status
    assert found.facts["least"] == pytest.approx(np.cos(angle), abs=1e-5)
    if status != "ok":
        assert "least cosine" in found.found and "searchkit index FOLDER -c company-docs-2" in found.remedy
        assert any(name in found.found for name in ("laptop.md", "hr/leave.md", "vpn.txt"))


def test_another_checkpoint_is_told_by_the_fields_that_differ(indexed):
    report = indexed(Quiet(weights="words-2"))
    assert wrong(report) == {"recipe": "fail"}
    assert "weights: stored 'words-1', asked 'words-2'" in by_name(report)["recipe"].found


class OfItsBatch(Quiet):
    """Padding that leaks: a text among longer ones has another vector."""

    def __init__(self, leak):
        super().__init__()
        self.leak = leak

    def embed(self, texts, instruction=""):
        made = super().embed(texts, instruction)
        if len(texts) > 1:
            made = made + self.leak * made.mean(axis=0)
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("leak", "status"), [(0.0, "ok"), (0.002, "warn"), (0.5, "fail")])
def test_a_vector_that_depends_on_its_batch_is_seen(indexed, leak, status):
    found = by_name(indexed(OfItsBatch(leak)))["batch"]
    assert found.status == status and found.facts["texts"] == 3


def test_a_model_that_is_gone_fails_its_checks_and_the_others_go_on(library_folder, docs):
    Library(library_folder, open_model=lambda model: Quiet()).index([docs])

    def gone(model):
        raise ModelNotFound(f"no model '{model}'", remedy="put it back")

    report = examine(Library(library_folder, open_model=gone))
    assert wrong(report) == {**dict.fromkeys(OF_MODEL, "skipped"), "model": "fail"}
    assert by_name(report)["batch"].found == "not checked: the model cannot be opened"
    model = by_name(report)["model"]
    assert "no model" in model.found and "searchkit index SOURCE -c company-docs --model DIR" in model.remedy


def test_a_model_that_breaks_while_it_embeds_fails_that_check_only(indexed):
    class Broken(Quiet):
        def embed(self, texts, instruction=""):
            raise RuntimeError("graph exploded")

    report = indexed(Broken())
    assert wrong(report) == {"canaries": "fail", "batch": "skipped"}
    assert "RuntimeError: graph exploded" in by_name(report)["canaries"].found


def test_words_put_before_texts_are_compared_with_those_that_were(indexed, library_folder, docs):
    class Reworded(Quiet):
        side = "document"

        def instruction_for(self, profile, side):
            return super().instruction_for(profile, side) + ("now: " if side == self.side else "")

    embedder = Reworded()
    found = by_name(indexed(embedder))["instructions"]
    assert found.status == "fail" and "now: " in found.found and "now: " not in found.expected
    embedder.side = "query"
    found = by_name(indexed(embedder))["instructions"]
    assert found.status == "warn" and found.remedy.endswith(
        f"searchkit index SOURCE -c company-docs --model {DEFAULT_MODEL}"
    )
    library = Library(library_folder, open_model=lambda model: embedder)
    assert library.index([docs], collection="company-docs", model=DEFAULT_MODEL).unchanged == 3
    assert by_name(indexed(embedder))["instructions"].status == "ok"
    assert library.query("laptop").relevant is not None


def test_what_is_to_be_said_of_a_model_is_a_warning(library, docs):
    library.index([docs])
    assert wrong(examine(library)) == {"family": "warn"}
    assert by_name(examine(library))["family"].found == "notice for company-docs"


def test_instructions_of_ones_own_that_are_ignored_are_a_warning(indexed, library_folder, docs):
    from searchkit.embedding.families import families

    embedder = Quiet()
    own = replace(Profile.load("company-docs"), name="mine", query=Instruction(literal="Find: "))
    Library(library_folder, open_model=lambda model: Quiet()).index([docs], profile=own)
    embedder.family = families()["plain"]
    found = by_name(indexed(embedder, "mine"))["ignored"]
    assert found.status == "warn" and "takes no Instruction" in found.found
    shipped = by_name(indexed(embedder, "company-docs"))["ignored"]  # nobody wrote them to be read
    assert shipped.status == "ok" and shipped.found == found.found.replace("mine", "company-docs")
    embedder.family = families()["bge-en"]  # its own sentence before queries, by training
    assert by_name(indexed(embedder, "mine"))["ignored"].status == "warn"
    embedder.family = families()["qwen3-embedding"]  # deaf on the document side only
    assert by_name(indexed(embedder, "mine"))["ignored"].status == "ok"


def test_a_snapshot_that_is_gone_fails_and_the_model_is_still_tried(indexed, library_folder):
    for path in library_folder.glob("*.snapshot"):
        path.unlink()
    report = indexed()
    assert wrong(report) == {"stored": "fail", "snapshot": "fail"}
    assert by_name(report)["snapshot"].remedy == "searchkit rebuild company-docs"


@pytest.mark.parametrize("next_one", ["whole", "damaged", "gone"])
def test_beside_a_process_that_publishes_no_alarm_is_raised(indexed, library_folder, monkeypatch, next_one):
    """The file of the state that is read is deleted meanwhile: that of the next state is looked at."""
    plain, meanwhile = recovery.problems, []

    def slow(db, collection):
        if not meanwhile:
            library = Library(library_folder, open_model=lambda model: Quiet())
            if next_one == "gone":
                meanwhile.append(library.remove("company-docs"))
                return []
            meanwhile.append(library.rebuild())
            if next_one == "damaged":
                (library_folder / library.show().snapshot.file).write_bytes(b"")
        return plain(db, collection)

    monkeypatch.setattr(recovery, "problems", slow)
    found = by_name(indexed())["snapshot"]
    assert meanwhile and found.status == ("fail" if next_one == "damaged" else "ok")


def test_canaries_that_cannot_be_read_cost_no_other_check_of_the_model(indexed, monkeypatch):
    def unreadable(db, passages):
        raise LibraryDamaged("no such page", remedy="index again")

    monkeypatch.setattr(doctor.store, "passages", unreadable)
    report = indexed()
    assert wrong(report) == {"canaries": "fail", "batch": "skipped"}
    assert by_name(report)["canaries"].found == "could not be checked: no such page"
    assert set(OF_MODEL) <= set(by_name(report))


@pytest.mark.parametrize("rows", [1, 3])
def test_vectors_that_are_no_numbers_are_said_to_be_so(indexed, library_folder, rows):
    nothing = np.full(DIM, np.nan, dtype=np.float32).tobytes()
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE vectors SET vector = ? WHERE text_id <= ?", (nothing, rows))
    found = by_name(indexed())
    assert found["stored"].status == found["canaries"].status == found["snapshot"].status == "fail"
    assert found["stored"].found.startswith(f"{rows} vectors are not of length 1")
    assert "searchkit index FOLDER" in found["snapshot"].remedy
    assert not any("Error" in check.found for check in found.values())


def test_a_collection_that_notes_no_name_of_its_model_is_told_without_one(indexed, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("UPDATE collections SET model = ''")
    report = indexed(Quiet(weights="words-2"))
    assert by_name(report)["recipe"].remedy.startswith("put back the model it was indexed with; or ")
    assert not any("''" in check.remedy for check in report.checks)


class Forgetful:
    """An index that misses some of the nearest rows, and finds further ones in their place."""

    kind = "ivf"

    def __init__(self, exact, promised, missed):
        self.promised_recall, self._exact, self._missed = promised, exact, missed

    def search(self, queries, k, **wanted):
        found = self._exact.search(queries, k + self._missed, **wanted)
        return [Neighbours(one.ids[self._missed :], one.scores[self._missed :]) for one in found]


@pytest.mark.parametrize(
    ("promised", "found", "status"),
    [(1.0, 10, "ok"), (1.0, 9, "fail"), (0.9, 9, "ok"), (0.97, 9, "warn"), (0.97, 8, "fail")],
)
def test_recall_is_held_against_the_promise(
    indexed, library_folder, tmp_path, monkeypatch, promised, found, status
):
    for number in range(40):
        write(
            tmp_path / "docs" / f"n{number}.txt", f"Gauge {number} of river {number * 7} froze at {number}."
        )
    library = Library(library_folder, open_model=lambda model: Quiet())
    library.refresh()
    library.rebuild()  # else the new ones lie beside the snapshot, and are scanned
    opened = recovery.open_snapshot

    def forgetful(db, collection):
        return Forgetful(opened(db, collection), promised, 10 - found)

    monkeypatch.setattr(recovery, "open_snapshot", forgetful)
    monkeypatch.setattr(doctor, "QUESTIONS", 16)
    check = by_name(indexed())["snapshot"]
    assert check.status == status and check.facts["recall@10"] == pytest.approx(found / 10)


@pytest.mark.parametrize(("free", "status"), [(1 << 40, "ok"), (40 << 20, "warn"), (1 << 20, "fail")])
def test_room_on_the_disk_is_held_against_what_looking_after_takes(indexed, monkeypatch, free, status):
    usage = namedtuple("usage", "total used free")(1 << 41, 0, free)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    if status == "warn":  # a small Library needs little: say that it needs more
        monkeypatch.setattr(forgetting, "space_for_forgetting", lambda db: [([db.folder], 1 << 30, free)])
    assert by_name(indexed())["space"].status == status


def test_without_a_library_the_answer_is_clear(tmp_path):
    report = examine(Library(tmp_path / "nowhere"))
    assert [check.name for check in report.checks] == ["versions", "library"] and report.status == "fail"
    assert "there is no Library in" in report.checks[1].found
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_library_is_a_warning(library_folder):
    Database.write(library_folder).close()
    report = examine(Library(library_folder))
    assert wrong(report) == {"collections": "warn"} and report.status == "warn"


def test_a_damaged_database_fails(indexed, library_folder):
    raw = bytearray((library_folder / FILE_NAME).read_bytes())
    raw[100:30_000] = b"\xff" * 29_900
    (library_folder / FILE_NAME).write_bytes(bytes(raw))
    report = indexed()
    assert report.status == "fail" and report.checks[-1].status == "fail"


def test_one_collection_of_several_is_looked_at(indexed, library_folder, docs):
    Library(library_folder, open_model=lambda model: Quiet()).index([docs / "hr"], collection="hr")
    assert {check.collection for check in indexed().checks} == {"", "company-docs", "hr"}
    assert {check.collection for check in indexed(collection="hr").checks} == {"", "hr"}
    with pytest.raises(CollectionNotFound):
        indexed(collection="rh")


def test_no_state_of_the_database_is_held_while_the_model_embeds(indexed, library_folder):
    """A reader in the middle of a state would keep the log from being cut to nothing."""
    busy = []

    class Looking(Quiet):
        def embed(self, texts, instruction=""):
            with Database.write(library_folder) as db:
                with db.transaction() as tx:
                    tx.run("UPDATE collections SET generation = generation + 1")
                db.rows("PRAGMA busy_timeout = 0")
                busy.append(db.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])
            return super().embed(texts, instruction)

    assert indexed(Looking()).status == "ok"
    assert busy and not any(busy)
