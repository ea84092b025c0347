"""`searchkit models export` says where the graph is and how near it comes to the model."""

import json
from pathlib import Path

import pytest

from searchkit.embedding.artefacts import GRAPH_FILE
from tests.embedding.conftest import GOLDEN, edit_json

FIELDS = ["model", "precision", "folder", "size", "min_cosine", "mean_cosine", "spared", "refused"]
BERT = GOLDEN / "bert-mean"


@pytest.fixture
def odd(tmp_path):
    """A model with an activation that no graph is written for."""
    import shutil

    folder = Path(shutil.copytree(BERT, tmp_path / "odd"))
    edit_json(folder / "config.json", hidden_act="silu")
    return folder


def test_both_precisions_are_exported_and_told_as_json(searchkit):
    code, out, err = searchkit("models", "export", BERT, "--json")
    exported = json.loads(out)
    assert (code, err) == (0, "")
    assert [list(one) for one in exported] == [FIELDS, FIELDS]
    assert [one["precision"] for one in exported] == ["float32", "int8"]
    for one in exported:
        files = list(Path(one["folder"]).iterdir())
        assert GRAPH_FILE in {file.name for file in files} and one["refused"] == ""
        assert 0 < one["size"] <= sum(file.stat().st_size for file in files)
        assert 0.9 < one["min_cosine"] <= one["mean_cosine"] <= 1.000001
    assert exported[0]["min_cosine"] > 0.99999 > exported[1]["min_cosine"]


def test_one_precision_is_exported_where_one_is_named(searchkit):
    code, out, err = searchkit("models", "export", BERT, "--precision", "int8", "--json")
    assert (code, err) == (0, "") and [one["precision"] for one in json.loads(out)] == ["int8"]


def test_a_second_export_gives_the_same_without_making_it(searchkit, monkeypatch):
    from searchkit.embedding import exporting

    first = searchkit("models", "export", BERT, "--json")
    monkeypatch.setattr(exporting, "make_artefact", lambda *_, **__: pytest.fail("made again"))
    assert searchkit("models", "export", BERT, "--json") == first


def test_people_get_a_table(searchkit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = searchkit("models", "export", BERT)
    assert (code, err) == (0, "")
    assert "float32" in out and "int8" in out and "0.2 MB" in out and "1.00000" in out


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_refusal_is_told_and_shows_in_the_exit_code(searchkit, odd, monkeypatch, form):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = searchkit("models", "export", odd, *form)
    assert code == 3 and err == "" and out.count("activation 'silu'") == 2


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
