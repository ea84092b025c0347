"""Two profiles, models or collections over the same passages: what moves, by how much, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from searchkit.collection.library import Library
from searchkit.embedding.families import families
from searchkit.errors import CollectionNotFound, ProfileNotFound, RecipeMismatch, UsageError
from searchkit.evaluation import diff as diffing
from searchkit.evaluation import spaces
from searchkit.evaluation.diff import Wanted, diff, diff_collections
from searchkit.evaluation.moved import Seen, why
from searchkit.evaluation.two_rankings import kendall
from searchkit.library import documents as store
from searchkit.library.database import Database
from searchkit.profile import Instruction, Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

RIVERS = ("Danube", "Rhine", "Elbe", "Oder", "Main", "Inn", "Mur", "Drau", "Enns", "Traun", "Ybbs", "Kamp")
SHIPPED = Profile.load("company-docs")


class Counting(WordEmbedder):
    """Notes what it embeds under which instruction."""

    def __init__(self, model="words", **facts):
        super().__init__(model, **facts)
        self.embedded: list[tuple[str, str]] = []

    def embed(self, texts, instruction=""):
        self.embedded += [(instruction, text) for text in texts]
        return super().embed(texts, instruction)


@pytest.fixture
def embedder():
    return Counting()


@pytest.fixture
def library(library_folder, embedder, tmp_path):
    """Twelve short pages about rivers."""
    for number, river in enumerate(RIVERS):
        text = f"# The river {river}\n\nGauge {number} of the {river} froze on day {number * 3} of winter.\n"
        write(tmp_path / "docs" / f"{river}.md", text)
    made = Library(library_folder, open_model=lambda model: embedder)
    made.index([tmp_path / "docs"])
    embedder.embedded.clear()
    return made


@pytest.fixture
def profile(tmp_path):
    """Write a profile that differs from the shipped one by these Instructions."""

    def make(name, **sides) -> str:
        changed = replace(
            SHIPPED, name=name, **{side: Instruction(literal=text) for side, text in sides.items()}
        )
        return str(write(tmp_path / f"{name}.toml", changed.to_toml()))

    return make


ASKED = ("the river Mur", "gauge 7")


def test_where_only_the_query_instruction_differs_no_passage_is_embedded(library, embedder, profile):
    found = diff(library, None, Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED))
    assert {text for _, text in embedder.embedded} == set(ASKED)
    assert not found.first.embedded and not found.second.embedded
    assert (found.passages, found.of, found.queries, found.made) == (12, 12, 2, False)
    assert found.second.instructions["query"] == "Find: "
    assert found.notices == ()


def test_where_what_stands_before_documents_differs_they_are_embedded_for_the_run(library, embedder, profile):
    other = profile("other", document="Keep: ")
    found = diff(library, None, Wanted(profiles=(None, other), queries=ASKED))
    assert not found.first.embedded and found.second.embedded
    assert sum(instruction == "Keep: " for instruction, _ in embedder.embedded) == 12


def test_the_same_words_before_documents_are_embedded_once(library, embedder, profile):
    both = (
        profile("one", document="Keep: ", query="Find: "),
        profile("two", document="Keep: ", query="Ask: "),
    )
    diff(library, None, Wanted(profiles=both, queries=ASKED))
    assert sum(instruction == "Keep: " for instruction, _ in embedder.embedded) == 12


def test_a_sample_is_drawn_and_said(library, embedder, profile):
    wanted = Wanted(profiles=(None, profile("other", document="Keep: ")), queries=ASKED, sample=5)
    found = diff(library, None, wanted)
    assert (found.passages, found.of) == (5, 12)
    assert any("5 of 12 passages are compared" in notice for notice in found.notices)
    assert diff(library, None, wanted) == found
    assert diff(library, None, replace(wanted, sample=0)).passages == 12


def test_rankings_and_cosines_are_those_of_every_pair(library, embedder, profile):
    found = diff(library, None, Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED))
    with library.reading() as (db, one):
        passages = store.passages(db, [row[0] for row in db.rows("SELECT passage_id FROM passages")])
    pages = embedder.embed([one.embedded_text for one in passages], SHIPPED.document.render())
    for one in found.moved:
        for instruction, hits, side in (
            (SHIPPED.query.render(), one.first, "first"),
            ("Find: ", one.second, "second"),
        ):
            exact = pages @ embedder.embed([one.query], instruction)[0]
            shown = [getattr(hit, f"cosine_{side}") for hit in hits]
            assert shown == pytest.approx(sorted(exact.tolist(), reverse=True)[:10], abs=2e-6)
            names = {passages[row].document: exact[row] for row in range(len(passages))}
            assert shown == pytest.approx([names[hit.document] for hit in hits], abs=2e-6)
            assert [getattr(hit, f"rank_{side}") for hit in hits] == list(range(1, 11))


@pytest.mark.parametrize("few", [0, 100])
def test_stored_vectors_are_found_in_a_pass_or_one_by_one(library, profile, monkeypatch, few):
    wanted = Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED)
    usual = diff(library, None, wanted)
    monkeypatch.setattr(spaces, "FEW", few)
    monkeypatch.setattr(spaces, "BLOCK_ROWS", 5)
    assert diff(library, None, wanted) == usual


def test_the_same_words_on_both_sides_change_nothing_and_it_is_said(library, profile):
    same = {side: SHIPPED.instruction(side).render() for side in ("document", "query")}
    found = diff(library, None, Wanted(profiles=(None, profile("same", **same)), queries=ASKED))
    assert any("nothing can differ" in notice for notice in found.notices)
    assert {name: mean.mean for name, mean in found.measures.items()} == {
        "overlap@10": 1.0, "rbo": 1.0, "kendall": 1.0, "same first": 1.0,
    }  # fmt: skip
    assert {one.why for one in found.moved} == {"the same are shown"}


class Deaf(Counting):
    """A model of a family that takes no Instruction."""

    def __init__(self, model="deaf"):
        super().__init__(model)
        self.family = families()["plain"]

    def instruction_for(self, profile, side):
        return ""


@pytest.fixture
def deaf(library_folder, library, tmp_path):
    """The pages under a model that takes no Instruction, in a Collection of its own."""
    embedder = Deaf()
    made = Library(library_folder, open_model=lambda model: embedder if model == "deaf" else Counting())
    made.index([tmp_path / "docs"], collection="deaf", model="deaf")
    embedder.embedded.clear()
    return made, embedder


def test_a_model_that_takes_no_instruction_is_given_none_unless_asked_to(deaf, profile):
    library, embedder = deaf
    other = profile("other", query="Find: ", document="Keep: ")
    found = diff(library, "deaf", Wanted(profiles=(None, other), queries=ASKED))
    assert {instruction for instruction, _ in embedder.embedded} == {""}
    assert not found.first.embedded and not found.second.embedded
    (said,) = [notice for notice in found.notices if "--literal" in notice]
    assert "deaf takes no instructions: those of 'company-docs' and 'other' change nothing" in said
    assert found.measures["rbo"].mean == 1.0


def test_literally_only_profiles_that_were_named_stand_before_texts(deaf, profile):
    """The other side is the collection as it is."""
    library, embedder = deaf
    other = profile("other", query="Find: ", document="Keep: ")
    found = diff(library, "deaf", Wanted(profiles=(None, other), queries=ASKED, literal=True))
    assert set(found.first.instructions.values()) == {""} and not found.first.embedded
    assert found.second.instructions == {"document": "Keep: ", "query": "Find: "} and found.second.embedded
    assert any("those of 'other' are put before texts all the same" in notice for notice in found.notices)
    embedder.embedded.clear()
    found = diff(library, "deaf", Wanted(profiles=("wiki-retrieval", other), queries=ASKED, literal=True))
    assert found.first.instructions["query"] == Profile.load("wiki-retrieval").query.render()
    assert any("those of 'wiki-retrieval' and 'other' are" in notice for notice in found.notices)


def test_behind_the_words_that_a_family_puts_itself(deaf, profile):
    library, embedder = deaf
    embedder.family = families()["e5"]
    embedder.instruction_for = lambda profile, side: {"document": "passage: ", "query": "query: "}[side]
    wanted = Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED, literal=True)
    assert diff(library, "deaf", wanted).second.instructions["query"] == "query: Find: "


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("profiles", [(None, None), ("wiki-retrieval", "wiki-retrieval")])
def test_where_only_the_models_differ_nothing_is_forced(deaf, profile, profiles, literal):
    library = deaf[0]
    wanted = Wanted(profiles=profiles, models=(None, "deaf"), queries=ASKED, literal=literal)
    found = diff(library, "company-docs", wanted)
    assert set(found.second.instructions.values()) == {""}
    assert not any("--literal" in notice for notice in found.notices)
    assert found.first.embedded is (profiles[0] is not None) and found.second.embedded


def test_another_model_embeds_the_passages_anew(library_folder, library, embedder):
    other = Counting("other", weights="words-2")
    both = Library(library_folder, open_model=lambda model: other if model == "other" else embedder)
    found = diff(both, None, Wanted(models=(None, "other"), queries=ASKED))
    assert (found.first.name, found.second.name) == (embedder.model, "other")
    assert found.second.embedded and not found.first.embedded
    assert len(other.embedded) == 12 + 2
    assert found.measures["overlap@10"].mean == 1.0  # the same network under another name


def test_two_collections_are_compared_by_what_both_hold(library, embedder, profile, tmp_path):
    write(tmp_path / "docs" / "Salzach.md", "# The river Salzach\n\nIt never froze.\n")
    library.index([tmp_path / "docs"], collection="more", profile=profile("other", document="Keep: "))
    embedder.embedded.clear()
    found = diff_collections(library, "company-docs", "more", Wanted(queries=ASKED))
    assert (found.first.name, found.second.name) == ("company-docs", "more")
    assert (found.passages, found.of) == (12, 12)
    assert {text for _, text in embedder.embedded} == set(ASKED)
    assert all(hit.document != "Salzach.md" for one in found.moved for hit in one.second)
    assert found.measures["rbo"].mean < 1.0


def test_collections_that_cannot_be_compared_say_why(library, library_folder, tmp_path):
    library.index([write(tmp_path / "else" / "a.md", "Something else.")], collection="else")
    with pytest.raises(UsageError, match="hold no passage in common"):
        diff_collections(library, "company-docs", "else", Wanted())
    with pytest.raises(UsageError, match="the same collection"):
        diff_collections(library, "else", "else", Wanted())
    with pytest.raises(CollectionNotFound):
        diff_collections(library, "else", "elsewhere", Wanted())
    changed = Library(library_folder, open_model=lambda model: WordEmbedder(weights="words-2"))
    with pytest.raises(RecipeMismatch, match="searchkit doctor"):
        diff_collections(changed, "company-docs", "else", Wanted())


def test_nothing_to_compare_is_a_mistake(library, profile):
    with pytest.raises(UsageError, match="both sides are the same"):
        diff(library, None, Wanted())
    with pytest.raises(ProfileNotFound):
        diff(library, None, Wanted(profiles=(None, "wiki-retrival")))


def test_queries_are_made_of_headings_and_sentences_and_said_to_be(library, profile, monkeypatch):
    wanted = Wanted(profiles=(None, profile("other", query="Find: ")))
    found = diff(library, None, wanted)
    assert found.made and any("weak evidence" in notice for notice in found.notices)
    asked = [one.query for one in found.moved]
    assert sum(query.startswith("The river") for query in asked) == found.queries // 2
    assert any(query.startswith("Gauge") and query.endswith("winter.") for query in asked)
    monkeypatch.setattr(diffing, "QUERIES", 3)
    assert diff(library, None, wanted).queries == 3


def test_the_most_moved_come_first_and_why_is_said(library, profile):
    """An instruction that names a river pulls that river's page up."""
    pulled = profile("pulled", query="Danube Danube Danube froze winter: ")
    found = diff(library, None, Wanted(profiles=(None, pulled), queries=["the river Mur", "Danube gauge"]))
    assert [one.rbo for one in found.moved] == sorted(one.rbo for one in found.moved)
    one = next(one for one in found.moved if one.query == "the river Mur")
    assert not one.same_first
    assert one.first[0].document == "Mur.md" and one.second[0].document == "Danube.md"
    assert "Mur.md:1-3 goes from 1 to" in one.why and "'danube' of the second instruction" in one.why


def test_kendall_is_of_the_hits_that_both_sides_show(library, profile):
    """Over the hits of either, those of one side alone would be pairs in the wrong order by construction."""
    other = profile("other", query="Danube Danube Danube froze winter: ")
    found = diff(library, None, Wanted(profiles=(None, other), queries=["the river Mur"], k=4)).moved[0]
    both = [hit for hit in found.first if hit.rank_second is not None and hit.rank_second <= 4]
    assert 2 <= len(both) < 4
    expected = kendall(
        np.array([hit.cosine_first for hit in both]), np.array([hit.cosine_second for hit in both])
    )
    assert found.kendall == (None if np.isnan(expected) else expected)
    found = diff(library, None, Wanted(profiles=(None, other), queries=["the river Mur"], k=1))
    assert found.moved[0].kendall is None and "kendall" not in found.measures


def test_one_query_has_no_interval_and_a_few_have_wilsons(library, profile):
    wanted = Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED[:1])
    for mean in diff(library, None, wanted).measures.values():
        assert (mean.low, mean.high) == (None, None)
    same = {side: SHIPPED.instruction(side).render() for side in ("document", "query")}
    found = diff(library, None, Wanted(profiles=(None, profile("same", **same)), queries=ASKED))
    first = found.measures["same first"]
    assert (first.mean, first.high) == (1.0, 1.0)
    assert first.low == pytest.approx(2 / (2 + 1.959964**2))  # two of two are no proof of always


def seen(passage_id, cosine_first, cosine_second):
    return Seen(
        passage_id=passage_id, document="a.md", where="a.md", heading="", text="", rank_first=1,
        rank_second=None, cosine_first=cosine_first, cosine_second=cosine_second,
    )  # fmt: skip


def test_a_near_tie_is_told_from_a_real_change():
    one, other, last = seen(1, 0.9, 0.5), seen(2, 0.895, 0.7), seen(3, 0.5, 0.4)
    assert "0.005 apart before" in why("q", (one, other, last), (other, one), set())
    far = replace(other, cosine_first=0.6)
    said = why("q", (one, far, last), (far, one), set())
    assert "before 0.300 lay between them, now 0.200 the other way" in said
    assert "from 1 to beyond 100" in said


def rows_of(folder):
    with Database.read(folder) as db:
        tables = [row[0] for row in db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.rows(f'SELECT count(*) FROM "{name}"')[0][0] for name in tables}


def test_nothing_is_stored_and_no_state_is_held_while_the_model_embeds(library_folder, library, profile):
    before = rows_of(library_folder), library.show()
    busy = []

    class Looking(Counting):
        def embed(self, texts, instruction=""):
            with Database.write(library_folder) as db:
                db.rows("PRAGMA busy_timeout = 0")
                busy.append(db.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])
            return super().embed(texts, instruction)

    looking = Library(library_folder, open_model=lambda model: Looking())
    diff(looking, None, Wanted(profiles=(None, profile("other", document="Keep: ")), queries=ASKED))
    assert busy and not any(busy)
    assert (rows_of(library_folder), library.show()) == before


def test_a_collection_that_changes_meanwhile_is_not_compared(library_folder, library, profile, tmp_path):
    class Meddling(Counting):
        def embed(self, texts, instruction=""):
            write(tmp_path / "docs" / "new.md", f"New {len(self.embedded)}.")
            Library(library_folder, open_model=lambda model: Counting()).refresh()
            return super().embed(texts, instruction)

    meddling = Library(library_folder, open_model=lambda model: Meddling())
    with pytest.raises(UsageError, match="changed by another process meanwhile"):
        diff(meddling, None, Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED))


def test_equal_texts_are_one(library, tmp_path, profile):
    for copy in ("b", "c"):
        folder: Path = tmp_path / "docs" / copy
        write(folder / "Mur.md", (tmp_path / "docs" / "Mur.md").read_text())
    library.refresh()
    found = diff(library, None, Wanted(profiles=(None, profile("other", query="Find: ")), queries=ASKED))
    assert found.of == 12
    names = [hit.document for hit in found.moved[0].first]
    assert len(names) == len(set(names)) and np.isfinite(found.moved[0].rbo)
