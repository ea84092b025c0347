"""The kinds of task that there are, for whoever offers them without loading what measures them."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "retrieval", "reranking", "clustering", "pairs", "sts", "classification", "judgement", "prompts"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
LABELLED: tuple[Kind, ...] = ("clustering", "classification")
