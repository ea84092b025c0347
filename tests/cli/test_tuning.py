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


def test_a_model_without_instructions_is_named(run, notes: Path):
    _, _, err = run("tune", notes, "--grammar", 5, trained=False)
    assert "reading was not trained with instructions" in err


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


def test_a_collection_is_tuned_by_questions(searchkit, tmp_path: Path):
    rows = []
    for number in range(50):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{number}.txt").write_text(f"rule{number} speaks of thing{number % 9}\n")
        rows.append({"question": f"what of rule{number}", "document": f"{number}.txt"})
    questions = write(tmp_path / "q.jsonl", rows)
    assert searchkit("index", tmp_path / "docs")[0] == 0
    code, said, err = searchkit(
        "tune", "-c", "company-docs", "--questions", questions, "--grammar", 3, "--paraphrases", 1
    )
    assert (code, err) == (0, "") and "company-docs · ndcg@10" in said and "25 held out" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name either a SET, or --questions"),
        (["SET", "-c", "x"], "name either a SET, or --questions"),
        (["SET", "--out", "mine"], "is no name of a profile.*mine.toml"),
        (["SET", "--out", "absent/mine.toml"], "there is no folder"),
        (["suite.toml"], "may name several sets"),
        (["--questions", "QUESTIONS", "--split", "test"], "--split is said of a SET"),
        (["SET", "--candidate", " "], "a candidate is empty"),
    ],
)
def test_what_does_not_go_together_is_refused(run, notes: Path, tmp_path: Path, arguments, said):
    import re

    questions = write(tmp_path / "q.jsonl", [{"question": "x", "document": "y"}])
    named = {"SET": str(notes), "QUESTIONS": str(questions)}
    code, _, err = run("tune", *(named.get(one, one) for one in arguments))
    assert code == 2 and re.search(said, err, re.DOTALL)
