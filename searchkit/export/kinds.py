"""Which networks are written as graphs, and what a graph is given. Loads nothing: asked before a choice."""

from __future__ import annotations

T5_KINDS = ("t5", "mt5", "umt5")  # of config.json's model_type
BERT_KINDS = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet")
EXPORTABLE = frozenset({*BERT_KINDS, *T5_KINDS})
GRAPH_PRECISIONS = ("float32", "int8")
# Making a graph in 8 bits holds the weights three times: in torch, as the layers to be put into 8 bits, in
# the runtime that watches them; and once more the largest of them, on its way to the disk.
LARGEST_EXPORTED = 700_000_000  # parameters: 8.4 GB
# Names of a graph's inputs, all (rows, columns): int64 ids, int32 1 for tokens, float32 1 for what is pooled.
IDS, ATTENTION_MASK, POOLING_MASK = "input_ids", "attention_mask", "pooling_mask"
