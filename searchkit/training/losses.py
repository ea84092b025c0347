"""What is minimised, over unit vectors of one batch. Knows tensors; nothing of texts or networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

NEVER = float("-inf")


def paper_loss(queries: Tensor, positives: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """INSTRUCTOR's loss (arXiv 2212.09741, section 2.3), both directions.

    A query's own positive is told from the hard negatives of all rows, but not from the other rows'
    positives; a positive's own query is told from all queries.

    Args:
        queries: (n, dim) of length 1.
        positives: (n, dim) of length 1.
        negatives: (m, dim) of length 1; m may be 0, which leaves the second direction.
        temperature: what cosines are divided by.

    Returns: a number.
    """
    own = (queries * positives).sum(1, keepdim=True)
    first = torch.cat([own, queries @ negatives.T], dim=1) / temperature
    second = positives @ queries.T / temperature
    targets = torch.arange(len(queries), device=queries.device)
    return cross_entropy(first, torch.zeros_like(targets)) + cross_entropy(second, targets)


def in_batch_loss(logits: Tensor, kept: Tensor) -> Tensor:
    """Cross-entropy of each row's own candidate among those kept.

    Args:
        logits: (n, c) cosines over the temperature; the candidate of row i that is right is column i.
        kept: (n, c) bool, which candidates take part; the right one always does.

    Returns: a number.
    """
    targets = torch.arange(len(logits), device=logits.device)
    return cross_entropy(logits.masked_fill(~kept, NEVER), targets)


def likely_positives(cosines: Tensor, own: Tensor, margin: float) -> Tensor:
    """Candidates that are nearer to a query than its positive is by more than the margin.

    Args:
        cosines: (n, c) of queries to candidates.
        own: (n,) of queries to their positives.
        margin: may be negative.

    Returns: (n, c) bool.
    """
    return cosines > own[:, None] + margin


def cosine_anchor(student: Tensor, teacher: Tensor) -> Tensor:
    """1 less the mean cosine of each vector to the teacher's of the same text; both (n, dim) of length 1."""
    return 1 - (student * teacher).sum(1).mean()


def similarity_anchor(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """How far the texts' similarities to each other are from the teacher's: the mean divergence of rows.

    student and teacher: (n, dim) of length 1, where the two dims may differ; n at least 2.
    """
    others = ~torch.eye(len(student), dtype=torch.bool, device=student.device)

    def rows(vectors: Tensor) -> Tensor:
        similarities = vectors @ vectors.T / temperature
        return similarities[others].view(len(vectors), -1)

    return kl_div(log_softmax(rows(student), dim=1), softmax(rows(teacher), dim=1), reduction="batchmean")
