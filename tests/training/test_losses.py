"""Losses equal plain loops over rows, in value and gradient; what must not be pushed away is left out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from searchkit.training.batches import Batch
from searchkit.training.losses import cosine_anchor, paper_loss, similarity_anchor
from searchkit.training.objective import Objective, Vectors
from searchkit.training.settings import AnchorSettings, LossSettings

TEMPERATURE = 0.05
N, M, DIM = 5, 8, 6


def numbers(seed: int, rows: int) -> Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randn((rows, DIM), generator=made, dtype=torch.float64, requires_grad=True)


def dot(one: Tensor, other: Tensor) -> Tensor:
    return torch.stack([a * b for a, b in zip(one, other, strict=True)]).sum()


def log_share(right: Tensor, candidates: list[Tensor]) -> Tensor:
    """-log of the share of exp(right) among exp(candidates), `right` being one of them."""
    return -torch.log(torch.exp(right) / torch.stack([torch.exp(one) for one in candidates]).sum())


def paper_by_loops(q: Tensor, p: Tensor, neg: Tensor) -> Tensor:
    """L1 + L2 as the paper writes them, row by row."""
    whole = []
    for i in range(len(q)):
        own = dot(q[i], p[i]) / TEMPERATURE
        hard = [dot(q[i], neg[j]) / TEMPERATURE for j in range(len(neg))]
        back = [dot(p[i], q[j]) / TEMPERATURE for j in range(len(q))]
        whole.append(log_share(own, [own, *hard]) + log_share(back[i], back))
    return torch.stack(whole).mean()


def in_batch_by_loops(q: Tensor, p: Tensor, neg: Tensor) -> Tensor:
    """All other positives, negatives and queries, and the positives from each other; and back."""
    whole = []
    for i in range(len(q)):
        own = dot(q[i], p[i]) / TEMPERATURE
        forth = [dot(q[i], one) / TEMPERATURE for one in (*p, *neg)]
        forth += [dot(q[i], q[j]) / TEMPERATURE for j in range(len(q)) if j != i]
        forth += [dot(p[i], p[j]) / TEMPERATURE for j in range(len(q)) if j != i]
        back = [dot(p[i], q[j]) / TEMPERATURE for j in range(len(q))]
        whole.append(log_share(own, forth) + log_share(back[i], back))
    return torch.stack(whole).mean()


def batch(count: int = N, negatives: int = M, texts: str = "") -> Batch:
    """Rows of different texts, the negatives spread over them; `texts` names the positives by letters."""
    positives = [("", letter) for letter in texts] or [("", f"p{at}") for at in range(count)]
    return Batch(
        task="things",
        rows=tuple(range(count)),
        queries=tuple(("", f"q{at}") for at in range(count)),
        positives=tuple(positives),
        negatives=tuple(("", f"n{at}") for at in range(negatives)),
        owners=np.arange(negatives) % count,
    )


def objective(**loss: object) -> Objective:
    settings = LossSettings(**{"temperature": TEMPERATURE, **loss})
    return Objective(loss=settings, anchor=AnchorSettings(), groups={}, guide=None, teacher=None)


def vectors(q: Tensor, p: Tensor, neg: Tensor) -> Vectors:
    return Vectors(queries=q, positives=p, negatives=neg, anchored=q[:0])


@pytest.mark.parametrize(
    ("loss", "loops"),
    [
        ({"name": "paper"}, paper_by_loops),
        ({"name": "in_batch", "queries": True, "positives": True}, in_batch_by_loops),
    ],
    ids=["paper", "in_batch"],
)
@pytest.mark.parametrize("negatives", [M, N, 0])
def test_value_and_gradient_are_those_of_loops(
    loss: dict[str, object], loops: Callable[..., Tensor], negatives: int
):
    """In float64, through the vectors' normalisation, with more, as many and no hard negatives."""
    made = []
    for of in (
        lambda q, p, neg: sum(objective(**loss).of(batch(N, negatives), vectors(q, p, neg), []).values()),
        loops,
    ):
        raw = [numbers(seed, rows) for seed, rows in ((1, N), (2, N), (3, negatives))]
        value = of(*(normalize(one, dim=1) for one in raw))
        value.backward()
        made.append((value.detach(), *(one.grad for one in raw if len(one))))
    for ours, expected in zip(*made, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    assert made[0][1].abs().max() > 1e-3


def test_the_gradient_is_that_of_small_steps():
    """Against differences of the value itself: neither of two equal mistakes would be seen by loops alone."""
    raw = [numbers(seed, rows) for seed, rows in ((1, N), (2, N), (3, M))]
    assert torch.autograd.gradcheck(
        lambda *three: paper_loss(*(normalize(one, dim=1) for one in three), TEMPERATURE), raw
    )


def test_the_papers_loss_keeps_a_query_from_no_other_rows_positive():
    """L1 tells from hard negatives only: moving another row's positive changes L2 only through its query."""
    q, p, neg = (normalize(numbers(seed, rows), dim=1).detach() for seed, rows in ((1, 2), (2, 2), (3, 2)))
    first = paper_loss(q, p, neg, TEMPERATURE)
    own = (q * p).sum(1, keepdim=True) / TEMPERATURE
    l1 = -torch.log_softmax(torch.cat([own, q @ neg.T / TEMPERATURE], dim=1), dim=1)[:, 0].mean()
    l2 = -torch.log_softmax(p @ q.T / TEMPERATURE, dim=1).diagonal().mean()
    assert math.isclose(float(first), float(l1 + l2), rel_tol=1e-12)


def test_a_positive_that_says_the_same_is_no_negative():
    """Rows 0 and 1 have the same positive: neither is pushed from the other's, in any direction."""
    q, p = (normalize(numbers(seed, 3), dim=1) for seed in (1, 2))
    p = torch.stack([p[0], p[0], p[2]])
    one = objective(name="in_batch").of(batch(3, 0, "aab"), vectors(q, p, q[:0]), [])["in_batch"]
    logits = q @ p.T / TEMPERATURE
    kept = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 1]]).bool()
    expected = sum(
        torch.nn.functional.cross_entropy(side.masked_fill(~kept, float("-inf")), torch.arange(3))
        for side in (logits, logits.T)
    )
    torch.testing.assert_close(one, expected)


def test_a_guide_leaves_out_candidates_that_are_nearer_than_the_positive():
    """The negative that lies nearer to the query than its positive does is not pushed away."""
    q = normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64), dim=1)
    p = normalize(torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64), dim=1)
    near = q[:1].clone()  # the second row's own negative says what the first row asks
    one = Batch(
        task="things",
        rows=(0, 1),
        queries=(("", "q0"), ("", "q1")),
        positives=(("", "p0"), ("", "p1")),
        negatives=(("", "n"),),
        owners=np.array([1]),
    )
    settings = {"name": "in_batch", "reverse": False}
    free = objective(**settings).of(one, vectors(q, p, near), [])["in_batch"]
    guided = objective(**settings, guide="self").of(one, vectors(q, p, near), [])["in_batch"]
    spared = objective(**settings, guide="self", margin=1.0).of(one, vectors(q, p, near), [])["in_batch"]
    assert guided < 0.1 < free and spared == free


def test_anchors_are_nothing_at_the_beginning_and_grow():
    """Equal vectors cost nothing; a turn of all texts moves cosines, but no similarities."""
    teacher = normalize(numbers(4, 6), dim=1).detach()
    turned = torch.cat([teacher[:, 1:], teacher[:, :1]], dim=1)
    other = normalize(numbers(5, 6), dim=1).detach()
    assert float(cosine_anchor(teacher, teacher)) == pytest.approx(0, abs=1e-12)
    assert float(similarity_anchor(teacher, teacher, 0.05)) == pytest.approx(0, abs=1e-12)
    assert float(similarity_anchor(turned, teacher, 0.05)) == pytest.approx(0, abs=1e-9)
    assert float(cosine_anchor(turned, teacher)) > 0.1
    assert float(similarity_anchor(other, teacher, 0.05)) > 0.1
