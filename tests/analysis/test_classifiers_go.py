"""What becomes of classifiers when what they were trained from goes, and when they are damaged."""

import numpy as np
import pytest

from searchkit.analysis import classifying
from searchkit.analysis.classifying import FromCollection
from searchkit.collection.library import Library
from searchkit.errors import LibraryBusy, LibraryDamaged
from tests.analysis.teams import INVOICE, LEAVE, train, train_stored
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.mark.parametrize("number", [np.nan, 0.0])
def test_a_stored_vector_that_is_no_direction_is_refused(indexed, number):
    train_stored(indexed)
    with indexed.writing() as (db, _), db.transaction() as tx:
        tx.run(
            "UPDATE vectors SET vector = ? WHERE text_id = 3", (np.full(64, number, dtype="<f4").tobytes(),)
        )
    with pytest.raises(LibraryDamaged, match="1 vectors of 'company-docs' are no directions"):
        train_stored(indexed, "again")
    with pytest.raises(LibraryDamaged, match="1 vectors of 'company-docs' are no directions"):
        classifying.predict_collection(indexed, "teams")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights = substr(weights, 9)", "a blob has"),
        ("means = zeroblob(3)", "a blob has 3 bytes"),
        ("classes = 'no json'", "is damaged"),
        ("decision = '{}'", "is damaged"),
        ("decision = json_set(decision, '$.threshold', 7)", "no share"),
        ("decision = json_set(decision, '$.threshold', 'high')", "is damaged"),
        ("figures = '{}'", "its figures are not"),
        ("figures = json_set(figures, '$.reaches[0][1]', 3)", "its figures are not"),
        ("figures = json_set(figures, '$.log_loss', json('[1]'))", "its figures are not"),
        ("profile = '{}'", "is damaged"),
        ("recipe = '[]'", "its recipe is no"),
        ("names = 'no json'", "is damaged"),
        ("""decision = '{"temperature": 0, "floor": 0, "threshold": 1, "precision": 1}'""", "temperature"),
        ("intercepts = x'000000000000f87f000000000000f87f'", "not finite"),
    ],
)
def test_verify_and_every_use_tell_of_damage(library, labelled, change, said):
    train(library, labelled)
    with library.written() as db, db.transaction() as tx:
        tx.run(f"UPDATE classifiers SET {change}")
    (problem,) = library.verify()
    assert said in problem
    with pytest.raises(LibraryDamaged, match=said):
        classifying.predict(library, "teams", ["x"])
    classifying.remove(library, "teams")
    assert library.verify() == []


def test_forgetting_a_document_deletes_what_was_trained_from_it_and_says_so(indexed, labelled):
    train_stored(indexed)
    train(indexed, labelled, "of-a-file")
    assert indexed.forget("3.md").classifiers == ("teams",)
    assert [one.name for one in classifying.listed(indexed)] == ["of-a-file"]
    assert indexed.forget("4.md").classifiers == () and indexed.verify() == []


def test_forgetting_without_a_name_deletes_what_was_trained_from_what_is_gone(indexed, tmp_path):
    train_stored(indexed)
    assert indexed.forget().classifiers == ()
    write(tmp_path / "docs" / "new.md", "---\nteam: hr\n---\nAnother text.")
    indexed.refresh()
    assert indexed.forget().classifiers == ()
    (tmp_path / "docs" / "3.md").unlink()
    indexed.refresh()
    assert indexed.forget().classifiers == ("teams",)


def test_a_label_that_is_edited_away_is_erased_by_forget(indexed, tmp_path, library_folder):
    """All passages stay: nothing but the front matter of one document changes."""
    page = write(tmp_path / "docs" / "zoo.md", f"---\nteam: zebrafish\n---\n{LEAVE}")
    more = write(tmp_path / "docs" / "zoo2.md", f"---\nteam: zebrafish\n---\n{INVOICE} Fish.")
    indexed.refresh()
    train_stored(indexed)
    passages = indexed.show().counts.passages
    for one in (page, more):
        write(one, one.read_text().replace("zebrafish", "hr"))
    indexed.refresh()
    assert indexed.show().counts.passages == passages
    assert b"zebrafish" in (library_folder / "library.db").read_bytes()
    assert indexed.forget().classifiers == ("teams",)
    assert not any(b"zebrafish" in file.read_bytes() for file in library_folder.iterdir())


def test_a_label_that_changes_while_it_is_learnt_is_not_stored(indexed, library_folder, tmp_path):
    changed = []

    def edit(stage, done, total):
        if not changed:
            page = tmp_path / "docs" / "3.md"
            changed.append(write(page, page.read_text().replace("finance", "hr")))
            Library(library_folder, open_model=WordEmbedder).refresh()

    with pytest.raises(LibraryBusy, match="have changed meanwhile"):
        classifying.train(indexed, "teams", FromCollection(field="team"), on_progress=edit)
    assert classifying.listed(indexed) == []


def test_a_removed_source_takes_what_was_trained_from_it_and_nothing_else(indexed, tmp_path):
    write(tmp_path / "more" / "x.md", "---\nteam: hr\n---\nMore about leave.")
    train_stored(indexed, "before")
    indexed.index([tmp_path / "more"])
    train_stored(indexed, "after")
    indexed.remove("company-docs", source=tmp_path / "more")
    assert indexed.trained_from("company-docs") == ["before"]
    assert indexed.forget().classifiers == ()


def test_a_removed_collection_takes_its_classifiers_along(indexed, labelled):
    train_stored(indexed)
    train(indexed, labelled, "of-a-file")
    assert indexed.trained_from("company-docs") == ["teams"]
    indexed.remove("company-docs")
    assert [one.name for one in classifying.listed(indexed)] == ["of-a-file"]
    assert classifying.predict(indexed, "of-a-file", [LEAVE.format(1)])[0].label == "hr"


def test_what_is_forgotten_while_it_is_learnt_does_not_live_on(indexed, library_folder):
    gone = []

    def forget(stage, done, total):
        if not gone:
            gone.append(Library(library_folder).forget("3.md"))

    with pytest.raises(LibraryBusy, match="passages or labels that 'teams' was trained from have changed"):
        classifying.train(indexed, "teams", FromCollection(field="team"), on_progress=forget)
    assert classifying.listed(indexed) == []


def test_stored_figures_hold_no_text(indexed):
    train_stored(indexed)
    with indexed.reading() as (db, _):
        row = db.row("SELECT * FROM classifiers")
    assert not any("fourteen" in value for value in row if isinstance(value, str))
