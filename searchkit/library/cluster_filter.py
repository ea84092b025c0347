"""What a filter means by a cluster: its name or its number, a word of it, a part of its name, 'outliers'."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from types import MappingProxyType

from searchkit.arrays import Int64Vector
from searchkit.errors import FilterInvalid, near_names
from searchkit.library import clusters
from searchkit.library.clusters import OUTLIERS, StoredCluster
from searchkit.library.database import Database
from searchkit.library.filter_grammar import Comparison, fold

SHOWN = 40  # names in an error


def passages_meant(db: Database, collection_id: int, part: Comparison) -> Int64Vector | None:
    """Ids of the passages in the clusters that a comparison means; None where the Collection has none.

    Raises: FilterInvalid: no cluster is called so, or the operator orders what has no order.
    """
    run = clusters.stored(db, collection_id)
    if run is None:
        return None
    if part.operator == "exists":
        every = [one.number for one in run.clusters]
        return clusters.passages_in(db, collection_id, run, every)
    if part.operator not in _FITS:
        raise FilterInvalid(
            f"'cluster {part.operator}' means nothing: clusters have no order",
            remedy="write cluster = 'name or number', cluster in (1, 2), cluster has a-word, cluster exists",
        )
    wanted: set[int] = set()
    outliers = False
    for value in part.values:
        text = fold(value.text.strip()) or ""
        fitting = [one.number for one in run.clusters if _FITS[part.operator](text, one)]
        if part.operator == "=" and not fitting:
            if text != OUTLIERS:
                raise _unknown(value.text, run)
            outliers = True
        wanted.update(fitting)
    return clusters.passages_in(db, collection_id, run, wanted, outliers=outliers)


def _unknown(text: str, run: clusters.StoredRun) -> FilterInvalid:
    names = [one.name for one in run.clusters]
    holders = [one.name for one in run.clusters if _FITS["has"](fold(text) or "", one)]
    hint = f"'{text}' is a word of: {', '.join(holders)} (cluster has '{text}'); " if holders else ""
    return FilterInvalid(
        f"there is no cluster '{text}'{near_names(text, names)}",
        remedy=f"{hint}there are: {', '.join([*names[:SHOWN], OUTLIERS])}; see searchkit cluster --show",
    )


_FITS: Mapping[str, Callable[[str, StoredCluster], bool]] = MappingProxyType(
    {
        "=": lambda text, one: text in (fold(one.name), str(one.number)),
        "has": lambda text, one: text in map(fold, one.words),
        "contains": lambda text, one: text in (fold(one.name) or ""),
        "glob": lambda text, one: fnmatch.fnmatchcase(fold(one.name) or "", text),
    }
)
