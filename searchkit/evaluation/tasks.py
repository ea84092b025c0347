"""What is evaluated: a judged set of a kind, found in files, and under which Instructions.

A suite is a TOML file:

    data = "../sets"               # folder of the paths below; default the file's own

    [[task]]
    name = "claims"                # default the path's last part
    path = "retrieval/scifact"
    kind = "retrieval"             # default: by the layout, see sets.py
    split = "validation"           # a part of it: queries of that split, or the file so named
    labels = ["topic"]             # columns of a labelled set; default 'label'
    per_label = 32                 # texts of each label that classification learns from; default 16
    profile = "scientific-retrieval"
    paper = "SciFact"              # whose figures of the paper stand beside it
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchkit.errors import DataInvalid, UsageError, near_names
from searchkit.evaluation import sets
from searchkit.evaluation.kinds import KINDS, LABELLED, Kind
from searchkit.evaluation.labelled import PER_LABEL, measure_classification, measure_clustering, split
from searchkit.evaluation.measured import Encode, Measured
from searchkit.evaluation.prompting import Completer, measure_prompts
from searchkit.evaluation.retrieval import measure_reranking, measure_retrieval
from searchkit.evaluation.rows import SUFFIXES, rows_of
from searchkit.evaluation.similarity import measure_judgement, measure_pairs, measure_sts

TRAIN_SHARE = 0.5  # of a labelled set without a part to learn from
HALVED = (
    "without a file 'train' to learn from, a random half of the texts was learned from and the other asked: "
    "published figures, which have a part of their own to learn from, do not compare"
)
_BY_FIELDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("reranking", frozenset({"query", "positive", "negative"})),
    ("judgement", frozenset({"hyp", "refs", "human_score"})),
    ("pairs", frozenset({"a", "b", "label"})),
    ("sts", frozenset({"a", "b", "score"})),
    ("clustering", frozenset({"text", "label"})),
    ("retrieval", frozenset({"text", "group"})),
    ("prompts", frozenset({"text", "answer"})),
)
_KEYS = frozenset({"name", "path", "kind", "split", "labels", "per_label", "profile", "paper"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A judged set in files, and what is asked of it."""

    name: str
    kind: Kind
    path: Path
    split: str | None = None
    labels: tuple[str, ...] = ("label",)
    per_label: int = PER_LABEL
    profile: str | None = None
    paper: str | None = None


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
    task = Task(name=name, kind=kind, path=path, **wanted)
    _check(task, wanted)
    return task


def _check(task: Task, wanted: Mapping[str, Any]) -> None:
    """Raise UsageError where something is asked of a Task that would be passed over."""
    for key, kinds in (("labels", LABELLED), ("per_label", ("classification",))):
        if key in wanted and task.kind not in kinds:
            raise UsageError(
                f"task '{task.name}' is of kind '{task.kind}', which has no {key}",
                remedy=f"leave it out, or name the kind: {' or '.join(kinds)}",
            )
    if len(set(task.labels)) < len(task.labels):
        raise UsageError(f"task '{task.name}': a column of labels is named twice: {', '.join(task.labels)}")
    if task.per_label < 1:
        raise UsageError(f"task '{task.name}': per_label is {task.per_label}, expected 1 or more")
    if task.split is not None and task.path.is_file():
        raise UsageError(
            f"{task.path} is one file, which has no split '{task.split}'",
            remedy="leave the split out, or name a folder that has a file for each",
        )


def named(targets: Sequence[Path], **wanted: Any) -> list[Task]:
    """The Tasks of folders and files, and of suites among them, each of a name of its own.

    Raises: UsageError: two are called the same, or something is wanted of a suite, which says it itself; and
    as task_at and suite do.
    """
    said = [name for name, value in wanted.items() if value is not None]
    for target in targets:
        if target.suffix == ".toml" and said:
            raise UsageError(
                f"{target} says itself of what kind and part each of its sets is",
                remedy=f"write it there: {said[0]} = ...",
            )
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
        return {task.name: measure_retrieval(to_search(task), encode)}
    if task.kind in ("clustering", "classification"):
        return _labelled(task, encode)
    if task.kind == "prompts":
        if completer is None:
            raise UsageError(
                f"task '{task.name}' asks a language model for answers, and none is named",
                remedy="name a folder or an id: --completer openai-community/gpt2",
            )
        examples, questions = map(sets.read_prompts, files(task))
        return {task.name: measure_prompts(examples, questions, encode, completer)}
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
        found = measure_classification(*to_learn_and_to_ask(task), encode, per_label=task.per_label)
        if len(files(task)) == 1:  # nothing to learn from was given
            found = {column: replace(one, notes=(HALVED,)) for column, one in found.items()}
    return dict(zip(result_names(task), found.values(), strict=True))


def to_search(task: Task) -> sets.RetrievalSet:
    """The set of a Task of retrieval: a folder in BEIR's layout, or texts in groups."""
    found = files(task)
    return sets.read_groups(found[0]) if len(found) == 1 else sets.read_retrieval(task.path, task.split)


def files(task: Task) -> tuple[Path, ...]:
    """The files that a Task is read from, and no others of its folder. Raises: UsageError: one is missing."""
    if task.kind == "retrieval" and _is_beir(task.path):
        return sets.retrieval_files(task.path, task.split)
    if task.kind == "prompts":
        return _examples_and_questions(task)
    if task.kind == "classification" and task.path.is_dir() and task.split != "train":
        train, test = (_rows_named(task.path, part) for part in ("train", task.split or "test"))
        if train is not None and test is not None:
            return train, test
    return (file_of(task.path, task.split),)


def _examples_and_questions(task: Task) -> tuple[Path, Path]:
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
    return train, test


def to_learn_and_to_ask(task: Task) -> tuple[sets.LabelledSet, sets.LabelledSet]:
    """train.* and test.* of a folder; of one file a random half each, equal texts on one side.

    Raises: UsageError, DataInvalid: see sets.py; DataInvalid: nothing can be learned that is asked.
    """
    found = [sets.read_labelled(file, task.labels) for file in files(task)]
    known, asked = split(found[0], TRAIN_SHARE) if len(found) == 1 else found
    for column in task.labels:
        there, wanted = set(known.labels[column]), set(asked.labels[column])
        if len(there) < 2 or not there & wanted:
            raise DataInvalid(
                f"{task.path}: '{column}' has {len(there)} labels among {len(known.texts)} texts to learn "
                f"from, of which {len(there & wanted)} are among {len(asked.texts)} texts to ask",
                remedy="expected two or more labels to learn, and some of them asked",
            )
    return known, asked


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


def _is_beir(path: Path) -> bool:
    names = (f"{stem}.jsonl{end}" for stem in ("corpus", "queries") for end in ("", ".gz"))
    return path.is_dir() and any((path / name).exists() for name in names)


def _kind_of(path: Path) -> Kind:
    if _is_beir(path):
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
        elif key == "per_label":
            if not isinstance(value, int) or isinstance(value, bool):
                raise DataInvalid(f"{file}: per_label = {value!r}, expected a number of texts")
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
