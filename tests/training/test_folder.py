"""What training leaves is a model like any other, for searchkit and for sentence-transformers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from searchkit.embedding.embedder import open_embedder
from searchkit.training.runlog import read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import ASK, GOLDEN

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = [
    "where is the clock?", "a", "the keeper counts bees, and the rain begins " * 20,
    "wo ist die Uhr in Köln?", "\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff45 \ufb01ne", "東京の時計",
    "\nthe clock\u00a0of house 2…",
]  # fmt: skip
READ = """
import json, sys
import numpy as np
from sentence_transformers import SentenceTransformer

texts, prompt, *folders = json.loads(sys.argv[1])
made = {}
for at, folder in enumerate(folders):
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    made[f"with{at}"] = model.encode(texts, prompt=prompt)
    made[f"without{at}"] = model.encode(texts)
np.savez(sys.argv[2], **made)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="sentence-transformers is not there")
def test_sentence_transformers_reads_the_folder_with_equal_vectors(
    recipe: Callable[..., TrainingRecipe], tmp_path: Path
):
    """With an Instruction as prompt and without; BERT's layout and INSTRUCTOR's, with its Dense layer.

    The latter's tokenizer is of no class of its own; of T5's own class see the model card.
    """
    trained = [
        train(recipe(out=name, model=str(GOLDEN / name), steps=2)).model
        for name in ("bert-mean", "instructor-gated")
    ]
    # In a process of its own: its import takes seconds, and warns.
    said = json.dumps([TEXTS, ASK, *map(str, trained)])
    out = tmp_path / "made.npz"
    run = subprocess.run([sys.executable, "-c", READ, said, str(out)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    made = np.load(out)
    for at, folder in enumerate(trained):
        ours = open_embedder(folder, precision="float32", runtime="torch")
        for name, instruction in (("with", ASK), ("without", "")):
            assert np.abs(ours.embed(TEXTS, instruction) - made[f"{name}{at}"]).max() < 2e-6
        assert np.abs(made[f"with{at}"] - made[f"without{at}"]).max() > 1e-3


def test_the_folder_says_what_it_was_made_of(recipe: Callable[..., TrainingRecipe]):
    """Recipe, log and rows by task lie in it; the recipe makes it again."""
    asked = recipe(steps=2, card={"licence": "mit", "sources": {"things": "a shed, CC0"}})
    made = train(asked).model
    card = (made / "README.md").read_text(encoding="utf-8")
    assert "equal vectors, except" in card
    turns = read_log(made.parent / "log.jsonl")[0]["turns"]["things"]
    assert (
        f"| things | 40 | {turns} | a shed, CC0 |" in card
        and "license: mit\n---" in card
        and "rows.jsonl" in card
    )
    assert (made / "training" / "recipe.toml").read_text(encoding="utf-8") in card
    log = (made / "training" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in log] == [0, 1, 2]


def test_what_a_model_was_trained_with_before_stays_with_it(recipe: Callable[..., TrainingRecipe]):
    """Of every training that led to it: card, recipe and log, and nothing else that lies there."""
    first = train(recipe(out="one", steps=1, card={"licence": "mit"})).model
    for name in ("notes.txt", "README.md"):
        (first / "training" / name).write_text("mine", encoding="utf-8")
    second = train(recipe(out="two", model=str(first), steps=2)).model
    third = train(recipe(out="three", model=str(second), steps=3)).model
    before = third / "training" / "before"
    kept = {file.relative_to(before).as_posix() for file in before.rglob("*") if file.is_file()}
    names = ("README.md", "log.jsonl", "recipe.toml")
    assert kept == {*names, *(f"before/{name}" for name in names)}
    for name, of in (("", second), ("before/", first)):
        for file, place in (("README.md", ""), ("log.jsonl", "training/"), ("recipe.toml", "training/")):
            assert (before / f"{name}{file}").read_bytes() == (of / f"{place}{file}").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("name", ["bert-mean", "instructor-gated"])
def test_who_may_read_the_card_may_read_the_weights(recipe: Callable[..., TrainingRecipe], name: str):
    made = train(recipe(model=str(GOLDEN / name), steps=1)).model
    weights = list(made.rglob("*.safetensors"))
    assert weights
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (made / "README.md", *weights)}
    assert len(modes) == 1, [oct(mode) for mode in modes]
