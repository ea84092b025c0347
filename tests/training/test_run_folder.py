"""The folder of a run: one process at a time, nobody else's files, a recipe that can be run where it lies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from searchkit.errors import TrainingFailed, TrainingInvalid
from searchkit.training.recipe import load_recipe, recipe_toml, seen_from
from searchkit.training.run_folder import lock
from searchkit.training.runlog import RunLog, read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import GOLDEN

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def weights(recipe: TrainingRecipe) -> bytes:
    return (recipe.run_folder / "model" / "model.safetensors").read_bytes()


def test_files_of_others_are_neither_replaced_nor_deleted(recipe: Recipe):
    """A folder with somebody's log and checkpoints is refused; --restart leaves what is not a run's."""
    asked = recipe(steps=2)
    theirs = asked.run_folder / "checkpoints" / "checkpoint-500" / "model.safetensors"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    log = asked.run_folder / "log.jsonl"
    log.write_text('{"epoch": 1}\n')
    with pytest.raises(TrainingInvalid, match=r"holds checkpoints, log.jsonl, but no run") as raised:
        train(asked)
    assert "--restart" in raised.value.remedy
    assert log.read_text() == '{"epoch": 1}\n'
    train(asked, resume=False)
    train(asked, resume=False)
    assert theirs.read_bytes() == b"theirs"


def test_a_model_of_others_is_not_replaced_even_anew(recipe: Recipe):
    """A folder `model` without a training's recipe was not made by one."""
    asked = recipe(steps=2)
    theirs = asked.run_folder / "model" / "weights.bin"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    for resume in (None, False):
        with pytest.raises(TrainingInvalid, match="holds model, but no run"):
            train(asked, resume=resume)
    assert theirs.read_bytes() == b"theirs"


def test_a_run_does_not_lie_in_the_recipe_s_own_folder(recipe: Recipe, tmp_path: Path):
    """Or the copy of the recipe would replace the recipe, words of its author and all."""
    file = tmp_path / "recipe.toml"
    file.write_text(f"# mine\n{recipe_toml(recipe(out='.'))}", encoding="utf-8")
    for resume in (None, False):
        with pytest.raises(TrainingInvalid, match="out is the recipe's own folder") as raised:
            train(load_recipe(file), resume=resume)
    assert "runs/mine" in raised.value.remedy
    assert file.read_text(encoding="utf-8").startswith("# mine")


def test_the_recipe_kept_in_the_run_makes_the_same_model(recipe: Recipe, tmp_path: Path):
    """It goes on with the run, and begins it anew; it names files from where it lies."""
    shutil.copytree(GOLDEN / "bert-mean", tmp_path / "bases" / "mine")
    asked = recipe(out="runs/one", model="bases/mine", steps=4, checkpoint_every=2)
    train(asked)
    made = weights(asked)
    copy = load_recipe(asked.run_folder / "recipe.toml")
    assert copy.run_folder.resolve() == asked.run_folder.resolve()
    assert (copy.out, copy.model, copy.data.files) == (".", "../../bases/mine", ("../../rows.jsonl",))
    (asked.run_folder / "checkpoints" / "step-000004.safetensors").unlink()
    train(copy, resume=True)
    assert weights(asked) == made
    train(copy, resume=False)
    assert weights(asked) == made
    assert train(asked, resume=True).steps == 4
    assert load_recipe(asked.run_folder / "recipe.toml") == copy


def test_a_recipe_seen_from_elsewhere_names_the_same_things(recipe: Recipe, tmp_path: Path):
    """Judged sets, folders of guide and anchor too; names and absolute paths stay, none of the machine."""
    for folder in ("guides/big", "old/one", "runs/one"):
        (tmp_path / folder).mkdir(parents=True)
    asked = recipe(
        out="runs/one", model="all-MiniLM-L6-v2", evaluate_every=2,
        data={"files": ["rows.jsonl", "/abs/*.jsonl", "more/**/*.gz"]},
        loss={"name": "in_batch", "guide": "guides/big"}, evaluate={"sets": ["sets/suite.toml"]},
        anchor={"weight": 1.0, "model": "old/one"},
    )  # fmt: skip
    seen = seen_from(asked, tmp_path / "runs" / "one")
    assert seen.model == "all-MiniLM-L6-v2"
    assert seen.data.files == ("../../rows.jsonl", "/abs/*.jsonl", "../../more/**/*.gz")
    assert (seen.loss.guide, seen.evaluate.sets) == ("../../guides/big", ("../../sets/suite.toml",))
    assert Path(seen.beside(seen.loss.guide)).resolve() == tmp_path.resolve() / "guides" / "big"
    assert seen.anchor.model == "../../old/one" and seen_from(recipe(), tmp_path / "runs").anchor.model == ""
    assert str(tmp_path) not in recipe_toml(seen)


def test_two_processes_do_not_train_in_one_folder(recipe: Recipe):
    """The second is told so, and the first one's log is as it was; then it is free again."""
    asked = recipe(steps=2, checkpoint_every=1)
    program = (
        "import sys; from pathlib import Path; from searchkit.training.run_folder import lock\n"
        "held = lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(asked.run_folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(TrainingFailed, match=f"another process trains in {asked.run_folder}"):
            train(asked)
        assert not (asked.run_folder / "log.jsonl").exists()
        other.kill()
    assert train(asked).steps == 2
    lock(asked.run_folder).release()


def test_log_lines_with_any_character_are_read_back(tmp_path: Path):
    """Line separators within texts too; lines of others, and one cut off, are left out."""
    file = tmp_path / "log.jsonl"
    lines = [{"step": 0, "searchkit": "1"}, {"step": 1, "task": "a\u2028b\u0085c\x0bd"}, {"step": 2}]
    log = RunLog(file, lines[:1])
    for one in lines[1:]:
        log.add(one)
    log.close()
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"epoch": 3}\n[1]\n{"step": 4, "lo')
    assert read_log(file) == lines
    assert read_log(file, up_to_step=1) == lines[:2]
    assert json.loads(file.read_text(encoding="utf-8").split("\n")[1]) == lines[1]


@pytest.mark.parametrize(
    "name", ["step-500.safetensors", "step-000500.safetensors", "best-000500.safetensors"]
)
def test_checkpoints_of_another_tool_are_theirs(recipe: Recipe, name: str):
    """Whatever their names: nothing is taken up from them, and they and a model beside stay."""
    asked = recipe(steps=2)
    theirs = asked.run_folder / "checkpoints" / name
    theirs.parent.mkdir(parents=True)
    save_file({"a": torch.zeros(3)}, theirs, {"format": "pt"})
    content = theirs.read_bytes()
    with pytest.raises(TrainingInvalid, match="holds checkpoints, but no run"):
        train(asked)
    model = asked.run_folder / "model" / "weights.bin"
    model.parent.mkdir()
    model.write_bytes(b"theirs")
    for resume in (None, False):
        with pytest.raises(TrainingInvalid, match="model, but no run") as raised:
            train(asked, resume=resume)
        assert "--restart" not in raised.value.remedy  # which would replace it
    shutil.rmtree(model.parent)
    if "000500" in name:  # as a run may name its own
        with pytest.raises(TrainingInvalid, match=f"holds checkpoints/{name}, but no run"):
            train(asked, resume=False)
    else:
        assert train(asked, resume=False).steps == 2
    assert theirs.read_bytes() == content


def test_what_a_restart_replaces_is_named(recipe: Recipe):
    """Just what is there of it, and what lies beside it stays."""
    asked = recipe(steps=2)
    asked.run_folder.mkdir()
    for name in ("curve.png", "log.jsonl", "notes.txt"):
        (asked.run_folder / name).write_text("theirs")
    with pytest.raises(TrainingInvalid) as raised:
        train(asked)
    assert raised.value.remedy.endswith("--restart, which replaces log.jsonl, curve.png there")
    train(asked, resume=False)
    assert (asked.run_folder / "notes.txt").read_text() == "theirs"
    assert (asked.run_folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_lost_log_does_not_lose_the_run(recipe: Recipe):
    """Checkpoints tell by themselves whose they are, and are deleted when it begins anew."""
    asked = recipe(steps=4, checkpoint_every=2, evaluate_every=2, data={"held_out": 4})
    train(asked)
    (asked.run_folder / "log.jsonl").unlink()
    assert train(asked).steps == 4
    (asked.run_folder / "log.jsonl").unlink()
    best = next((asked.run_folder / "checkpoints").glob("best-*"))
    save_file(load_file(best), best)  # without a mark, as it once was
    half = asked.run_folder / "checkpoints" / "step-000006.safetensors.part"
    half.write_bytes((asked.run_folder / "checkpoints" / "step-000004.safetensors").read_bytes()[:5000])
    assert train(recipe(steps=2), resume=False).steps == 2
    kept = sorted(one.name for one in half.parent.iterdir())
    assert kept == ["step-000002.safetensors"]
