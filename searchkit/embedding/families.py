"""Model families: which one a checkpoint belongs to. Knows families/*.toml; nothing of networks or files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from searchkit.errors import ModelError, UsageError, near_names
from searchkit.profile import Side, Task

INSTRUCTOR = "instructor"
PLAIN = "plain"
CONFIGURED = "configured"  # made on the spot from the prompts a checkpoint brings along

# Names that sentence-transformers checkpoints give their prompts, in the order we look for them.
DOCUMENT_PROMPTS = ("document", "passage", "corpus", "retrieval.passage", "search_document")
QUERY_PROMPTS = ("query", "retrieval.query", "search_query", "s2p_query")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Templates of what stands before a text; `{instruction}` and `{task}` are filled from the Profile."""

    document: str = ""
    query: str = ""
    symmetric: str | None = None  # both sides of a symmetric task; None: as for a document
    tasks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # both sides of that task

    def template(self, task: Task, side: Side) -> str:
        """The template of one side of a task."""
        if task in self.tasks:
            return self.tasks[task]
        if task != "retrieval":
            return self.document if self.symmetric is None else self.symmetric
        return self.document if side == "document" else self.query


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How Instruction and text become tokens and which of them are pooled."""

    pool_instruction: bool = True
    strip_text: bool = False  # spaces around the text, and around the whole, are no part of it
    strip_instruction: bool = False
    separator: str = ""  # between a non-empty Instruction and the text
    min_mask_tokens: int = 1  # Instructions of fewer tokens are pooled even where pool_instruction is false


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a kind of model takes an Instruction."""

    name: str
    description: str = ""
    names: tuple[str, ...] = ()  # globs, lower case; with '/' over 'owner/model', else over the last part
    models: tuple[str, ...] = ()  # examples on the hub
    model_types: tuple[str, ...] = ()  # of config.json; () for any
    pooling: str = "mean"  # of checkpoints that say nothing about it
    bos_token: str = ""  # must stand first even if the tokenizer does not put it there
    eos_token: str = ""  # must stand last even if the tokenizer does not put it there
    max_tokens: int | None = None  # window of checkpoints that say nothing about it
    prompt: Prompt = field(default_factory=Prompt)
    reading: Reading = field(default_factory=Reading)
    requires_dense: bool = False  # whether a folder without a Dense layer cannot be such a model
    # Least cosine to float32, on any text of the calibration, at which 8 bits are used without being asked
    # for. MiniLM keeps 0.969, and loses nothing in retrieval (docs/LOG.md).
    int8_cosine: float = 0.96
    refused: str = ""  # why searchkit does not load such models; '' where it does


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a checkpoint tells about its family."""

    names: tuple[str, ...] = ()  # as asked for, and the folder's last two parts
    former_name: str = ""  # config.json's _name_or_path: what it was trained from, so weak evidence
    model_type: str = ""
    instructor_layout: bool = False  # T5 encoder, mean, Dense without bias or activation, Normalize
    has_dense: bool | None = None  # None for not known
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    default_prompt: str = ""  # name of the one that ordinary texts get
    marked: str = ""  # a family named by the checkpoint itself


@cache
def families() -> Mapping[str, Family]:
    """All families by name."""
    found: dict[str, Family] = {}
    for file in sorted(resources.files("searchkit").joinpath("families").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            for entry in tomllib.loads(file.read_text(encoding="utf-8"))["family"]:
                family = _family(entry)
                if family.name in found:
                    raise ModelError(f"family '{family.name}' is described twice, again in {file.name}")
                found[family.name] = family
    return MappingProxyType(found)


def family_named(name: str) -> Family:
    """The family of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        return families()[name]
    except KeyError:
        raise UsageError(
            f"no model family '{name}'{near_names(name, families())}",
            remedy=f"known families: {', '.join(sorted(families()))}",
        ) from None


def recognise(evidence: Evidence, model: str) -> tuple[Family, tuple[str, ...]]:
    """Find a checkpoint's family, and what a user should know about how it was found.

    Stronger evidence goes first: the checkpoint's own mark, the name it is asked by, its layout,
    the prompts it brings along, the name it was trained from. INSTRUCTOR, GTR and Sentence-T5 share one
    layout; the first is assumed unless the name says otherwise.

    Raises:
        ModelError: searchkit refuses models of this family, or the folder lacks a layer that they have.
    """
    family, notices = _recognise(evidence, model)
    refuse(family, model)
    if family.requires_dense and evidence.has_dense is False:
        raise ModelError(
            f"'{model}' is a model of the family '{family.name}' by its name, but has no Dense layer: the "
            "copy is partial, and its vectors would be wrong",
            remedy=f"copy or download it again whole; if it has none, say family='{family.name}'",
        )
    return family, notices


def refuse(family: Family, model: str) -> None:
    """Raise ModelError if searchkit refuses models of this family."""
    if family.refused:
        raise ModelError(
            f"'{model}' is a model of the family {family.description}, which searchkit does not load: "
            f"{family.refused}",
            remedy="if the name misleads, name its family: family='plain' or another",
        )


def _recognise(evidence: Evidence, model: str) -> tuple[Family, tuple[str, ...]]:
    if evidence.marked:
        return family_named(evidence.marked), ()
    if named := _by_name(evidence.names, evidence.model_type):
        return named, ()
    if evidence.instructor_layout:
        return families()[INSTRUCTOR], (
            f"'{model}' has the layout of INSTRUCTOR and is read as such: the Instruction is masked from the "
            "mean. If it is a GTR or Sentence-T5 model, say family='sentence-t5'",
        )
    configured = _configured(evidence)
    if any((configured.prompt.document, configured.prompt.query, *configured.prompt.tasks.values())):
        return configured, (
            f"'{model}' is of no known model family: the prompts of its own configuration are used",
        )
    if evidence.former_name and (former := _by_name((evidence.former_name,), evidence.model_type)):
        return former, (
            f"'{model}' is read as a model of the family '{former.name}', because it was made from "
            f"'{evidence.former_name}'. If it was trained otherwise, name its family: family='plain'",
        )
    return families()[PLAIN], (f"'{model}' is of no known model family: texts are embedded as they are",)


def _by_name(names: tuple[str, ...], model_type: str) -> Family | None:
    """The family with the longest pattern that fits one of the names."""
    matches = [
        (len(pattern), family.name)
        for family in families().values()
        if not family.model_types or not model_type or model_type in family.model_types
        for pattern in family.names
        for name in names
        if fnmatchcase(name.lower() if "/" in pattern else name.lower().rsplit("/", 1)[-1], pattern)
    ]
    return families()[max(matches)[1]] if matches else None


def _configured(evidence: Evidence) -> Family:
    """The family that a checkpoint's own prompts make. An empty prompt is one, too: no words."""
    prompts = evidence.prompts

    def first(names: tuple[str, ...], otherwise: str = "") -> str:
        return next((prompts[name] for name in names if name in prompts), otherwise)

    default = prompts.get(evidence.default_prompt, "")
    similarity = first(("STS", "sts", "similarity", "text-matching"))
    of_tasks = {
        "clustering": first(("Clustering", "clustering")),
        "classification": first(("Classification", "classification")),
        "similarity": similarity,
        "duplicates": similarity,
    }
    prompt = Prompt(
        document=first(DOCUMENT_PROMPTS, default),
        query=first(QUERY_PROMPTS, default),
        tasks=MappingProxyType({task: text for task, text in of_tasks.items() if text}),
    )
    return replace(families()[PLAIN], name=CONFIGURED, description="prompts of the checkpoint", prompt=prompt)


def _family(entry: Mapping[str, Any]) -> Family:
    values = dict(entry)
    prompt = dict(values.pop("prompt", {}))
    prompt["tasks"] = MappingProxyType(dict(prompt.get("tasks", {})))
    for key in ("names", "models", "model_types"):
        values[key] = tuple(values.get(key, ()))
    unknown = set(values) - {f.name for f in fields(Family)}
    if unknown:
        raise ModelError(f"family '{values.get('name')}' has unknown keys: {', '.join(sorted(unknown))}")
    values["reading"] = Reading(**values.get("reading", {}))
    return Family(prompt=Prompt(**prompt), **values)
