"""Says how the hits of a query were found, from what was computed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from searchkit.collection import recovery, relevance
from searchkit.embedding.embedder import Embedder
from searchkit.library import collections as catalogue
from searchkit.profile import Profile
from searchkit.records import JsonValue
from searchkit.vector_index.rescored import FEW_ALLOWED

if TYPE_CHECKING:
    from searchkit.collection.searching import Search


def explained(
    search: Search, profile: Profile, embedder: Embedder | None, laps: Mapping[str, float]
) -> dict[str, JsonValue]:
    """What the model read, which words were looked for, what was allowed, which index answered."""
    total = catalogue.count_passages(search.db, search.collection.collection_id)
    allowed = search.request.allowed
    return {
        "profile": profile.name,
        "mode": search.asked.mode,
        "model": None if embedder is None else _model(search, embedder),
        "words": [
            {
                "word": term.word,
                "texts": term.texts,
                "weight": round(term.weight, 2),
                "looked_for": bool(search.request.match) and (term.telling or search.ranking.widened),
            }
            for term in search.words.terms
        ],
        "passages": total,
        "allowed": None if allowed is None else len(allowed),
        "threshold": search.request.threshold,
        "index": None if embedder is None else _index(search),
        "relevance": None
        if search.calibration is None
        else {
            "unrelated_questions": len(relevance.probes()),
            "nearest": search.calibration.nearest,
            "level": search.calibration.level,
            "relevant_from": relevance.RELEVANT,
        },
        "took_ms": dict(laps),
    }


def _model(search: Search, embedder: Embedder) -> dict[str, JsonValue]:
    read = embedder.embed_counted([search.asked.text], search.asked.instruction)
    return {
        "name": embedder.model,
        "family": embedder.family.name,
        "precision": embedder.precision,
        "device": embedder.device,
        "instruction": search.asked.instruction,
        "tokens": int(read.token_counts[0]),
        "max_tokens": embedder.max_tokens,
        "truncated": bool(read.truncated[0]),
    }


def _index(search: Search) -> dict[str, JsonValue]:
    """Which index was searched, how, and what of the Collection it does not hold."""
    published = catalogue.snapshot(search.db, search.collection.collection_id)
    if search.snapshot is None or published is None:
        total = catalogue.count_passages(search.db, search.collection.collection_id)
        return {"kind": "none", "rows": 0, "exact": True, "removed": 0, "scanned_beside": total}
    plan, tuning = recovery.plan_of(published)
    removed, beside = recovery.lag(search.db, search.collection, published)
    allowed = search.request.allowed
    # What a filter leaves, where that is little, is compared whole.
    exact = plan.promised_recall == 1.0 or (allowed is not None and len(allowed) <= FEW_ALLOWED)
    approximate: dict[str, JsonValue] = {
        "promised_recall": plan.promised_recall,
        "measured_recall": tuning.measured_recall,
        "lists": plan.lists,
        "effort": tuning.effort,
        "oversampling": tuning.oversampling,
    }
    return {
        "kind": published.kind,
        "rows": published.rows,
        "exact": exact,
        "removed": removed,
        "scanned_beside": beside,
        **({} if exact else approximate),
    }
