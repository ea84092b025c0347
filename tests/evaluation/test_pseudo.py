"""Questions of a Collection's own texts: which are made, and that none finds a copy of its own words."""

from __future__ import annotations

import os
import stat

import pytest

from searchkit.collection.doctor import examine
from searchkit.collection.library import Library
from searchkit.errors import (
    LibraryBusy,
    LibraryNotWritable,
    ModelError,
    ProfileNotFound,
    UsageError,
)
from searchkit.evaluation import pseudo
from searchkit.evaluation.links import Pages, links_of
from searchkit.evaluation.masking import copied, mask, masked, phrase_of
from searchkit.evaluation.own import Wanted, evaluate_itself
from searchkit.evaluation.pseudo import Candidate, drawn, unambiguous
from searchkit.library import lock, twin
from searchkit.library.contents import Content, StoredDocument, contents_of, documents_of
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ANIMALS = ("otter", "heron", "badger", "lynx", "marten", "stoat", "weasel", "beaver", "curlew", "plover")


@pytest.fixture
def library(library_folder, tmp_path):
    folder = tmp_path / "docs"
    for number, animal in enumerate(ANIMALS):
        write(
            folder / "animals" / f"{animal}.md",
            f"# About {animal} families\n\nIt sleeps by day.\n\n## Feeding young {animal} well\n\n"
            f"Offer fish number {number}.\n\n## Next steps here\n\nCall us.\n",
        )
    write(
        folder / "index.md",
        "# Overview of it all\n\nSee [what the otter eats](animals/otter.md#x) or "
        "[about heron families](animals/heron.md), [here](animals/lynx.md) and [web](https://a.example/b).\n",
    )
    write(
        folder / "faq.csv",
        "question,answer\nHow loud is a curlew at night?,Very.\nWho pays for the fish?,You.\n",
    )
    made = Library(library_folder, open_model=lambda model: WordEmbedder())
    made.index([folder])
    return made


def made_of(library, sample=300, seed=0):
    with library.reading() as (db, collection):
        return pseudo.questions_of(db, collection, sample, seed)


def test_headings_titles_links_and_questions_ask_for_their_document(library):
    asked = {one.text: (one.kind, one.names) for one in made_of(library).questions}
    assert asked["what the otter eats"] == ("link", ("animals/otter.md",))
    assert asked["Feeding young lynx well"] == ("heading", ("animals/lynx.md",))
    assert asked["About badger families"] == ("title", ("animals/badger.md",))
    assert asked["How loud is a curlew at night?"] == ("faq", ("faq.csv#1",))


def test_what_several_documents_say_is_no_question(library):
    """A heading that all have means none of them; 'here' says nothing."""
    asked = {one.text for one in made_of(library).questions}
    assert not asked & {"Next steps here", "here", "web"}


def test_the_same_words_are_asked_once_and_by_the_best_kind(library):
    asked = [
        one for one in made_of(library).questions if phrase_of(one.text) == phrase_of("about heron families")
    ]
    assert [one.kind for one in asked] == ["link"]


def test_documents_that_say_the_words_do_not_count(library):
    """The page that links says the words of the link, and nobody judged whether it answers as well."""
    with library.reading() as (db, collection):
        ids = {one.name: one.document_id for one in documents_of(db, collection.collection_id)}
    asked = {one.text: one.not_counted for one in made_of(library).questions}
    assert asked["what the otter eats"] == {ids["index.md"]}
    assert asked["Feeding young lynx well"] == frozenset()


def test_a_document_that_still_says_the_words_when_masked_is_not_asked_for(library, tmp_path):
    path = tmp_path / "docs" / "animals" / "badger.md"
    write(path, path.read_text() + "\nWe wrote on feeding young badger well before.\n")
    library.index([tmp_path / "docs"])
    asked = {one.text for one in made_of(library).questions}
    assert "Feeding young badger well" not in asked
    assert "Feeding young lynx well" in asked


def test_a_seed_gives_the_same_questions_and_another_one_others(library):
    assert made_of(library, 12, 3) == made_of(library, 12, 3)
    assert {one.text for one in made_of(library, 12, 3).questions} != {
        one.text for one in made_of(library, 12, 4).questions
    }


def test_no_document_has_most_of_the_questions():
    many = [Candidate("heading", f"words number {n}", 1, ("words", str(n))) for n in range(9)]
    few = [Candidate("title", f"title {n}", n, ("title", str(n))) for n in range(2, 5)]
    found = drawn([*many, *few], 100, 0)
    assert sum(one.document_id == 1 for one in found) == pseudo.PER_DOCUMENT
    assert [one.kind for one in found[:2]] == ["title", "heading"]  # in turns


def test_words_that_mean_two_documents_ask_for_none():
    one, two = (Candidate("title", "Expense claims", n, ("expense", "claims")) for n in (1, 2))
    assert unambiguous([one, two]) == []
    assert unambiguous([one]) == [one]


def test_too_few_questions_are_refused(library_folder, tmp_path):
    write(tmp_path / "docs" / "a.txt", "Nothing here has a heading.")
    library = Library(library_folder, open_model=lambda model: WordEmbedder())
    library.index([tmp_path / "docs"])
    with pytest.raises(UsageError, match=r"(?s)give 0 questions, expected 10 or more.*--questions FILE"):
        made_of(library)


@pytest.mark.parametrize(
    ("context", "text", "said", "expected"),
    [
        ("Manual\nA > Feeding the otter", "Fish.", "feeding the otter", ("Manual\nA", "Fish.")),
        ("Feeding the otter", "Fish.", "feeding the otter", ("", "Fish.")),
        ("", "## Feeding the *otter* {#x}\n\nFish.", "feeding the otter", ("", "Fish.")),
        ("", "- [Feeding the otter](#feeding)\nFish.", "feeding the otter", ("", "Fish.")),
        ("", "question: Is it?\nanswer: Yes.", "is it", ("", "answer: Yes.")),
        ("", "On feeding the otter: fish.", "feeding the otter", ("", "On feeding the otter: fish.")),
        ("料金", "料金\n水。", "料金", ("", "水。")),
    ],
)
def test_masked_are_lines_and_headings_that_say_nothing_else(context, text, said, expected):
    assert masked(Content(1, 1, "", context, text), {phrase_of(said)}) == expected


def nothing_first(db, collection):
    return None


def stored(library):
    with library.reading() as (db, collection):
        return list(contents_of(db, collection.collection_id))


def test_masking_a_copy_changes_its_passages_and_leaves_the_library(library):
    before = stored(library)
    with copied(library, "company-docs", pseudo.questions_of) as (other, made):
        mask(other, "company-docs", made.phrases)
        after = stored(other)
        assert other.verify() == []
        for one in made.questions:
            for content in after:
                if content.document_id in one.documents[0]:
                    said = " ".join(phrase_of(f"{content.context} {content.text}"))
                    assert " ".join(phrase_of(one.text)) not in said
        # found by what is left of it, by words and by vectors
        for mode in ("text", "vector", "hybrid"):
            hits = other.query("offer fish number 3", mode=mode, k=1).hits
            assert hits[0].document == "animals/lynx.md" and "Feeding" not in hits[0].text
        folder = other.folder
    assert not folder.exists()
    assert stored(library) == before and library.verify() == []


def test_what_masking_leaves_empty_is_gone(library, tmp_path):
    write(tmp_path / "docs" / "only.md", "# Only a heading stands here\n")
    library.index([tmp_path / "docs"])
    with library.reading() as (db, collection):
        (only,) = [one for one in documents_of(db, collection.collection_id) if one.name == "only.md"]
    with copied(library, "company-docs", nothing_first) as (other, _):
        mask(other, "company-docs", {only.document_id: {phrase_of("only a heading stands here")}})
        assert only.document_id not in {one.document_id for one in stored(other)}
        assert other.verify() == []


def test_a_copy_for_which_there_is_no_room_is_refused(library, monkeypatch):
    monkeypatch.setattr(twin, "ROOM", 1e12)
    with (
        pytest.raises(LibraryNotWritable, match="a copy of collection 'company-docs' needs"),
        copied(library, "company-docs", nothing_first),
    ):
        pass
    assert remains(library) == []


def remains(library):
    return [path.name for path in library.folder.iterdir() if path.is_dir()]


def test_a_copy_is_of_one_collection_and_answers_as_it_does(library, tmp_path):
    write(tmp_path / "other" / "secret.md", "# A secret of others\n\nNothing of the otter.\n")
    library.index([tmp_path / "other"], collection="others")
    told = []
    with copied(library, "company-docs", nothing_first, lambda *done: told.append(done)) as (other, _):
        assert [one.name for one in other.collections()] == ["company-docs"]
        assert other.verify() == [] and other.show().counts == library.show("company-docs").counts
        assert other.show().snapshot == library.show("company-docs").snapshot
        assert stat.S_IMODE(other.folder.stat().st_mode) == 0o700 or os.name == "nt"
        assert other.folder.parent == library.folder
        with other.reading() as (db, _):
            assert not db.rows("SELECT * FROM texts WHERE text LIKE '%secret%'")
        for mode in ("text", "vector"):
            one, two = (
                which.query("what the otter eats", mode=mode, collection="company-docs").hits
                for which in (other, library)
            )
            assert [hit.passage_id for hit in one] == [hit.passage_id for hit in two]
    assert told[-1][0] == told[-1][1] > 50
    assert remains(library) == []


def test_what_is_wrong_shows_before_anything_is_copied(library, monkeypatch):
    """A model that is gone, a profile that is not there, too few questions: each without a copy."""

    def never(*_):
        raise AssertionError("copied")

    monkeypatch.setattr(twin, "copy", never)
    with pytest.raises(ProfileNotFound):
        evaluate_itself(library, Wanted(profile="absent"))
    with pytest.raises(UsageError, match="give 3 questions, expected 10"):
        evaluate_itself(library, Wanted(), sample=3)

    def gone(model):
        raise ModelError(f"no {model}")

    with pytest.raises(ModelError, match="no searchkit-mini"):
        evaluate_itself(Library(library.folder, open_model=gone), Wanted(modes=("text",)))


def test_new_ids_of_a_copy_are_none_that_its_snapshot_holds(library, tmp_path):
    """Else a passage that was removed from the end would be found under the new one's name."""
    write(tmp_path / "docs" / "last.md", "# The last words\n\nGone soon.\n")
    library.index([tmp_path / "docs"])
    library.rebuild()
    last = library.show().snapshot.last_passage_id
    (tmp_path / "docs" / "last.md").unlink()
    library.index([tmp_path / "docs"])
    with copied(library, "company-docs", pseudo.questions_of) as (other, made):
        before = {one.passage_id for one in stored(other)}
        mask(other, "company-docs", made.phrases)
        assert min({one.passage_id for one in stored(other)} - before) > last


def test_a_snapshot_that_a_writer_replaces_meanwhile_is_made_anew(library):
    def replaced(db, collection):
        (library.folder / library.show().snapshot.file).unlink()
        return pseudo.questions_of(db, collection)

    with copied(library, "company-docs", replaced) as (other, made):
        mask(other, "company-docs", made.phrases)
        assert other.query("offer fish number 3", mode="vector", k=1).hits[0].document == "animals/lynx.md"
        assert other.verify() == []


def test_an_error_in_the_copy_says_so(library, monkeypatch):
    def broken_off(*_):
        (copy,) = library.folder.glob(f"{twin.PREFIX}*")
        raise lock.not_writable(copy, "database or disk is full")

    monkeypatch.setattr(twin, "copy", broken_off)
    with pytest.raises(LibraryNotWritable) as caught, copied(library, "company-docs", nothing_first):
        pass
    assert caught.value.message.startswith("the copy that is measured failed, your Library is as it was")
    assert "run the same command again" in caught.value.remedy


def test_where_nothing_can_be_written_the_copy_is_a_temporary_file(library, tmp_path, monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    plain = twin.tempfile.mkdtemp

    def refusing(*, prefix, dir):
        if dir == library.folder:
            raise PermissionError("no")
        return plain(prefix=prefix, dir=dir)

    monkeypatch.setattr(twin.tempfile, "mkdtemp", refusing)
    with copied(library, "company-docs", nothing_first) as (other, _):
        assert other.folder.parent == tmp_path / "temporary" and other.verify() == []
    assert list((tmp_path / "temporary").iterdir()) == []


def abandoned(folder):
    """A copy as a killed process leaves it."""
    made = folder / f"{twin.PREFIX}abandoned"
    write(made / twin.LOCK_NAME, "")
    write(made / "library.db", "About lynx families")
    return made


def test_a_copy_that_was_left_is_warned_of_and_deleted_by_whoever_comes_next(library):
    left = abandoned(library.folder)
    check = next(one for one in examine(library).checks if one.name == "copies")
    assert check.status == "warn" and str(left) in check.found and left.exists()
    library.forget()
    assert not left.exists() and not [one for one in examine(library).checks if one.name == "copies"]
    left = abandoned(library.folder)
    with copied(library, "company-docs", nothing_first):
        assert not left.exists()


def test_a_copy_in_use_is_left_alone_and_forget_waits_for_it(library):
    with copied(library, "company-docs", nothing_first) as (other, _):
        assert twin.left_behind(library.folder) == []
        with pytest.raises(LibraryBusy, match="measures a copy of what is held"):
            library.forget("animals/lynx.md")
        assert other.verify() == []
    library.forget()
    assert library.verify() == []


def test_other_folders_are_left_alone(library, tmp_path):
    mine = write(library.folder / "self-portraits" / "me.txt", "me")
    elsewhere = write(tmp_path / "elsewhere" / "a.txt", "a")
    (library.folder / f"{twin.PREFIX}link").symlink_to(elsewhere.parent)
    assert twin.sweep(library.folder) == []
    assert mine.exists() and elsewhere.exists()


def test_links_are_those_to_other_pages():
    text = (
        "[a *b*](x.md) ![image](i.png) [web](https://x.example) [below](#e) [named](<y.md> 'title') "
        "[up](../z%20q.md?a=b#h) [mail us](mailto:a@b.example) [host](//host/x) [1](short.md)"
    )
    assert list(links_of(text)) == [("a b", "x.md"), ("named", "y.md"), ("up", "../z q.md")]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("deploy.md", 2), ("deploy.html", 2), ("./deploy", 2), ("../index.md", 1), ("..", 1),
        ("/manual/deploy.html", 2), ("/deploy", 2), ("/two", None), ("two.md", None), ("absent.md", None),
    ],
)  # fmt: skip
def test_a_link_leads_to_the_one_page_that_it_may_mean(target, found):
    names = {1: "site/index.html.md.erb", 2: "site/manual/deploy.html.md", 3: "site/manual/from.md"}
    names |= {4: "a/two.md", 5: "b/two.md"}
    documents = {i: StoredDocument(i, name, name, 1, "markdown", "", {}) for i, name in names.items()}
    assert Pages(documents.values()).at(target, documents[3]) == found
