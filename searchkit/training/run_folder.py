"""The folder of a run: whose it is, who trains in it, where a training begins or goes on.

Nothing in it is deleted or replaced but what an earlier run wrote there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.errors import TrainingFailed, TrainingInvalid
from searchkit.training.checkpoints import RESTART, checkpoints, strangers
from searchkit.training.runlog import read_log

if TYPE_CHECKING:
    import filelock

LOCK = "train.lock"
LOG = "log.jsonl"
RECIPE = "recipe.toml"
CURVE = "curve.png"
MODEL = "model"
MODEL_PART = "model.part"
KEPT = "checkpoints"


def last_checkpoint(run: Path, recipe_folder: Path, resume: bool | None) -> Path | None:
    """The checkpoint to go on from; None to begin.

    resume: True: there has to be one; False: begin anew; None: whichever it is.
    Raises: TrainingInvalid: there is none, or a training would replace files of somebody else.
    """
    found = checkpoints(run / KEPT)
    if not found and not is_run(run):
        _check_free(run, recipe_folder, restart=resume is False)
    if resume and not found:
        raise TrainingInvalid(
            f"{run} holds no checkpoint to go on from", remedy="leave out --resume to begin"
        )
    if found and resume is not False:
        return found[-1][1]
    if (run / MODEL).exists() and resume is not False:
        raise TrainingInvalid(
            f"{run / MODEL} is there already", remedy=f"name another folder as out, or {RESTART}"
        )
    return None


def is_run(folder: Path) -> bool:
    """Whether a run was begun in a folder: its log says so in the first line."""
    lines = read_log(folder / LOG)
    return bool(lines) and "searchkit" in lines[0]


def _check_free(run: Path, recipe_folder: Path, *, restart: bool) -> None:
    if run.resolve() == recipe_folder.resolve():
        raise TrainingInvalid(
            f"out is the recipe's own folder, {run}, where the run's files would lie among others",
            remedy='name a folder of its own, as in: out = "runs/mine"',
        )
    if not run.exists():
        return
    if not run.is_dir():
        raise TrainingInvalid(f"{run} is no folder", remedy="name another one as out")
    # A death while the first line of the log was written leaves a part of it.
    ours = (LOCK, f"{LOG}.part")
    others = [one.name for one in run.iterdir() if one.name not in ours and not one.name.startswith(".")]
    kept = [f"{KEPT}/{name}" for name in strangers(run / KEPT)]
    # What a run replaces in the end, and not only where it says so, or may replace on the way.
    precious = [name for name in others if name in (MODEL, MODEL_PART) and not _is_model(run / name)] + kept
    if restart:
        others = precious
    if others:
        shown = ", ".join(sorted(others)[:3]) + (", ..." if len(others) > 3 else "")
        replaced = [name for name in (LOG, RECIPE, CURVE, MODEL) if name in others]
        instead = "" if precious else f"; or {RESTART}"
        if instead and replaced:
            instead += f", which replaces {', '.join(replaced)} there"
        raise TrainingInvalid(
            f"{run} holds {shown}, but no run of searchkit train",
            remedy=f"name another folder as out{instead}",
        )


def _is_model(folder: Path) -> bool:
    """Whether a training made it."""
    return (folder / "training" / RECIPE).is_file()


def lock(run: Path) -> filelock.BaseFileLock:
    """Have the folder to oneself. The operating system gives the lock back however its holder dies.

    Raises: TrainingFailed: another process has it, or the folder cannot be written.
    """
    import filelock

    held = filelock.FileLock(run / LOCK)
    try:
        run.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise TrainingFailed(
            f"another process trains in {run}", remedy="wait until it is done; or name another folder as out"
        ) from None
    except OSError as error:
        raise TrainingFailed(
            f"{run} cannot be written: {error.strerror or error}", remedy="name another folder as out"
        ) from error
    return held
