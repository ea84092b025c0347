"""Which runtime, precision and space a model gets, and what the outcome may be compared with."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

import searchkit.embedding.opening  # noqa: F401 - binds what tests put something else in place of
from searchkit.collection.library import Library
from searchkit.embedding import exporting, precision, runtimes
from searchkit.embedding.calibration import Parity
from searchkit.embedding.embedder import export_model, open_embedder
from searchkit.embedding.precision import BFLOAT16_FLAGS, SMALL_MODEL
from searchkit.errors import ModelError, RecipeMismatch, UsageError
from searchkit.library import collections as catalogue
from searchkit.library.database import Database

from .conftest import edit_json

pytestmark = pytest.mark.usefixtures("one_thread")

CLOSE, FAR, USELESS = 0.97, 0.95, 0.5  # the family asks for 0.96, and 0.9 will do for who asks for 8 bits


@pytest.fixture
def machine(monkeypatch, golden):
    """A machine with bfloat16 or without, and a large model whose 8 bits come so near to float32.

    The graph is that of float32 in either precision: what is chosen is looked at, not computed.
    """
    export = runtimes.export

    def be(
        *,
        bfloat16: bool = False,
        int8: float = CLOSE,
        float32: float = 1.0,
        parameters: int = 22_000_000,
        spared: tuple[str, ...] = (),
    ):
        def exported(parts, wanted):
            folder, made = export(parts, "float32")
            cosine = int8 if wanted == "int8" else float32
            parity = Parity(min_cosine=cosine, company_effect=0.0, mean_cosine=cosine)
            least = runtimes.MIN_INT8_COSINE if wanted == "int8" else runtimes.MIN_FLOAT32_COSINE
            refused = "" if cosine >= least else "it moves too far"
            made = replace(made, precision=wanted, parameters=parameters, parity=parity, refused=refused)
            return folder, replace(made, spared=spared)

        monkeypatch.setattr(runtimes, "export", exported)
        monkeypatch.setattr(runtimes, "SMALL_WEIGHTS", 0 if parameters >= SMALL_MODEL else math.inf)
        monkeypatch.setattr(runtimes, "may_have_accelerator", lambda: False)
        flags = {next(iter(BFLOAT16_FLAGS))} if bfloat16 else set()
        monkeypatch.setattr(runtimes, "processor_flags", lambda: flags)
        monkeypatch.setattr(precision, "worthwhile", lambda runtime: bfloat16)
        near = Parity(min_cosine=0.99995, company_effect=0.0, mean_cosine=1.0)
        monkeypatch.setattr(precision, "measured_parity", lambda *_: near)

    return be


def chosen(folder, **wanted):
    """(runtime, what it computes in, space) of an opened model."""
    embedder = open_embedder(folder, **wanted)
    kind = {"OnnxRuntime": "onnx", "TorchRuntime": "torch"}[type(embedder.runtime).__name__]
    return kind, embedder.precision, embedder.fingerprint()["precision"]


INT8, ONNX, TORCH = (
    ("onnx", "int8", "int8-1"),
    ("onnx", "float32", "float32"),
    ("torch", "float32", "float32"),
)
BFLOAT16 = ("torch", "bfloat16", "float32")  # near enough to share a space


@pytest.mark.parametrize(
    ("has", "wanted", "expected"),
    [
        # nothing asked for: 8 bits where they are near enough, else what is fast
        ({}, {}, INT8),
        ({"bfloat16": True}, {}, INT8),
        ({"int8": FAR}, {}, ONNX),
        ({"int8": USELESS}, {}, ONNX),
        ({"int8": FAR, "bfloat16": True}, {}, BFLOAT16),
        ({"int8": FAR, "bfloat16": True}, {"runtime": "onnx"}, ONNX),
        ({"int8": FAR, "float32": 0.99}, {}, TORCH),
        ({"int8": FAR, "float32": 0.99, "bfloat16": True}, {}, BFLOAT16),
        ({"int8": FAR, "float32": 0.99}, {"runtime": "onnx"}, TORCH),
        ({"parameters": 4_999_999}, {}, ONNX),
        ({"parameters": 5_000_000}, {}, INT8),
        # a precision
        ({}, {"precision": "float32"}, ONNX),
        ({"bfloat16": True}, {"precision": "float32"}, ONNX),
        ({"bfloat16": True}, {"precision": "bfloat16"}, BFLOAT16),
        ({}, {"precision": "bfloat16", "runtime": "onnx"}, BFLOAT16),
        ({"int8": FAR}, {"precision": "int8"}, INT8),
        ({"parameters": 1000}, {"precision": "int8"}, INT8),
        # a space to be compared with
        ({}, {"space": "float32"}, ONNX),
        ({"bfloat16": True}, {"space": "float32"}, BFLOAT16),
        ({"bfloat16": True}, {"space": "float32", "runtime": "onnx"}, ONNX),
        ({"bfloat16": True}, {"space": "float32", "runtime": "quick"}, ONNX),
        ({"int8": FAR}, {"space": "int8-1"}, INT8),
        ({"parameters": 1000}, {"space": "int8-1", "runtime": "onnx"}, INT8),
        ({}, {"space": "bfloat16"}, BFLOAT16),
        ({}, {"space": "bfloat16", "precision": "float32"}, ONNX),
        ({}, {"space": "int8-1", "precision": "float32"}, ONNX),  # the word of who asks, the recipe refuses
        # torch
        ({}, {"runtime": "torch"}, TORCH),
        ({"bfloat16": True}, {"runtime": "torch"}, BFLOAT16),
        ({"bfloat16": True}, {"runtime": "torch", "precision": "float32"}, TORCH),
        # the device
        ({}, {"device": "cpu"}, INT8),
        ({"bfloat16": True}, {"device": "cpu", "space": "float32"}, BFLOAT16),
    ],
)
def test_choice(golden, machine, has, wanted, expected):
    machine(**has)
    assert chosen(golden / "bert-mean", **wanted) == expected


@pytest.mark.parametrize("wanted", [{}, {"runtime": "onnx"}, {"precision": "float32"}, {"space": "float32"}])
def test_a_kind_that_is_not_exported_never_meets_the_exporter(golden, monkeypatch, wanted):
    monkeypatch.setattr(runtimes, "export", lambda *_: pytest.fail("exported"))
    assert chosen(golden / "qwen3-embedding-tiny", **wanted) == TORCH


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        ({"precision": "int8"}, "precision='float32'"),
        ({"space": "int8-1"}, "embed it anew under another name"),
    ],
    ids=str,
)
def test_where_only_8_bits_will_do_their_absence_is_an_error(golden, machine, wanted, remedy):
    """Whose remedy is one: stored vectors are of no use to who computes in float32."""
    machine(int8=USELESS)
    with pytest.raises(ModelError, match=rf"cannot be run in 8 bits: it moves.*\n.*{remedy}"):
        open_embedder(golden / "bert-mean", **wanted)
    with pytest.raises(ModelError, match=rf"8 bits: networks of type 'qwen3'.*\n.*{remedy}"):
        open_embedder(golden / "qwen3-embedding-tiny", **wanted)
    with pytest.raises(
        ModelError, match=rf"8 bits: torch was asked.*\n  leave out the runtime; or .*{remedy}"
    ):
        open_embedder(golden / "bert-mean", runtime="torch", **wanted)


def test_a_model_that_has_no_graph_is_loaded_once(golden, cache, monkeypatch):
    """Refused in 8 bits, then in float32, then run by torch: of one reading of its weights."""
    from searchkit.embedding import torch_runtime

    loaded = []
    load = torch_runtime.load_network
    monkeypatch.setattr(torch_runtime, "load_network", lambda of: loaded.append(of) or load(of))
    monkeypatch.setattr(exporting, "LARGEST_EXPORTED", 0)
    monkeypatch.setattr(runtimes, "SMALL_WEIGHTS", 0)
    monkeypatch.setattr(runtimes, "processor_flags", set)
    assert chosen(golden / "bert-mean") == TORCH and len(loaded) == 1
    assert len(list((cache / "onnx").glob("*/artefact.json"))) == 2


def test_a_graph_that_spares_layers_makes_a_class_of_its_own(golden, machine):
    machine(spared=("b", "a"))
    assert chosen(golden / "bert-mean")[2] == runtimes.int8_space(("a", "b")) == "int8-1/0473ef2d"
    assert runtimes.int8_space(()) == "int8-1"


def test_a_model_that_may_not_be_exported_is_run_by_torch_until_it_is(golden, cache):
    folder = golden / "bert-mean"
    embedder = open_embedder(folder, runtime="quick", export=False)
    assert type(embedder.runtime).__name__ == "TorchRuntime"
    assert "not been prepared" in embedder.notices[-1] and "searchkit models export" in embedder.notices[-1]
    assert not (cache / "onnx").exists()
    with pytest.raises(ModelError, match=r"(?s)8 bits: it has not been prepared.*searchkit models export"):
        open_embedder(folder, precision="int8", export=False)
    export_model(folder, precision="float32")
    assert type(open_embedder(folder, export=False).runtime).__name__ == "OnnxRuntime"


def test_8_bits_are_not_computed_on_an_accelerator(golden):
    with pytest.raises(UsageError, match="on the CPU only"):
        open_embedder(golden / "bert-mean", precision="int8", device="cuda")


def test_an_accelerator_keeps_to_torch(golden, monkeypatch):
    """Asked of torch, and only where a build for one and its driver are there."""
    from searchkit.embedding import torch_runtime

    asked = []
    resolve = torch_runtime.resolve_device

    def resolved(device):
        asked.append(device)
        return "cuda" if len(asked) == 1 else resolve("cpu")

    monkeypatch.setattr(runtimes, "may_have_accelerator", lambda: True)
    monkeypatch.setattr(torch_runtime, "resolve_device", resolved)
    assert chosen(golden / "bert-mean", precision="float32") == TORCH
    assert asked == ["auto", "auto"]
    monkeypatch.setattr(torch_runtime, "resolve_device", lambda device: pytest.fail("asked torch"))
    assert chosen(golden / "bert-mean", precision="float32", runtime="onnx") == ONNX  # for a single text


@pytest.mark.parametrize(
    "changes", [{"hidden_act": "silu"}, {"is_decoder": True}, {"position_embedding_type": "x"}]
)
@pytest.mark.parametrize("runtime", ["auto", "quick", "onnx"])
def test_what_is_refused_falls_back_to_torch(copied, changes, runtime):
    folder = copied("bert-mean")
    edit_json(folder / "config.json", **changes)
    assert chosen(folder, precision="float32", runtime=runtime) == TORCH


def test_an_unknown_runtime_is_refused(golden):
    with pytest.raises(UsageError, match="known: auto, quick, onnx, torch"):
        open_embedder(golden / "bert-mean", runtime="tensorrt")


# ---------------------------------------------------------------- Collections of a space


@pytest.fixture
def indexed(tmp_path, golden, library_folder):
    """A function that indexes a file, then stores another precision class in the Collection's recipe."""

    def index(stored: str) -> Library:
        docs = tmp_path / "docs"
        docs.mkdir()
        (docs / "bees.txt").write_text("The keeper counts the bees.", encoding="utf-8")
        Library(library_folder).index([docs], collection="bees", model=golden / "bert-mean")
        with Database.write(library_folder, wait_s=0, on_wait=None) as db, db.transaction() as tx:
            one = catalogue.collection_named(db, "bees")
            fields = json.dumps({**one.recipe, "precision": stored})
            tx.run("UPDATE recipes SET fields = ? WHERE recipe_id = ?", (fields, one.recipe_id))
        (docs / "bees.txt").write_text("The keeper counts the bees at night.", encoding="utf-8")
        return Library(library_folder)

    return index


def test_a_collection_is_embedded_and_queried_in_its_own_space(indexed):
    library = indexed("int8-1")
    (report,) = library.refresh("bees")
    assert report.changed == 1 and not report.failed
    assert library.query("bees", collection="bees").hits[0].document == "bees.txt"
    (embedder,) = {
        id(one): one for one in library._models._embedders.values()
    }.values()  # opened once for both
    assert embedder.fingerprint()["precision"] == "int8-1"


@pytest.mark.parametrize("stored", ["int8-9", "int8", "float8"])
def test_a_collection_of_an_unknown_space_is_refused_by_name(indexed, stored):
    """Of a later searchkit, say, which takes its scales another way: never mixed with ours."""
    library = indexed(stored)
    with pytest.raises(RecipeMismatch, match=f"precision: stored '{stored}', asked '(int8-1|float32)'"):
        library.query("bees", collection="bees")
    (report,) = library.refresh("bees")
    assert f"precision: stored '{stored}'" in report.failed[0].reason


def test_a_collection_in_8_bits_that_this_machine_has_not_says_what_to_do(indexed, machine):
    library = indexed("int8-1")
    machine(int8=USELESS)
    with pytest.raises(ModelError, match=r"(?s)cannot be run in 8 bits.*under another name: searchkit index"):
        library.query("bees", collection="bees")


OURS = "int8-1/0473ef2d"


@pytest.mark.parametrize(
    ("stored", "spared", "opens"),
    [
        (OURS, ("a", "b"), True),
        ("int8-1", ("a", "b"), False),
        (OURS, (), False),
        (OURS, ("a",), False),
    ],
)
def test_a_collection_opens_only_with_a_graph_that_spares_the_same_layers(
    indexed, machine, stored, spared, opens
):
    library = indexed(stored)
    machine(spared=spared)
    if opens:
        assert library.query("bees", collection="bees").hits
        return
    found = runtimes.int8_space(spared)
    with pytest.raises(
        ModelError, match=f"(?s)found the class '{found}', expected '{stored}'.*SEARCHKIT_CACHE"
    ):
        library.query("bees", collection="bees")
