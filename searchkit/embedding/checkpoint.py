"""What a model folder says about itself. Reads JSON and names of files; loads no weights and no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from searchkit.embedding.families import Evidence, Family, families
from searchkit.embedding.json_files import fact, inside, optional_json, read_json, read_json_list
from searchkit.embedding.snapshots import CONFIG, MODULES
from searchkit.embedding.sources import ModelSource
from searchkit.errors import ModelError
from searchkit.export.kinds import T5_KINDS

POOLING_MODES = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
# Names that sentence-transformers gave these modes before version 5.
OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU")
# Networks that number positions from the padding id + 1: that many rows of the table are never reached.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl")
READINGS = tuple(f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "xlm-roberta"))
WINDOW_OF_UNSAID = 512
NO_LIMIT = 1_000_000  # tokenizers without a window say 1e30
# Facts of config.json that do not shape vectors: two copies that differ in these alone are one model.
NOISE = (
    "_name_or_path", "architectures", "auto_map", "dtype", "id2label", "label2id", "torch_dtype",
    "transformers_version", "use_cache", "_attn_implementation", "gradient_checkpointing",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLayer:
    """A linear layer after the pooling."""

    folder: Path
    in_features: int
    out_features: int
    bias: bool
    activation: str  # of ACTIVATIONS


TailStep: TypeAlias = DenseLayer | Literal["normalize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model folder, read: everything but weights and vocabulary."""

    source: ModelSource
    network: Path  # folder of config.json and weights
    config: Mapping[str, Any]
    pooling: tuple[str, ...]  # of POOLING_MODES; several are concatenated. () where the folder does not say
    pool_instruction: bool | None  # None where the folder does not say
    tail: tuple[TailStep, ...]  # what follows the pooling
    window: int | None  # tokens, as the folder says; None where it does not
    position_limit: int | None  # tokens the network has positions for; None for no limit
    lower_case: bool
    tokenizer_config: Mapping[str, Any]
    prompts: Mapping[str, str]
    default_prompt: str  # the name of the one that stands before texts of no named kind; '' for none
    marked_family: str

    @property
    def model_type(self) -> str:
        """config.json's model_type, '' if it has none."""
        return fact(self.config, "model_type", str, self.network / CONFIG, "")

    @property
    def evidence(self) -> Evidence:
        """What tells of the model's family."""
        dense = [step for step in self.tail if isinstance(step, DenseLayer)]
        return Evidence(
            names=self.source.names,
            former_name=str(self.config.get("_name_or_path", "")),
            model_type=self.model_type,
            instructor_layout=(
                self.model_type in T5_KINDS
                and self.pooling == ("mean",)
                and len(dense) == 1
                and not dense[0].bias
                and dense[0].activation == "Identity"
                and self.tail[-1] == "normalize"
            ),
            prompts=self.prompts,
            default_prompt=self.default_prompt,
            has_dense=bool(dense),
            marked=self.marked_family,
        )

    def windowed(self, family: Family, max_tokens: int | None) -> int:
        """The window in tokens: as asked for, else as the folder says, else the family's.

        Raises:
            ModelError: the network has no positions for so many tokens.
        """
        asked = max_tokens if max_tokens is not None else self.window
        window = asked or family.max_tokens or self.position_limit or WINDOW_OF_UNSAID
        if max_tokens is None and self.position_limit is not None:
            window = min(window, self.position_limit)
        check_window(window, self.position_limit, self.source.model)
        return window

    @property
    def network_facts(self) -> dict[str, Any]:
        """config.json without what does not shape vectors."""
        return {key: value for key, value in self.config.items() if key not in NOISE}


def read_checkpoint(source: ModelSource) -> Checkpoint:
    """Read a folder in sentence-transformers layout, or a bare transformers checkpoint.

    Raises:
        ModelError: a description is missing or damaged, or asks for something searchkit does not do.
    """
    folder = source.folder
    transformer, pooling_folder, tail = _modules(folder)
    for place in (folder, transformer):
        refuse_adapter(place)
    config = read_json(transformer / CONFIG)
    pooling, pool_instruction = _pooling(pooling_folder)
    reading_file = next((file for name in READINGS if (file := transformer / name).is_file()), None)
    reading = read_json(reading_file) if reading_file else {}
    if reading.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise ModelError(f"{transformer} is for '{reading['transformer_task']}', not for embedding texts")
    tokenizer_config = optional_json(transformer / "tokenizer_config.json")
    limit = position_limit(config, transformer / CONFIG)
    said = fact(reading, "max_seq_length", int, reading_file or transformer, 0)
    prompts, default_prompt, marked_family = prompts_of(folder / "config_sentence_transformers.json")
    return Checkpoint(
        source=source,
        network=transformer,
        config=config,
        pooling=pooling,
        pool_instruction=pool_instruction,
        tail=tail,
        window=said or least(tokenizer_config.get("model_max_length"), limit),
        position_limit=limit,
        lower_case=fact(reading, "do_lower_case", bool, reading_file or transformer, False),
        tokenizer_config=tokenizer_config,
        prompts=prompts,
        default_prompt=default_prompt,
        marked_family=marked_family,
    )


def pooling_of(checkpoint: Checkpoint, family: Family) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pooling modes and notices: the folder's own, else the family's, else the mean."""
    if checkpoint.pooling:
        return checkpoint.pooling, ()
    return (family.pooling,), (
        f"'{checkpoint.source.model}' does not say how it pools tokens: {family.pooling} is used, "
        f"as {'is usual' if family.name not in families() or family.name == 'plain' else 'its family does'}",
    )


def refuse_adapter(folder: Path) -> None:
    """Raise ModelError where a folder holds what has to be added to another model."""
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds an adapter, not a whole model",
            remedy="merge it into its base model (peft: merge_and_unload) and name the merged folder",
        )


def check_window(max_tokens: int, position_limit: int | None, model: str) -> None:
    """Refuse a window that the network has no positions for.

    Raises:
        ModelError: says how large it may be.
    """
    if max_tokens < 1 or (position_limit is not None and max_tokens > position_limit):
        raise ModelError(
            f"max_tokens={max_tokens} cannot be the window of '{model}'",
            remedy=f"ask for 1 to {position_limit or 'any number of'} tokens",
        )


def _modules(folder: Path) -> tuple[Path, Path | None, tuple[TailStep, ...]]:
    """Folders of network and pooling, and what follows; a folder without modules.json is the network."""
    file = folder / MODULES
    if not file.is_file():
        return folder, None, ()
    modules = [
        (
            _kind(fact(entry, "type", str, file, ""), file),
            inside(folder, fact(entry, "path", str, file, ""), file),
        )
        for entry in read_json_list(file)
    ]
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds.count("Transformer") + kinds.count("Pooling") != 2:
        raise ModelError(
            f"{file} lists {', '.join(kinds) or 'nothing'}; expected a Transformer, a Pooling, "
            "then Dense and Normalize"
        )
    tail: list[TailStep] = []
    for kind, place in modules[2:]:
        if kind == "Dense":
            tail.append(_dense(place))
        elif kind == "Normalize":
            tail.append("normalize")
    return modules[0][1], modules[1][1], tuple(tail)


def _kind(dotted: str, file: Path) -> str:
    """The module's kind. Libraries moved the classes more than once, their last names stayed."""
    owner, _, kind = dotted.rpartition(".")
    known = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")
    if owner.split(".")[0] != "sentence_transformers" or kind not in known:
        raise ModelError(
            f"{file} lists a module of type '{dotted}', which searchkit does not run",
            remedy=f"it runs sentence_transformers modules of these kinds: {', '.join(known)}",
        )
    return kind


def _pooling(folder: Path | None) -> tuple[tuple[str, ...], bool | None]:
    if folder is None:
        return (), None
    config = read_json(folder / CONFIG)
    said = config.get("pooling_mode")
    if said is None:
        modes = tuple(mode for key, mode in OLD_POOLING_KEYS.items() if config.get(key))
    else:
        modes = tuple(said) if isinstance(said, list) else (said,)
    if not modes or any(mode not in POOLING_MODES for mode in modes):
        raise ModelError(
            f"{folder / CONFIG} names no pooling that searchkit does: {modes or 'none'}",
            remedy=f"known: {', '.join(POOLING_MODES)}",
        )
    said_so = config.get("include_prompt") is not None
    return modes, fact(config, "include_prompt", bool, folder / CONFIG, True) if said_so else None


def _dense(folder: Path) -> DenseLayer:
    config = read_json(folder / CONFIG)
    dotted = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = dotted.rpartition(".")[2]
    if not dotted.startswith("torch.nn.") or activation not in ACTIVATIONS:
        raise ModelError(
            f"{folder / CONFIG} asks for the activation '{dotted}', which searchkit does not know",
            remedy=f"known: {', '.join(ACTIVATIONS)} of torch.nn",
        )
    for key in ("module_input_name", "module_output_name"):
        if config.get(key, "sentence_embedding") != "sentence_embedding":
            raise ModelError(f"{folder / CONFIG} works on '{config[key]}', not on the pooled vector")
    sizes = [fact(config, key, int, folder / CONFIG, 0) for key in ("in_features", "out_features")]
    if min(sizes) < 1:
        raise ModelError(f"{folder / CONFIG} lacks a number it needs: in_features and out_features")
    return DenseLayer(
        folder=folder,
        in_features=sizes[0],
        out_features=sizes[1],
        bias=fact(config, "bias", bool, folder / CONFIG, True),
        activation=activation,
    )


def prompts_of(file: Path) -> tuple[dict[str, str], str, str]:
    """Prompts by name, the name of the default one, and the family that the folder is marked with.

    file: config_sentence_transformers.json, which need not be there. Raises: ModelError: it is damaged.
    """
    whole = optional_json(file)
    prompts: dict[str, Any] = fact(whole, "prompts", dict, file, {})
    mark: dict[str, Any] = fact(whole, "searchkit", dict, file, {})
    return (
        {name: fact(prompts, name, str, file, "") for name in prompts},
        fact(whole, "default_prompt_name", str, file, ""),
        fact(mark, "family", str, file, ""),
    )


def position_limit(config: Mapping[str, Any], file: Path) -> int | None:
    """Tokens that the network of a config.json has positions for; None for no limit."""
    limit = config.get("max_position_embeddings")
    if not isinstance(limit, int) or config.get("model_type") in T5_KINDS:
        return None
    if config.get("model_type") in OFFSET_POSITIONS:
        limit -= fact(config, "pad_token_id", int, file, 1) + 1
    return limit


def least(*limits: Any) -> int | None:
    """The smallest of the limits that are said and are limits at all."""
    said = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < NO_LIMIT]
    return min(said, default=None)
