"""Duplicates among passages and documents of a Collection, against another, and against new files."""

import numpy as np
import pytest

from searchkit.analysis.against import find_against
from searchkit.analysis.duplicates import find
from searchkit.analysis.overlap import find_documents
from searchkit.errors import RecipeMismatch, UsageError
from searchkit.library import duplicates as store
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors
from tests.collection.conftest import write

LEAVE = "Staff may take 30 days of paid leave a year."
LEAVE_NOT = "Staff may not take 60 days of paid leave a year."
TUNNEL = "The tunnel to the office network needs a second factor."


def indexed(library, folder, **texts):
    for name, text in texts.items():
        write(folder / f"{name}.txt", text)
    library.index([folder], collection=folder.name)
    return folder.name


def names(found):
    return [
        [group.representative.document, *(one.document for one in group.copies)] for group in found.groups
    ]


def decide(library, first, second, same):
    with Database.write(library.folder) as db:
        hashes = [store.text_of_passage(db, one) for one in (first, second)]
        with db.transaction() as tx:
            return store.decide(tx, *hashes, same)


@pytest.fixture
def three(library, tmp_path):
    return indexed(library, tmp_path / "in", a=LEAVE, b=LEAVE_NOT, c=LEAVE, d=TUNNEL)


def test_copies_are_exact_and_changes_are_pointed_out(within, three):
    found = within(find, three, threshold=0.8)
    (group,) = found.groups
    assert (found.passages, found.texts, found.exact, found.near) == (4, 3, 1, 1)
    exact, near = group.copies
    assert group.representative.document == "a.txt"
    assert (exact.document, exact.exact, exact.cosine, exact.differences) == ("c.txt", True, 1.0, None)
    assert (near.document, near.exact) == ("b.txt", False) and 0.8 < near.cosine < 1
    assert near.differences.kinds == ("numbers", "negation")


def test_above_the_threshold_only_copies_are_left(within, three):
    assert names(within(find, three, threshold=0.99)) == [["a.txt", "c.txt"]]


@pytest.mark.parametrize("texts", [[LEAVE], [LEAVE, TUNNEL]])
def test_one_passage_and_two_different_ones_have_no_duplicates(library, within, tmp_path, texts):
    name = indexed(library, tmp_path / "in", **{f"t{i}": text for i, text in enumerate(texts)})
    found = within(find, name)
    assert (found.groups, found.passages, found.threshold.how) == ((), len(texts), "default")
    assert within(find_documents, name).groups == ()


def test_an_emptied_collection_has_none(library, within, tmp_path):
    name = indexed(library, tmp_path / "in", a=LEAVE)
    (tmp_path / "in" / "a.txt").unlink()
    write(tmp_path / "in" / "b.txt", "")
    library.refresh(name)
    assert within(find, name).groups == () == within(find_documents, name).groups


def test_passages_that_are_all_the_same_are_one_group(library, within, tmp_path):
    name = indexed(library, tmp_path / "in", **{f"t{i:02}": LEAVE for i in range(50)})
    found = within(find, name)
    (group,) = found.groups
    assert len(group.copies) == found.exact == 49 and found.near == 0


def test_a_vector_of_no_numbers_is_nobodys_duplicate(library, within, three):
    with Database.write(library.folder) as db, db.transaction() as tx:
        nothing = np.full(64, np.nan, "<f4").tobytes()
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 1", (nothing,))
    found = within(find, three, threshold=0.8)
    assert [[one.exact for one in group.copies] for group in found.groups] == [[True]]


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_what_is_no_cosine_is_refused(within, three, threshold):
    with pytest.raises(UsageError, match="expected a cosine"):
        within(find, three, threshold=threshold)


def test_a_rejected_pair_is_kept_apart_and_an_accepted_one_together(library, within, three):
    assert decide(library, 1, 2, same=False) and not decide(library, 3, 2, same=False)  # 3 has the text of 1
    assert names(within(find, three, threshold=0.8)) == [["a.txt", "c.txt"]]
    assert within(find, three).threshold.rejected == 1
    assert decide(library, 2, 4, same=True)
    found = within(find, three, threshold=0.8)
    assert sorted(map(sorted, names(found))) == [["a.txt", "c.txt"], ["b.txt", "d.txt"]]
    assert [one.accepted for group in found.groups for one in group.copies] in ([True, False], [False, True])
    assert decide(library, 1, 2, same=None) and not decide(library, 1, 2, same=None)


def test_a_decision_outlives_a_collection_and_says_nothing_of_its_texts(library, within, tmp_path, three):
    decide(library, 1, 2, same=False)
    library.remove(three)
    again = indexed(library, tmp_path / "in2", x=LEAVE, y=LEAVE_NOT)
    assert within(find, again, threshold=0.8).groups == ()
    with Database.read(library.folder) as db:
        hashes = {row[0] for row in db.rows("SELECT hash FROM texts")}
        marks = {mark for row in db.rows("SELECT first, second FROM duplicate_decisions") for mark in row}
    assert len(marks) == 2 and not marks & hashes


def test_passages_are_looked_for_in_another_collection(library, within, tmp_path, three):
    other = indexed(library, tmp_path / "other", old=LEAVE_NOT, new=TUNNEL)
    found = within(find_against, three, other, threshold=0.8)
    assert (found.against, found.exact, found.near) == (other, 2, 2)
    assert sorted(names(found)) == [["new.txt", "d.txt"], ["old.txt", "b.txt", "a.txt", "c.txt"]]
    decide(library, 1, 2, same=False)
    assert sorted(names(within(find_against, three, other, threshold=0.8))) == [
        ["new.txt", "d.txt"],
        ["old.txt", "b.txt"],
    ]


def test_collections_of_two_recipes_are_refused(library, within, tmp_path, three):
    write(tmp_path / "q" / "a.txt", LEAVE)
    library.index([tmp_path / "q"], collection="q", profile="question-duplicates")
    with pytest.raises(RecipeMismatch, match="document instruction"):
        within(find_against, three, "q")


def test_documents_are_grouped_by_the_passages_they_share(library, within, tmp_path):
    parts = {
        name: f"# {name}\n\n" + f"{name} of the staff and its rules. " * 9
        for name in ("pay", "tax", "vpn", "cup")
    }
    folder = tmp_path / "in"
    write(folder / "whole.md", "\n\n".join(parts[name] for name in ("pay", "tax", "vpn")))
    write(folder / "part.md", parts["pay"])
    write(
        folder / "other.md",
        "\n\n".join([parts["pay"], *(f"# N{i}\n\n" + f"word{i} " * 60 for i in range(9))]),
    )
    library.index([folder], collection="in", profile="wiki-retrieval")
    found = within(find_documents, "in", threshold=0.999, least=0.9)
    shown = {group.representative.document: group.copies for group in found.groups}
    assert found.documents == 3 and shown
    for copies in shown.values():
        assert [(one.document, one.contained) for one in copies] == [("part.md", 1.0)]
        assert copies[0].containing < 0.5


def test_vectors_of_the_database_are_those_compared(library, within, three):
    def cosine(db, collection):
        record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        _, (one, other) = record.of(np.array([1, 2]))
        return float(one @ other)

    expected = within(cosine, three)
    (group,) = within(find, three, threshold=0.8).groups
    assert group.copies[1].cosine == pytest.approx(expected, abs=1e-6)
