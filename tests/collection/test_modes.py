"""A query by meaning, by words, by both, and only among what a filter allows."""

import json
from dataclasses import replace

import pytest

from searchkit.collection import query_pipeline
from searchkit.collection.library import Library
from searchkit.collection.query_pipeline import ARM_DEPTH, WORDS_WEIGHT
from searchkit.errors import FilterInvalid, QueryInvalid, UsageError
from searchkit.library import fulltext
from searchkit.library.database import Database
from tests.collection.conftest import write

CODES = 300


@pytest.fixture
def tickets(library, tmp_path):
    """300 tickets, one a day, and a handbook that names one of their codes."""
    rows = [
        {"subject": f"Gauge reports X-{i} again", "day": f"2026-01-{1 + i % 28:02}", "state": i % 3, "no": i}
        for i in range(CODES)
    ]
    write(tmp_path / "in" / "tickets.jsonl", "\n".join(map(json.dumps, rows)))
    write(
        tmp_path / "in" / "handbook.md",
        "---\ntags: [manual, field]\n---\n# Faults\n\nX-17 means a frozen gauge.",
    )
    library.index([tmp_path / "in"])
    return library


def names(result):
    return [hit.document for hit in result.hits]


def test_an_exact_code_is_found_by_its_word(tickets):
    assert set(names(tickets.query("X-17", mode="text", k=2))) == {"handbook.md", "tickets.jsonl#18"}
    assert len(tickets.query("X-17", mode="text", k=50).hits) == 2  # X-170 is another word


def test_scores_of_both_are_the_cosine_and_a_share_for_the_words(tickets):
    """The best match by words gains a share of the distance from the nearest to the last candidate."""
    query = "frozen gauge X-17"
    nearest = [hit.cosine for hit in tickets.query(query, mode="vector", k=ARM_DEPTH).hits]
    result = tickets.query(query, k=20)
    assert result.mode == "hybrid" and result.hits[0].document == "handbook.md"
    best = max(hit.bm25 for hit in result.hits if hit.bm25 is not None)
    for hit in result.hits:
        words = WORDS_WEIGHT * (nearest[0] - nearest[-1]) * (hit.bm25 or 0.0) / best
        assert hit.score == pytest.approx(hit.cosine + words, abs=2e-6)
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True) and any(hit.bm25 for hit in result.hits)


def test_what_words_alone_lead_to_gets_its_cosine(tickets, monkeypatch):
    """A passage beyond the candidates by meaning is found by its word and compared by both."""
    monkeypatch.setattr(query_pipeline, "ARM_DEPTH", 2)
    monkeypatch.setattr(query_pipeline, "WORDS_WEIGHT", 100.0)
    query = "frozen gauge means X-299"
    scan = {hit.document: hit.cosine for hit in tickets.query(query, mode="vector", k=400).hits}
    hit = {hit.document: hit for hit in tickets.query(query, k=3).hits}["tickets.jsonl#300"]
    assert hit.cosine == pytest.approx(scan["tickets.jsonl#300"], abs=1e-6) and hit.bm25
    assert "tickets.jsonl#300" not in names(tickets.query(query, mode="vector", k=6))
    assert "tickets.jsonl#300" in names(tickets.query(query, k=3))


def test_vector_mode_looks_at_no_word_and_text_mode_opens_no_model(tickets, library_folder):
    hits = tickets.query("X-17 frozen", mode="vector", k=5).hits
    assert all(hit.bm25 is None and hit.score == hit.cosine for hit in hits)

    def refuse(model):
        raise AssertionError("a model was opened")

    result, sentences = Library(library_folder, open_model=refuse).query_with_sentences(
        "X-17", mode="text", k=5
    )
    assert all(hit.cosine is None and hit.score == hit.bm25 for hit in result.hits) and len(sentences) == 2


def test_a_query_whose_words_nobody_wrote_is_answered_by_meaning(tickets):
    result = tickets.query("zebra", k=5)
    assert len(result.hits) == 5 and all(hit.bm25 is None for hit in result.hits)
    assert tickets.query("zebra", mode="text").hits == ()


def test_fts_takes_the_syntax_and_text_does_not(tickets):
    assert len(tickets.query('"reports X 1" *', mode="fts", k=400).hits) > 100
    assert names(tickets.query("frozen NOT X", mode="fts")) == []
    assert "handbook.md" in names(tickets.query("frozen NOT X", mode="text"))
    with pytest.raises(QueryInvalid, match="cannot be read"):
        tickets.query('"unclosed', mode="fts")


def test_an_unknown_mode_names_the_known_ones(tickets):
    with pytest.raises(UsageError, match="did you mean: hybrid") as caught:
        tickets.query("x", mode="hybird")
    assert "vector" in caught.value.remedy


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
@pytest.mark.parametrize(
    ("where", "right"),
    [
        ("state = 1", lambda row: row["state"] == 1),
        ("no < 12", lambda row: row["no"] < 12),
        ("no = 123", lambda row: row["no"] == 123),
        ("day >= 2026-01-28 and not state = 0", lambda row: row["day"] >= "2026-01-28" and row["state"]),
    ],
)
def test_only_what_fits_is_found_and_k_is_met(tickets, mode, where, right):
    rows = [
        {"no": i, "state": i % 3, "day": f"2026-01-{1 + i % 28:02}"} for i in range(CODES)
    ]  # as they were written
    fitting = {f"tickets.jsonl#{row['no'] + 1}" for row in rows if right(row)}
    found = names(tickets.query("gauge reports again", where=where, mode=mode, k=10))
    assert set(found) <= fitting and len(found) == min(10, len(fitting))


def test_filtered_hits_are_those_of_a_scan_of_what_fits(tickets):
    query = "gauge reports X-42 again"
    everything = tickets.query(query, mode="vector", k=400).hits
    expected = [hit.document for hit in everything if hit.metadata.get("state") == 2][:10]
    assert names(tickets.query(query, mode="vector", where="state = 2", k=10)) == expected


def test_a_filter_that_fits_nothing_finds_nothing(tickets):
    for mode in ("hybrid", "vector", "text"):
        assert tickets.query("gauge", where="no = 5000", mode=mode).hits == ()
    with pytest.raises(FilterInvalid, match="no document has a field 'stat'"):
        tickets.query("gauge", where="stat = 1")


def test_the_threshold_of_a_profile_is_one_of_cosines(tickets):
    everything = tickets.query("gauge reports X-42", k=400).hits
    least = sorted(hit.cosine for hit in everything)[250]
    profile = replace(tickets.show().profile, threshold=least)
    hits = tickets.query("gauge reports X-42", profile=profile, k=400).hits
    assert {hit.document for hit in hits} == {hit.document for hit in everything if hit.cosine >= least}
    assert 10 < len(hits) < len(everything)
    assert len(tickets.query("gauge reports X-42", profile=profile, k=10).hits) == 10


def test_a_changed_file_changes_its_words(tickets, tmp_path):
    write(tmp_path / "in" / "handbook.md", "# Faults\n\nX-17 means a flooded shaft.")
    tickets.refresh()
    assert names(tickets.query("frozen", mode="text")) == []
    assert names(tickets.query("flooded shaft", mode="text")) == ["handbook.md"]
    assert tickets.verify() == []


def test_verify_finds_texts_without_their_words(tickets, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("DROP TRIGGER texts_into_fulltext")
        tx.run("INSERT INTO texts (hash, context, text) VALUES (x'01', '', 'unheard')")
    assert any("full text" in problem for problem in tickets.verify())


def test_ranks_are_the_same_whatever_the_snapshot(tickets):
    before = [(hit.document, hit.score) for hit in tickets.query("gauge again", k=30).hits]
    tickets.rebuild()
    assert [(hit.document, hit.score) for hit in tickets.query("gauge again", k=30).hits] == before


def test_copies_are_ordered_by_document_in_whatever_order_they_came(library, tmp_path):
    for number in reversed(range(90)):
        write(tmp_path / "in" / f"{number:02}.txt", "The same boilerplate in every file.")
        if number % 30 == 0:
            library.index([tmp_path / "in"])
    for mode in ("hybrid", "vector", "text"):
        assert names(library.query("boilerplate", mode=mode, k=5)) == [f"0{i}.txt" for i in range(5)]


def test_text_mode_goes_on_to_common_words_when_rare_ones_do_not_fill_the_answer(tickets, monkeypatch):
    monkeypatch.setattr(fulltext, "MATCHES", 20)
    assert len(tickets.query("X-17 again", mode="text", k=10).hits) == 10
    assert len(tickets.query("X-17 again", mode="text", where="no > 200", k=10).hits) == 10


def test_scores_by_words_keep_their_order_however_small(library, tmp_path):
    """A word in most texts scores a millionth; more of it still counts more."""
    for name, text in (
        ("a", "frost " + "ice " * 30),
        ("b", "frost frost"),
        ("c", "frost and rain"),
        ("d", "sun"),
    ):
        write(tmp_path / "in" / f"{name}.txt", text)
    library.index([tmp_path / "in"])
    hits = library.query("frost", mode="text").hits
    assert [hit.document for hit in hits] == ["b.txt", "c.txt", "a.txt"]
    assert hits[0].score > hits[1].score > hits[2].score > 0


def test_a_file_just_written_was_changed_today(library, tmp_path):
    write(tmp_path / "in" / "new.txt", "Fresh words.")
    library.index([tmp_path / "in"])
    assert names(library.query("words", where="modified >= today or modified >= 1d")) == ["new.txt"]
    assert names(library.query("words", where="modified < 2000")) == []


def test_a_filter_that_cannot_be_read_costs_no_model(library_folder, tickets):
    def refuse(*_, **__):
        raise AssertionError("a model was opened")

    with pytest.raises(FilterInvalid):
        Library(library_folder, open_model=refuse).query("gauge", where="state =")


def test_rebuild_mends_the_full_text(tickets, library_folder):
    with Database.write(library_folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM fulltext_docsize WHERE id < 10")
    assert any("full text" in problem for problem in tickets.verify())
    tickets.rebuild("company-docs")
    assert tickets.verify() == [] and len(tickets.query("X-17", mode="text").hits) == 2
