"""Whether a run that goes on is the one that was begun: facts of a training, and where two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from searchkit.training.gradient_cache import FORWARD_TOKENS
from searchkit.training.settings import TrainingRecipe

# What does not change what is learned: a run may go on under other values of these. Where the size of chunks
# does, it is among the facts of computing.
INDIFFERENT = ("out", "checkpoint_every", "device", "chunk_tokens", "folder", "card")
LATER = ("guide", "teacher", "judges")  # facts that older checkpoints lack


def recipe_facts(recipe: TrainingRecipe) -> dict[str, Any]:
    """What a recipe says, of what changes what is learned, as plain values."""
    facts: dict[str, Any] = plain(recipe)
    for name in INDIFFERENT:
        facts.pop(name)
    return facts


def computing_facts(recipe: TrainingRecipe, *, device: str, precision: str) -> dict[str, Any]:
    """What machine and network make of a recipe, of what changes what is learned.

    device, precision: those that were found. Threads and processes are only logged: they change roundings.
    """
    facts: dict[str, Any] = {"precision": precision}
    kind = device.split(":")[0]
    if recipe.dropout:  # which is drawn for each chunk
        facts[f"tokens of a chunk on {kind}"] = min(FORWARD_TOKENS[kind], recipe.chunk_tokens)
    return facts


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where a training is another one than that of a checkpoint, in words.

    What the checkpoint does not know, being of an older searchkit or another device, is as it is now, or as a
    recipe has it by default. Where files lie is no difference: rows, models and judged sets are compared by
    content.
    """
    known = {"recipe": recipe_facts(TrainingRecipe(out=""))}
    before = filled(before, {**known, **{name: now[name] for name in LATER}})
    computed = before.get("computing", {})
    now = {**now, "recipe": dict(now["recipe"])}
    if "precision" in computed:  # the one found decides, not how the recipe comes to it
        now["recipe"]["precision"] = before["recipe"]["precision"]
    before = {
        **before,
        "computing": {key: computed.get(key, value) for key, value in now["computing"].items()},
    }
    return differences(_without_places(before), _without_places(now))


def filled(before: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a run that an older searchkit began, with the defaults of what it did not know yet."""
    return {
        **{key: value for key, value in defaults.items() if key not in before},
        **{
            key: filled(value, defaults[key])
            if isinstance(value, dict) and isinstance(defaults.get(key), dict)
            else value
            for key, value in before.items()
        },
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where two trainings' facts differ, in words."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append(f"{prefix}{key} was {one!r}, is {other!r}")
    return found


def plain(value: Any) -> Any:
    """Settings as plain values: tables, lists, numbers, texts."""
    if is_dataclass(value):  # not asdict: it copies tables, and these cannot be copied
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _without_places(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with the last part of each path alone: a copy of the recipe says the rest otherwise."""
    recipe = facts["recipe"]
    return {
        **facts,
        "recipe": {
            **recipe,
            "model": PurePath(recipe["model"]).name,
            "data": {**recipe["data"], "files": [PurePath(one).name for one in recipe["data"]["files"]]},
            "evaluate": {
                **recipe["evaluate"],
                "sets": [PurePath(one).name for one in recipe["evaluate"]["sets"]],
            },
            "loss": {**recipe["loss"], "guide": PurePath(recipe["loss"]["guide"]).name},
            "anchor": {**recipe["anchor"], "model": PurePath(recipe["anchor"]["model"]).name},
        },
    }
