"""What is evaluated: a judged set of a kind, found in files, and under which Instructions.

A suite is a TOML file:

    data = "../sets"               # folder of the paths below; default the file's own

    [[task]]
    name = "claims"                # default the path's last part
    path = "retrieval/scifact"
    kind = "retrieval"             # default: by the layout, see sets.py
    split = "validation"           # of a retrieval set
    labels = ["topic"]             # columns of a labelled set; default 'label'
    profile = "scientific-retrieval"
    paper = "SciFact"              # whose figures of the paper stand beside it
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from searchkit.errors import DataInvalid, UsageError, near_names
from searchkit.evaluation import sets
from searchkit.evaluation.labelled import measure_classification, measure_clustering, split
from searchkit.evaluation.measured import Encode, Kind, Measured
from searchkit.evaluation.prompting import Completer, measure_prompts
from searchkit.evaluation.retrieval import measure_reranking, measure_retrieval
from searchkit.evaluation.rows import SUFFIXES, rows_of
from searchkit.evaluation.similarity import measure_judgement, measure_pairs, measure_sts

KINDS: tuple[str, ...] = get_args(Kind)
TRAIN_SHARE = 0.5  # of a labelled set without a part to learn from
_BY_FIELDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("reranking", frozenset({"query", "positive", "negative"})),
    ("judgement", frozenset({"hyp", "refs", "human_score"})),
    ("pairs", frozenset({"a", "b", "label"})),
    ("sts", frozenset({"a", "b", "score"})),
    ("clustering", frozenset({"text", "label"})),
    ("prompts", frozenset({"text", "answer"})),
)
_KEYS = frozenset({"name", "path", "kind", "split", "labels", "profile", "paper"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A judged set in files, and what is asked of it."""

    name: str
    kind: Kind
    path: Path
    split: str | None = None
    labels: tuple[str, ...] = ("label",)
    profile: str | None = None
    paper: str | None = None
    notes: tuple[str, ...] = field(default=())


def task_at(path: Path, **wanted: Any) -> Task:
    """The Task of a folder or file; its kind by its layout where none is given. Raises: UsageError."""
    if not path.exists():
        raise UsageError(
            f"there is no {path}", remedy="name a folder or file of a judged set, or a suite.toml"
        )
    wanted = {name: value for name, value in wanted.items() if value is not None}
    kind = wanted.pop("kind", None) or _kind_of(path)
    if kind not in KINDS:
        raise UsageError(
            f"'{kind}' is no kind of task{near_names(kind, KINDS)}", remedy=f"expected {', '.join(KINDS)}"
        )
    name = wanted.pop("name", None) or sets.named(path)
    return Task(name=name, kind=kind, path=path, **wanted)


def named(targets: Sequence[Path], **wanted: Any) -> list[Task]:
    """The Tasks of folders and files, and of suites among them, each of a name of its own.

    Raises: UsageError: two are called the same; and as task_at and suite do.
    """
    made = [
        task
        for target in targets
        for task in (suite(target) if target.suffix == ".toml" else [task_at(target, **wanted)])
    ]
    for place, one in enumerate(made):
        for other in made[:place]:
            if other.name == one.name:
                raise UsageError(
                    f"{other.path} and {one.path} are both called '{one.name}'",
                    remedy='name them apart in a suite.toml: name = "..." under each [[task]]',
                )
    return made


def suite(file: Path) -> list[Task]:
    """Read a suite. Raises: DataInvalid: a key or a type is wrong. UsageError: a path is not there."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataInvalid(f"{file}: {error}") from error
    tasks = table.get("task")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(one, dict) for one in tasks):
        raise DataInvalid(f"{file} names no task", remedy='expected tables [[task]] with path = "..."')
    _no_others(file, table, {"data", "task"})
    root = file.parent / str(table.get("data", "."))
    made = [_of_suite(file, root, one) for one in tasks]
    names = [one.name for one in made]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataInvalid(
            f"{file}: two tasks are named {twice[0]!r}", remedy='give one another: name = "..."'
        )
    return made


def run(task: Task, encode: Encode, completer: Completer | None = None) -> Mapping[str, Measured]:
    """Read the set and measure. Returns: what was found by name; several where a set has several labellings.

    completer: the language model that a Task of kind 'prompts' asks. Raises: UsageError: there is none;
    UsageError, DataInvalid: see sets.py.
    """
    if task.kind == "retrieval":
        return {task.name: measure_retrieval(sets.read_retrieval(task.path, task.split), encode)}
    if task.kind in ("clustering", "classification"):
        return _labelled(task, encode)
    if task.kind == "prompts":
        if completer is None:
            raise UsageError(
                f"task '{task.name}' asks a language model for answers, and none is named",
                remedy="name a folder or an id: --completer openai-community/gpt2",
            )
        return {task.name: measure_prompts(*_examples_and_questions(task), encode, completer)}
    file = file_of(task.path, task.split)
    if task.kind == "reranking":
        return {task.name: measure_reranking(sets.read_reranking(file), encode)}
    if task.kind == "judgement":
        return {task.name: measure_judgement(sets.read_judgement(file), encode)}
    if task.kind == "pairs":
        return {task.name: measure_pairs(sets.read_pairs(file), encode)}
    return {task.name: measure_sts(sets.read_scored(file), encode)}


def result_names(task: Task) -> list[str]:
    """What the results of a Task are called: by it, and by the labelling where there are several."""
    several = task.kind in ("clustering", "classification") and len(task.labels) > 1
    return [f"{task.name}/{column}" for column in task.labels] if several else [task.name]


def _labelled(task: Task, encode: Encode) -> Mapping[str, Measured]:
    if task.kind == "clustering":
        found = measure_clustering(sets.read_labelled(file_of(task.path, task.split), task.labels), encode)
    else:
        found = measure_classification(*to_learn_and_to_ask(task), encode)
    return dict(zip(result_names(task), found.values(), strict=True))


def _examples_and_questions(task: Task) -> tuple[sets.PromptSet, sets.PromptSet]:
    """train.* and test.* of a folder, or the part that the split names in place of test."""
    part = task.split or "test"
    if not task.path.is_dir():
        raise UsageError(
            f"{task.path} is one file: whose are the examples?",
            remedy=f"expected a folder with train.jsonl (text, answer) and {part}.jsonl",
        )
    train, test = (_rows_named(task.path, name) for name in ("train", part))
    if train is None or test is None:
        raise UsageError(
            f"{task.path} has no file '{part if train else 'train'}'",
            remedy=f"expected train.jsonl with examples (text, answer) and {part}.jsonl with questions",
        )
    return sets.read_prompts(train), sets.read_prompts(test)


def to_learn_and_to_ask(task: Task) -> tuple[sets.LabelledSet, sets.LabelledSet]:
    """train.* and test.* of a folder; of one file a random half each, without equal texts in both.

    Raises: UsageError, DataInvalid: see sets.py.
    """
    if (
        task.path.is_dir()
        and (train := _rows_named(task.path, "train"))
        and (test := _rows_named(task.path, "test"))
    ):
        return sets.read_labelled(train, task.labels), sets.read_labelled(test, task.labels)
    return split(sets.read_labelled(file_of(task.path, task.split), task.labels), TRAIN_SHARE)


def file_of(path: Path, part: str | None = None) -> Path:
    """The file of rows that a folder means: that of its split, 'test', or its only one."""
    if path.is_file():
        return path
    there = sorted(one for one in path.iterdir() if _suffixed(one))
    if part is not None:
        there = [one for one in there if one.name.split(".")[0] == part]
    for one in there:
        if len(there) == 1 or one.name.split(".")[0] == "test":
            return one
    raise UsageError(
        f"{path} has {len(there) or 'no'} files of rows" + (f" named '{part}'" if part else ""),
        remedy=f"name one: {', '.join(one.name for one in there)}"
        if there
        else f"expected {', '.join(SUFFIXES)}",
    )


def _rows_named(folder: Path, stem: str) -> Path | None:
    return next(
        (one for one in sorted(folder.iterdir()) if _suffixed(one) and one.name.split(".")[0] == stem), None
    )


def _suffixed(path: Path) -> bool:
    return path.is_file() and path.name.removesuffix(".gz").endswith(SUFFIXES)


def _kind_of(path: Path) -> Kind:
    if path.is_dir() and any((path / f"corpus.jsonl{end}").exists() for end in ("", ".gz")):
        return "retrieval"
    file = file_of(path)
    first = next(rows_of(file), None)
    if first is None:
        raise DataInvalid(f"{file} holds no rows")
    for kind, names in _BY_FIELDS:
        if names <= set(first.fields):
            return kind
    raise first.wrong(
        f"no kind of task has the columns {', '.join(map(repr, first.fields))}",
        "expected "
        + "; or ".join(", ".join(sorted(names)) for _, names in _BY_FIELDS)
        + "; or name it: --kind",
    )


def _of_suite(file: Path, root: Path, table: Mapping[str, Any]) -> Task:
    _no_others(file, table, _KEYS)
    if not isinstance(table.get("path"), str):
        raise DataInvalid(f"{file}: a task has no path", remedy='expected path = "folder of the set"')
    for key, value in table.items():
        if key == "labels":
            if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
                raise DataInvalid(f"{file}: labels = {value!r}, expected a list of columns")
        elif not isinstance(value, str):
            raise DataInvalid(f"{file}: {key} = {value!r}, expected a text")
    known = dict(table)
    path = root / known.pop("path")
    if "labels" in known:
        known["labels"] = tuple(known["labels"])
    if (profile := known.get("profile")) is not None and profile.endswith(".toml"):
        known["profile"] = str(file.parent / profile)
    return task_at(path, **known)


def _no_others(
    file: Path, table: Mapping[str, Any], known: Sequence[str] | frozenset[str] | set[str]
) -> None:
    for key in table:
        if key not in known:
            raise DataInvalid(
                f"{file}: there is no key '{key}'{near_names(key, known)}",
                remedy=f"expected {', '.join(sorted(known))}",
            )
