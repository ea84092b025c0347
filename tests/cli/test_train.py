"""`searchkit train`: a recipe run, tried, gone on with; rows made and mined; judged sets on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchkit.cli.main import run
from searchkit.training.examples import read_examples
from searchkit.training.runlog import read_log
from tests.collection.conftest import write
from tests.training.conftest import GOLDEN, row, write_rows

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", ("things", 24), ("houses", 16))
    return write(
        tmp_path / "mine.toml",
        f"""out = "run"
model = {json.dumps(str(GOLDEN / "bert-mean"))}
steps = 4
batch = 8
precision = "float32"
device = "cpu"
[data]
files = ["rows.jsonl"]
""",
    )


def test_a_recipe_is_tried_run_and_gone_on_with(recipe: Path, capsys: pytest.CaptureFixture[str]):
    """--dry-run writes nothing; a run that is done says the same again."""
    assert run(["train", str(recipe), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert (
        "things" in said and "40 rows of 2 tasks; 4 steps of 8 rows" in said and "a step takes about" in said
    )
    assert not (recipe.parent / "run").exists()
    assert run(["train", "run", str(recipe)]) == 0
    first = capsys.readouterr().out
    assert "4 steps, the weights of the last step" in first
    assert run(["train", "--resume", str(recipe)]) == 0 and capsys.readouterr().out == first
    assert run(["train", str(recipe), "--restart"]) == 0 and capsys.readouterr().out == first


def test_of_several_processes_one_tells_what_would_be_done(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The others are silent."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run(["train", str(recipe), "--dry-run"]) == 0
    assert capsys.readouterr().out == ""


def test_the_best_step_is_told_though_the_log_is_gone(recipe: Path, capsys: pytest.CaptureFixture[str]):
    """The checkpoint knows it."""
    text = recipe.read_text().replace("steps = 4", "steps = 4\nevaluate_every = 2")
    recipe.write_text(f"{text}held_out = 4\n")
    assert run(["train", str(recipe)]) == 0
    first = capsys.readouterr().out
    (recipe.parent / "run" / "log.jsonl").unlink()
    assert run(["train", str(recipe)]) == 0
    assert capsys.readouterr().out == first.replace(" of 3 evaluations", "")


def test_what_takes_no_part_is_said(recipe: Path, capsys: pytest.CaptureFixture[str]):
    """By a trial, by a run and in its log; a trial refuses what a run refuses."""
    one = row(0, "long")
    one["query"][0] *= 40
    write(recipe.parent / "long.jsonl", json.dumps(one) + "\n")
    recipe.write_text(recipe.read_text().replace('["rows.jsonl"]', '["rows.jsonl", "long.jsonl"]'))
    assert run(["train", str(recipe), "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "long" in said.out and "40 rows of 2 tasks" in said.out
    assert run(["train", str(recipe)]) == 0
    noted = capsys.readouterr().err
    assert noted == said.err and noted.startswith("Note: tasks left out") and noted.endswith(": long\n")
    (first, *_) = read_log(recipe.parent / "run" / "log.jsonl")
    assert first["left_out"] == {"long": 1} and len(first["notices"]) == 1
    recipe.write_text(recipe.read_text().replace("steps = 4", "steps = 4\nevaluate_every = 2"))
    for command in (["--dry-run"], ["--restart"]):
        assert run(["train", str(recipe), *command]) == 2
        assert "nothing to evaluate on" in capsys.readouterr().err
    recipe.write_text(f'{recipe.read_text()}[evaluate]\nsets = ["missing"]\n')
    assert run(["train", str(recipe), "--dry-run"]) == 2 and "missing" in capsys.readouterr().err


def test_judged_sets_decide_which_weights_are_kept(recipe: Path, capsys: pytest.CaptureFixture[str]):
    """By the same measures as searchkit eval; rows held out stand beside them."""
    pairs = [{"a": f"the clock {n}", "b": f"the clock of {n}", "label": n % 2} for n in range(8)]
    write(recipe.parent / "alike" / "pairs.jsonl", "".join(json.dumps(one) + "\n" for one in pairs))
    text = recipe.read_text().replace("steps = 4", "steps = 4\nevaluate_every = 2")
    recipe.write_text(f'{text}held_out = 4\n[evaluate]\nsets = ["alike"]\n')
    assert run(["train", str(recipe)]) == 0
    assert "the best of 3 evaluations" in capsys.readouterr().out
    found = [one["figures"] for one in read_log(recipe.parent / "run" / "log.jsonl") if "figures" in one]
    assert len(found) == 3 and all(set(one) == {"alike", "rows held out"} for one in found)
    assert all(0 < one["alike"] <= 100 and 0 < one["rows held out"] <= 1 for one in found)


def test_sets_that_are_not_there_are_refused_before_the_first_step(
    recipe: Path, capsys: pytest.CaptureFixture[str]
):
    """And sets without a word on how often."""
    text = recipe.read_text()
    recipe.write_text(f'{text}[evaluate]\nsets = ["missing"]\n')
    assert run(["train", str(recipe)]) == 2
    assert "how often" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("steps = 4", "steps = 4\nevaluate_every = 2"))
    assert run(["train", str(recipe)]) == 2
    assert "missing" in capsys.readouterr().err and not (recipe.parent / "run").exists()


def test_rows_are_made_and_mined(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Questions with answers become rows, rows get negatives: other answers, not the own one."""
    lines = "".join(f"where is thing {n},thing {n} is in room {n}\n" for n in range(12))
    faq = write(tmp_path / "faq.csv", "question,answer\n" + lines)
    rows, mined = tmp_path / "rows.jsonl", tmp_path / "mined.jsonl.gz"
    assert run(["train", "data", "--faq", str(faq), "--out", str(rows)]) == 0
    assert "12 rows of task 'faq', 12 of them without a negative" in capsys.readouterr().out
    command = ["train", "mine", str(rows), "--model", str(GOLDEN / "bert-mean"), "--below", "1"]
    assert run([*command, "--negatives", "2", "--out", str(mined)]) == 0
    assert "12 rows" in capsys.readouterr().out
    made = read_examples([mined])["faq"]
    assert len(made) == 12 and max(len(one.negatives) for one in made) == 2
    assert all(one.positives[0] not in one.negatives for one in made)


def test_a_model_that_takes_no_instruction_is_its_own_guide(tmp_path: Path):
    """With --guide of the same name or without: texts alone are searched and scored."""
    rows = write_rows(tmp_path / "rows.jsonl", ("things", 12))
    model = str(GOLDEN / "bert-mean")
    for name, more in (("own.jsonl", []), ("guided.jsonl", ["--guide", model])):
        out = str(tmp_path / name)
        assert (
            run(["train", "mine", str(rows), "--model", model, "--below", "0.99", *more, "--out", out]) == 0
        )
    assert (tmp_path / "own.jsonl").read_text() == (tmp_path / "guided.jsonl").read_text()


def test_questions_to_a_collection_become_rows(searchkit, docs: Path, tmp_path: Path):
    """Its passages, under its Profile's Instructions, with negatives from other documents."""
    assert searchkit("index", docs)[0] == 0
    row = {"question": "how do I order a laptop", "documents": ["laptop.md"]}
    asked = write(tmp_path / "asked.jsonl", json.dumps(row) + "\n")
    out = tmp_path / "rows.jsonl"
    code, said, _ = searchkit("train", "data", "--questions", asked, "--task", "it", "--out", out)
    assert code == 0 and "1 rows of task 'it', 0 of them without" in said
    (one,) = read_examples([out])["it"]
    assert "laptop" in one.positives[0][1] and "leave" in one.negatives[0][1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--faq", "faq.csv", "--below", "0.9"], "--below has no meaning beside --faq"),
        (["--faq", "faq.csv", "--negatives", "4"], "--negatives has no meaning beside --faq"),
        (["--clicks", "clicks.csv", "--below", "0.95"], "--below has no meaning beside --clicks without -c"),
        (["--clicks", "clicks.csv", "--split", "train"], "--split has no meaning beside --clicks"),
        (["--faq", "faq.csv", "--out", "faq.csv"], "is one of the files that are read"),
        (["--faq", "faq.csv", "--out", "missing/rows.jsonl"], "in a folder that does not exist"),
    ],
)
def test_what_would_be_ignored_or_lost_is_refused_before_anything_is_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    said: str,
):
    """The files hold no row: reading them would be another error."""
    monkeypatch.chdir(tmp_path)
    for name in ("faq.csv", "clicks.csv"):
        write(tmp_path / name, "")
    out = [] if "--out" in given else ["--out", "rows.jsonl"]
    assert run(["train", "data", *given, *out]) == 2
    assert said in capsys.readouterr().err and (tmp_path / "faq.csv").read_text() == ""


def test_mined_rows_do_not_take_the_place_of_those_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Under any name of the file, and before it is read."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.jsonl", "no row")
    for out, said in (
        ("../" + tmp_path.name + "/rows.jsonl", "is one of the files"),
        ("no/m.jsonl", "in a folder"),
    ):
        assert run(["train", "mine", "*.jsonl", "--out", out]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "rows.jsonl").read_text() == "no row"


def test_clicks_on_names_of_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The rows are made all the same, called by the file without its ending."""
    file = write(tmp_path / "clicks.v2.csv", "query,clicked\nleave,leave.md\n")
    assert run(["train", "data", "--clicks", str(file), "--out", str(tmp_path / "rows.jsonl")]) == 0
    said = capsys.readouterr()
    assert "such as 'leave.md', look like names of files" in said.err and "task 'clicks.v2'" in said.out


@pytest.mark.parametrize(
    ("given", "said"),
    [([], "none of --questions"), (["--faq", "{file}", "--clicks", "{file}"], "2 of --questions")],
)
def test_one_kind_of_what_people_asked_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
):
    """Neither none nor two."""
    file = write(tmp_path / "faq.csv", "question,answer\na,b\n")
    named = [one.format(file=file) for one in given]
    assert run(["train", "data", *named, "--out", str(tmp_path / "rows.jsonl")]) == 2
    assert said in capsys.readouterr().err
