"""What a cross-encoder's folder says about itself. Reads JSON and names of files; no weights and no torch.

Three layouts, all of sentence-transformers: up to version 3 a bare checkpoint whose config.json names the
activation under a key of its own, version 4 the same with a table `sentence_transformers`, from 5.4 on
beside it a modules.json with a Transformer as its one module, and config_sentence_transformers.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.embedding.checkpoint import (
    ACTIVATIONS,
    READINGS,
    WINDOW_OF_UNSAID,
    least,
    position_limit,
    prompts_of,
    refuse_adapter,
)
from searchkit.embedding.json_files import fact, inside, optional_json, read_json, read_json_list
from searchkit.embedding.snapshots import CONFIG, MODULES
from searchkit.embedding.sources import ModelSource, find_model
from searchkit.errors import ModelError

WHOLE = "config_sentence_transformers.json"
TASK = "sequence-classification"
HEAD = "ForSequenceClassification"
# Encoders whose scores are tested against transformers. Of decoders the score is that of the last token, and
# what stands around the texts is each model's own affair.
KINDS = (
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet",
    "roberta", "xlm-roberta",
)  # fmt: skip
# Of those, the ones that are told which tokens are the query's and which the text's, where they learned it.
SIDES_OF_UNSAID = {"albert": 2, "bert": 2, "deberta": 0, "deberta-v2": 0, "electra": 2}  # type_vocab_size
WHAT_SERVES = "searchkit reranks with encoders that have one label, as cross-encoder/ms-marco-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFolder:
    """A cross-encoder's folder, read: everything but weights and vocabulary."""

    model: str  # as asked for
    network: Path  # folder of config.json, weights and tokenizer
    kind: str  # of KINDS
    window: int  # tokens of query, text and special tokens
    position_limit: int | None  # tokens the network has positions for; None for no limit
    activation: str  # of ACTIVATIONS: from the network's number to the score
    prompt: str  # put before every query; '' for none
    lower_case: bool
    told_sides: bool  # whether the network takes which tokens are the query's and which the text's


def is_cross_encoder(model: str | Path) -> bool:
    """Whether a model scores pairs, by what its folder says; else it is taken for an embedder.

    Raises:
        ModelNotFound: the model is nowhere to be found.
        ModelError: its description is missing or damaged.
    """
    folder = find_model(model).folder
    if (folder / MODULES).is_file():
        return "Pooling" not in _module_kinds(folder)
    return any(name.endswith(HEAD) for name in _architectures(read_json(folder / CONFIG), folder / CONFIG))


def read_cross_folder(source: ModelSource) -> CrossFolder:
    """Read a cross-encoder's folder in any of the layouts of sentence-transformers.

    Raises:
        ModelError: it is no cross-encoder, or one that searchkit does not run, or a description is damaged.
    """
    network = _network(source)
    for place in {source.folder, network}:
        refuse_adapter(place)
    file = network / CONFIG
    config = read_json(file)
    kind = fact(config, "model_type", str, file, "")
    _refuse_others(source.model, kind, config, file)
    reading_file = next((one for name in READINGS if (one := network / name).is_file()), None)
    reading = read_json(reading_file) if reading_file else {}
    tokenizer = optional_json(network / "tokenizer_config.json")
    limit = position_limit(config, file)
    said = fact(reading, "max_seq_length", int, reading_file or network, 0)
    prompts, default_prompt, _ = prompts_of(source.folder / WHOLE)
    return CrossFolder(
        model=source.model,
        network=network,
        kind=kind,
        window=least(said or tokenizer.get("model_max_length"), limit) or WINDOW_OF_UNSAID,
        position_limit=limit,
        activation=_activation(source.folder, config, file),
        prompt=prompts.get(default_prompt, ""),
        lower_case=fact(reading, "do_lower_case", bool, reading_file or network, False),
        told_sides=_told_sides(kind, config, file, tokenizer),
    )


def _network(source: ModelSource) -> Path:
    """The folder of the network. Raises: ModelError: there are other modules than the network."""
    file = source.folder / MODULES
    if not file.is_file():
        return source.folder
    kinds = _module_kinds(source.folder)
    if "Pooling" in kinds:
        raise ModelError(
            f"'{source.model}' is an embedder: {file} lists {', '.join(kinds)}; expected a cross-encoder",
            remedy=f"rerank with an embedder under a profile's Instructions: --rerank-profile; {WHAT_SERVES}",
        )
    if kinds != ["Transformer"]:
        raise ModelError(
            f"{file} lists {', '.join(kinds) or 'nothing'}; expected one Transformer", remedy=WHAT_SERVES
        )
    (entry,) = read_json_list(file)
    return inside(source.folder, fact(entry, "path", str, file, ""), file)


def _module_kinds(folder: Path) -> list[str]:
    file = folder / MODULES
    return [fact(entry, "type", str, file, "").rpartition(".")[2] for entry in read_json_list(file)]


def _refuse_others(model: str, kind: str, config: Mapping[str, Any], file: Path) -> None:
    """Raise ModelError for what is no cross-encoder with one label, or needs its authors' code."""
    architectures = _architectures(config, file)
    if architectures and not any(name.endswith(HEAD) for name in architectures):
        raise ModelError(
            f"'{model}' has no head that scores pairs: {file} says {', '.join(architectures)}, "
            f"expected ...{HEAD}",
            remedy=WHAT_SERVES,
        )
    if any(HEAD in name for name in fact(config, "auto_map", dict, file, {})):
        raise ModelError(
            f"'{model}' brings code of its authors for its network, which searchkit never runs",
            remedy=WHAT_SERVES,
        )
    if kind not in KINDS:
        raise ModelError(
            f"'{model}' is a network of type '{kind}', which searchkit does not rerank with",
            remedy=f"it does with: {', '.join(KINDS)}",
        )
    labels: dict[str, Any] = fact(config, "id2label", dict, file, {})
    # Without a word transformers makes two labels.
    count = len(labels) or fact(config, "num_labels", int, file, 2)
    if count != 1:
        names = f" ({', '.join(str(label) for label in labels.values())})" if labels else ""
        raise ModelError(
            f"'{model}' tells {count} labels apart{names} and says of none how relevant a text is; "
            "expected one label",
            remedy=WHAT_SERVES,
        )


def _architectures(config: Mapping[str, Any], file: Path) -> list[str]:
    return [str(name) for name in fact(config, "architectures", list, file, [])]


def _told_sides(kind: str, config: Mapping[str, Any], file: Path, tokenizer: Mapping[str, Any]) -> bool:
    """Whether the network learned which tokens are the query's and which the text's."""
    if kind not in SIDES_OF_UNSAID or fact(config, "type_vocab_size", int, file, SIDES_OF_UNSAID[kind]) < 2:
        return False
    where = file.with_name("tokenizer_config.json")
    inputs: list[Any] = fact(tokenizer, "model_input_names", list, where, [])
    if inputs:
        return "token_type_ids" in inputs
    # Without a list the class decides. Transformers 5 took the sides away from ALBERT's class, and from that
    # for any tokenizer, which got this new name: what was trained before is told them as it was then.
    return tokenizer.get("tokenizer_class") != "TokenizersBackend"


def _activation(folder: Path, config: Mapping[str, Any], file: Path) -> str:
    """What the folder says, newest layout first; a sigmoid where it says nothing, as its authors' library."""
    in_config: dict[str, Any] = fact(config, "sentence_transformers", dict, file, {})
    dotted = (
        fact(optional_json(folder / WHOLE), "activation_fn", str, folder / WHOLE, "")
        or fact(in_config, "activation_fn", str, file, "")
        or fact(config, "sbert_ce_default_activation_function", str, file, "")
        or "torch.nn.modules.activation.Sigmoid"
    )
    name = dotted.rpartition(".")[2]
    if not dotted.startswith("torch.nn.") or name not in ACTIVATIONS:
        raise ModelError(
            f"{folder} asks for the activation '{dotted}', which searchkit does not know",
            remedy=f"known: {', '.join(ACTIVATIONS)} of torch.nn",
        )
    return name
