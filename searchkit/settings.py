"""Where things live and the numbers that hold everywhere; the environment is read here only."""

from __future__ import annotations

import os
from pathlib import Path

VERSION = "0.1.0"

DEFAULT_MODEL = "searchkit-mini"  # shipped with searchkit, trained from:
BASE_MODEL = "all-MiniLM-L6-v2"  # of a package of its own; it was the default before
DEFAULT_PROFILE = "company-docs"

LIBRARY_VARIABLE = "SEARCHKIT_LIBRARY"
CONFIG_VARIABLE = "SEARCHKIT_CONFIG"
CACHE_VARIABLE = "SEARCHKIT_CACHE"
TRACEBACK_VARIABLE = "SEARCHKIT_TRACEBACK"  # if set, unexpected errors show where they happened


def expanded(path: str | Path) -> Path:
    """The path with a leading `~` replaced; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def library_folder() -> Path:
    """The Library used when none is named: $SEARCHKIT_LIBRARY, else ./indexes."""
    return Path(os.environ.get(LIBRARY_VARIABLE) or "indexes")


def config_folder() -> Path:
    """The user's own settings: $SEARCHKIT_CONFIG, else the platform's folder for configuration."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    import platformdirs  # only here: 10 ms that a query with an explicit folder need not pay

    return Path(platformdirs.user_config_dir("searchkit"))


def cache_folder() -> Path:
    """Files that can always be made again: $SEARCHKIT_CACHE, else the platform's folder for caches."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("searchkit"))
