"""What graphs are judged by and scaled from is the same whoever opens a model, and is part of their names."""

from __future__ import annotations

import json

import pytest

from searchkit.embedding import calibration, runtimes
from searchkit.embedding.embedder import export_model, open_embedder
from searchkit.export import quantise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", ["bert-mean", "instructor-relu"])
def test_who_opens_a_model_first_does_not_shape_its_graphs(golden, tmp_path, monkeypatch, name):
    """Scales and verdicts come from the network's window, whatever the asked one."""
    made = []
    for place, options in (("first", {"max_tokens": 9}), ("other", {})):
        monkeypatch.setenv("SEARCHKIT_CACHE", str(tmp_path / place))
        open_embedder(golden / name, precision="int8", **options)
        (facts,) = (tmp_path / place / "onnx").glob("*/artefact.json")
        made.append((facts.parent.name, json.loads(facts.read_text(encoding="utf-8"))))
    assert made[0] == made[1]


def test_another_way_of_reading_is_another_graph(golden, cache):
    places = set()
    for family in (None, "instructor", "plain"):
        open_embedder(golden / "bert-mean", precision="float32", runtime="onnx", family=family)
        places |= {path.name for path in (cache / "onnx").glob("*/")}
        assert len(places) == (2 if family else 1)  # it is plain by itself


def test_another_calibration_is_another_graph(golden, monkeypatch):
    first = export_model(golden / "bert-mean", precision="int8").folder
    monkeypatch.setattr(runtimes, "calibration_sha256", lambda: "another")
    assert export_model(golden / "bert-mean", precision="int8").folder != first


def test_the_class_of_8_bits_is_that_of_this_calibration():
    """Another hash makes other vectors: INT8_SPACE has to be counted up with it once a version is out."""
    assert (runtimes.INT8_SPACE, calibration.calibration_sha256()[:16]) == ("int8-1", "e8153e156e5dfefc")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (calibration, "LONGEST_CALIBRATION"),
        (calibration, "JOINED"),
        (calibration, "INSTRUCTION"),
        (calibration, "WATCHED_TOKENS"),
        (calibration, "MOST_SPARED"),
        (quantise, "CONSTANTS"),
    ],
)
def test_all_that_scales_come_from_is_in_the_hash(monkeypatch, owner, name):
    monkeypatch.setattr(owner, name, ())
    assert calibration.calibration_sha256.__wrapped__() != calibration.calibration_sha256()


@pytest.mark.parametrize("name", ["quantisation.txt", "calibration.txt"])
def test_an_edit_of_the_calibrations_texts_changes_the_hash(monkeypatch, name):
    lines = calibration._lines
    monkeypatch.setattr(calibration, "_lines", lambda file: lines(file)[file == name :])
    assert calibration.calibration_sha256.__wrapped__() != calibration.calibration_sha256()


def test_the_constants_of_8_bits_are_all_in_the_hash():
    numbers = {value for name, value in vars(quantise).items() if name.isupper() and name != "CONSTANTS"}
    assert numbers == set(quantise.CONSTANTS)
