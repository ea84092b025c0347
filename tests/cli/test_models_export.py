"""`searchkit models export` says where the graph is; other commands say when they make one."""

import json
import shutil
from pathlib import Path

import pytest

from searchkit.cli.main import run
from searchkit.embedding.artefacts import GRAPH_FILE
from searchkit.embedding.embedder import open_embedder
from searchkit.profile import Profile
from tests.embedding.conftest import GOLDEN, edit_json

FIELDS = ["model", "precision", "folder", "size", "min_cosine", "mean_cosine", "spared", "refused"]
BERT = GOLDEN / "bert-mean"


@pytest.fixture
def odd(tmp_path):
    """A model with an activation that no graph is written for."""
    folder = Path(shutil.copytree(BERT, tmp_path / "odd"))
    edit_json(folder / "config.json", hidden_act="silu")
    return folder


def test_both_precisions_are_exported_and_told_as_json(searchkit):
    code, out, err = searchkit("models", "export", BERT, "--json")
    exported = json.loads(out)
    assert code == 0 and not {line for line in err.splitlines() if not line.startswith("Preparing ")}
    assert [list(one) for one in exported] == [FIELDS, FIELDS]
    assert [one["precision"] for one in exported] == ["float32", "int8"]
    for one in exported:
        files = list(Path(one["folder"]).iterdir())
        assert GRAPH_FILE in {file.name for file in files} and one["refused"] == ""
        assert 0 < one["size"] <= sum(file.stat().st_size for file in files)
        assert 0.9 < one["min_cosine"] <= one["mean_cosine"] <= 1.000001
    assert exported[0]["min_cosine"] > 0.99999 > exported[1]["min_cosine"]


def test_one_precision_is_exported_where_one_is_named(searchkit):
    code, out, _ = searchkit("models", "export", BERT, "--precision", "int8", "--json")
    assert code == 0 and [one["precision"] for one in json.loads(out)] == ["int8"]
    again = searchkit("models", "export", BERT, "--precision", "int8", "--precision", "int8", "--json")
    assert again == (0, out, "")


def test_a_second_export_gives_the_same_without_making_it(searchkit, monkeypatch):
    from searchkit.embedding import exporting

    searchkit("models", "export", BERT)
    first = searchkit("models", "export", BERT, "--json")
    monkeypatch.setattr(exporting, "make_artefact", lambda *_, **__: pytest.fail("made again"))
    assert searchkit("models", "export", BERT, "--json") == first


def test_people_get_a_table(searchkit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = searchkit("models", "export", BERT)
    assert code == 0
    assert "float32" in out and "int8" in out and "0.2 MB" in out and "1.00000" in out


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_refusal_is_told_and_shows_in_the_exit_code(searchkit, odd, monkeypatch, form):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = searchkit("models", "export", odd, *form)
    assert code == 3 and out.count("activation 'silu'") == 2


def test_a_kind_that_is_never_exported_is_a_mistake_of_the_user(searchkit):
    code, out, err = searchkit("models", "export", GOLDEN / "qwen3-embedding-tiny")
    assert code == 2 and out == ""
    assert "network of type 'qwen3'" in err and "exported are: bert, camembert" in err


def test_an_unknown_precision_is_a_mistake_of_the_user(searchkit):
    code, _, err = searchkit("models", "export", BERT, "--precision", "int4")
    assert code == 2 and "int8" in err


def test_a_model_that_is_not_there_is_an_error(searchkit, tmp_path):
    code, _, err = searchkit("models", "export", tmp_path / "nowhere")
    assert code == 2 and "nowhere" in err and "Traceback" not in err


# ---------------------------------------------------------------- other commands


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache without any graph."""
    monkeypatch.setenv("SEARCHKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_first_command_that_needs_a_graph_says_that_it_makes_one(docs, cache, library_folder, capfd):
    on = ["--library", str(library_folder)]
    assert run(["index", str(docs), "--model", str(BERT), *on]) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Note: ")]
    assert told == [f"Preparing {BERT} for this machine in float32, once"]
    assert run(["query", "a new laptop", *on]) == 0
    assert capfd.readouterr().err == ""


def test_showing_a_model_makes_no_graph_and_says_what_is_shown(searchkit, cache):
    code, out, err = searchkit("models", "show", BERT, "--json")
    shown = json.loads(out)
    assert (code, err) == (0, "") and not (cache / "onnx").exists()
    assert list(shown) == ["model", "family", "dim", "max_tokens", "device", "precision", "fingerprint"]
    assert (shown["dim"], shown["precision"]) == (48, "float32")
    assert "not been prepared for this machine yet" in " ".join(searchkit("models", "show", BERT)[1].split())

    searchkit("models", "export", BERT, "--precision", "float32")
    assert "prepared" not in searchkit("models", "show", BERT)[1]


def test_showing_a_profile_reads_no_weights(searchkit, cache, tmp_path):
    folder = tmp_path / "instructor"
    shutil.copytree(GOLDEN / "instructor-relu", folder)
    for weights in folder.rglob("*.safetensors"):
        weights.write_bytes(b"")
    edit_json(folder / "sentence_bert_config.json", max_seq_length=512)
    code, out, err = searchkit("profiles", "show", "company-docs", "--model", folder)
    assert (code, err) == (0, "") and not (cache / "onnx").exists()
    assert "# query instruction, for" in out and "(instructor): 'Represent the" in out
    shown = json.loads(searchkit("profiles", "show", "company-docs", "--model", folder, "--json")[1])
    embedder = open_embedder(GOLDEN / "instructor-relu", family="instructor", max_tokens=512)
    profile = Profile.load("company-docs")
    for side in ("document", "query"):
        assert shown["instructions"][side] == embedder.instruction_for(profile, side)


def test_showing_a_profile_to_a_model_that_it_is_too_long_for_is_an_error(searchkit, cache):
    code, _, err = searchkit("profiles", "show", "company-docs", "--model", GOLDEN / "instructor-relu")
    assert code == 2 and "may take fewer than 25%" in err
