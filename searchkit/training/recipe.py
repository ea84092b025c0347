"""Reading a training recipe: TOML to settings, with every mistake named. Opens no model and no rows."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from searchkit.embedding.families import families
from searchkit.errors import TrainingInvalid, near_names
from searchkit.settings import BASE_MODEL, DEFAULT_MODEL, expanded
from searchkit.training.facts import plain
from searchkit.training.settings import (
    ANCHORS,
    GUIDES,
    IN_BATCH,
    LOSSES,
    MOST_STEPS,
    PAPER,
    PRECISIONS,
    SCHEDULES,
    AnchorSettings,
    CardSettings,
    DataSettings,
    EvaluateSettings,
    LoraSettings,
    LossSettings,
    OptimiserSettings,
    TrainingRecipe,
)

# Without it, what else the section says would have no effect.
DECIDES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"lora": ("rank", "all weights are trained"), "anchor": ("weight", "there is no anchor")}
)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
EXAMPLE = "a recipe needs at least: out, steps or epochs, and files under [data]"
SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "data": DataSettings,
        "loss": LossSettings,
        "optimiser": OptimiserSettings,
        "lora": LoraSettings,
        "anchor": AnchorSettings,
        "evaluate": EvaluateSettings,
        "card": CardSettings,
    }
)


def load_recipe(path: str | Path) -> TrainingRecipe:
    """Read a training recipe. Its paths are relative to its file.

    Raises:
        TrainingInvalid: there is no such file, it is no TOML, or a key or value is not one.
    """
    file = expanded(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingInvalid(f"{file} cannot be read: {reason}", remedy=EXAMPLE) from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingInvalid(f"{file} is not TOML: {error}", remedy=EXAMPLE) from error
    return recipe_of(table, folder=file.resolve().parent, where=str(path))


def recipe_of(table: Mapping[str, Any], *, folder: Path, where: str = "recipe") -> TrainingRecipe:
    """Build a training recipe from the tables of its TOML form; unknown keys are errors, not ignored.

    Args:
        table: as `tomllib` reads it.
        folder: what relative paths are relative to.
        where: named in errors.
    """
    values = dict(table)
    parts: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        section = values.pop(name, {})
        if not isinstance(section, dict):
            raise TrainingInvalid(f"{where}: {name} is {section!r}", remedy=f"expected a table: [{name}]")
        parts[name] = kind(**_values(kind, section, f"{where}: [{name}]"))
    if "out" not in values:
        raise TrainingInvalid(f"{where} names no folder for the run", remedy='add a line: out = "runs/mine"')
    read = _values(TrainingRecipe, values, where, extra=SECTIONS)
    recipe = TrainingRecipe(folder=folder, **read, **parts)
    _check(recipe, where)
    for name, (decides, otherwise) in DECIDES.items():
        section = table.get(name, {})
        if section and decides not in section:
            raise TrainingInvalid(
                f"{where}: [{name}] says {', '.join(section)}, but no {decides}: then {otherwise}",
                remedy=f"say {decides} there, 0 if that is meant",
            )
    return recipe


def recipe_toml(recipe: TrainingRecipe) -> str:
    """The whole recipe, defaults too, as a TOML file that is read back as an equal one."""
    said: dict[str, Any] = plain(recipe)
    said.pop("folder")
    lines, tables = [], []
    for key, value in said.items():
        if isinstance(value, dict):
            tables += _table_lines(key, value)
        elif value is not None:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines + tables) + "\n"


def seen_from(recipe: TrainingRecipe, folder: Path) -> TrainingRecipe:
    """The same training, its paths relative to another folder: what a copy of the recipe says there.

    Absolute paths, those of a home, and names of models stay as they are.
    """
    try:
        way = Path(os.path.relpath(recipe.folder.resolve(), folder.resolve()))
    except ValueError:  # another drive of Windows
        way = recipe.folder.resolve()

    def moved(path: str) -> str:
        return path if expanded(path).is_absolute() else (way / path).as_posix()

    def moved_model(name: str) -> str:
        return moved(name) if name and recipe.beside(name) != name else name

    out, guide = recipe.run_folder.resolve(), recipe.loss.guide
    return replace(
        recipe,
        folder=folder,
        out="." if out == folder.resolve() else moved(recipe.out),
        model=moved_model(recipe.model),
        data=replace(recipe.data, files=tuple(moved(one) for one in recipe.data.files)),
        loss=replace(recipe.loss, guide=guide if guide in GUIDES else moved_model(guide)),
        anchor=replace(recipe.anchor, model=moved_model(recipe.anchor.model)),
        evaluate=replace(recipe.evaluate, sets=tuple(moved(one) for one in recipe.evaluate.sets)),
    )


def _table_lines(name: str, table: Mapping[str, Any]) -> list[str]:
    lines, deeper = ["", f"[{name}]"], []
    for key, value in table.items():
        if isinstance(value, dict):
            deeper += _table_lines(f"{name}.{key}", value) if value else []
        elif value is not None:
            quoted = key if BARE_KEY.fullmatch(key) else _toml(key)
            lines.append(f"{quoted} = {_toml(value)}")
    return lines + deeper


def _toml(value: Any) -> str:
    # Of these kinds of values JSON is TOML, but for one character that JSON leaves bare.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _values(
    kind: type, table: Mapping[str, Any], where: str, extra: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """The table's values as the fields of a settings class want them."""
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if str(hints[one.name]) in _GRAMMAR]
    read: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise TrainingInvalid(
                f"{where}: unknown key '{key}'{_elsewhere(key) or near_names(key, [*known, *(extra or {})])}",
                remedy=f"known keys: {', '.join(sorted({*known, *(extra or {})}))}",
            )
        read[key] = _typed(value, hints[key], f"{where}: {key}")
    return read


def _elsewhere(key: str) -> str:
    """Where a key belongs that is not of the table it was found in; '' for one that is of none."""
    places = [
        f"under [{name}]" for name, kind in SECTIONS.items() if key in {one.name for one in fields(kind)}
    ]
    if key in {one.name for one in fields(TrainingRecipe)} - {"folder", *SECTIONS}:
        places.append("at the top, above the first [table]")
    return f", which belongs {' or '.join(places)}" if places else ""


def _typed(value: Any, hint: Any, where: str) -> Any:
    wanted, convert = _GRAMMAR[str(hint)]
    try:
        return convert(value)
    except (TypeError, ValueError):
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
        raise TrainingInvalid(f"{where} is {shown}", remedy=f"expected {wanted}") from None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(one) for one in value)


def _table(convert: Callable[[Any], Any]) -> Callable[[Any], Mapping[str, Any]]:
    def read(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise TypeError
        return MappingProxyType({name: convert(one) for name, one in value.items()})

    return read


_GRAMMAR: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    str(int): ("a whole number", _whole),
    str(int | None): ("a whole number", _whole),
    str(float): ("a number", _number),
    str(bool): ("true or false", _flag),
    str(str): ("a text", _text),
    str(tuple[str, ...]): ('a list of texts: ["...", "..."]', _texts),
    str(Mapping[str, float]): ("a table of numbers by task", _table(_number)),
    str(Mapping[str, str]): ("a table of names by task", _table(_text)),
}


def _check(recipe: TrainingRecipe, where: str) -> None:
    """Refuse values that cannot be meant."""
    if (recipe.steps > 0) == (recipe.epochs > 0):
        found = "both steps and epochs" if recipe.steps > 0 else "neither steps nor epochs"
        raise TrainingInvalid(f"{where} says {found}", remedy="say one of them, as in: steps = 1000")
    if not recipe.data.files:
        raise TrainingInvalid(f"{where} names no data", remedy='add under [data]: files = ["rows.jsonl"]')
    for name, value, known in _choices(recipe):
        if value not in known:
            raise TrainingInvalid(
                f"{where}: {name} is '{value}'{near_names(value, known)}",
                remedy=f"known: {', '.join(known)}",
            )
    for name, number, low, high in _ranges(recipe):
        if not low <= number <= high:
            upper = "" if high == math.inf else f" and at most {high:g}"
            raise TrainingInvalid(
                f"{where}: {name} is {number:g}", remedy=f"expected at least {low:g}{upper}"
            )
    _check_loss(recipe, where)
    if not recipe.anchor.instructions:
        raise TrainingInvalid(
            f"{where}: [anchor] instructions is empty", remedy='expected one at least; none is said as [""]'
        )
    if recipe.evaluate.sets and not recipe.evaluate_every:
        raise TrainingInvalid(
            f"{where} names sets to evaluate on, but not how often", remedy="add a line: evaluate_every = 200"
        )
    if recipe.patience and not recipe.evaluate_every:
        raise TrainingInvalid(
            f"{where} says patience, which counts evaluations, but not how often to evaluate",
            remedy="add a line: evaluate_every = 200",
        )


def _check_loss(recipe: TrainingRecipe, where: str) -> None:
    loss, defaults = recipe.loss, LossSettings()
    if IN_BATCH not in (loss.name, *loss.tasks.values()):
        idle = [
            one.name
            for one in fields(loss)
            if one.name not in ("name", "temperature", "tasks")
            and getattr(loss, one.name) != getattr(defaults, one.name)
        ]
        if idle:
            raise TrainingInvalid(
                f"{where}: [loss] says {', '.join(idle)}, which the loss '{PAPER}' does not know",
                remedy=f'say name = "{IN_BATCH}" there, or leave them out',
            )
    guide = expanded(loss.guide)
    if loss.guide in GUIDES or "/" in loss.guide or guide.is_dir() or (recipe.folder / guide).is_dir():
        return
    if loss.guide in (
        BASE_MODEL,
        DEFAULT_MODEL,
        *(one.rpartition("/")[2] for of in families().values() for one in of.models),
    ):
        return  # near to "base" by its letters only
    if near := near_names(loss.guide, GUIDES):
        raise TrainingInvalid(
            f"{where}: [loss] guide is '{loss.guide}'{near}",
            remedy=f"known: {', '.join(GUIDES)}; or a model: a folder, or an id as OWNER/NAME",
        )


def _choices(recipe: TrainingRecipe) -> list[tuple[str, str, tuple[str, ...]]]:
    loss, anchor = recipe.loss, recipe.anchor
    return [
        ("precision", recipe.precision, PRECISIONS),
        ("[optimiser] schedule", recipe.optimiser.schedule, SCHEDULES),
        ("[loss] name", loss.name, LOSSES),
        *((f"[loss.tasks] {task}", name, LOSSES) for task, name in loss.tasks.items()),
        ("[anchor] kind", anchor.kind, ANCHORS),
    ]


def _ranges(recipe: TrainingRecipe) -> list[tuple[str, float, float, float]]:
    """(name, value, least, largest)."""
    inf, tiny = math.inf, 1e-9
    data, loss, optimiser, anchor = recipe.data, recipe.loss, recipe.optimiser, recipe.anchor
    return [
        ("steps", recipe.steps, 0, MOST_STEPS),
        ("epochs", recipe.epochs, 0, MOST_STEPS),
        ("batch", recipe.batch, 2, inf),
        ("negatives", recipe.negatives, 0, inf),
        ("query_tokens", recipe.query_tokens, 4, inf),
        ("document_tokens", recipe.document_tokens, 4, inf),
        ("chunk_tokens", recipe.chunk_tokens, 1, inf),
        ("checkpoint_every", recipe.checkpoint_every, 1, inf),
        ("evaluate_every", recipe.evaluate_every, 0, inf),
        ("patience", recipe.patience, 0, inf),
        ("mix", recipe.mix, 0, 1),
        ("seed", recipe.seed, 0, 2**32 - 1),
        ("[data] cap", data.cap if data.cap is not None else inf, 1, inf),
        # Of a million rows, n ** 10 is 1e60: weights that can still be added up.
        ("[data] alpha", data.alpha, -10, 10),
        ("[data] held_out", data.held_out, 0, inf),
        *((f"[data.weights] {task}", weight, 0, 1e9) for task, weight in data.weights.items()),
        *((f"[data.shares] {task}", weight, 0, 1e9) for task, weight in data.shares.items()),
        ("[loss] temperature", loss.temperature, tiny, inf),
        ("[loss] margin", loss.margin, -2, 2),
        ("[optimiser] rate", optimiser.rate, tiny, 1),
        ("[optimiser] warmup", optimiser.warmup, 0, 1),
        ("[optimiser] decay", optimiser.decay, 0, inf),
        ("[optimiser] clip", optimiser.clip, 0, inf),
        ("[optimiser] layer_decay", optimiser.layer_decay, 0.01, 1),
        ("[lora] rank", recipe.lora.rank, 0, 4096),
        ("[lora] dropout", recipe.lora.dropout, 0, 1),
        ("[anchor] weight", anchor.weight, 0, inf),
        ("[anchor] texts", anchor.texts, 2 if anchor.kind == "similarity" else 1, 100_000),
        ("[anchor] temperature", anchor.temperature, tiny, inf),
    ]
