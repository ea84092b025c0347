"""Builds the recipe of a Collection's vectors and says, field by field, where two recipes part."""

from __future__ import annotations

from collections.abc import Mapping

from searchkit.embedding.embedder import Embedder
from searchkit.errors import RecipeMismatch
from searchkit.profile import Profile

INSTRUCTION = "document instruction"


def recipe_of(embedder: Embedder, profile: Profile) -> dict[str, str]:
    """Everything that shapes a stored vector, by name."""
    return {**embedder.fingerprint(), INSTRUCTION: embedder.instruction_for(profile, "document")}


def differences(stored: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    """One line for each field in which two recipes differ: 'field: stored ..., asked ...'."""
    return [
        f"{name}: stored {_short(stored.get(name))}, asked {_short(asked.get(name))}"
        for name in sorted(stored.keys() | asked.keys())
        if stored.get(name) != asked.get(name)
    ]


def require_same(
    collection: str, stored: Mapping[str, str], asked: Mapping[str, str], *, remedy: str
) -> None:
    """Raise RecipeMismatch unless both recipes give vectors of one space."""
    if lines := differences(stored, asked):
        raise RecipeMismatch(
            f"collection '{collection}' holds vectors of another recipe:\n  " + "\n  ".join(lines),
            remedy=remedy,
        )


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    is_hash = len(value) == 64 and not set(value) - set("0123456789abcdef")
    return value[:12] if is_hash else repr(value)
