"""Labelled texts of a file, and labelled vectors as examples: what belongs together, what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchkit.analysis.classifier_fitting import Examples
from searchkit.arrays import BoolVector, Float32Matrix, Int64Vector
from searchkit.collection.recipe import recipe_of
from searchkit.documents.table import CSV, JSONL, table_rows
from searchkit.embedding.embedder import Embedder
from searchkit.errors import LibraryDamaged, ModelError, UsageError, near_names
from searchkit.library.classifiers import Origin
from searchkit.library.document_labels import NotOne, label_of
from searchkit.profile import Profile
from searchkit.records import Failure

LEAST = 2  # different texts of a class: one to learn from while the other is asked
UNIT_TOLERANCE = 1e-3
SHOWN = 12  # names in an error
CONFLICTS_KEPT = 1_000
LINES = (".txt", ".md")  # files with a text on each line
TOGETHER = 1_024  # texts embedded at a time

OnEmbedded = Callable[[int, int], None]  # told how many texts of how many are embedded


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A text with differing labels. where: lines of the file, or Documents."""

    text: str
    labels: tuple[str, ...]
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled vectors and what is to be told of them. vectors: (n, dim); labels: n; groups: (n,)."""

    vectors: Float32Matrix
    labels: Sequence[str]
    groups: Int64Vector
    origin: Origin
    profile: Profile
    recipe: Mapping[str, str]
    repeated: int = 0
    contradicting: int = 0
    conflicts: tuple[Conflict, ...] = ()
    unlabelled: int = 0
    failed: tuple[Failure, ...] = ()
    truncated: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Texts with labels, the line of each, and the rows that could not be used."""

    rows: Sequence[tuple[str, str]]
    lines: Sequence[int]
    failed: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """Texts without labels, the line of each, from 1, and the rows that could not be used."""

    texts: Sequence[str]
    lines: Sequence[int]
    failed: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Different:
    """The different texts of a file with the label of each; those with several labels are left out."""

    texts: Sequence[str]
    labels: Sequence[str]
    repeated: int  # texts in several rows
    conflicts: tuple[Conflict, ...]


# -------------------------------------------------------------------- files


def read_file(path: Path, label_field: str, text_field: str) -> ReadFile:
    """The labelled rows of a file. Raises: UsageError: it cannot be read, or has no such fields."""
    failed: list[Failure] = []
    rows, lines, known = [], [], Counter[str]()
    for row in table_rows(path, failed.append):
        known.update(map(str, row.fields))
        try:
            text = _text(row.value(text_field), text_field)
            label = label_of(row.value(label_field))
            if label is None:
                raise NotOne(f"has no '{label_field}'")
        except NotOne as found:
            failed.append(Failure(document=f"{path.name}, line {row.line}", reason=str(found)))
            continue
        rows.append((text, label))
        lines.append(row.line)
    if not rows:
        raise _no_rows(path, (label_field, text_field), known, failed)
    return ReadFile(rows, lines, _printable(failed))


def read_texts(path: Path, text_field: str) -> ReadTexts:
    """The texts of a table's rows, or of any other text a line each; what is blank is passed over.

    Raises: UsageError: it cannot be read, is of another kind, or has no such field.
    """
    if path.suffix.lower() in LINES:
        try:
            return lines_of(path.read_bytes(), path.name)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}", remedy="name another file"
            ) from error
    if path.suffix.lower() not in (*CSV, *JSONL):
        raise UsageError(
            f"{path} is of a kind of which texts are not read ({path.suffix or 'no suffix'})",
            remedy=f"expected {', '.join((*JSONL, *CSV))} with a row for each text (of JSON, an object on a "
            f"line each), or {', '.join(LINES)} with a text on each line, or such lines piped in: --file -",
        )
    failed: list[Failure] = []
    texts, lines, known = [], [], Counter[str]()
    for row in table_rows(path, failed.append):
        known.update(map(str, row.fields))
        try:
            texts.append(_text(row.value(text_field), text_field))
            lines.append(row.line)
        except NotOne as found:
            failed.append(Failure(document=f"{path.name}, line {row.line}", reason=str(found)))
    if not texts:
        raise _no_rows(path, (text_field,), known, failed)
    return ReadTexts(texts, lines, _printable(failed))


def lines_of(content: bytes, name: str) -> ReadTexts:
    """A text on each line. name: of the file, for messages. Raises: UsageError: there is none."""
    try:
        every = content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} cannot be read: byte {error.start:,} is no UTF-8", remedy="save it as UTF-8"
        ) from error
    found = {number: text for number, line in enumerate(every, start=1) if (text := line.strip())}
    if not found:
        raise UsageError(f"{name} holds no text", remedy="expected one on each line")
    return ReadTexts(list(found.values()), list(found), ())


def _printable(failed: Sequence[Failure]) -> tuple[Failure, ...]:
    return tuple(Failure(document=encodable(one.document), reason=encodable(one.reason)) for one in failed)


def _no_rows(
    path: Path, wanted: Sequence[str], known: Mapping[str, int], failed: Sequence[Failure]
) -> UsageError:
    for name in wanted:
        if known and name not in known and "." not in name:
            option = {"text": "--text-field", "label": "--label-field"}
            which = option["text" if name == wanted[-1] else "label"]
            names = list(known)
            return UsageError(
                f"{path.name} has no field '{name}'{near_names(name, names)}",
                remedy=f"name the right one with {which}; there are: {', '.join(names[:SHOWN])}"
                " (the first line of a CSV file names its columns)",
            )
    first = f"; the first: {failed[0].document} {failed[0].reason}" if failed else ""
    return UsageError(
        f"{path.name} holds no row that can be used{first}",
        remedy=f"expected rows with {' and '.join(repr(name) for name in wanted)}",
    )


def encodable(text: str) -> str:
    """A text that can be stored and printed: halves of surrogate pairs, as in odd file names, become '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain(text: str) -> str:
    """A text as it is embedded: as the readers of tables give it."""
    return encodable(text.strip())


def _text(value: Any, name: str) -> str:
    if value is None:
        raise NotOne(f"has no '{name}'")
    if not isinstance(value, str):
        raise NotOne(f"'{name}' is a JSON {_kind(value)}, expected a text")
    if not (text := plain(value)):
        raise NotOne(f"'{name}' is empty")
    return text


def _kind(value: Any) -> str:
    names = {bool: "truth value", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)


def different(read: ReadFile) -> Different:
    """Each text once, but for case and blanks: rows that repeat it are no evidence of their own."""
    rows_of: dict[str, list[int]] = {}
    for row, (text, _) in enumerate(read.rows):
        rows_of.setdefault(" ".join(text.split()).casefold(), []).append(row)
    kept, conflicts = [], []
    for rows in rows_of.values():
        labels = tuple(dict.fromkeys(read.rows[row][1] for row in rows))
        if len(labels) == 1:
            kept.append(rows[0])
        else:
            lines = tuple(f"line {read.lines[row]}" for row in rows)
            conflicts.append(Conflict(text=read.rows[rows[0]][0], labels=labels, where=lines))
    return Different(
        texts=[read.rows[row][0] for row in kept],
        labels=[read.rows[row][1] for row in kept],
        repeated=sum(len(rows) > 1 for rows in rows_of.values()),
        conflicts=tuple(conflicts),
    )


def embedded_file(
    read: ReadFile, embedder: Embedder, profile: Profile, told: str, on_embedded: OnEmbedded
) -> Labelled:
    """The different texts of a file with their vectors. told: what the file and its field are called."""
    found = different(read)
    vectors, cut = embedded(embedder, profile, found.texts, on_embedded)
    return Labelled(
        vectors=vectors,
        labels=found.labels,
        groups=np.arange(len(found.texts)),
        origin=Origin(told=encodable(told)),
        profile=profile,
        recipe=recipe_of(embedder, profile),
        repeated=found.repeated,
        contradicting=len(found.conflicts),
        conflicts=found.conflicts[:CONFLICTS_KEPT],
        failed=read.failed,
        truncated=int(cut.sum()),
        notices=embedder.notices_for(profile),
    )


def embedded(
    embedder: Embedder, profile: Profile, texts: Sequence[str], on_embedded: OnEmbedded
) -> tuple[Float32Matrix, BoolVector]:
    """Vectors of texts under the one Instruction of both sides, and which texts are longer than is read.

    Raises: ModelError: a vector is no direction.
    """
    instruction = embedder.instruction_for(profile, "document")
    vectors = np.empty((len(texts), embedder.dim), dtype=np.float32)
    cut = np.zeros(len(texts), dtype=np.bool_)
    for start in range(0, len(texts), TOGETHER):
        some = embedder.embed_counted(texts[start : start + TOGETHER], instruction)
        vectors[start : start + TOGETHER] = some.vectors
        cut[start : start + TOGETHER] = some.truncated
        on_embedded(min(start + TOGETHER, len(texts)), len(texts))
    if (odd := directionless(vectors)).any():
        raise ModelError(
            f"'{embedder.model}' gave {int(odd.sum()):,} vectors that are not of length 1",
            remedy="use another model: --model",
        )
    return vectors, cut


# -------------------------------------------------------------------- examples


def directionless(vectors: Float32Matrix) -> BoolVector:
    """Which vectors are not of length 1; those that hold NaN are not."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    odd: BoolVector = ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)
    return odd


def require_directions(name: str, vectors: Float32Matrix) -> None:
    """Raise LibraryDamaged unless all vectors are of length 1; NaN is not."""
    odd = directionless(vectors)
    if odd.any():
        raise LibraryDamaged(
            f"{int(odd.sum()):,} vectors of '{name}' are no directions, expected a length of 1",
            remedy=f"see which: searchkit verify {name}",
        )


def require_classes(labels: Sequence[str], field: str) -> None:
    """Raise UsageError unless there are two classes."""
    if len(found := set(labels)) < 2:
        raise UsageError(
            f"all {len(labels):,} have the same '{field}': {next(iter(found), 'none')!r}",
            remedy="expected at least two classes to tell apart",
        )


def differing(texts: int) -> str:
    """So many texts contradict themselves, in words."""
    return f"{texts:,} text{'' if texts == 1 else 's'} with differing labels"


def examples_of(found: Labelled) -> tuple[Examples, tuple[tuple[str, int], ...]]:
    """Examples of the classes with enough different texts, and the classes that are left out.

    Raises: UsageError: fewer than two are left.
    """
    pairs = set(zip(found.labels, found.groups.tolist(), strict=True))
    sizes = Counter(label for label, _ in pairs)
    classes = tuple(sorted(label for label, size in sizes.items() if size >= LEAST))
    left_out = tuple(sorted((label, size) for label, size in sizes.items() if size < LEAST))
    if len(classes) < 2:
        shown = ", ".join(label[:40] for label, _ in left_out[:SHOWN])
        few = f"; too few have: {shown}{' ...' if len(left_out) > SHOWN else ''}" if left_out else ""
        odd = f"; left out: {differing(found.contradicting)}" if found.contradicting else ""
        raise UsageError(
            f"{len(classes)} of {len(sizes):,} classes have {LEAST} different texts or documents, expected "
            f"two such{few}{odd}",
            remedy="label more texts of each class, or name another field",
        )
    number = {label: row for row, label in enumerate(classes)}
    kept = [row for row, label in enumerate(found.labels) if label in number]
    labels = np.array([number[found.labels[row]] for row in kept], dtype=np.int64)
    return Examples(found.vectors[kept], labels, found.groups[kept], classes), left_out
