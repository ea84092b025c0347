"""Which networks are written as graphs, by config.json's model_type. Loads nothing: asked before a choice."""

from __future__ import annotations

T5_KINDS = ("t5", "mt5", "umt5")
BERT_KINDS = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet")
EXPORTABLE = frozenset({*BERT_KINDS, *T5_KINDS})
