import os

import pytest

from searchkit.collection.library import Library
from searchkit.errors import RecipeMismatch, UsageError
from searchkit.library.database import Database
from searchkit.profile import Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


def documents(result):
    return [hit.document for hit in result.hits]


def test_what_was_indexed_is_found(library, docs):
    report = library.index([docs], profile="company-docs")
    assert (report.added, report.failed, report.embedded) == (3, (), report.passages)
    hit = library.query("a new laptop").hits[0]
    assert hit.document == "laptop.md" and "hardware portal" in hit.text and hit.rank == 1


def test_offsets_of_a_hit_are_places_in_the_file(library, docs):
    library.index([docs])
    hit = library.query("parental leave").hits[0]
    assert (docs / hit.document).read_text()[hit.start : hit.end] == hit.text


def test_a_second_run_embeds_nothing(library, docs, embedder):
    library.index([docs])
    embedder.texts.clear()
    report = library.index([docs])
    assert (report.unchanged, report.embedded, report.added, embedder.texts) == (3, 0, 0, [])


def test_an_edit_costs_only_its_own_passages(library, docs, embedder):
    library.index([docs])
    before = {hit.text: hit.passage_id for hit in library.query("laptop leave tunnel").hits}
    embedder.texts.clear()
    write(docs / "laptop.md", "# Laptops\n\nOrder a new laptop from your team lead.\n")
    report = library.index([docs])
    assert (report.changed, report.embedded) == (1, 1)
    assert len(embedder.texts) == 1 and "team lead" in embedder.texts[0]
    after = {hit.text: hit.passage_id for hit in library.query("laptop leave tunnel").hits}
    assert len(before.items() & after.items()) == 2  # the others kept their ids


def test_a_moved_file_is_renamed_and_not_read_again(library, docs, embedder):
    library.index([docs])
    embedder.texts.clear()
    (docs / "it").mkdir()
    (docs / "vpn.txt").rename(docs / "it" / "tunnel.txt")
    report = library.index([docs])
    assert (report.moved, report.added, report.removed, embedder.texts) == (1, 0, 0, [])
    assert documents(library.query("tunnel to the office"))[0] == "it/tunnel.txt"


def test_moved_rows_follow_their_file(library, docs):
    write(docs / "faq.csv", "question,answer\nHow do I pay?,With the company card\n")
    library.index([docs])
    (docs / "faq.csv").rename(docs / "questions.csv")
    assert library.index([docs]).moved == 1
    assert documents(library.query("company card"))[0] == "questions.csv#1"


def test_a_removed_file_is_no_longer_found(library, docs):
    library.index([docs])
    (docs / "laptop.md").unlink()
    report = library.index([docs])
    assert (report.removed, report.passages) == (1, 2)
    assert "laptop.md" not in documents(library.query("a new laptop"))
    assert library.verify() == []


def test_a_run_without_changes_does_not_load_the_model(library, docs, library_folder):
    library.index([docs])

    def refuse(model):
        raise AssertionError("the model was opened")

    assert Library(library_folder, open_model=refuse).index([docs]).unchanged == 3


def test_equal_texts_are_embedded_once(library, docs, embedder):
    write(docs / "copy.txt", (docs / "vpn.txt").read_text())
    report = library.index([docs])
    assert report.passages == 4 and report.embedded == len(embedder.texts) == 3 and report.reused == 1


def test_collections_of_one_recipe_share_their_vectors(library, docs, embedder):
    library.index([docs], collection="first")
    embedder.texts.clear()
    report = library.index([docs], collection="second")
    assert (report.added, report.embedded, report.reused) == (3, 0, 3) and embedder.texts == []
    library.remove("first")
    assert len(library.query("laptop", collection="second").hits) == 3 and library.verify() == []


def test_another_instruction_is_another_space(library, docs):
    library.index([docs], profile="company-docs")
    report = library.index([docs], profile="wiki-retrieval")
    assert (report.collection, report.embedded) == ("wiki-retrieval", 3)


def test_removing_the_last_collection_leaves_no_text_behind(library, docs, library_folder):
    library.index([docs])
    assert library.remove("company-docs") == 3
    with Database.read(library_folder) as db:
        for table in ("texts", "vectors", "passages", "documents", "files", "recipes", "snapshots"):
            assert db.row(f"SELECT count(*) FROM {table}") == (0,), table
    assert not list(library_folder.glob("*.faiss"))


def test_a_removed_source_takes_its_files_along(library, docs, tmp_path):
    other = write(tmp_path / "other" / "bikes.md", "Cargo bikes carry two hundred kilos.\n").parent
    library.index([docs])
    library.index([other])
    assert library.remove("company-docs", source=other) == 1
    assert library.show().counts.files == 3 and library.verify() == []


def test_an_unknown_source_is_named_with_the_known_ones(library, docs, tmp_path):
    library.index([docs])
    with pytest.raises(UsageError, match=str(docs)):
        library.remove("company-docs", source=tmp_path / "elsewhere")


def test_other_weights_are_refused_field_by_field(library, docs, library_folder):
    library.index([docs])
    other = Library(library_folder, open_model=lambda model: WordEmbedder(weights="words-2"))
    write(docs / "new.md", "Something to embed.\n")
    with pytest.raises(RecipeMismatch, match="weights: stored 'words-1', asked 'words-2'"):
        other.index([docs])
    with pytest.raises(RecipeMismatch, match="weights: stored 'words-1', asked 'words-2'"):
        other.query("laptop")


def test_another_document_instruction_for_a_collection_is_refused(library, docs):
    library.index([docs], collection="kb", profile="company-docs")
    with pytest.raises(RecipeMismatch, match="document instruction: stored 'Represent the company"):
        library.index([docs], collection="kb", profile="wiki-retrieval")
    with pytest.raises(RecipeMismatch, match="asked 'Represent the Wikipedia document"):
        library.query("laptop", profile="wiki-retrieval")


def test_another_chunking_for_a_collection_is_refused(library, docs):
    library.index([docs], collection="kb")
    table = Profile.load("company-docs").to_dict()
    table["chunking"]["max_tokens"] = 50
    with pytest.raises(UsageError, match="max_tokens=50"):
        library.index([docs], collection="kb", profile=Profile.from_dict(table))


def test_a_new_query_instruction_costs_nothing(library, docs, embedder):
    library.index([docs], collection="kb")
    embedder.texts.clear()
    table = Profile.load("company-docs").to_dict()
    table["query"]["task_objective"] = "finding rules"
    report = library.index([docs], collection="kb", profile=Profile.from_dict(table))
    assert report.embedded == 0
    assert library.show("kb").profile.query.task_objective == "finding rules"


def test_the_models_notices_are_given_once(library, docs):
    assert library.index([docs]).notices == ("notice for company-docs",)
    assert library.index([docs]).notices == ()


def test_refresh_goes_through_every_source_of_every_collection(library, docs, tmp_path):
    other = write(tmp_path / "other" / "bikes.md", "Cargo bikes carry two hundred kilos.\n").parent
    library.index([docs])
    library.index([other], profile="wiki-retrieval")
    write(docs / "new.md", "A new rule about travel.\n")
    write(other / "more.md", "More about bikes.\n")
    reports = {report.collection: report for report in library.refresh()}
    assert {name: report.added for name, report in reports.items()} == {
        "company-docs": 1,
        "wiki-retrieval": 1,
    }


def test_a_source_that_has_gone_keeps_what_was_indexed(library, docs, tmp_path):
    library.index([docs])
    docs.rename(tmp_path / "unmounted")
    report = library.refresh()[0]
    assert report.passages == 3 and "are kept" in report.failed[0].reason


def test_an_emptied_source_keeps_what_was_indexed(library, docs):
    library.index([docs])
    for path in [path for path in docs.rglob("*") if path.is_file()]:
        path.unlink()
    report = library.refresh()[0]
    assert report.passages == 3 and "searchkit remove company-docs --source" in report.failed[0].reason


def test_naming_a_part_of_a_source_refreshes_the_source(library, docs):
    library.index([docs])
    write(docs / "hr" / "travel.md", "Trains before planes.\n")
    report = library.index([docs / "hr"])
    assert (report.added, report.unchanged) == (1, 3) and len(library.show().sources) == 1


def test_a_folder_around_a_source_is_refused(library, docs):
    library.index([docs / "hr"])
    with pytest.raises(UsageError, match="remove it first"):
        library.index([docs])


def test_a_missing_path_changes_nothing(library, docs, library_folder):
    with pytest.raises(UsageError, match="no file or folder"):
        library.index([docs / "nowhere"])
    assert not library_folder.exists()


def test_an_empty_folder_is_refused(library, tmp_path, library_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="it is empty"):
        library.index([tmp_path / "empty"])
    assert not library_folder.exists()


def test_a_folder_of_other_files_says_what_it_saw(library, tmp_path):
    write(tmp_path / "media" / "film.mp4", "x")
    with pytest.raises(UsageError, match=r"1 × \.mp4"):
        library.index([tmp_path / "media"])


def test_the_library_is_not_indexed_into_itself(docs, embedder):
    library = Library(docs / "indexes", open_model=lambda model: embedder)
    library.index([docs])
    write(docs / "indexes" / "notes.md", "This lies in the Library's own folder.\n")
    assert library.index([docs]).added == 0


def test_an_unreadable_file_is_named_and_the_rest_goes_on(open_folder, unprivileged):
    profile = Profile.load("company-docs")
    write(open_folder / "open.md", "Open to all.\n")
    write(open_folder / "closed.md", "Not for you.\n").chmod(0)
    shared = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    with unprivileged():
        report = shared.index([open_folder], profile=profile)
    assert report.added == 1
    assert [failure.document for failure in report.failed] == ["closed.md"]
    assert "ermission" in report.failed[0].reason


def test_a_file_that_cannot_be_read_now_keeps_its_passages(open_folder, unprivileged):
    path = write(open_folder / "rule.md", "Bring your own cup.\n")
    library = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    profile = Profile.load("company-docs")
    with unprivileged():
        library.index([open_folder], profile=profile)
    os.utime(path, (1, 1))
    path.chmod(0)
    with unprivileged():
        report = library.index([open_folder], profile=profile)
        assert len(report.failed) == 1 and report.passages == 1
        assert documents(library.query("cup")) == ["rule.md"]


def test_a_file_whose_content_broke_loses_its_passages(library, docs):
    library.index([docs])
    write(docs / "vpn.txt", "")
    report = library.index([docs])
    assert [failure.document for failure in report.failed] == ["vpn.txt"] and report.passages == 2
    assert library.verify() == []
    assert library.index([docs]).failed == report.failed  # and it is said again, not forgotten


def test_lone_surrogates_in_json_are_stored_as_question_marks(library, docs):
    write(docs / "rows.jsonl", '{"text": "broken \\\\ud800 pair of bytes"}\n'.replace("\\\\", "\\"))
    report = library.index([docs])
    assert report.failed == () and documents(library.query("broken pair of bytes"))[0] == "rows.jsonl#1"


def test_a_stopped_run_goes_on_where_it_was(library_folder, docs):
    """What was committed before Ctrl-C is not embedded again."""
    for number in range(300):
        write(docs / "many" / f"{number:03}.txt", f"Rule number {number} speaks of item {number * 7}.\n")

    class Interrupted(WordEmbedder):
        def embed_counted(self, texts, instruction=""):
            if self.texts:
                raise KeyboardInterrupt
            return super().embed_counted(texts, instruction)

    first, second = Interrupted(), WordEmbedder()
    with pytest.raises(KeyboardInterrupt):
        Library(library_folder, open_model=lambda model: first).index([docs])
    report = Library(library_folder, open_model=lambda model: second).index([docs])
    assert first.texts and set(first.texts).isdisjoint(second.texts)
    assert len(first.texts) + len(second.texts) == report.passages == 303


def test_a_large_file_interrupted_in_its_middle_keeps_its_vectors(library_folder, tmp_path):
    lines = "\n\n".join(f"Paragraph {i} is about matter {i * 13} " + "and so on " * 30 for i in range(600))
    write(tmp_path / "docs" / "large.txt", lines)

    class Interrupted(WordEmbedder):
        def embed_counted(self, texts, instruction=""):
            if self.texts:
                raise KeyboardInterrupt
            return super().embed_counted(texts, instruction)

    first, second = Interrupted(), WordEmbedder()
    with pytest.raises(KeyboardInterrupt):
        Library(library_folder, open_model=lambda model: first).index([tmp_path / "docs"])
    after = Library(library_folder, open_model=lambda model: second)
    assert after.show().counts.documents == 0  # no half document can be found
    report = after.index([tmp_path / "docs"])
    assert report.reused == len(first.texts) > 0 and set(first.texts).isdisjoint(second.texts)
    assert after.verify() == []
