"""JSON of a model folder, read with suspicion. Knows types and paths; nothing of what the facts mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from searchkit.errors import ModelError

AGAIN = "copy or download the model again"

T = TypeVar("T")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file of the model folder.

    Raises:
        ModelError: there is no such file, or it is no JSON object.
    """
    value = _parsed(file)
    if not isinstance(value, dict):
        raise ModelError(f"{file} holds a {type(value).__name__}, expected a JSON object", remedy=AGAIN)
    return value


def read_json_list(file: Path) -> list[dict[str, Any]]:
    """A JSON list of objects from a file of the model folder.

    Raises:
        ModelError: there is no such file, or it is no such list.
    """
    value = _parsed(file)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ModelError(f"{file} is damaged: expected a list of JSON objects", remedy=AGAIN)
    return value


def optional_json(file: Path) -> dict[str, Any]:
    """Like `read_json`; {} where there is no such file."""
    return read_json(file) if file.is_file() else {}


def fact(values: Mapping[str, Any], key: str, kind: type[T], file: Path, default: T) -> T:
    """The value of a key, which has to be of this kind; the default where it is missing or null.

    Raises:
        ModelError: it is of another kind. true and false are no numbers.
    """
    value = values.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelError(
            f"{file}: {key} is {_shown(value)}, expected {_NAMES[kind]}",
            remedy=AGAIN,
        )
    return value


def inside(folder: Path, relative: str, file: Path) -> Path:
    """The path below the folder that a file of it names.

    Raises:
        ModelError: it leads out of the folder.
    """
    out = PurePosixPath(relative).is_absolute() or PureWindowsPath(relative).anchor
    if out or "\0" in relative or ".." in PureWindowsPath(relative).parts:
        raise ModelError(
            f"{file} names {_shown(relative)}, which is not inside of the model's folder",
            remedy="do not use this model: a folder that reaches out of itself is broken or hostile",
        )
    return folder / relative


_NAMES: Mapping[type, str] = {
    str: "a text", int: "a whole number", bool: "true or false", dict: "an object", list: "a list",
}  # fmt: skip


def _parsed(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{file.parent} has no {file.name}",
            remedy=f"a model folder needs config.json, weights and a tokenizer: {AGAIN}",
        ) from None
    except RecursionError:
        raise ModelError(f"{file} cannot be read as JSON: it is nested too deep", remedy=AGAIN) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}", remedy=AGAIN) from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
