"""`searchkit tune`, `robustness` and `ablate`: what is printed, written and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchkit.cli import main
from searchkit.profile import Profile
from tests.evaluation.reading import ReadingEmbedder, pairs, retrieval, write


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command with the embedder that reads. Returns: exit code, stdout, stderr."""

    def with_model(*arguments: object, **reading: object):
        monkeypatch.setattr(
            "searchkit.embedding.embedder.open_embedder", lambda *_, **__: ReadingEmbedder(**reading)
        )
        capfd.readouterr()
        code = main.run([*map(str, arguments)])
        return code, *capfd.readouterr()

    return with_model


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return retrieval(tmp_path / "notes")


def test_tune_writes_a_profile_where_there_is_a_winner(run, notes: Path, tmp_path: Path):
    out = tmp_path / "mine.toml"
    code, said, err = run("tune", notes, "--paraphrases", 0, "--out", out, noise=3.0)
    assert (code, err) == (0, f"Wrote {out}\n")
    assert "is better by" in said and "50 items to choose by, 50 held out" in said
    assert "supporting" in Profile.load(out).query.render()


def test_tune_writes_nothing_where_there_is_none_unless_forced(run, notes: Path, tmp_path: Path):
    out = tmp_path / "mine.toml"
    code, said, err = run("tune", notes, "--grammar", 5, "--out", out, good="")
    assert code == 0 and "No significant difference: keep the default" in said
    assert "is not written: nothing is proven better" in err and not out.exists()
    assert run("tune", notes, "--grammar", 5, "--out", out, "--force", good="")[0] == 0
    assert "no significant difference" in Profile.load(out).description


def test_tune_tries_what_it_is_told_and_says_it_as_json(run, notes: Path, tmp_path: Path):
    (tmp_path / "own.txt").write_text("from a file: \n")
    code, said, err = run(
        "tune", notes, "--grammar", 0, "--paraphrases", 0, "--candidate", "supporting: ", "--candidates",
        tmp_path / "own.txt", "--json", noise=2.0,
    )  # fmt: skip
    assert (code, err) == (0, "")
    (found,) = json.loads(said)
    assert [(one["origin"], one["query"]) for one in found["candidates"]] == [
        ("present", ""), ("own", "supporting: "), ("own", "from a file: "),
    ]  # fmt: skip
    assert found["winner"] == 1 and found["compared"][0]["p"] < 0.05


def test_robustness_prints_the_gap_and_draws_it(run, notes: Path, tmp_path: Path):
    both = notes, pairs(tmp_path / "pairs.jsonl")
    code, said, _ = run("robustness", *both, "--paraphrases", 3, "--png", tmp_path / "gap.png")
    assert code == 0 and said.count("paraphrase 3") == 2 and said.count("points apart (p = ") == 2
    assert (tmp_path / "gap.png").read_bytes().startswith(b"\x89PNG")


def test_ablate_prints_each_degree_and_draws_it(run, notes: Path, tmp_path: Path):
    code, said, _ = run("ablate", notes, "--png", tmp_path / "a.png")
    assert code == 0 and all(one in said for one in ("none", "tag", "simple", "detailed", "'notes: '"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (found,) = json.loads(run("ablate", notes, "--json", "--side", "query")[1])
    assert (found["changed"], len(found["levels"])) == ("query", 4)


def test_a_profile_that_is_there_is_written_over_only_when_that_is_said(run, notes: Path, tmp_path: Path):
    out = tmp_path / "mine.toml"
    out.write_text("my own")
    code, said, err = run("tune", notes, "--out", out, noise=3.0)
    assert (code, said) == (2, "") and "mine.toml is there already" in err and out.read_text() == "my own"
    assert run("tune", notes, "--paraphrases", 0, "--out", out, "--replace", noise=3.0)[0] == 0
    assert "supporting" in Profile.load(out).query.render()


def test_an_instruction_proven_worse_is_never_written(run, notes: Path, tmp_path: Path):
    out = tmp_path / "mine.toml"
    code, said, err = run(
        "tune", notes, "--profile", "scientific-retrieval", "--grammar", 0, "--paraphrases", 0,
        "--candidate", "find it: ", "--candidate", "look: ", "--out", out, "--force",
    )  # fmt: skip
    assert code == 0 and "significantly worse" in said and not out.exists()
    assert "is not written: all that were compared are proven worse" in err


def test_no_profile_is_made_for_a_model_that_would_not_read_it(run, notes: Path, tmp_path: Path):
    code, said, err = run("tune", notes, "--out", tmp_path / "mine.toml", trained=False)
    assert (code, said) == (2, "") and "a profile changes nothing that it reads" in err
    assert "--model" in err


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("command", ["tune", "robustness", "ablate"])
def test_a_model_without_instructions_is_named_in_both_forms(run, notes: Path, command, form):
    code, said, err = run(command, notes, *form, trained=False)
    assert code == 0 and err.count("was not trained with instructions") == 1
    assert not form or json.loads(said)


def test_own_candidates_are_printed_and_the_best_is_compared(run, notes: Path):
    """Forty of the grammar are better on the first items; an own one is shown and confirmed all the same."""
    arguments = ["tune", notes, "--grammar", 40, "--candidate", "mine: ", "--candidate", "mine too: "]
    said = run(*arguments, "--json", noise=3.0)[1]
    (found,) = json.loads(said)
    own = [place for place, one in enumerate(found["candidates"]) if one["origin"] == "own"]
    compared = [one["candidate"] for one in found["compared"]]
    assert len(compared) == 4 and len(set(compared) & set(own)) == 1
    printed = run(*arguments, noise=3.0)[1]
    assert "'mine: '" in printed and "'mine too: '" in printed


def test_a_candidate_that_is_another_one_to_the_model_is_said_to_be(run, notes: Path):
    few = ["tune", notes, "--grammar", 3, "--paraphrases", 0]
    _, _, err = run(*few, "--candidate", "mine: ", "--candidate", "mine:")
    assert "Note: the candidate 'mine: ' is another candidate to the model" in err


def test_how_often_held_out_items_were_used_is_said(run, notes: Path):
    few = ["tune", notes, "--grammar", 0, "--paraphrases", 0]
    assert "earlier runs" not in run(*few, "--candidate", "one: ", noise=1.7)[2]
    assert "earlier runs" not in run(*few, "--candidate", "one: ", noise=1.7)[2]
    said = "earlier runs made 1 other comparisons on held-out items of this set"
    assert said in run(*few, "--candidate", "two: ", noise=1.7)[2]


@pytest.mark.parametrize("command", ["robustness", "ablate"])
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_measured(run, notes, command):
    code, said, err = run(command, notes, "--png", "absent/gaps.png")
    assert (code, said) == (2, "") and "is in a folder that does not exist" in err


@pytest.mark.parametrize("command", ["tune", "robustness", "ablate"])
def test_a_seed_is_no_negative_number(run, notes, command):
    assert run(command, notes, "--seed", -1)[0] == 2


def test_several_labellings_cannot_become_one_profile(run, tmp_path: Path):
    rows = [{"text": f"d{one}", "a": str(one % 2), "b": str(one % 3)} for one in range(90)]
    target = write(tmp_path / "t.jsonl", rows)
    code, said, err = run(
        "tune", target, "--kind", "clustering", "--label", "a", "--label", "b", "--out", tmp_path / "m.toml"
    )
    assert (code, said) == (2, "") and "several labellings have several winners" in err


def test_a_collection_is_tuned_by_questions(searchkit, tmp_path: Path):
    rows = []
    for number in range(50):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{number}.txt").write_text(f"rule{number} speaks of thing{number % 9}\n")
        rows.append({"question": f"what of rule{number}", "document": f"{number}.txt"})
    questions = write(tmp_path / "q.jsonl", rows)
    assert searchkit("index", tmp_path / "docs")[0] == 0
    code, said, _ = searchkit(
        "tune", "-c", "company-docs", "--questions", questions, "--grammar", 3, "--paraphrases", 1
    )
    assert code == 0 and "company-docs · ndcg@10 in vector mode · " in said and "25 held out" in said
    assert "instructions on the query side" in said
    # The words of the questions find all that vectors find: of a winner there nothing is left.
    assert ("is better by" in said) == ("In hybrid mode, the default of queries: " in said)


def test_questions_of_one_split_are_used_and_those_without_answer_are_counted(searchkit, tmp_path: Path):
    rows = []
    for number in range(90):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{number}.txt").write_text(f"rule{number} speaks of thing{number % 9}\n")
        split = "mine" if number < 50 else "other"
        rows.append({"question": f"what of rule{number}", "document": f"{number}.txt", "split": split})
    rows.append({"question": "who won the cup", "answerable": False, "split": "mine"})
    assert searchkit("index", tmp_path / "docs")[0] == 0
    code, said, err = searchkit(
        "tune", "-c", "company-docs", "--questions", write(tmp_path / "q.jsonl", rows), "--split", "mine",
        "--grammar", 2, "--paraphrases", 0,
    )  # fmt: skip
    assert code == 0 and "25 items to choose by, 25 held out" in said
    assert "Note: 1 questions without an answer are left out" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name either a SET, or --questions"),
        (["SET", "-c", "x"], "name either a SET, or --questions"),
        (["SET", "--out", "mine"], "is no name of a profile.*mine.toml"),
        (["SET", "--out", "absent/mine.toml"], "is in a folder that does not exist"),
        (["suite.toml"], "may name several sets"),
        (["--questions", "QUESTIONS", "--kind", "pairs"], "--kind is said of a SET"),
        (["SET", "--candidate", " "], "a candidate is empty"),
        (["SET", "--candidate", "half \udce9: "], "holds half a character"),
        (
            ["SET", "--candidates", "BOTH"],
            "a document side, and the query side alone is tried.*--side both",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(run, notes: Path, tmp_path: Path, arguments, said):
    import re

    questions = write(tmp_path / "q.jsonl", [{"question": "x", "document": "y"}])
    both = write(tmp_path / "both.jsonl", [{"query": "q: ", "document": "d: "}])
    named = {"SET": str(notes), "QUESTIONS": str(questions), "BOTH": str(both)}
    code, _, err = run("tune", *(named.get(one, one) for one in arguments))
    assert code == 2 and re.search(said, err, re.DOTALL)
