"""A model in 8 bits stays near to itself, does not depend on company, and is refused if it moves too far."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from torch import nn

from searchkit.embedding import exporting, onnx_runtime
from searchkit.embedding.artefacts import GRAPH_FILE, TOKENIZER_FILE
from searchkit.embedding.calibration import MAX_COMPANY_EFFECT, MOST_SPARED, calibration_texts, parity_rows
from searchkit.embedding.embedder import export_model, open_embedder
from searchkit.embedding.exporting import Limits, Source, make_artefact, quantised_layers
from searchkit.embedding.onnx_runtime import OnnxRuntime

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
ANY = Limits(aim=0.0, refusal=0.0)
OUT_OF_REACH = 1.1


@pytest.fixture(scope="module")
def source(golden):
    """A tiny INSTRUCTOR, to be exported."""
    model = open_embedder(golden / "instructor-relu", precision="float32", runtime="torch")
    tokenizer = (golden / "instructor-relu" / "tokenizer.json").read_text(encoding="utf-8")
    return Source(runtime=model.runtime, tokens=model._tokens, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def layers(source, tmp_path_factory):
    """Its linear layers in 8 bits."""
    folder = tmp_path_factory.mktemp("layers")
    made = quantised_layers(source, folder)
    assert not list(folder.iterdir())  # the graph that was looked into is gone
    return made


@pytest.fixture
def part(tmp_path):
    """An empty folder."""
    (tmp_path / "part").mkdir()
    return tmp_path / "part"


def rows_of(part, made, source):
    """What the graph makes of the calibration texts."""
    facts = {name: getattr(made, name) for name in OnnxRuntime.FACTS}
    return OnnxRuntime(part / GRAPH_FILE, facts).rows(parity_rows(source.tokens, None))


def test_an_artefact_says_how_near_it_is(part, source):
    made = make_artefact(part, source, precision="int8", limits=ANY)
    exact = source.runtime.rows(parity_rows(source.tokens, None))
    cosines = (rows_of(part, made, source) * exact).sum(1)
    assert_allclose(
        [made.parity.min_cosine, made.parity.mean_cosine], [cosines.min(), cosines.mean()], atol=1e-6
    )
    assert 0.9 < made.parity.min_cosine < 0.9999 and made.parity.company_effect == 0.0
    assert (made.dim, made.position_limit, made.spared, made.refused) == (32, None, (), "")
    assert (part / TOKENIZER_FILE).read_text(encoding="utf-8") == source.tokenizer


def test_every_linear_layer_is_quantised(source, layers):
    assert len(layers) == 2 * 4  # per block: query, key and value as one; out; up; down
    assert all(0 < layer.error < 0.01 for layer in layers.values())


@pytest.mark.parametrize(("aim", "share"), [(0.0, 0.0), (OUT_OF_REACH, MOST_SPARED)])
def test_the_worst_layers_are_spared_until_the_aim_is_reached(part, source, layers, aim, share):
    made = make_artefact(part, source, precision="int8", limits=Limits(aim=aim, refusal=0.0))
    by_error = sorted(layers, key=lambda name: -layers[name].error)
    assert made.spared == tuple(by_error[: int(share * len(layers))])


def test_sparing_layers_brings_it_nearer(tmp_path, source):
    made = []
    for aim in (0.0, OUT_OF_REACH):
        (tmp_path / str(aim)).mkdir()
        limits = Limits(aim=aim, refusal=0.0)
        made.append(make_artefact(tmp_path / str(aim), source, precision="int8", limits=limits))
    assert made[1].parity.mean_cosine > made[0].parity.mean_cosine


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_what_moves_too_far_is_refused_and_leaves_no_files(part, source, precision):
    limits = Limits(aim=0.0, refusal=OUT_OF_REACH)
    made = make_artefact(part, source, precision=precision, limits=limits)
    assert f"in {precision} a text of the calibration moves" in made.refused
    assert not list(part.iterdir())


def test_what_is_too_large_is_refused_before_it_takes_memory(part, source, monkeypatch):
    monkeypatch.setattr(exporting, "LARGEST_EXPORTED", source.runtime.parameters - 1)
    monkeypatch.setattr(exporting, "_Judge", lambda *_: pytest.fail("computed"))
    assert "parameters" in make_artefact(part, source, precision="float32", limits=ANY).refused


def test_signed_and_unsigned_weights_give_the_same_vectors(tmp_path, source):
    """On a processor that multiplies mixed bytes exactly; on others only unsigned ones are exact."""
    from searchkit.embedding.processor import multiplies_mixed_bytes

    if not multiplies_mixed_bytes():
        pytest.skip("this processor adds products of mixed bytes in 16 bits")
    vectors = []
    for signed in (True, False):
        (tmp_path / str(signed)).mkdir()
        made = make_artefact(tmp_path / str(signed), source, precision="int8", limits=ANY, signed=signed)
        vectors.append(rows_of(tmp_path / str(signed), made, source))
    assert (vectors[0] == vectors[1]).all()


def test_each_layers_scale_comes_from_texts_that_do_not_judge_it(part, source, monkeypatch):
    asked = []
    original = exporting.quantisation_rows
    monkeypatch.setattr(exporting, "quantisation_rows", lambda *of: asked.append(1) or original(*of))
    monkeypatch.setattr(exporting, "parity_rows", lambda *_: pytest.fail("looked at the judge's texts"))
    quantised_layers(source, part)
    assert asked


def test_what_is_looked_into_lies_in_the_cache_and_not_where_temporary_files_do(part, source, monkeypatch):
    """Of a large model it takes gigabytes, and /tmp may be memory."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *_, **__: pytest.fail("wrote elsewhere"))
    make_artefact(part, source, precision="int8", limits=ANY)
    assert all(path.is_file() for path in part.iterdir())


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_graph_whose_vectors_depend_on_their_company_is_refused(part, source, monkeypatch, precision):
    rows = OnnxRuntime.rows
    one_by_one = []

    def shaken(graph, tokens, *, token_budget=None):
        one_by_one.append(token_budget == 1)
        return rows(graph, tokens) + np.float32(2 * MAX_COMPANY_EFFECT * (token_budget == 1))

    monkeypatch.setattr(OnnxRuntime, "rows", shaken)
    made = make_artefact(part, source, precision=precision, limits=Limits(aim=OUT_OF_REACH, refusal=0.0))
    assert f"in {precision} a text's vector depends on the texts beside it, by 2.0e-05" in made.refused
    assert not list(part.iterdir())
    # Asked once, of what would be kept: it takes longer than all else.
    assert one_by_one[-2:] == [False, True] and sum(one_by_one) == 1
    assert len(one_by_one) == (4 if precision == "int8" else 2)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_graph_that_gives_no_numbers_is_refused(part, source, monkeypatch, precision):
    run = onnx_runtime.run_session
    monkeypatch.setattr(onnx_runtime, "run_session", lambda *given: [np.full_like(run(*given)[0], np.nan)])
    made = make_artefact(part, source, precision=precision, limits=ANY)
    assert "gives no numbers (NaN or infinite) for" in made.refused and not list(part.iterdir())


def test_a_layer_of_an_unknown_kind_after_the_pooling_is_refused(part, source, monkeypatch):
    tail = nn.Sequential(*source.runtime.tail, nn.Softmax(dim=1))
    monkeypatch.setattr(source.runtime, "tail", tail)
    made = make_artefact(part, source, precision="float32", limits=ANY)
    assert made.refused == "no graph is written for a layer 'Softmax' after the pooling"
    assert not list(part.iterdir())


# ---------------------------------------------------------------- the default model


@pytest.fixture(scope="module")
def default():
    """The default model in 8 bits, from the cache of the whole run."""
    return open_embedder(precision="int8")


@pytest.fixture(scope="module")
def exact():
    """The default model as it is."""
    return open_embedder(precision="float32", runtime="torch")


@pytest.mark.slow
def test_the_default_model_in_8_bits_is_as_near_as_was_stored(default, exact):
    exported = export_model(precision="int8")
    rows = parity_rows(exact._tokens, exact.runtime.position_limit)
    cosines = (default.runtime.rows(rows) * exact.runtime.rows(rows)).sum(1)
    assert_allclose(cosines.min(), exported.min_cosine, atol=1e-5)
    assert exported.min_cosine >= default.family.int8_cosine and exported.mean_cosine > 0.985


@pytest.mark.slow
def test_the_default_model_in_8_bits_does_not_depend_on_company_or_padding(default):
    """Not by a bit: scales are fixed beforehand, and integers add up in any order."""
    texts = [text for text in calibration_texts() for _ in range(2)] + calibration_texts()[::-1]
    together = default.runtime.rows(default.tokenise([("", text) for text in texts]))
    for budget in (1, 300):
        rows = default.runtime.rows(default.tokenise([("", text) for text in texts]), token_budget=budget)
        assert (rows == together).all()


DOCUMENTS = [
    "Unused days of leave may be carried over until the end of March.",
    "Parental leave lasts fourteen weeks at full pay.",
    "A new laptop is ordered in the hardware portal and arrives within a week.",
    "The tunnel to the office network needs a second factor.",
    "Receipts for travel are handed in within thirty days.",
    "The kitchen on the second floor is cleaned every evening.",
    "Bees return to the hive before it rains.",
    "The clock in the tower was repaired by a watchmaker from the village.",
]
QUESTIONS = {
    "what happens to vacation I did not take": 0,
    "how long may new parents stay at home": 1,
    "I need another computer": 2,
    "how do I connect from home": 3,
    "when must I submit expenses": 4,
    "insects and weather": 6,
    "who mended the timepiece": 7,
}


@pytest.mark.slow
def test_documents_in_8_bits_rank_as_they_do_in_float32(default, exact):
    scores = [model.embed(list(QUESTIONS)) @ model.embed(DOCUMENTS).T for model in (exact, default)]
    assert (scores[0].argmax(axis=1) == list(QUESTIONS.values())).all()
    assert (scores[1].argmax(axis=1) == list(QUESTIONS.values())).all()
    assert np.abs(scores[1] - scores[0]).max() < 0.06


NOT_NEEDED = {
    "torch", "transformers", "onnx", "faiss", "kreuzberg", "lxml", "pypdfium2", "sentence_transformers",
    "filelock", "scipy", "pandas", "sklearn", "safetensors", "huggingface_hub", "pptx", "openpyxl",
    "searchkit.embedding.exporting", "searchkit.embedding.torch_runtime", "searchkit.export.encoders",
}  # fmt: skip


def modules_of(code: str) -> set[str]:
    """What a process that runs this code has loaded in the end; fails where the process does."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", ["", "runtime='onnx', space='int8-1'", "'tests/golden/instructor-relu', runtime='onnx'"]
)
def test_an_exported_model_is_opened_without_what_made_it(default, options):
    code = f"from searchkit.embedding.embedder import open_embedder\nopen_embedder({options}).embed(['bees'])"
    modules_of(code)  # may export
    loaded = modules_of(code)
    assert "onnxruntime" in loaded and not NOT_NEEDED & loaded


@pytest.mark.slow
def test_a_query_loads_what_answers_it_and_no_more(default, tmp_path):
    from searchkit.collection.library import Library

    (tmp_path / "docs").mkdir()
    for number, text in enumerate(DOCUMENTS):
        (tmp_path / "docs" / f"{number}.md").write_text(text, encoding="utf-8")
    Library(tmp_path / "library").index([tmp_path / "docs"])
    arguments = [
        "cli.py",
        "query",
        "who mended the timepiece",
        "--library",
        str(tmp_path / "library"),
        "-k",
        "1",
    ]
    loaded = modules_of(
        f"import runpy, sys\nsys.argv = {arguments!r}\n"
        "try:\n    runpy.run_path('cli.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )
    assert "onnxruntime" in loaded and not NOT_NEEDED & loaded
