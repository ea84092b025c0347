"""A Collection measured by questions: what counts, what is said beside it, and how two runs compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from searchkit.errors import UsageError
from searchkit.evaluation import own, own_report, report, results
from searchkit.evaluation.asking import DEPTH, Way, ask
from searchkit.evaluation.own import Wanted, evaluate_itself, evaluate_own, measured_of, ranks_of
from searchkit.evaluation.questions import Question, names, write_questions
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.fixture
def library(library_folder, tmp_path):
    folder = tmp_path / "docs"
    for number in range(20):
        write(folder / f"{number}.md", f"# Subject {number}\n\nThing{number} is kept in room{number}.\n")
    write(
        folder / "long.md", "# Long\n\n" + "\n\n".join(f"## Part {n}\n\nThing3 again {n}." for n in range(9))
    )
    write(folder / "staff.csv", "name,place\nAda,tower\nGrace,tower cellar\n")
    made = Library(library_folder, open_model=lambda model: WordEmbedder())
    made.index([folder])
    return made


@pytest.fixture
def questions(tmp_path):
    rows = [{"question": f"where is thing{n} kept in room{n}", "documents": [f"{n}.md"]} for n in range(8)]
    rows.append({"question": "tower", "documents": ["staff.csv"]})
    rows.append({"question": "zebra quagga okapi", "documents": ["9.md"]})
    rows.append({"question": "who won the cup", "answerable": False})
    return write(tmp_path / "asked.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


UNITS = (frozenset({1}), frozenset({5, 6, 7}))


@pytest.mark.parametrize(
    ("found", "ranks"),
    [
        ((1, 5), [1, 2]),
        ((9, 1, 8, 6), [2, 4]),
        ((5, 6, 7, 1), [1, 2]),  # rows of a table that was found already take no rank
        ((9, 8), []),
    ],
)
def test_a_table_is_found_with_its_first_row(found, ranks):
    assert ranks_of(Question(text="x", documents=UNITS, names=("a", "b")), found) == ranks


def test_measures_are_those_of_the_field(library):
    """Ranks 2 and 4 of two right ones, against the formulas written out."""
    from math import log2

    from searchkit.evaluation.asking import Answer

    one = Question(text="x", documents=UNITS, names=("a", "b"))
    answer = Answer(documents=(9, 1, 8, 6), first=(), relevant=True, passage=None, took_ms=1)
    measures = measured_of([one], [answer], {}).measures
    assert measures["ndcg@10"] == pytest.approx(100 * (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3)))
    assert measures["mrr@10"] == 50 and measures["recall@1"] == 0 and measures["recall@5"] == 100
    assert measures["map"] == pytest.approx(100 * (1 / 2 + 2 / 4) / 2)


def test_questions_are_asked_the_way_of_queries(library, questions, monkeypatch):
    """Once as a user would, once deep with the best passage of each document; the mode goes along."""
    asked = []
    plain = Library.query
    monkeypatch.setattr(
        Library, "query", lambda self, text, **how: asked.append(how) or plain(self, text, **how)
    )
    ask(
        library,
        [Question(text="thing3", documents=(frozenset({1}),), names=("a",))],
        Way(collection="company-docs", mode="text"),
    )
    assert all(how["mode"] == "text" and how["collection"] == "company-docs" for how in asked)
    assert [(how.get("k"), how.get("per_document")) for how in asked] == [
        (None, None),
        (None, None),
        (DEPTH, 1),
    ]


def test_each_document_counts_once_by_its_best_passage(library):
    (answer,) = ask(library, [Question(text="thing3")], Way(collection="company-docs"))
    assert len(set(answer.documents)) == len(answer.documents) == 23


def test_documents_that_do_not_count_are_left_out(library):
    (plain,) = ask(library, [Question(text="thing3")], Way(collection="company-docs"))
    left_out = frozenset(plain.documents[:2])
    (other,) = ask(library, [Question(text="thing3", not_counted=left_out)], Way(collection="company-docs"))
    assert other.documents == plain.documents[2:]


def test_what_is_found_and_what_is_not(library, questions):
    (found,) = evaluate_own(library, questions, Wanted())
    assert found.task == "asked/hybrid" and found.details["mode"] == "hybrid"
    assert found.measured.counts["questions"] == 10 and found.measured.counts["unanswerable"] == 1
    assert found.measured.measures["recall@1"] == 90 and found.measured.measures["recall@100"] == 100
    assert found.measured.low <= found.main <= found.measured.high
    (worst,) = found.details["worst"]
    assert worst["question"] == "zebra quagga okapi" and worst["wanted"] == ["9.md"]
    assert worst["ranks"][0] > 1 and worst["found"][0]["where"] and worst["told_nothing"] is True
    assert 0 < found.details["latency_ms"]["p50"] <= found.details["latency_ms"]["p95"]


def test_verdicts_of_relevance_are_counted_on_both_sides(library, questions):
    """Nothing is known of words alone; with vectors the unanswerable one is refused, and so is nonsense."""
    vector, text = (evaluate_own(library, questions, Wanted(modes=(mode,)))[0] for mode in ("vector", "text"))
    assert vector.measured.measures["refused"] == 100 and vector.measured.measures["answered"] <= 90
    assert "of 10 with one" in own_report.verdicts(vector)
    assert "refused" not in text.measured.measures and own_report.verdicts(text) == ""


def test_general_questions_are_asked_where_no_question_is_unanswerable(library, tmp_path):
    file = write(tmp_path / "q.jsonl", '{"question": "thing3", "document": "3.md"}\n')
    (found,) = evaluate_own(library, file, Wanted())
    assert found.measured.counts["unanswerable"] == len(own.general_questions()) == 50
    from searchkit.collection import relevance

    assert not {one.text for one in own.general_questions()} & set(relevance.probes())


def test_a_passage_that_is_named_is_looked_for(library, tmp_path):
    rows = [
        {"question": "thing3 again 5", "document": "long.md", "passage": "THING3  again 5."},
        {"question": "zebra", "document": "0.md", "passage": "kept in room0"},
    ]
    file = write(tmp_path / "q.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (found,) = evaluate_own(library, file, Wanted())
    assert found.measured.measures["passage@10"] == 50 and found.measured.counts["passages named"] == 2


@pytest.mark.parametrize(
    ("heading", "shown"), [("Part 2", True), ("long > part 2", True), ("Long", False), ("", True)]
)
def test_a_heading_is_the_last_one_or_the_whole_path(heading, shown):
    assert names(Question(text="x", heading=heading), "Long > Part 2", "T") is shown


def test_two_runs_are_compared_question_by_question(library, questions, tmp_path):
    for mode in ("hybrid", "text"):
        (one,) = evaluate_own(library, questions, Wanted(modes=(mode,)))
        results.write(one, tmp_path / mode)
    hybrid, text = (next(iter(results.read_all(tmp_path / mode).values())) for mode in ("hybrid", "text"))
    (difference,) = results.compare({"asked": hybrid}, {"asked": text})
    assert difference.main == "ndcg@10" and hybrid.key != text.key
    assert hybrid.details["worst"]


def test_kept_results_are_written_over_by_the_same_measurement_only(library, questions, tmp_path):
    """Another collection, other questions under the name of the first: refused, before any is asked."""
    out = tmp_path / "kept"
    (first,) = evaluate_own(library, questions, Wanted(out=out))
    assert results.read_all(out) == {"asked/hybrid": first}
    assert evaluate_own(library, questions, Wanted(out=out))[0].key == first.key
    evaluate_own(library, questions, Wanted(out=out, modes=("text",)))
    assert sorted(results.read_all(out)) == ["asked/hybrid", "asked/text"]
    library.index([tmp_path / "docs"], collection="copy")
    questions.write_text(questions.read_text() + '{"question": "new", "answerable": false}\n')

    def never(*_):
        raise AssertionError("asked")

    for wanted in (Wanted(out=out, collection="copy"), Wanted(out=out, collection="company-docs")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own, "ask", never)
            with pytest.raises(UsageError, match="another measurement"):
                evaluate_own(library, questions, wanted)
    (again,) = evaluate_own(library, questions, Wanted(out=out, collection="copy", again=True))
    assert results.read_all(out)["asked/hybrid"].key == again.key != first.key


@pytest.mark.parametrize(
    ("file", "split", "name"),
    [("q.v2.jsonl", None, "q.v2/text"), ("q.csv.gz", "dev", "q-dev/text"), (None, None, "self/text")],
)
def test_results_are_called_by_file_split_and_mode(file, split, name):
    assert own.task_names(file and Path(file), ("text",), split) == [name]


def test_few_questions_have_no_interval(library, questions, tmp_path):
    """Drawn again and again, three that are right are three that are right: 100 to 100 would be a lie."""
    lines = questions.read_text().splitlines(keepends=True)
    for count in (5, 6):
        file = write(tmp_path / "few.jsonl", "".join(lines[:count]))
        (found,) = evaluate_own(library, file, Wanted(modes=("text",)))
        (row,) = results.plain([found])
        assert (row["low"] is None) == (count == 5) == bool(row["notes"])
        assert found.measured.interval == ("too few" if count == 5 else "100.00 to 100.00")


def test_questions_of_its_own_texts_are_weak_evidence_when_asked_unmasked(library, tmp_path):
    """A heading finds itself; put in other words, and without its kind, it is a judged question."""
    _, asked = evaluate_itself(library, Wanted(modes=("text",)), sample=12)
    file = tmp_path / "q.jsonl"
    write_questions(asked, file)
    (found,) = evaluate_own(library, file, Wanted(modes=("text",)))
    assert found.details["evidence"].startswith("weak evidence: 12 of 12 questions are the collection's own")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        del row["kind"]
    write(file, "".join(json.dumps(row) + "\n" for row in rows))
    (found,) = evaluate_own(library, file, Wanted(modes=("text",)))
    assert found.details["evidence"] == own.JUDGED_BY_PEOPLE


def test_all_modes_have_results_of_their_own(library, questions):
    found = evaluate_own(library, questions, Wanted(modes=own.MODES))
    assert [one.task for one in found] == ["asked/hybrid", "asked/vector", "asked/text"]
    assert len({one.data for one in found}) == 1


def test_the_literal_instruction_before_queries_is_kept(library, questions):
    vector, text = (evaluate_own(library, questions, Wanted(modes=(mode,)))[0] for mode in ("vector", "text"))
    assert vector.instructions["query"].startswith("Represent the") and vector.profile == "company-docs"
    assert text.instructions["query"] == ""


def test_a_collection_measures_itself_and_says_that_this_is_weak(library):
    before = library.show().counts
    found, asked = evaluate_itself(library, Wanted(), sample=12)
    assert found[0].details["evidence"] == own.WEAK and found[0].task == "self/hybrid"
    assert 10 <= len(asked) == found[0].measured.counts["questions"] <= 12
    again, same = evaluate_itself(library, Wanted(), sample=12)
    assert same == asked and again[0].measured == found[0].measured
    assert library.show().counts == before


def test_a_report_shows_the_worst_and_obeys_none_of_it(library, tmp_path):
    rows = [{"question": "<script>alert(1)</script> zebra", "document": "9.md"}]
    file = write(tmp_path / "q.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = evaluate_own(library, file, Wanted())
    report.write(found, tmp_path / "r.html", None)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page and "<script>" not in page
    assert "Answered worst" in page and "judged questions" in page and "median of 51" in page
