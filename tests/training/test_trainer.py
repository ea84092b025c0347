"""Training a tiny network: it learns, it goes on where it was ended, the same seed gives the same weights."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.progress import listening
from searchkit.errors import TrainingFailed, TrainingInvalid
from searchkit.training import student, trainer
from searchkit.training.runlog import read_log
from searchkit.training.settings import TrainingRecipe
from searchkit.training.trainer import train
from tests.training.conftest import ASK, GOLDEN, write_rows

pytestmark = pytest.mark.usefixtures("one_thread")
Recipe = Callable[..., TrainingRecipe]


def losses(recipe: TrainingRecipe) -> list[float]:
    return [one["loss"] for one in read_log(recipe.run_folder / "log.jsonl") if "loss" in one]


def weights(recipe: TrainingRecipe) -> bytes:
    return (recipe.run_folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("model", ["bert-mean", "instructor-relu"])
def test_sixty_steps_lower_the_loss(recipe: Recipe, model: str):
    """The mean loss of the last ten steps is well below that of the first ten."""
    asked = recipe(model=str(GOLDEN / model), steps=60, optimiser={"rate": 2e-3}, loss={"temperature": 0.05})
    train(asked)
    curve = losses(asked)
    assert np.mean(curve[-10:]) < 0.8 * np.mean(curve[:10])


def test_the_same_seed_gives_the_same_weights_and_another_one_others(recipe: Recipe):
    """Byte for byte on a CPU in float32."""
    made = []
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        asked = recipe(out=out, seed=seed)
        train(asked)
        made.append(weights(asked))
    assert made[0] == made[1] != made[2]


def test_a_run_that_was_ended_goes_on_to_the_same_losses_and_weights(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    """Ended in the middle of a step, taken up from the checkpoint before it; with dropout and an anchor."""
    changes = {"steps": 9, "checkpoint_every": 2, "anchor": {"weight": 1.0, "texts": 4}}
    whole = recipe(out="whole", **changes)
    train(whole)
    ended = recipe(out="ended", **changes)
    take_step = trainer.take_step

    def dies(prepared, asked, number):
        if number == 5:
            raise KeyboardInterrupt
        return take_step(prepared, asked, number)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "take_step", dies)
        with pytest.raises(KeyboardInterrupt):
            train(ended)
    assert train(ended).steps == 9
    assert losses(ended) == losses(whole)
    assert weights(ended) == weights(whole)


def interrupting(monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> None:
    """Press Ctrl-C so many times when a step begins."""
    take_step = trainer.take_step

    def pressed(prepared, asked, at):
        for _ in range(times if at == number else 0):
            signal.raise_signal(signal.SIGINT)
        return take_step(prepared, asked, at)

    monkeypatch.setattr(trainer, "take_step", pressed)


def test_ctrl_c_keeps_the_step_that_is_being_taken(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    """It is finished first, and the run goes on after it, to the same weights."""
    whole = recipe(out="whole", evaluate_every=3, data={"held_out": 4})
    train(whole)
    ended = recipe(out="ended", evaluate_every=3, data={"held_out": 4})
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupting(patch, 3, 1)
        with pytest.raises(KeyboardInterrupt):
            train(ended)
    assert signal.getsignal(signal.SIGINT) is handler
    assert read_log(ended.run_folder / "log.jsonl")[-1]["step"] == 4
    assert (ended.run_folder / "checkpoints" / "step-000004.safetensors").is_file()
    assert train(ended).scores == train(whole).scores
    assert losses(ended) == losses(whole) and weights(ended) == weights(whole)


def test_ctrl_c_in_the_first_evaluation_does_not_repeat_it(recipe: Recipe):
    """What it said is kept with the checkpoint of step 0."""
    asked = recipe(steps=2, evaluate_every=2)
    seen: list[int] = []

    def judge(step: int, embedder: LocalEmbedder) -> dict[str, float]:
        seen.append(step)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)
        return {"a": float(step)}

    with pytest.raises(KeyboardInterrupt):
        train(asked, evaluate=judge)
    assert train(asked, evaluate=judge).best_step == 2
    assert seen == [0, 2]


def test_a_second_ctrl_c_interrupts_at_once(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    """In the middle of the step."""
    interrupting(monkeypatch, 3, 2)
    asked = recipe()
    with pytest.raises(KeyboardInterrupt):
        train(asked)
    assert read_log(asked.run_folder / "log.jsonl")[-1]["step"] == 3


def test_the_folder_is_read_as_one_that_follows_instructions(recipe: Recipe):
    """Its mark names the family; vectors are those that the network had when training ended."""
    asked = recipe(steps=2)
    made = train(asked)
    opened = open_embedder(made.model, precision="float32", runtime="torch")
    assert opened.family.name == "instructed"
    assert opened.notices == ()
    with_instruction = opened.embed(["the clock"], ASK)
    assert np.abs(with_instruction - opened.embed(["the clock"])).max() > 1e-3
    assert json.loads((made.model / "1_Pooling" / "config.json").read_text())["include_prompt"] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimiser": {"rate": 3e-5}}, r"recipe.optimiser.rate was 2e-05, is 3e-05"),
        ({"seed": 2}, "recipe.seed was 1, is 2"),
        ({"model": str(GOLDEN / "instructor-relu")}, "base was "),
        ({"steps": 9}, "recipe.steps was 6, is 9"),
    ],
)
def test_another_recipe_or_base_does_not_go_on_where_one_stopped(
    recipe: Recipe, change: dict[str, Any], said: str
):
    """It says what differs; --restart begins anew."""
    train(recipe(checkpoint_every=2))
    with pytest.raises(TrainingFailed, match=said) as raised:
        train(recipe(checkpoint_every=2, **change))
    assert "--restart" in raised.value.remedy
    assert train(recipe(checkpoint_every=2, **change), resume=False).steps == change.get("steps", 6)


def test_other_rows_do_not_go_on_where_one_stopped(recipe: Recipe, tmp_path: Path):
    """Though the recipe names the same file."""
    asked = recipe(steps=4, checkpoint_every=2)
    train(asked)
    write_rows(tmp_path / "rows.jsonl", ("things", 41), ("houses", 24))
    with pytest.raises(TrainingFailed, match="data was "):
        train(asked)


def test_going_on_wants_something_to_go_on_with(recipe: Recipe):
    """Neither --resume without a run, nor a model overwritten whose run is gone."""
    asked = recipe(steps=2)
    with pytest.raises(TrainingInvalid, match="no checkpoint to go on from"):
        train(asked, resume=True)
    train(asked)
    shutil.rmtree(asked.run_folder / "checkpoints")
    with pytest.raises(TrainingInvalid, match="is there already"):
        train(asked)


def test_a_run_of_an_older_searchkit_goes_on(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    """What a recipe could not say yet has its default; another value of it is refused."""
    facts = trainer.recipe_facts

    def older(one: TrainingRecipe) -> dict[str, Any]:
        known = facts(one)
        known.pop("evaluate")
        known["optimiser"].pop("layer_decay")
        return known

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "recipe_facts", older)
        train(recipe(steps=2))
    assert train(recipe(steps=2)).steps == 2
    with pytest.raises(TrainingFailed, match=r"layer_decay was 1.0, is 0.5"):
        train(recipe(steps=2, optimiser={"layer_decay": 0.5}))


def test_another_precision_does_not_go_on_where_one_stopped(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    """What `auto` comes to on another machine; said outright, the one that it was goes on."""
    train(recipe(precision="auto", steps=2))
    monkeypatch.setattr(student, "worthwhile", lambda runtime: True)
    with pytest.raises(TrainingFailed, match=r"computing.precision was 'float32', is 'bfloat16'"):
        train(recipe(precision="auto", steps=2))
    assert train(recipe(precision="float32", steps=2)).steps == 2


def test_chunks_of_another_size_go_on_only_where_nothing_drops_out(recipe: Recipe):
    """What drops out is drawn for each chunk. A checkpoint of before that was known goes on."""
    for dropout in (True, False):
        train(recipe(out=f"{dropout}", steps=2, dropout=dropout))
    assert train(recipe(out="False", steps=2, dropout=False, chunk_tokens=96)).steps == 2
    with pytest.raises(TrainingFailed, match=r"tokens of a chunk on cpu was 4096, is 96"):
        train(recipe(out="True", steps=2, chunk_tokens=96))
    asked = recipe(out="True", steps=2)
    file = asked.run_folder / "checkpoints" / "step-000002.safetensors"
    progress = json.loads(safe_open(file, "pt").metadata()["searchkit"])
    del progress["facts"]["computing"]
    save_file(load_file(file), file, {"searchkit": json.dumps(progress)})
    assert train(recipe(out="True", steps=2, chunk_tokens=96)).steps == 2


def test_the_log_says_with_what_a_run_went_on(recipe: Recipe):
    """Device, precision, threads, processes: as for its beginning."""
    asked = recipe(steps=4, checkpoint_every=2)
    train(asked)
    (asked.run_folder / "checkpoints" / "step-000004.safetensors").unlink()
    train(asked)
    first, *lines = read_log(asked.run_folder / "log.jsonl")
    (said,) = [one for one in lines if "went_on" in one]
    known = {"device": "cpu", "precision": "float32", "threads": torch.get_num_threads(), "processes": 1}
    assert said == {"step": 2, "went_on": known} and known.items() <= first.items()


@pytest.mark.parametrize(
    ("figures", "said"),
    [({"a": float("nan"), "b": 0.5}, r"after step 0 is nan \(a\)"), ({}, "after step 0 gave no figure")],
)
@pytest.mark.parametrize("held_out", [0, 4])
def test_an_evaluation_without_a_score_ends_the_run(
    recipe: Recipe, figures: dict[str, float], said: str, held_out: int
):
    """Nothing would be better than it, and the result the base: rows held out beside it or not."""
    with pytest.raises(TrainingFailed, match=said):
        train(recipe(evaluate_every=2, data={"held_out": held_out}), evaluate=lambda step, embedder: figures)


def test_it_is_said_when_training_made_nothing_better(recipe: Recipe):
    """The result is the base; the card says so, too."""
    said: list[str] = []
    with listening(said.append):
        done = train(recipe(steps=4, evaluate_every=2), evaluate=lambda step, embedder: {"a": -float(step)})
    assert done.best_step == 0 and any("the result is the base, untrained" in one for one in said)
    assert "| steps | 0; none of 4 was better than the base |" in (done.model / "README.md").read_text()


def test_windows_larger_than_the_model_s_are_told(recipe: Recipe):
    """The card says what was read."""
    said: list[str] = []
    with listening(said.append):
        done = train(recipe(steps=2, document_tokens=4000))
    window = student.Student(recipe()).plan.window
    assert said == [f"Note: document_tokens is 4000, but the model reads no more than {window} tokens"]
    assert f"trained with 40 for queries, {window} for documents" in (done.model / "README.md").read_text()


def test_a_loss_that_is_no_number_ends_the_run(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    """With the step and what helps; what was learned before it is kept."""
    take_step = trainer.take_step

    def broken(prepared, asked, number):
        result = take_step(prepared, asked, number)
        return replace(result, loss=float("nan")) if number == 3 else result

    monkeypatch.setattr(trainer, "take_step", broken)
    asked = recipe(checkpoint_every=1)
    with pytest.raises(TrainingFailed, match=r"the loss of step 4 \(task \w+\) is nan") as raised:
        train(asked)
    assert "lower the rate" in raised.value.remedy
    assert (asked.run_folder / "checkpoints" / "step-000003.safetensors").is_file()


def test_a_damaged_checkpoint_is_refused_by_name(recipe: Recipe):
    """Training goes on from the one before when it is deleted."""
    asked = recipe(steps=6, checkpoint_every=2)
    train(asked)
    whole = weights(asked)
    last = asked.run_folder / "checkpoints" / "step-000006.safetensors"
    last.write_bytes(last.read_bytes()[:100])
    with pytest.raises(TrainingFailed, match=f"{last.name} is damaged"):
        train(asked)
    last.unlink()
    train(asked)
    assert weights(asked) == whole


def test_the_best_evaluation_is_kept_and_patience_ends_the_run(recipe: Recipe):
    """Weights of the result are those that the judge saw at its best step, not the last ones."""
    scores = {0: 0.1, 2: 0.5, 4: 0.4, 6: 0.3, 8: 0.9}
    seen = {}

    def judge(step: int, embedder: LocalEmbedder) -> dict[str, float]:
        seen[step] = embedder.embed(["the clock"], ASK)
        return {"a": scores[step] + 0.1, "b": scores[step] - 0.1}

    done = train(
        recipe(steps=8, evaluate_every=2, patience=2, data={"held_out": 4}, optimiser={"rate": 1e-2}),
        evaluate=judge,
    )
    assert (done.steps, done.best_step) == (6, 2)
    assert done.scores == {step: pytest.approx(scores[step]) for step in (0, 2, 4, 6)}
    opened = open_embedder(done.model, precision="float32", runtime="torch")
    assert np.abs(opened.embed(["the clock"], ASK) - seen[2]).max() < 1e-6
    assert np.abs(seen[2] - seen[6]).max() > 1e-4
    lines = read_log(done.model.parent / "log.jsonl")
    assert all({"a", "b", "rows held out"} == set(one["figures"]) for one in lines if "figures" in one)


def test_lower_layers_move_less(recipe: Recipe):
    """By `layer_decay` for each layer below the last; frozen embeddings not at all."""
    before = load_file(GOLDEN / "bert-mean" / "model.safetensors")
    decayed = {"layer_decay": 0.1, "rate": 1e-3, "freeze_embeddings": True}
    train(recipe(steps=4, optimiser=decayed))
    after = load_file(recipe().run_folder / "model" / "model.safetensors")

    def moved(part: str) -> float:
        names = [name for name in after if part in name and name.endswith("dense.weight")]
        return max(float((after[name] - before[name]).abs().max()) for name in names)

    layers = sorted({name.split("layer.")[1].split(".")[0] for name in after if "layer." in name})
    assert 0 < moved(f"layer.{layers[0]}.") < 0.5 * moved(f"layer.{layers[-1]}.")
    words = "embeddings.word_embeddings.weight"
    assert torch.equal(after[words], before[words])


@pytest.mark.parametrize("model", ["bert-mean", "instructor-relu"])
def test_the_result_may_be_mixed_with_the_base(recipe: Recipe, model: str):
    """0.25 of the trained weights, 0.75 of the base's; 0 is the base. Tied weights are mixed once."""
    made = {}
    for mix in (1.0, 0.25, 0.0):
        asked = recipe(out=f"mix-{mix}", model=str(GOLDEN / model), mix=mix, optimiser={"rate": 1e-3})
        train(asked)
        files = sorted((asked.run_folder / "model").rglob("*.safetensors"))
        made[mix] = {
            f"{file.parent.name}/{name}": one for file in files for name, one in load_file(file).items()
        }
    base = load_file(GOLDEN / model / "model.safetensors")
    for name, trained in made[1.0].items():
        if "pooler" in name:
            continue
        torch.testing.assert_close(made[0.25][name], 0.25 * trained + 0.75 * made[0.0][name])
        if name.startswith("model/") and (own := name.removeprefix("model/")) in base:
            torch.testing.assert_close(made[0.0][name], base[own])


def test_adapters_are_trained_alone_and_merged(recipe: Recipe):
    """The folder has a network's usual weights; only the adapted ones differ from the base's."""
    pytest.importorskip("peft")
    lora = {"rank": 2, "alpha": 8.0, "targets": ["query", "value"]}
    asked = recipe(
        steps=24, lora=lora, optimiser={"rate": 2e-2}, loss={"temperature": 0.05}, checkpoint_every=9
    )
    done = train(asked)
    curve = losses(asked)
    assert np.mean(curve[-8:]) < 0.9 * np.mean(curve[:8])
    base, after = (
        load_file(Path(folder) / "model.safetensors") for folder in (GOLDEN / "bert-mean", done.model)
    )
    differing = {
        name for name, one in after.items() if "pooler" not in name and not torch.equal(one, base[name])
    }
    assert differing and all(name.endswith(("query.weight", "value.weight")) for name in differing)
    assert set(base) - set(after) == set()
    whole = weights(asked)
    (asked.run_folder / "checkpoints" / "step-000024.safetensors").unlink()
    train(asked)  # from step 18
    assert weights(asked) == whole


def test_a_layer_after_the_pooling_is_trained_beside_adapters(recipe: Recipe):
    """INSTRUCTOR's Dense, whole; of the network itself only what adapters stand beside."""
    pytest.importorskip("peft")
    made = recipe(model=str(GOLDEN / "instructor-relu"), lora={"rank": 2})
    trained = student.Student(made).trained
    assert "tail.0.weight" in trained
    assert all("lora_" in name for name in trained if name.startswith("network."))
