"""The folder that comes of training: sentence-transformers' layout, marked with its family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from searchkit.embedding.checkpoint import OLD_POOLING_KEYS, DenseLayer
from searchkit.embedding.json_files import optional_json
from searchkit.embedding.network import quiet
from searchkit.embedding.opening import TOKENIZER, TOKENIZER_CONFIG, VOCABULARY_FILES
from searchkit.settings import VERSION
from searchkit.training.run_folder import LOG, RECIPE
from searchkit.training.settings import CardSettings
from searchkit.training.student import Student

CARD = "README.md"
POOLING = "1_Pooling"
BEFORE = "before"  # below a folder's training: that of the model that training began with


def write_folder(student: Student, folder: Path) -> None:
    """Write network, tokenizer, pooling and tail; adapters must have been merged.

    The tokenizer's files are those of the base, byte for byte. sentence-transformers reads the folder alike,
    with an Instruction given as `prompt`; where it does not is said in the card.
    """
    checkpoint = student.plan.checkpoint
    folder.mkdir(parents=True)
    network: Any = student.runtime.network
    with quiet():
        network.save_pretrained(str(folder))
    for name in (TOKENIZER, TOKENIZER_CONFIG, *VOCABULARY_FILES):
        if (checkpoint.network / name).is_file():
            shutil.copyfile(checkpoint.network / name, folder / name)
    modules = [("", "Transformer"), (POOLING, "Pooling")]
    _write_json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": student.plan.window, "do_lower_case": checkpoint.lower_case},
    )
    (folder / POOLING).mkdir()
    _write_json(folder / POOLING / "config.json", _pooling(student))
    linears = [layer for layer in student.runtime.tail if isinstance(layer, nn.Linear)]
    for step in checkpoint.tail:
        number = len(modules)
        if isinstance(step, DenseLayer):
            modules.append((f"{number}_Dense", "Dense"))
            _write_dense(folder / f"{number}_Dense", step, linears.pop(0))
        else:
            modules.append((f"{number}_Normalize", "Normalize"))
    if not checkpoint.tail or checkpoint.tail[-1] != "normalize":
        modules.append((f"{len(modules)}_Normalize", "Normalize"))
    _write_json(
        folder / "modules.json",
        [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(modules)
        ],
    )
    said = optional_json(checkpoint.source.folder / "config_sentence_transformers.json")
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": said.get("__version__", {}),
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
            "searchkit": {"family": student.plan.family.name, "version": VERSION},
        },
    )
    for weights in folder.rglob("*.safetensors"):  # safetensors' own save_file lets only its owner read
        shutil.copymode(folder / "config.json", weights)


def _pooling(student: Student) -> dict[str, Any]:
    """Under the names that every version of sentence-transformers knows."""
    return {
        "word_embedding_dimension": _width(student),
        **{key: mode in student.plan.pooling for key, mode in OLD_POOLING_KEYS.items()},
        "include_prompt": student.plan.family.reading.pool_instruction,
    }


def _width(student: Student) -> int:
    config: Any = student.runtime.network.config
    return int(config.get_text_config().hidden_size)


def _write_dense(folder: Path, step: DenseLayer, linear: nn.Linear) -> None:
    folder.mkdir()
    activation = {"Identity": "torch.nn.modules.linear.Identity"}.get(
        step.activation, f"torch.nn.modules.activation.{step.activation}"
    )
    _write_json(
        folder / "config.json",
        {
            "in_features": step.in_features,
            "out_features": step.out_features,
            "bias": step.bias,
            "activation_function": activation,
        },
    )
    tensors = {"linear.weight": linear.weight.detach().cpu().contiguous()}
    if step.bias:
        tensors["linear.bias"] = linear.bias.detach().cpu().contiguous()
    save_file(tensors, folder / "model.safetensors")


def write_card(
    folder: Path,
    facts: Mapping[str, str],
    recipe: str,
    tasks: Mapping[str, tuple[int, int]],
    card: CardSettings,
) -> None:
    """Write the model card: what it is, how to use it, what it was trained on, the recipe.

    tasks: by name, how many rows there were and how many steps they had.
    """
    rows = "\n".join(
        f"| {task} | {count:,} | {steps:,} | {card.sources.get(task, '')} |"
        for task, (count, steps) in tasks.items()
    )
    licence = f"\nlicense: {card.licence}" if card.licence else ""
    about = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    fence = "`" * 3
    text = f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, searchkit, instruction-following]{licence}
---
# {facts["name"]}

An embedding model trained with searchkit to follow Instructions: a sentence before the text says what its
vector is for. The Instruction is read by the network and left out of the mean.

| | |
|---|---|
{about}

## Use

{fence}
searchkit index ./docs --model path/to/this/folder
{fence}

{fence}python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
model.encode(["where is the key?"], prompt="Represent the question for retrieving documents: ")
{fence}

Both give equal vectors, except for a prompt of blanks alone. Of a T5 network they can differ also where a
text begins with a line break or holds characters that Unicode's NFKC form changes, such as full-width
letters: transformers builds T5's tokenizer without the normaliser that tokenizer.json asks for.

## Trained on

| task | rows | steps | source |
|---|---|---|---|
{rows}

## Recipe

{fence}toml
{recipe}{fence}

Its paths are relative to the file that it was read from. The whole log is in `training/log.jsonl`. If what
the model was trained from was trained with searchkit, too, its card, recipe and log are in `training/before`.
"""
    (folder / CARD).write_text(text, encoding="utf-8")


def write_history(folder: Path, recipe: str, log: Path, base: Path) -> None:
    """Write what the model was trained with; below that, the same of a base that searchkit trained."""
    training = folder / "training"
    training.mkdir()
    (training / RECIPE).write_text(recipe, encoding="utf-8")
    shutil.copyfile(log, training / LOG)
    before = base / "training"
    if not (before / RECIPE).is_file():
        return
    kept = {base / CARD: Path(CARD), before / RECIPE: Path(RECIPE), before / LOG: Path(LOG)}
    for name in (RECIPE, LOG, CARD):  # of what went before that
        kept |= {file: file.relative_to(before) for file in (before / BEFORE).rglob(name)}
    for file, place in kept.items():
        if file.is_file():
            copied = training / BEFORE / place
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
