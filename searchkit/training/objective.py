"""From the vectors of a batch to its loss: which candidates take part, what is added. Knows no networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from searchkit.arrays import Float32Matrix, Int64Vector
from searchkit.training.batches import Batch
from searchkit.training.examples import Pair
from searchkit.training.losses import (
    cosine_anchor,
    in_batch_loss,
    likely_positives,
    paper_loss,
    similarity_anchor,
)
from searchkit.training.settings import PAPER, AnchorSettings, LossSettings

# (instruction, text) pairs to (n, dim) rows of length 1, by a model that stays as it is.
Embed: TypeAlias = Callable[[Sequence[Pair]], Float32Matrix]
BoolMatrix: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """The student's vectors of a batch, each (rows, dim) of length 1."""

    queries: Tensor
    positives: Tensor
    negatives: Tensor
    anchored: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A recipe's loss, ready for batches."""

    loss: LossSettings
    anchor: AnchorSettings
    groups: Mapping[str, Mapping[str, int]]  # of texts, by task; {} where they are not asked for
    guide: Embed | None  # None: no guide, or the student itself
    teacher: Embed | None

    def name_for(self, task: str) -> str:
        """The loss that a task's batches have."""
        return self.loss.tasks.get(task, self.loss.name)

    def of(self, batch: Batch, vectors: Vectors, anchored: Sequence[str]) -> dict[str, Tensor]:
        """Parts of the batch's loss, which add up to it.

        anchored: the texts that `vectors.anchored` are of.
        """
        name = self.name_for(batch.task)
        if name == PAPER:
            parts = {
                name: paper_loss(vectors.queries, vectors.positives, vectors.negatives, self.loss.temperature)
            }
        else:
            parts = {name: self._in_batch(batch, vectors)}
        if self.teacher is not None and anchored:
            instruction = self.anchor.teacher_instruction
            given = self.teacher([(instruction, text) for text in anchored])
            teacher = torch.from_numpy(given).to(vectors.anchored.device)
            parts["anchor"] = self.anchor.weight * (
                cosine_anchor(vectors.anchored, teacher)
                if self.anchor.kind == "cosine"
                else similarity_anchor(vectors.anchored, teacher, self.anchor.temperature)
            )
        return parts

    def _in_batch(self, batch: Batch, vectors: Vectors) -> Tensor:
        queries, positives = vectors.queries, vectors.positives
        texts = Texts.of(batch, self.groups.get(batch.task, {}))
        judged = self._judged(batch, vectors)
        margin, temperature = self.loss.margin, self.loss.temperature
        own = None if judged is None else (judged.queries * judged.positives).sum(1)

        def kept(wrong: BoolMatrix, judge: Callable[[Vectors], Tensor], free: BoolMatrix) -> Tensor:
            """Candidates neither wrong to push away nor likely positives; `free` ones are not judged."""
            allowed = torch.from_numpy(~wrong).to(queries.device)
            if judged is None or own is None:
                return allowed
            likely = likely_positives(judge(judged), own, margin)
            return allowed & ~(likely & ~torch.from_numpy(free).to(queries.device))

        none = np.zeros((len(queries), len(queries)), dtype=np.bool_)
        right = np.eye(len(queries), dtype=np.bool_)
        tied = texts.tied_rows()  # (n, n): rows whose texts say the same
        own_negatives = batch.owners[None, :] == np.arange(len(queries))[:, None]
        logits = [queries @ positives.T]
        masks = [kept(tied & ~right, lambda v: v.queries @ v.positives.T, right)]
        if len(batch.negatives):
            logits.append(queries @ vectors.negatives.T)
            free = np.zeros_like(own_negatives) if self.loss.guard_own else own_negatives
            masks.append(kept(texts.tied_negatives(own_negatives), lambda v: v.queries @ v.negatives.T, free))
        if self.loss.queries:
            logits.append(queries @ queries.T)
            masks.append(kept(tied | right, lambda v: v.queries @ v.queries.T, none))
        if self.loss.positives:
            logits.append(positives @ positives.T)
            masks.append(kept(tied | right, lambda v: v.positives @ v.positives.T, none))
        loss = in_batch_loss(torch.cat(logits, dim=1) / temperature, torch.cat(masks, dim=1))
        if self.loss.reverse:
            back = kept(tied & ~right, lambda v: v.positives @ v.queries.T, right)
            loss = loss + in_batch_loss(positives @ queries.T / temperature, back)
        return loss

    def _judged(self, batch: Batch, vectors: Vectors) -> Vectors | None:
        """The vectors by whose cosines likely positives are told; without gradients. None for no guide."""
        if self.loss.guide == "none":
            return None
        if self.guide is None:
            three = (one.detach() for one in (vectors.queries, vectors.positives, vectors.negatives))
            queries, positives, negatives = three
        else:
            # What a guide is asked is how alike texts are, whatever the Instruction.
            pairs = [("", text) for _, text in (*batch.queries, *batch.positives, *batch.negatives)]
            rows = torch.from_numpy(self.guide(pairs)).to(vectors.queries.device)
            sizes = [len(batch.queries), len(batch.positives), len(batch.negatives)]
            queries, positives, negatives = torch.split(rows, sizes)
        return Vectors(queries=queries, positives=positives, negatives=negatives, anchored=queries[:0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Which texts of a batch say the same: equal ones, and those of one group."""

    queries: Int64Vector  # (n,) equal numbers for equal texts
    positives: Int64Vector
    negatives: Int64Vector
    query_groups: Int64Vector  # (n,) equal numbers for texts of one group
    negative_groups: Int64Vector  # (m,)

    @classmethod
    def of(cls, batch: Batch, groups: Mapping[str, int]) -> Texts:
        """Number the texts of a batch."""
        numbers: dict[str, int] = {}

        def numbered(pairs: Sequence[Pair]) -> Int64Vector:
            return np.array([numbers.setdefault(text.strip(), len(numbers)) for _, text in pairs], dtype=int)

        def grouped(pairs: Sequence[Pair], unknown: int) -> Int64Vector:
            # A text of no group is alone in one of its own.
            return np.array([groups.get(text, unknown - at) for at, (_, text) in enumerate(pairs)], dtype=int)

        return cls(
            queries=numbered(batch.queries),
            positives=numbered(batch.positives),
            negatives=numbered(batch.negatives),
            query_groups=grouped(batch.queries, -1),
            negative_groups=grouped(batch.negatives, -1 - len(batch.queries)),
        )

    def tied_rows(self) -> BoolMatrix:
        """(n, n) whether two rows share a query, a positive or a group."""
        queries, positives = self.queries, self.positives
        return (
            _equal(self.query_groups, self.query_groups)
            | _equal(queries, queries)
            | _equal(positives, positives)
            | _equal(queries, positives)
            | _equal(positives, queries)
        )

    def tied_negatives(self, own: BoolMatrix) -> BoolMatrix:
        """(n, m) whether a negative says what the row's query or positive says.

        own: (n, m) whether it is the row's own negative: then the data's word goes before the groups.
        """
        equal = _equal(self.positives, self.negatives) | _equal(self.queries, self.negatives)
        return equal | (_equal(self.query_groups, self.negative_groups) & ~own)


def _equal(rows: Int64Vector, columns: Int64Vector) -> BoolMatrix:
    """(rows, columns) where they are equal."""
    found: BoolMatrix = np.equal(rows[:, None], columns)
    return found
