"""Instruction profiles: what a Collection's texts are for, said once for both sides.

A Profile names no model. How its Instructions reach a model is the model family's business
(embedding/prompts.py). The template is INSTRUCTOR's unified one (arXiv 2212.09741, section 2.3):
"Represent the (domain) text_type for task_objective: ".
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from searchkit.errors import ProfileInvalid, ProfileNotFound, near_names
from searchkit.settings import config_folder, expanded

Task: TypeAlias = Literal["retrieval", "duplicates", "clustering", "similarity", "classification"]
Side: TypeAlias = Literal["document", "query"]
SHIPPED = Path(__file__).parent / "profiles"
SIDES: tuple[Side, ...] = get_args(Side)
Unit: TypeAlias = Literal["passage", "document"]
Context: TypeAlias = Literal["heading", "title", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """The sentence put before a text: literal, or rendered from the template's three slots."""

    domain: str = ""
    text_type: str = ""
    task_objective: str = ""
    literal: str | None = None  # byte-exact, trailing space included
    # The same purpose as one imperative sentence, for models trained with "Instruct: ..." prompts.
    task_sentence: str = ""

    def render(self) -> str:
        """Return the Instruction as INSTRUCTOR was trained to read it, trailing ': ' included."""
        if self.literal is not None:
            return self.literal
        subject = " ".join(part for part in ("Represent the", self.domain, self.text_type) if part)
        return f"{subject} for {self.task_objective}: " if self.task_objective else f"{subject}: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How a Document becomes Passages."""

    unit: Unit = "passage"  # 'document': one Passage per Document, truncated by the model's window
    max_tokens: int = 200  # of text and context, without the Instruction and special tokens
    context: Context = "heading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Task, Instructions, chunking and defaults of a Collection."""

    name: str
    description: str = ""
    task: Task = "retrieval"
    document: Instruction = field(default_factory=Instruction)
    query: Instruction = field(default_factory=Instruction)
    chunking: Chunking = field(default_factory=Chunking)
    k: int = 10
    threshold: float | None = None

    @property
    def symmetric(self) -> bool:
        """Whether both sides play the same part, and so take the same Instruction."""
        return self.task != "retrieval"

    def instruction(self, side: Side) -> Instruction:
        """The Instruction of one side; the document's on both sides of a symmetric task."""
        return self.document if side == "document" or self.symmetric else self.query

    @classmethod
    def load(cls, name_or_path: str | Path) -> Profile:
        """Read a Profile by name (the user's own before the shipped ones) or from a TOML file.

        Raises: ProfileNotFound: no such name or file. ProfileInvalid: the file breaks the grammar.
        """
        text = str(name_or_path)
        path = expanded(text)
        if text.endswith(".toml") or "/" in text or "\\" in text:
            return _read(path)
        known = profile_files()
        if text not in known:
            raise ProfileNotFound(
                f"no profile is named '{text}'{near_names(text, known)}",
                remedy="see the names with: searchkit profiles list; or name a file: --profile ./my.toml",
            )
        return _read(known[text])

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], *, where: str = "profile") -> Profile:
        """Build a Profile from the tables of its TOML form; unknown keys are errors, not ignored."""
        return _Reader(where).profile(table)

    def to_dict(self) -> dict[str, Any]:
        """The Profile as from_dict reads it, for storing beside a Collection."""
        return {
            "name": self.name,
            "description": self.description,
            "task": self.task,
            "document": _plain(self.document),
            "query": _plain(self.query),
            "chunking": _plain(self.chunking),
            "defaults": {"k": self.k, "threshold": self.threshold},
        }

    def to_toml(self) -> str:
        """The Profile as a TOML file that load reads back as an equal Profile."""
        lines = [f"description = {_toml(self.description)}", f"task = {_toml(self.task)}"]
        sides = (
            {"instruction": self.document}
            if self.symmetric
            else {"document": self.document, "query": self.query}
        )
        tables: dict[str, dict[str, Any]] = {name: _plain(side) for name, side in sides.items()}
        tables["chunking"] = _plain(self.chunking)
        tables["defaults"] = {"k": self.k, "threshold": self.threshold}
        for name, table in tables.items():
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in table.items() if _is_said(key, value)]
        return "\n".join(lines) + "\n"


def profiles_folder() -> Path:
    """Where a user's own profiles are looked for by name."""
    return config_folder() / "profiles"


def is_shipped(profile: Profile) -> bool:
    """Whether a Profile is one of those that come with searchkit, and not changed."""
    path = SHIPPED / f"{profile.name}.toml"
    return path.parent == SHIPPED and path.is_file() and _read(path) == profile


def profile_files() -> dict[str, Path]:
    """Every profile that can be named: shipped ones, overridden by the user's own, sorted by name."""
    found = {path.stem: path for path in SHIPPED.glob("*.toml")}
    with suppress(OSError):  # a config folder that may not be read holds no profile that could be
        found |= {path.stem: path for path in profiles_folder().glob("*.toml")}
    return dict(sorted(found.items()))


def _is_said(key: str, value: object) -> bool:
    return value is not None and (value != "" or key == "literal")  # an empty literal: no Instruction at all


def _toml(value: str | float) -> str:
    # A JSON string is a valid TOML basic string: the same escapes, and nothing is left bare.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(record: Instruction | Chunking) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}


def _read(path: Path) -> Profile:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProfileNotFound(
            f"there is no profile file {path}",
            remedy=f"write one with: searchkit profiles new {path.stem}",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileInvalid(f"{path} is not a readable TOML file: {error}") from error
    return Profile.from_dict({"name": path.stem, **table}, where=str(path))


class _Reader:
    """Checks a profile's tables field by field, so that an error names the field and the file."""

    def __init__(self, where: str) -> None:
        self.where = where

    def profile(self, table: Mapping[str, Any]) -> Profile:
        known = {"name", "description", "task", "instruction", "document", "query", "chunking", "defaults"}
        self._no_others("", table, known)
        task = self._choice("task", table.get("task", "retrieval"), Task)
        document, query = self._sides(table, symmetric=task != "retrieval")
        defaults = self._table("defaults", table.get("defaults", {}))
        self._no_others("defaults.", defaults, {"k", "threshold"})
        threshold = defaults.get("threshold")
        if threshold is not None:
            threshold = self._number("defaults.threshold", threshold, -1.0, 1.0)
        return Profile(
            name=self._text("name", table.get("name", "")) or self._fail("name", "", "a name"),
            description=self._text("description", table.get("description", "")),
            task=task,
            document=document,
            query=query,
            chunking=self._chunking(self._table("chunking", table.get("chunking", {}))),
            k=int(self._number("defaults.k", defaults.get("k", 10), 1, 10_000, whole=True)),
            threshold=threshold,
        )

    def _sides(self, table: Mapping[str, Any], *, symmetric: bool) -> tuple[Instruction, Instruction]:
        if "instruction" in table:
            if not symmetric:
                self._fail("instruction", "one for both sides", "[document] and [query]: retrieval has two")
            if "document" in table or "query" in table:
                self._fail("instruction", "beside [document] or [query]", "one or the other")
            both = self._instruction("instruction", table["instruction"])
            return both, both
        missing = [side for side in ("document", "query") if side not in table]
        if missing:
            self._fail(missing[0], "no such table", "[document] and [query], or [instruction] for both")
        document = self._instruction("document", table["document"])
        query = self._instruction("query", table["query"])
        if symmetric and document != query:
            self._fail(
                "query", "another Instruction than [document]", "one [instruction]: this task is symmetric"
            )
        return document, query

    def _instruction(self, name: str, value: object) -> Instruction:
        table = self._table(name, value)
        self._no_others(f"{name}.", table, {f.name for f in fields(Instruction)})
        texts = {key: self._text(f"{name}.{key}", item) for key, item in table.items() if item is not None}
        if "literal" not in texts and not texts.get("text_type"):
            self._fail(
                f"{name}.text_type", "nothing", "the kind of text ('document'), or a literal Instruction"
            )
        if "literal" in texts and texts.keys() & {"domain", "text_type", "task_objective"}:
            slots = any(texts.get(key) for key in ("domain", "text_type", "task_objective"))
            if slots:
                self._fail(f"{name}.literal", "a literal beside template slots", "one or the other")
        return Instruction(**texts)

    def _chunking(self, table: Mapping[str, Any]) -> Chunking:
        self._no_others("chunking.", table, {f.name for f in fields(Chunking)})
        return Chunking(
            unit=self._choice("chunking.unit", table.get("unit", "passage"), Unit),
            max_tokens=int(
                self._number("chunking.max_tokens", table.get("max_tokens", 200), 16, 100_000, whole=True)
            ),
            context=self._choice("chunking.context", table.get("context", "heading"), Context),
        )

    def _fail(self, name: str, found: object, expected: str) -> Any:
        raise ProfileInvalid(
            f"{self.where}: '{name}' is {found!r}, expected {expected}",
            remedy="see a valid one with: searchkit profiles show company-docs",
        )

    def _no_others(self, prefix: str, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                raise ProfileInvalid(
                    f"{self.where}: unknown key '{prefix}{key}'{near_names(key, known)}",
                    remedy=f"known here: {', '.join(sorted(known))}",
                )

    def _table(self, name: str, value: object) -> Mapping[str, Any]:
        return value if isinstance(value, Mapping) else self._fail(name, value, "a table")

    def _text(self, name: str, value: object) -> str:
        return value if isinstance(value, str) else self._fail(name, value, "a string")

    def _choice(self, name: str, value: object, kind: Any) -> Any:
        choices = get_args(kind)
        return value if value in choices else self._fail(name, value, f"one of {', '.join(choices)}")

    def _number(self, name: str, value: object, low: float, high: float, *, whole: bool = False) -> float:
        right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not right_type or not low <= value <= high:  # type: ignore[operator]
            self._fail(name, value, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
        return value  # type: ignore[return-value]
