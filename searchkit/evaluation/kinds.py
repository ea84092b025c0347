"""The kinds of task that there are, for whoever offers them without loading what measures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "retrieval", "reranking", "clustering", "pairs", "sts", "classification", "judgement", "prompts"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What is measured of each, the main measure of most first.
MEASURES_OF: Mapping[Kind, tuple[str, ...]] = {
    "retrieval": ("ndcg@10", "recall@10", "recall@100", "mrr@10", "map"),
    "reranking": ("map", "mrr@10"),
    "clustering": ("v_measure",),
    "pairs": ("average_precision",),
    "sts": ("spearman", "pearson"),
    "classification": ("accuracy", "f1"),
    "judgement": ("pearson", "kendall", "spearman"),
    "prompts": ("accuracy", "rouge_l", "random_accuracy", "random_rouge_l"),
}
LABELLED: tuple[Kind, ...] = ("clustering", "classification")
