"""`searchkit classify`: trained, asked in every form, listed, removed, and what is wrong."""

import csv
import io
import json

import pytest

from tests.collection.conftest import write

LEAVE = "Parental leave lasts fourteen weeks at full pay, case {}"
INVOICE = "The supplier's invoice was settled late by our bank, case {}"
ODD = "Zebras graze quietly beside volcanoes"


@pytest.fixture
def labelled(tmp_path):
    rows = [{"text": (LEAVE, INVOICE)[n % 2].format(n), "label": ("hr", "money")[n % 2]} for n in range(30)]
    return write(tmp_path / "labelled.jsonl", "\n".join(map(json.dumps, rows)))


@pytest.fixture
def trained(searchkit, labelled):
    assert searchkit("classify", "train", "teams", "--labels", labelled)[0] == 0
    return searchkit


def test_training_says_how_good_it_is_on_texts_held_out(searchkit, labelled):
    code, out, err = searchkit("classify", "train", "teams", "--labels", labelled)
    assert code == 0 and "notice for classification" in err
    for part in (
        "Trained 'teams' on 30 texts",
        "accuracy",
        "100.0%",
        "most frequent class: 50.0%",
        "macro-F1",
    ):
        assert part in out
    code, out, _ = searchkit("classify", "train", "teams", "--labels", labelled, "--replace", "--json")
    report = json.loads(out)
    assert code == 0 and report["measured"]["accuracy"] == 1 and report["texts"] == 30


def test_rows_that_cannot_be_used_are_listed_and_the_exit_code_says_so(searchkit, labelled):
    with labelled.open("a") as file:
        file.write('\n{broken\n{"text": "lonely", "label": "x"}\n')
    code, out, err = searchkit("classify", "train", "teams", "--labels", labelled)
    assert code == 3 and "labelled.jsonl, line 31: is not JSON" in err and "Trained" in out
    assert "single text or document: x" in err


def test_what_is_repeated_and_what_contradicts_itself_is_said(searchkit, labelled):
    with labelled.open("a") as file:
        file.write("\n" + json.dumps({"text": LEAVE.format(0), "label": "money"}))
        file.write("\n" + json.dumps({"text": LEAVE.format(2), "label": "hr"}))
    code, out, err = searchkit("classify", "train", "teams", "--labels", labelled)
    assert code == 0 and "on 29 texts" in out
    assert "2 texts stand there more than once" in err and "Left out: 1 text with differing labels:" in err


def test_predictions_in_every_form(trained):
    asked = ("classify", "predict", "teams", LEAVE.format("x"), ODD)
    code, out, err = trained(*asked)
    assert (code, err) == (0, "") and "unsure: unlike what it learnt" in out and "1 of 2 answered" in out
    said, unsaid = json.loads(trained(*asked, "--json")[1])["predictions"]
    assert (said["label"], said["guess"], said["held_back"]) == ("hr", "hr", None)
    assert unsaid["label"] is None and unsaid["guess"] and unsaid["held_back"] == "unlike"
    lines = trained(*asked, "--jsonl", "--proba")[1].splitlines()
    assert sum(json.loads(lines[0])["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    rows = list(csv.DictReader(io.StringIO(trained(*asked, "--format", "csv", "--proba")[1])))
    assert [row["label"] for row in rows] == ["hr", ""] and float(rows[0]["p(hr)"]) > 0.5
    rest = f"{float(rows[0]['p(money)']):.3f}"
    assert rest not in trained(*asked)[1] and rest in trained(*asked, "--proba")[1]


def test_texts_of_files_are_classified_a_line_or_a_row_each(trained, tmp_path):
    lines = write(tmp_path / "new.txt", f"{LEAVE.format('x')}\n\n{INVOICE.format('y')}\r\n")
    found = json.loads(trained("classify", "predict", "teams", "--file", lines, "--json")[1])["predictions"]
    assert [one["label"] for one in found] == ["hr", "money"]
    table = write(tmp_path / "new.csv", f'body\n"{LEAVE.format("x")}"\n')
    code, out, _ = trained(
        "classify", "predict", "teams", "--file", table, "--text-field", "body", "--format", "csv"
    )
    assert code == 0 and "hr,hr" in out
    table = write(tmp_path / "new.jsonl", json.dumps({"text": LEAVE.format("x")}) + '\n{"text": ""}\n')
    code, out, err = trained("classify", "predict", "teams", "--file", table, "--jsonl")
    assert code == 3 and len(out.splitlines()) == 1 and "new.jsonl, line 2: 'text' is empty" in err


def test_every_prediction_names_the_line_of_its_text(trained, tmp_path, monkeypatch):
    rows = [{"text": LEAVE.format(1)}, {"text": ""}, {"text": INVOICE.format(2)}]
    table = write(tmp_path / "new.jsonl", "\n".join(map(json.dumps, rows)))
    plain = write(tmp_path / "new.txt", f"\n{LEAVE.format(1)}\n\n \n{INVOICE.format(2)}")
    spread = write(tmp_path / "new.csv", f'text\n"{LEAVE.format(1)}\nmore"\n{INVOICE.format(2)}\n')
    for file, lines in ((table, [1, 3]), (plain, [2, 5]), (spread, [2, 4])):
        asked = ("classify", "predict", "teams", "--file", file)
        found = json.loads(trained(*asked, "--json")[1])["predictions"]
        assert [one["line"] for one in found] == lines
        assert [json.loads(one)["line"] for one in trained(*asked, "--jsonl")[1].splitlines()] == lines
        found = csv.DictReader(io.StringIO(trained(*asked, "--format", "csv")[1]))
        assert [int(one["line"]) for one in found] == lines
        assert "line" in trained(*asked)[1].splitlines()[1]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(plain.read_bytes())))
    found = json.loads(trained("classify", "predict", "teams", "--file", "-", "--json")[1])["predictions"]
    assert [one["line"] for one in found] == [2, 5]
    assert "line" not in json.loads(trained("classify", "predict", "teams", "x", "--jsonl")[1])


def test_a_text_that_is_cut_is_told_of(trained):
    asked = ("classify", "predict", "teams", LEAVE.format("x"), f"{LEAVE} " * 50)
    code, out, err = trained(*asked, "--json")
    assert [one["truncated"] for one in json.loads(out)["predictions"]] == [False, True]
    assert code == 0 and "1 texts are longer than the model reads" in err


@pytest.mark.parametrize("name", ["x.json", "x.docx", "x"])
def test_a_file_that_is_no_list_of_texts_is_refused(trained, tmp_path, name):
    code, out, err = trained(
        "classify", "predict", "teams", "--file", write(tmp_path / name, '[\n{"text": "a"}\n]')
    )
    assert (code, out) == (2, "") and ".jsonl" in err and "an object on a line each" in err


def test_names_that_are_no_unicode_cost_no_work(trained, tmp_path):
    odd = "teams\udcff"
    file = tmp_path / f"{odd}.jsonl"
    file.write_bytes((tmp_path / "labelled.jsonl").read_bytes() + b"\n{broken")
    code, out, err = trained("classify", "train", odd, "--labels", tmp_path / "missing.jsonl")
    assert code == 2 and "cannot name a classifier" in err
    code, out, err = trained("classify", "train", "odd", "--labels", file, "--json")
    assert code == 3 and json.loads(out)["origin"] == "teams?.jsonl, field label"
    code, out, err = trained("classify", "predict", "odd", "--file", file, "--json")
    assert code == 3 and len(json.loads(out)["predictions"]) == 30
    assert (
        json.loads(trained("classify", "predict", "odd", odd, "--json")[1])["predictions"][0]["text"]
        == "teams?"
    )
    for command in (["predict", odd, "x"], ["show", odd], ["remove", odd, "--yes"]):
        code, _, err = trained("classify", *command)
        assert code == 2 and "there is no classifier" in err


def test_a_probability_of_ones_own_still_holds_back_what_is_unlike(trained):
    (found,) = json.loads(trained("classify", "predict", "teams", ODD, "--abstain", "0", "--json")[1])[
        "predictions"
    ]
    assert (found["label"], found["held_back"]) == (None, "unlike")
    told = " ".join(trained("classify", "predict", "--help")[1].split())
    assert "of what is unlike everything learnt, too, but for never" in told


def test_a_class_may_be_called_as_a_column_is(searchkit, tmp_path):
    rows = [{"text": (LEAVE, INVOICE)[n % 2].format(n), "label": ("text", "line")[n % 2]} for n in range(30)]
    table = write(tmp_path / "labelled.jsonl", "\n".join(map(json.dumps, rows)))
    searchkit("classify", "train", "columns", "--labels", table)
    out = searchkit("classify", "predict", "columns", LEAVE.format(1), "--proba", "--format", "csv")[1]
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["text"] == LEAVE.format(1) and row["line"] == "" and float(row["p(text)"]) > 0.5


def test_stored_passages_are_learnt_from_and_classified(searchkit, tmp_path):
    for n in range(20):
        team, text = (("hr", LEAVE), ("money", INVOICE))[n % 2]
        write(tmp_path / "docs" / f"{n}.md", f"---\nteam: {team}\n---\n{text.format(n)}\n")
    searchkit("index", tmp_path / "docs")
    assert searchkit("classify", "train", "teams", "-c", "company-docs", "--field", "meta.team")[0] == 0
    asked = ("classify", "predict", "teams", "-c", "company-docs", "--where", "team = hr")
    found = json.loads(searchkit(*asked, "--json")[1])["predictions"]
    assert len(found) == 10 and {one["guess"] for one in found} == {"hr"} and found[0]["document"] == "0.md"
    assert "0.md" in searchkit(*asked)[1]
    write(tmp_path / "more" / "x.md", "---\nteam: hr\n---\nMore about leave.")
    searchkit("index", tmp_path / "more")
    searchkit("classify", "train", "both", "-c", "company-docs", "--field", "meta.team")
    code, out, _ = searchkit("remove", "company-docs", "--source", tmp_path / "more", "--yes")
    assert code == 0 and "went with it: both." in out
    code, out, _ = searchkit("remove", "company-docs", "--yes")
    assert code == 0 and "trained from it went with it: teams" in out
    assert "No classifiers yet" in searchkit("classify", "list")[1]


def test_forget_says_what_it_deleted(searchkit, tmp_path):
    for n in range(8):
        team, text = (("hr", LEAVE), ("money", INVOICE))[n % 2]
        write(tmp_path / "docs" / f"{n}.md", f"---\nteam: {team}\n---\n{text.format(n)}\n")
    searchkit("index", tmp_path / "docs")
    searchkit("classify", "train", "teams", "-c", "company-docs", "--field", "team")
    code, out, _ = searchkit("forget", "3.md", "--yes")
    assert code == 0 and "classifiers trained from what is gone: teams" in out


def test_classifiers_are_listed_shown_and_removed(trained):
    assert "labelled.jsonl, field label" in trained("classify", "list")[1]
    assert json.loads(trained("classify", "list", "--json")[1])[0]["classes"] == ["hr", "money"]
    out = trained("classify", "show", "teams")[1]
    assert "recipe: weights" in out and "accuracy" in out and "temperature" in out
    assert json.loads(trained("classify", "show", "teams", "--json")[1])["figures"]["accuracy"] == 1
    code, _, err = trained("classify", "remove", "teams")
    assert code == 2 and "give --yes" in err
    assert trained("classify", "remove", "teams", "--yes")[0] == 0
    assert "No classifiers yet" in trained("classify", "list")[1]


def test_a_precision_that_cannot_be_reached_is_said_in_training_and_when_asked(searchkit, tmp_path):
    few = write(tmp_path / "few.csv", "text,label\nred apple,a\nblue sea,b\ngreen apple,a\nwide sea,b\n")
    code, out, _ = searchkit("classify", "train", "few", "--labels", few)
    assert code == 0 and "A precision of 0.9 cannot be reached" in out
    code, out, err = searchkit("classify", "predict", "few", "red apple")
    assert code == 0 and "unsure" in out and "could not reach a precision of 0.9" in err
    code, out, err = searchkit("classify", "predict", "few", "red apple", "--abstain", "never")
    assert (code, err) == (0, "") and "1 of 1 answered" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "x"], "give --labels FILE, or -c COLLECTION --field NAME"),
        (["train", "x", "-c", "docs"], "give --labels FILE, or -c COLLECTION --field NAME"),
        (["train", "x", "--labels", "a.csv", "--field", "b"], "give either --labels FILE or"),
        (["train", "x", "--field", "b", "--text-field", "c"], "--text-field belongs to --labels"),
        (["train", "x", "--labels", "missing.csv"], "there is no file missing.csv"),
        (["train", "teams", "--labels", "missing.csv"], "there is a classifier 'teams' already"),
        (["train", "x", "--labels", "missing.csv", "--precision", "1"], "expected more than 0"),
        (["predict", "teams"], "one of them only"),
        (["predict", "teams", "x", "--file", "y"], "one of them only"),
        (["predict", "teams", "x", "--where", "a = b"], "give -c COLLECTION"),
        (["predict", "teams", "x", "--abstain", "often"], "neither 'auto' nor 'never' nor a number"),
        (["predict", "teams", "x", "--abstain", "2"], "a probability from 0 to 1"),
        (["predict", "teams", "--file", "missing.txt"], "cannot be read"),
        (["predict", "taems", "x"], "did you mean: teams"),
        (["predict", "teams", "-c", "docs"], "there is no collection 'docs'"),
        (["show", "taems"], "there is no classifier 'taems'"),
        (["remove", "taems", "--yes"], "there is no classifier 'taems'"),
    ],
)
def test_a_mistake_is_said(trained, arguments, said):
    code, out, err = trained("classify", *arguments)
    assert (code, out) == (2, "") and said in err
