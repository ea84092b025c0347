"""Tiny random cross-encoders of every kind that searchkit reranks with, made by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

GOLDEN = Path(__file__).parents[1] / "golden"
WINDOW = 61  # no multiple of what rows are padded to
OFFSETS = {"roberta": 2, "xlm-roberta": 2, "camembert": 2, "mpnet": 2}  # positions below the first token's
SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
CHANGES: dict[str, dict[str, object]] = {
    "albert": {"embedding_size": 24, "type_vocab_size": 2},
    "deberta": {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 48,
        "type_vocab_size": 2,
    },
    "deberta-v2": {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 48,
        "position_buckets": 16, "share_att_key": True, "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    "distilbert": {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 96},
    "electra": {"embedding_size": 24},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16, "classifier_pooling": "mean"},
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "camembert": {"type_vocab_size": 1},
}  # fmt: skip


def make(folder: Path, kind: str = "bert", *, labels: int = 1, **changes: object) -> Path:
    """Write a cross-encoder as sentence-transformers 3 did: a bare checkpoint. Seeded."""
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(
        kind,
        **{
            **SIZES,
            "vocab_size": 360,
            "max_position_embeddings": WINDOW + OFFSETS.get(kind, 0),
            "initializer_range": 0.2,
            "num_labels": labels,
            "pad_token_id": 1 if kind in OFFSETS else 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
            **CHANGES.get(kind, {}),
            **changes,
        },
    )
    network = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # transformers sets biases to 0 and norms to 1: what is left out would not show
        for weight in network.parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn_like(weight)
    folder.mkdir(parents=True)
    network.save_pretrained(folder)
    tokenizer = Tokenizer.from_file(str(GOLDEN / "bert-mean" / "tokenizer.json"))
    two = "[CLS] $A [SEP] [SEP] $B [SEP]" if kind in OFFSETS else "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair=two, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    facts: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": WINDOW,
    }
    sides = [] if kind in ("distilbert", "modernbert", *OFFSETS) else ["token_type_ids"]
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": WINDOW,
        "model_input_names": ["input_ids", *sides, "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def logits(folder: Path, query: str, texts: list[str], dtype: torch.dtype = torch.float32) -> np.ndarray:
    """What transformers itself computes, one pair at a time. Returns: (n, labels) float64."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).to(dtype).eval()
    rows = []
    for text in texts:
        # In lists: a single text that is empty would be taken for none.
        pair = tokenizer([query], [text], truncation="longest_first", max_length=WINDOW, return_tensors="pt")
        with torch.inference_mode():
            rows.append(network(**pair).logits[0].double().numpy())
    return np.stack(rows)
