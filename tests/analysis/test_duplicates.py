"""Duplicates among passages and documents of a Collection, against another, and of files; decisions."""

import numpy as np
import pytest

from searchkit.analysis import copies, joined
from searchkit.analysis import duplicates as analysis
from searchkit.analysis.copies import Show
from searchkit.analysis.duplicates import (
    decide,
    duplicate_documents,
    duplicates,
    duplicates_against,
    duplicates_of_files,
)
from searchkit.errors import CollectionNotFound, RecipeMismatch, UsageError
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors
from tests.analysis.same_texts import LEAVE, LEAVE_NOT, TUNNEL, indexed, names, titled
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


def set_vectors(library, vectors):
    """Give the texts of a Library, by id, other vectors than their words have."""
    with Database.write(library.folder) as db, db.transaction() as tx:
        for text_id, vector in enumerate(vectors, start=1):
            tx.run("UPDATE vectors SET vector = ? WHERE text_id = ?", (vector.tobytes(), text_id))


def test_copies_are_exact_and_changes_are_pointed_out(library, three):
    found = duplicates(library, three, threshold=0.8)
    (group,) = found.groups
    assert (found.passages, found.texts, found.exact, found.near, found.total) == (4, 3, 1, 1, 1)
    exact, near = group.copies
    assert group.representative.document == "a.txt"
    assert (exact.document, exact.exact, exact.cosine, exact.differences) == ("c.txt", True, 1.0, None)
    assert (near.document, near.exact) == ("b.txt", False) and 0.8 < near.cosine < 1
    assert near.differences.kinds == ("numbers", "negation")


def test_above_the_threshold_only_copies_are_left(library, three):
    assert names(duplicates(library, three, threshold=0.99)) == [["a.txt", "c.txt"]]


@pytest.mark.parametrize("texts", [[LEAVE], [LEAVE, TUNNEL]])
def test_one_passage_and_two_different_ones_have_no_duplicates(library, tmp_path, texts):
    name = indexed(library, tmp_path / "in", **{f"t{i}": text for i, text in enumerate(texts)})
    found = duplicates(library, name)
    assert (found.groups, found.passages, found.threshold.how) == ((), len(texts), "default")
    assert duplicate_documents(library, name).groups == ()


def test_an_emptied_collection_has_none(library, tmp_path):
    name = indexed(library, tmp_path / "in", a=LEAVE)
    other = indexed(library, tmp_path / "other", b=LEAVE)
    (tmp_path / "in" / "a.txt").unlink()
    write(tmp_path / "in" / "b.txt", "")
    library.refresh(name)
    assert duplicates(library, name).groups == () == duplicate_documents(library, name).groups
    assert duplicates_against(library, other, name).groups == ()
    assert duplicates_against(library, name, other).groups == ()
    assert duplicates_of_files(library, [write(tmp_path / "new.txt", LEAVE)], name).groups == ()


def test_passages_that_are_all_the_same_are_one_group(library, tmp_path):
    name = indexed(library, tmp_path / "in", **{f"t{i:02}": LEAVE for i in range(50)})
    found = duplicates(library, name)
    (group,) = found.groups
    assert len(group.copies) == found.exact == 49 and found.near == 0


# -------------------------------------------------------------------- the same under other headings

POLICY = "Staff may take thirty days of paid leave in every year of their work here, but no more."
TITLES = ("Rest", "Zoo keepers and their many odd old words", "Leave")


def test_the_same_under_another_heading_is_an_exact_copy(library, tmp_path):
    """Headings are embedded with the text, so that vectors differ; what stands in the document does not."""
    name = indexed(
        library, tmp_path / "in", "company-docs",
        **{f"d{at}": titled(title, POLICY) for at, title in enumerate(TITLES)},
    )  # fmt: skip
    found = duplicates(library, name, threshold=1.0)
    assert (found.passages, found.texts, found.exact, found.near) == (3, 1, 2, 0)
    assert names(found) == [["d0.md", "d1.md", "d2.md"]]
    assert [(one.exact, one.cosine) for one in found.groups[0].copies] == [(True, 1.0)] * 2
    documents = duplicate_documents(library, name, threshold=1.0).groups
    assert [[one.contained for one in group.copies] for group in documents] == [[1.0, 1.0]]


def test_an_edited_copy_is_near_by_the_heading_that_it_shares(library, tmp_path):
    edited = POLICY.replace("thirty", "sixty")
    name = indexed(
        library, tmp_path / "in", "company-docs",
        a=titled(TITLES[0], POLICY), b=titled(TITLES[1], POLICY), c=titled(TITLES[1], edited),
    )  # fmt: skip
    found = duplicates(library, name, threshold=0.95)
    assert names(found) == [["a.md", "b.md", "c.md"]] and (found.exact, found.near) == (1, 1)
    near = found.groups[0].copies[1]
    assert near.cosine >= 0.95 and near.differences.changes[0].after == "sixty"


# -------------------------------------------------------------------- groups larger than a neighbourhood


@pytest.mark.parametrize("n", [joined.NEIGHBOURS, joined.NEIGHBOURS + 1, 40])
def test_more_copies_do_not_break_a_group(library, tmp_path, n):
    """Two families: nearer to their own than to each other, and near enough to both."""
    random = np.random.default_rng(0)
    made = np.zeros((2 * n, 64), np.float32)
    made[:, 0] = 1.0
    made[:n, 1], made[n:, 1] = 0.12, -0.12
    made[:, 2:] = 0.005 * random.normal(size=(2 * n, 62))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    assert (made @ made.T).min() > 0.95
    name = indexed(library, tmp_path / "in", **{f"t{i:03}": f"text {i}" for i in range(2 * n)})
    set_vectors(library, made)
    assert [len(group.copies) + 1 for group in duplicates(library, name, threshold=0.95).groups] == [2 * n]


# -------------------------------------------------------------------- what is damaged, what is wrong


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_of_no_numbers_is_nobodys_duplicate(library, three, value):
    with Database.write(library.folder) as db, db.transaction() as tx:
        tx.run("UPDATE vectors SET vector = ? WHERE text_id = 1", (np.full(64, value, "<f4").tobytes(),))
    found = duplicates(library, three, threshold=0.8)
    assert [[one.exact for one in group.copies] for group in found.groups] == [[True]]
    decide(library, accept=[(1, 2)])
    assert duplicates(library, three).threshold.value > 0.7  # one decision moves it little


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
@pytest.mark.parametrize("function", [duplicates, duplicate_documents])
def test_what_is_no_cosine_is_refused(library, three, function, threshold):
    with pytest.raises(UsageError, match="expected a cosine"):
        function(library, three, threshold=threshold)


@pytest.mark.parametrize("contained", [0.0, 1.5, float("nan")])
def test_what_is_no_share_is_refused(library, three, contained):
    with pytest.raises(UsageError, match="expected above 0"):
        duplicate_documents(library, three, contained=contained)


# -------------------------------------------------------------------- against others


def test_passages_are_looked_for_in_another_collection(library, tmp_path, three):
    other = indexed(library, tmp_path / "other", old=LEAVE_NOT, new=TUNNEL)
    found = duplicates_against(library, other, three, threshold=0.8)
    assert (found.against, found.exact, found.near) == (other, 2, 2)
    assert sorted(names(found)) == [["new.txt", "d.txt"], ["old.txt", "b.txt", "a.txt", "c.txt"]]
    decide(library, reject=[(1, 2)])
    assert sorted(names(duplicates_against(library, other, three, threshold=0.8))) == [
        ["new.txt", "d.txt"],
        ["old.txt", "b.txt"],
    ]


def test_files_that_cannot_be_read_are_in_the_answer(library, tmp_path, three):
    write(tmp_path / "new" / "good.txt", LEAVE)
    (tmp_path / "new" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    found = duplicates_of_files(library, [tmp_path / "new"], three, threshold=0.8)
    assert [one.document for one in found.failed] == ["broken.pdf"]
    assert names(found) == [["a.txt", "good.txt"]] and found.exact == 1


def test_nothing_is_open_while_files_are_embedded(library, tmp_path, three, monkeypatch):
    """A writer may come meanwhile, and what it forgets is not shown."""
    embed = WordEmbedder.embed

    def forgetting(self, texts, instruction=""):
        if list(texts) == [LEAVE]:
            assert library.forget("c.txt").passages == 1
        return embed(self, texts, instruction)

    monkeypatch.setattr(WordEmbedder, "embed", forgetting)
    new = write(tmp_path / "new.txt", LEAVE)
    assert duplicates_of_files(library, [new], three, threshold=0.8).passages == 1


def test_what_is_forgotten_during_a_comparison_is_not_shown(library, three, monkeypatch):
    def forgetting(*asked):
        made = joined.join(*asked)
        library.forget("c.txt")
        return made

    monkeypatch.setattr(analysis, "join", forgetting)
    assert names(duplicates(library, three, threshold=0.8)) == [["a.txt", "b.txt"]]


def test_a_collection_made_anew_during_a_comparison_is_refused(library, three, tmp_path, monkeypatch):
    def making_anew(*asked):
        made = joined.join(*asked)
        library.remove(three)
        library.index([tmp_path / "in"], collection=three)
        return made

    monkeypatch.setattr(analysis, "join", making_anew)
    with pytest.raises(CollectionNotFound, match="made anew"):
        duplicates(library, three)


def test_a_collection_against_itself_is_refused(library, three):
    with pytest.raises(UsageError, match="collection itself"):
        duplicates_against(library, three, three)


def test_collections_of_two_recipes_are_refused(library, tmp_path, three):
    write(tmp_path / "q" / "a.txt", LEAVE)
    library.index([tmp_path / "q"], collection="q", profile="question-duplicates")
    with pytest.raises(RecipeMismatch, match="document instruction"):
        duplicates_against(library, "q", three)


# -------------------------------------------------------------------- documents, and what is shown


def test_documents_are_grouped_by_the_passages_they_share(library, tmp_path):
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
    found = duplicate_documents(library, "in", threshold=0.999, contained=0.9)
    shown = {group.representative.document: group.copies for group in found.groups}
    assert found.documents == 3 and shown and found.total == len(shown)
    for held in shown.values():
        assert [(one.document, one.contained) for one in held] == [("part.md", 1.0)]
        assert held[0].containing < 0.5


def test_texts_are_compared_only_of_what_is_shown(library, tmp_path, monkeypatch):
    texts = {
        f"{name}{i}": f"{name} {name} {name} number {i}"
        for name in ("cats", "dogs", "cows")
        for i in range(6)
    }
    name = indexed(library, tmp_path / "in", **texts)
    compared = []
    monkeypatch.setattr(copies, "evidence", lambda one, other: compared.append(other))
    found = duplicates(library, name, threshold=0.8, show=Show(groups=1, copies=2))
    whole = duplicates(library, name, threshold=0.8)
    assert len(compared) == 2 + 15
    assert (found.total, found.near, len(found.groups)) == (whole.total, whole.near, 1) == (3, 15, 1)
    assert found.groups[0].copies == whole.groups[0].copies[:2] and found.groups[0].more == 3


def test_vectors_of_the_database_are_those_compared(library, three):
    with library.reading(three) as (db, collection):
        record = CollectionVectors(db, collection.collection_id, collection.recipe_id, collection.dim)
        _, (one, other) = record.of(np.array([1, 2]))
    (group,) = duplicates(library, three, threshold=0.8).groups
    assert group.copies[1].cosine == pytest.approx(float(one @ other), abs=1e-6)


def test_whoever_waits_is_told_how_far_it_is(library, three):
    told = []
    duplicates(library, three, on_share=told.append)
    assert told and all(0 <= share <= 1 for share in told)
