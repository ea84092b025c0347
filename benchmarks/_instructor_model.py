"""A checkpoint of INSTRUCTOR-base's size and form with random weights: the speed is that of the real one.

Everything is made here, seeded: T5's encoder (12 blocks of width 768, ReLU), mean pooling, a Dense layer of
768 without bias, normalisation, and a SentencePiece-like tokenizer trained on the texts that are embedded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH, OUT, WINDOW, VOCABULARY = 768, 768, 512, 32128
LEARNED_TOKENS = 8000  # all that a small corpus can teach; the embedding matrix has T5's size all the same
T5_BASE = {
    "d_model": WIDTH, "d_ff": 3072, "d_kv": 64, "num_heads": 12, "num_layers": 12, "vocab_size": VOCABULARY,
    "feed_forward_proj": "relu", "dropout_rate": 0.0,
}  # fmt: skip
MODULES = ("Transformer", "Pooling", "Dense", "Normalize")


def make_checkpoint(folder: Path, texts: Sequence[str], *, seed: int = 0) -> None:
    """Write the checkpoint in the layout of sentence-transformers, readable by its old and new versions."""
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(seed)
    network = T5EncoderModel(T5Config(**T5_BASE)).eval()
    network.save_pretrained(folder)
    places = ["", *(f"{number}_{name}" for number, name in enumerate(MODULES) if number)]
    modules = [
        {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{name}"}
        for number, (name, place) in enumerate(zip(MODULES, places, strict=True))
    ]
    pooling = {
        f"pooling_mode_{mode}": mode == "mean_tokens" for mode in ("cls_token", "mean_tokens", "max_tokens")
    }
    dense = {
        "in_features": WIDTH,
        "out_features": OUT,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    for place in places[1:]:
        (folder / place).mkdir()
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": WINDOW, "do_lower_case": False})
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **pooling})
    _write(folder / "2_Dense" / "config.json", dense)
    torch.save(
        {"linear.weight": torch.randn(OUT, WIDTH) / WIDTH**0.5}, folder / "2_Dense" / "pytorch_model.bin"
    )
    _make_tokenizer(folder, texts)


def _make_tokenizer(folder: Path, texts: Sequence[str]) -> None:
    """A unigram tokenizer with T5's special tokens and form."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    # As T5's own, it drops white space at the end: the Instruction's, where it is counted alone.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(left=False, right=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=LEARNED_TOKENS, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    _write(folder / "special_tokens_map.json", named)
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": WINDOW,
            "model_input_names": ["input_ids", "attention_mask"],
            **named,
        },
    )


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1), encoding="utf-8")
