"""`searchkit eval -c NAME`: questions, --self, gates, and what is refused."""

import json

import pytest

from tests.collection.conftest import write


@pytest.fixture
def indexed(searchkit, tmp_path):
    for number in range(14):
        text = f"# All about subject{number} things\n\nThing{number} is kept in room{number}.\n"
        write(tmp_path / "docs" / f"{number}.md", text)
    assert searchkit("index", tmp_path / "docs")[0] == 0
    return searchkit


@pytest.fixture
def questions(tmp_path):
    rows = [{"question": f"thing{n} in room{n}", "documents": [f"{n}.md"]} for n in range(12)]
    return write(tmp_path / "asked.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def wrong(tmp_path):
    """The same questions with others' answers."""
    rows = [{"question": f"thing{n} in room{n}", "documents": [f"{n + 1}.md"]} for n in range(12)]
    return write(tmp_path / "wrong.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_a_collection_needs_no_sub_command(indexed, questions):
    code, out, err = indexed("eval", "-c", "company-docs", "--questions", questions)
    assert (code, err) == (0, "")
    assert "12 questions to company-docs: 14 documents" in out and "100.00" in out and "weak" not in out
    assert indexed("eval", "--questions", questions)[1].startswith("12 questions")
    assert indexed("eval", "own", f"--questions={questions}")[1].startswith("12 questions")


def test_json_for_programs(indexed, questions):
    (found,) = json.loads(indexed("eval", "--questions", questions, "--json")[1])
    assert found["task"] == "asked/hybrid" and found["score"] == 100 and found["counts"]["questions"] == 12
    assert found["details"]["mode"] == "hybrid" and found["details"]["collection"] == "company-docs"


def test_three_modes_are_compared(indexed, questions):
    code, out, _ = indexed("eval", "--questions", questions, "--modes")
    assert code == 0 and "hybrid less vector:" in out and "hybrid less text:" in out


def test_itself_is_weak_evidence_and_its_questions_can_be_kept(indexed, tmp_path):
    kept = tmp_path / "kept.jsonl"
    code, out, _ = indexed("eval", "--self", "--write-questions", kept, "--sample", "12")
    assert code == 0 and "This is weak evidence" in out and "12 questions" in out
    code, out, _ = indexed("eval", "--questions", kept)
    assert code == 0 and "This is weak evidence: 12 of 12 questions are the collection's own" in " ".join(
        out.split()
    )


def test_a_report(indexed, questions, tmp_path):
    page, picture = tmp_path / "r.html", tmp_path / "r.png"
    assert indexed("eval", "--questions", questions, "--html", page, "--png", picture)[0] == 0
    assert "company-docs" in page.read_text(encoding="utf-8") and picture.read_bytes()[1:4] == b"PNG"


def test_a_bound_fails_the_build_and_says_why(indexed, wrong):
    code, _, err = indexed("eval", "--questions", wrong, "--fail-under", "recall@1=0.6", "--fail-under", "0")
    assert code == 1 and err.strip() == "Failed: wrong/hybrid: recall@1 is 0.00, below 60"
    assert indexed("eval", "--questions", wrong, "--fail-under", "recall@100=0.6")[0] == 0


def test_a_baseline_fails_the_build_only_when_significantly_worse(indexed, questions, tmp_path):
    kept = tmp_path / "kept"
    assert indexed("eval", "--questions", questions, "--out", kept)[0] == 0
    assert indexed("eval", "--questions", questions, "--baseline", kept)[0] == 0
    for number in range(12):  # what answered is gone, and something else is there
        write(tmp_path / "docs" / f"{number}.md", f"# All about subject{number} things\n\nNothing.\n")
    assert indexed("index")[0] == 0
    code, _, err = indexed("eval", "--questions", questions, "--baseline", kept)
    assert code == 1 and err.startswith("Failed: asked/hybrid: ndcg@10 is ") and "was 100.00" in err
    assert str(kept) in err and "12 worse, 0 better" in err


def test_a_baseline_is_never_written_over(indexed, questions, tmp_path):
    kept = tmp_path / "kept"
    assert indexed("eval", "--questions", questions, "--out", kept)[0] == 0
    for baseline in (kept, kept / "asked.hybrid.json"):
        code, _, err = indexed("eval", "--questions", questions, "--baseline", baseline, "--out", kept)
        assert code == 2 and "would write over the baseline" in err


def test_a_baseline_of_several_modes_serves_the_one_in_use(indexed, questions, tmp_path):
    kept = tmp_path / "kept"
    assert indexed("eval", "--questions", questions, "--modes", "--out", kept)[0] == 0
    assert indexed("eval", "--questions", questions, "--baseline", kept, "--mode", "text")[0] == 0
    (kept / "asked.text.json").unlink()
    code, _, err = indexed("eval", "--questions", questions, "--baseline", kept, "--mode", "text")
    assert code == 2 and "the baseline has no 'asked/text', it has asked/hybrid, asked/vector" in err


def test_another_measurement_is_written_over_only_when_asked_to(indexed, questions, wrong, tmp_path):
    kept = tmp_path / "kept"
    assert indexed("eval", "--questions", questions, "--out", kept)[0] == 0
    questions.write_text(wrong.read_text())
    code, _, err = indexed("eval", "--questions", questions, "--out", kept)
    assert code == 2 and "another measurement" in err and "--again" in err
    assert indexed("eval", "--questions", questions, "--out", kept, "--again")[0] == 0


def test_what_can_be_no_gate_is_refused_before_anything_is_asked(indexed, questions, tmp_path, monkeypatch):
    few = write(
        tmp_path / "few" / "asked.jsonl", "".join(questions.read_text().splitlines(keepends=True)[:5])
    )
    code, out, _ = indexed("eval", "--questions", few, "--out", tmp_path / "kept")
    assert code == 0 and "too few" in out and "5 questions are too few for an interval" in out

    def never(*_):
        raise AssertionError("asked")

    monkeypatch.setattr("searchkit.evaluation.own.ask", never)
    for gate, said in (
        (["--fail-under", "foo=3"], "no measure 'foo'"),
        (["--baseline", tmp_path / "kept"], "5 different items, expected 6 or more"),
        (["--baseline", tmp_path / "kept", "--mode", "text"], "the baseline has no 'asked/text'"),
    ):
        code, _, err = indexed("eval", "--questions", few, *gate)
        assert code == 2 and said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "company-docs"], "there are no questions"),
        (["-c", "absent", "--self"], "there is no collection 'absent'"),
        (["--self", "--questions", "Q"], "two ways to measure"),
        (["--self", "--split", "dev"], "--split goes with --questions"),
        (["--questions", "Q", "--sample", "20"], "--sample goes with --self"),
        (["--questions", "Q", "--write-questions", "x"], "--write-questions goes with --self"),
        (["--questions", "Q", "--modes", "--fail-under", "1"], "a gate is for the one in use"),
        (["--questions", "Q", "--fail-under", "half"], "'half' is no bound"),
        (["--questions", "Q", "--fail-under", "ndcg=0.5"], "no measure 'ndcg'"),
        (["--questions", "Q", "--baseline", "absent"], "there is no baseline absent"),
        (["--questions", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--questions", "Q", "--html", "absent/r.html"], "there is no folder"),
        (["Q", "-c", "company-docs", "--self"], "unexpected extra argument"),
    ],
)
def test_what_cannot_be_measured_is_refused(indexed, questions, arguments, said):
    code, _, err = indexed("eval", *(questions if one == "Q" else one for one in arguments))
    assert code == 2 and said in err


def test_a_line_that_is_wrong_is_named(indexed, questions):
    with questions.open("a") as file:
        file.write('{"question": "x", "documents": ["1.mdd"]}\n')
    code, _, err = indexed("eval", "--questions", questions)
    assert code == 2 and "line 13: no document of collection 'company-docs' is called '1.mdd'" in err
