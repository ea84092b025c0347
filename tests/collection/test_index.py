import pytest

from searchkit.collection.library import Library
from searchkit.errors import LibraryError, ModelNotFound, RecipeMismatch, UsageError
from searchkit.library.database import Database
from searchkit.profile import Profile
from searchkit.settings import DEFAULT_MODEL
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


@pytest.mark.parametrize("model", [None, "./model"])
def test_a_library_opens_its_model_once(library_folder, docs, tmp_path, monkeypatch, model):
    """However it is asked for: to index, answer and refresh, by a relative path and by the stored one."""
    opened = []

    class Classed(WordEmbedder):
        def fingerprint(self):
            return {**super().fingerprint(), "precision": "float32"}

    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    library = Library(library_folder, open_model=lambda name: opened.append(name) or Classed(name))
    library.index([docs], model=model)
    library.query("laptop")
    write(docs / "new.md", "A zebra crossed the yard.")
    library.refresh()
    library.index([docs])
    library.query("zebra")
    assert opened == [str(tmp_path / "model") if model else DEFAULT_MODEL]


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
    assert not list(library_folder.glob("*.snapshot"))


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


def test_removing_from_a_library_that_is_not_there_makes_none(library, library_folder):
    with pytest.raises(LibraryError, match="there is no Library"):
        library.remove("anything")
    assert not library_folder.exists()


def test_an_unknown_model_leaves_no_empty_library_behind(docs, library_folder):
    def refuse(model):
        raise ModelNotFound(f"no model '{model}'")

    with pytest.raises(ModelNotFound):
        Library(library_folder, open_model=refuse).index([docs], model="nonesuch")
    assert not library_folder.exists()
