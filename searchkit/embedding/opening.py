"""Putting a model together: source, checkpoint, family, tokenizer, runtime, precision, fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from searchkit.embedding.checkpoint import Checkpoint, DenseLayer, pooling_of, read_checkpoint
from searchkit.embedding.embedder import ExportedModel, LocalEmbedder
from searchkit.embedding.families import CONFIGURED, PLAIN, Family, Reading, family_named, recognise, refuse
from searchkit.embedding.hashes import file_sha256, remembered_hash, value_sha256
from searchkit.embedding.json_files import fact, read_json
from searchkit.embedding.runtimes import Parts, Wanted, export, open_runtime, read_tokenizer
from searchkit.embedding.snapshots import CONFIG, VOCABULARIES
from searchkit.embedding.sources import find_model
from searchkit.embedding.tokens import Tokens
from searchkit.embedding.weights import weight_bytes, weight_files
from searchkit.errors import ModelError, UsageError
from searchkit.export.kinds import EXPORTABLE, GRAPH_PRECISIONS
from searchkit.settings import CACHE_VARIABLE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from searchkit.embedding.torch_runtime import TorchRuntime

TOKENIZER = VOCABULARIES[0]
TOKENIZER_CONFIG = "tokenizer_config.json"
VOCABULARY_FILES = (*VOCABULARIES[1:], "merges.txt", "added_tokens.json", "special_tokens_map.json")
# Facts of tokenizer_config.json that shape no ids within the window.
TOKENIZER_NOISE = (
    "model_max_length", "name_or_path", "special_tokens_map_file", "tokenizer_file", "transformers_version",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is decided about a model before its weights are read."""

    checkpoint: Checkpoint
    family: Family
    pooling: tuple[str, ...]
    window: int
    notices: tuple[str, ...]


def open_local(
    model: str | Path, wanted: Wanted, *, max_tokens: int | None, family: str | None, revision: str | None
) -> LocalEmbedder:
    """Open a model in this process; arguments and errors are those of `open_embedder`."""
    wanted.check()  # before minutes of loading
    plan, facts, parts = _described(model, max_tokens=max_tokens, family=family, revision=revision)
    opened = open_runtime(parts, wanted)
    return LocalEmbedder(
        model=str(model),
        family=plan.family,
        tokens=opened.tokens,
        runtime=opened.runtime,
        notices=plan.notices + opened.notices,
        fingerprint={
            **facts,
            "dim": str(opened.runtime.dim),
            "tokenizer": value_sha256([parts.shape["tokenizer"], opened.tokens.description]),
            "precision": opened.space,
        },
    )


def export_local(model: str | Path, *, precision: str, revision: str | None) -> ExportedModel:
    """Export a model; arguments and errors are those of `export_model`."""
    if precision not in GRAPH_PRECISIONS:
        raise UsageError(
            f"nothing is exported in '{precision}'", remedy=f"known: {', '.join(GRAPH_PRECISIONS)}"
        )
    _, _, parts = _described(model, max_tokens=None, family=None, revision=revision)
    kind = parts.checkpoint.model_type
    if kind not in EXPORTABLE:
        raise UsageError(
            f"'{model}' is a network of type '{kind}', which is run by torch only",
            remedy=f"exported are: {', '.join(sorted(EXPORTABLE))}",
        )
    try:
        folder, found = export(parts, precision)
        size = sum((folder / name).stat().st_size for name in found.files)
    except OSError as error:
        raise ModelError(
            f"the exported form of '{model}' cannot be written: {error}",
            remedy=f"free space, or name another cache: set {CACHE_VARIABLE}",
        ) from error
    return ExportedModel(
        model=str(model),
        precision=precision,
        folder=folder,
        size=0 if found.refused else size,
        min_cosine=found.parity.min_cosine if found.parity else None,
        mean_cosine=found.parity.mean_cosine if found.parity else None,
        spared=found.spared,
        refused=found.refused,
    )


def read_locally(model: str | Path) -> tuple[Family, Tokens]:
    """How a model reads texts; no weights are read. Errors are those of `open_embedder`."""
    plan = plan_model(model)
    file = plan.checkpoint.network / TOKENIZER
    tokenizer = read_tokenizer(file, lambda: built_tokenizer(plan.checkpoint.network))
    return plan.family, _tokens(plan, tokenizer, tokenizer.get_vocab_size())


def open_in_torch(
    model: str | Path, *, family: str | None = None, device: str = "auto"
) -> tuple[Plan, Tokens, TorchRuntime]:
    """A model in torch and float32, for who changes its weights. Errors are those of `open_embedder`.

    Returns: what is known of it, its tokenizer, its network with pooling and tail.
    """
    from searchkit.embedding.torch_runtime import TorchRuntime

    plan = plan_model(model, family=family)
    runtime = TorchRuntime(plan.checkpoint, plan.pooling, device)
    tokenizer = read_tokenizer(
        plan.checkpoint.network / TOKENIZER, lambda: built_tokenizer(plan.checkpoint.network)
    )
    return plan, _tokens(plan, tokenizer, runtime.vocabulary), runtime


def _described(
    model: str | Path, *, max_tokens: int | None, family: str | None, revision: str | None
) -> tuple[Plan, dict[str, str], Parts]:
    """What a model says about itself, what shapes its vectors, and how its parts are loaded."""
    try:
        plan = plan_model(model, max_tokens=max_tokens, family=family, revision=revision)
        files = weight_files(plan.checkpoint)
        weights = [file_sha256(file) for file in files]
        size = weight_bytes(files)
        vocabulary = tokenizer_sha256(plan.checkpoint)
    except OSError as error:  # a closed folder within the model's, a disk that fails
        raise ModelError(f"'{model}' cannot be read: {error}", remedy="let your user read it") from error
    facts = _fingerprint(plan, weights)
    parts = Parts(
        checkpoint=plan.checkpoint,
        pooling=plan.pooling,
        int8_cosine=plan.family.int8_cosine,
        weight_bytes=size,
        shape={name: facts[name] for name in ("weights", "network", "pooling", "tail")}
        | {"tokenizer": vocabulary, "reading": _reading_sha256(plan)},
        tokenizer_file=plan.checkpoint.network / TOKENIZER,
        build_tokenizer=lambda: built_tokenizer(plan.checkpoint.network),
        tokens=lambda tokenizer, rows: _tokens(plan, tokenizer, rows),
        load=cache(lambda: _loaded(plan)),
    )
    return plan, facts, parts


def _loaded(plan: Plan) -> TorchRuntime:
    from searchkit.embedding.torch_runtime import TorchRuntime

    return TorchRuntime(plan.checkpoint, plan.pooling, "cpu")


def plan_model(
    model: str | Path,
    *,
    max_tokens: int | None = None,
    family: str | None = None,
    revision: str | None = None,
) -> Plan:
    """Find a model and read what it says about itself.

    Raises:
        ModelNotFound: the model is nowhere to be found.
        ModelError: its description is damaged, or asks for something searchkit does not do.
    """
    checkpoint = read_checkpoint(find_model(model, revision))
    notices: tuple[str, ...] = ()
    if family is not None:
        found = family_named(family)
        refuse(found, str(model))
    else:
        found, notices = recognise(checkpoint.evidence, str(model))
    if checkpoint.pool_instruction is False and found.reading.pool_instruction:
        # The checkpoint's own word, as sentence-transformers writes it, goes beyond its family's.
        found = replace(found, reading=replace(found.reading, pool_instruction=False))
    notices += _about_code(checkpoint, found, named=family is not None)
    pooling, said = pooling_of(checkpoint, found)
    return Plan(
        checkpoint=checkpoint,
        family=found,
        pooling=pooling,
        window=checkpoint.windowed(found, max_tokens),
        notices=notices + said,
    )


def _about_code(checkpoint: Checkpoint, family: Family, *, named: bool) -> tuple[str, ...]:
    """What to say of a checkpoint that brings code of its authors, which is never run.

    Raises:
        ModelError: nobody vouches that the architecture in transformers computes the same without it;
            causal networks made bidirectional by such code would give wrong vectors without a word.
    """
    model = checkpoint.source.model
    auto_map: dict[str, Any] = fact(checkpoint.config, "auto_map", dict, checkpoint.network / CONFIG, {})
    if "AutoModel" not in auto_map:
        return ()
    if family.name in (PLAIN, CONFIGURED) and not named:
        raise ModelError(
            f"'{model}' brings code of its authors for its network, which searchkit never runs, and is of no "
            "known model family",
            remedy=f"if '{checkpoint.model_type}' of transformers computes the same, say so: family='plain'",
        )
    return (
        f"'{model}' brings code of its authors, which is never run: the architecture "
        f"'{checkpoint.model_type}' of transformers computes its vectors",
    )


def built_tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer where only its vocabulary is there: transformers knows what to build around it.

    Raises: anything; the caller says what it means.
    """
    from transformers import AutoTokenizer

    built = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if not any((folder / name).is_file() for name in built.vocab_files_names.values()):
        raise FileNotFoundError(f"none of {', '.join(built.vocab_files_names.values())}")
    return cast("Tokenizer", built.backend_tokenizer)


def tokenizer_sha256(checkpoint: Checkpoint) -> str:
    """A hash of the tokenizer's own files, which stays the same when a library writes them otherwise.

    Of tokenizer.json the content counts, less how it would cut and pad, which is not left to it.
    """
    file = checkpoint.network / TOKENIZER
    if file.is_file():
        return remembered_hash("tokenizer-1", file, _tokenizer_json_sha256)  # 20 ms of a query, each time
    names = [name for name in VOCABULARY_FILES if (checkpoint.network / name).is_file()]
    config = {k: v for k, v in checkpoint.tokenizer_config.items() if k not in TOKENIZER_NOISE}
    return value_sha256([{name: file_sha256(checkpoint.network / name) for name in names}, config])


def _tokenizer_json_sha256(file: Path) -> str:
    content = read_json(file)
    return value_sha256({key: content[key] for key in content if key not in ("truncation", "padding")})


def _tokens(plan: Plan, tokenizer: Tokenizer, vocabulary: int) -> Tokens:
    return Tokens(
        tokenizer,
        plan.family,
        max_tokens=plan.window,
        vocabulary=vocabulary,
        lower_case=plan.checkpoint.lower_case,
        ends=_ends(plan),
    )


def _ends(plan: Plan) -> tuple[str, str]:
    """Tokens that must stand first and last in every text, '' for none."""
    config, family = plan.checkpoint.tokenizer_config, plan.family
    file = plan.checkpoint.network / TOKENIZER_CONFIG
    return (
        family.bos_token or _wanted(config, "bos", file),
        family.eos_token or _wanted(config, "eos", file),
    )


def _reading_sha256(plan: Plan) -> str:
    """A hash of what makes ids and masks of texts, beside the tokenizer's own files and the window."""
    return value_sha256([asdict(plan.family.reading), plan.checkpoint.lower_case, _ends(plan)])


def _wanted(tokenizer_config: Mapping[str, Any], end: str, file: Path) -> str:
    """The token that tokenizer_config.json wants at an end, whether or not tokenizer.json puts it there."""
    if tokenizer_config.get(f"add_{end}_token") is not True:
        return ""
    key = f"{end}_token"
    token = tokenizer_config.get(key)
    if isinstance(token, dict):
        return fact(token, "content", str, file, "")
    return fact(tokenizer_config, key, str, file, "")


def _fingerprint(plan: Plan, weights: list[str]) -> dict[str, str]:
    """What shapes vectors. No path, name or revision: equal files are one model wherever they lie."""
    reading = plan.family.reading
    how = "pooled with the text" if reading.pool_instruction else "masked"
    knobs = {key: value for key, value in asdict(reading).items() if value != getattr(Reading(), key)}
    knobs.pop("pool_instruction", None)
    details = ", ".join(f"{key}={value!r}" for key, value in knobs.items())
    tail = [
        f"{step.in_features}->{step.out_features}{' with bias' if step.bias else ''} {step.activation}"
        if isinstance(step, DenseLayer)
        else step
        for step in plan.checkpoint.tail
    ]
    if not tail or tail[-1] != "normalize":
        tail.append("normalize")
    return {
        "weights": value_sha256(weights) if len(weights) > 1 else weights[0],
        "network": value_sha256(plan.checkpoint.network_facts),
        "instruction": f"{how} ({details})" if details else how,
        "pooling": "+".join(plan.pooling),
        "tail": ", ".join(tail),
        "max_tokens": str(plan.window),
    }
