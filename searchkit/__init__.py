"""searchkit: semantic search over a company's own knowledge, with instructions that are never mixed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from searchkit.settings import VERSION as __version__

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.embedding.embedder import open_embedder
    from searchkit.profile import Profile

__all__ = ["Library", "Profile", "__version__", "open_embedder"]

# Loaded on first use: `import searchkit` and `searchkit --help` must not pay for the models.
_HOMES = {
    "Library": "searchkit.collection.library",
    "Profile": "searchkit.profile",
    "open_embedder": "searchkit.embedding.embedder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'searchkit' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
