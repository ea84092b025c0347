"""Which documents are similar: do those come first that people link to one another?

    SEARCHKIT_SHARED=... python -m benchmarks.similar [--save]

Four public handbooks become a Library. Right are the pages that a page links to or is linked from. nDCG@10 of
Library.similar, of the means of the vectors, and of the best pair of passages, these two computed with numpy.
"""

from __future__ import annotations

import argparse
import math
import os
import posixpath
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmarks._conditions import report
from searchkit.arrays import Float32Matrix
from searchkit.collection.library import Library
from searchkit.library import collections as catalogue
from searchkit.library import naming
from searchkit.library.database import Database
from searchkit.library.vectors import CollectionVectors
from searchkit.settings import BASE_MODEL

# Where links that begin with '/' begin, in each of the four.
ROOTS = {"18f": "18f/pages", "gdsway": "gdsway/source", "govuk": "govuk/source", "moj": "moj/source"}
ENDINGS = ("", ".md", ".erb", ".md.erb", ".html.md", ".html.md.erb")
ENDINGS += ("/index.md", "/index.html.md", "/index.html.md.erb")
LINK = re.compile(r'\]\(([^)\s]+)[^)]*\)|href="([^"]+)"|\{% page "([^"]+)"')
TOP = 10


def main() -> None:
    """Index, ask for every page with a link, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    pages = Path(os.environ.get("SEARCHKIT_SHARED", "")) / "corpora" / "gov_docs" / "files"
    if not pages.is_dir():
        raise SystemExit("no handbooks: name the shared data's folder in SEARCHKIT_SHARED")
    with tempfile.TemporaryDirectory() as folder:
        library = Library(folder)
        library.index([pages], profile="company-docs", model=BASE_MODEL)
        vectors = vectors_by_document(Path(folder))
        right = linked(pages, vectors.keys())
        took, found = [], []
        for name in right:
            started = time.perf_counter()
            found.append([hit.document for hit in library.similar(name, k=TOP).hits])
            took.append(1000 * (time.perf_counter() - started))
    ranked = {"similar": found, **by_numpy(vectors, list(right))}
    scores = {
        way: 100 * np.array([ndcg(names, right[name]) for name, names in zip(right, lists, strict=True)])
        for way, lists in ranked.items()
    }
    figures = {
        "ndcg@10": {way: round(float(one.mean()), 2) for way, one in scores.items()},
        "similar_less_means_95": interval(scores["similar"] - scores["means"]),
        "took_ms": {f"p{at}": round(float(np.percentile(took, at)), 1) for at in (50, 95)},
        "documents": len(vectors),
        "passages": sum(len(one) for one in vectors.values()),
        "documents_with_links": len(right),
    }
    print(figures)
    report("similar", figures, save=asked.save)


def vectors_by_document(folder: Path) -> dict[str, Float32Matrix]:
    """The stored vectors of each document, by name."""
    with Database.read(folder) as db:
        (one,) = catalogue.collections(db)
        record = CollectionVectors(db, one.collection_id, one.recipe_id, one.dim)
        found = {}
        for document_id, name in db.rows("SELECT document_id, name FROM documents ORDER BY name"):
            ids = [passage for _, passage in naming.passages_of(db, [document_id])]
            found[name] = record.of(np.array(ids, dtype=np.int64))[1]
    return found


def linked(pages: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """For each page those it links to or is linked from, both ways alike; pages without any are left out."""
    known = set(names)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in sorted(known):
        for match in LINK.finditer((pages / name).read_text(encoding="utf-8", errors="replace")):
            other = target(name, next(link for link in match.groups() if link), known)
            if other and other != name:
                found[name].add(other)
                found[other].add(name)
    return dict(sorted(found.items()))


def target(name: str, link: str, known: set[str]) -> str | None:
    """The page that a link leads to; None for another site or a part of the same page."""
    link = re.split("[#?]", link)[0]
    if not link or ":" in link:
        return None
    base = ROOTS[name.split("/")[0]] if link.startswith("/") else posixpath.dirname(name)
    path = posixpath.normpath(f"{base}/{link}")
    return next((path + ending for ending in ENDINGS if path + ending in known), None)


def by_numpy(vectors: Mapping[str, Float32Matrix], asked: list[str]) -> dict[str, list[list[str]]]:
    """The ten best of each document by the means of the vectors, and by the best pair of passages."""
    names = list(vectors)
    means = np.stack([one.mean(axis=0) for one in vectors.values()])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    starts = np.cumsum([0, *(len(one) for one in vectors.values())])[:-1]
    everything = np.concatenate(list(vectors.values()))
    found: dict[str, list[list[str]]] = {"means": [], "best pair": []}
    for name in asked:
        own = names.index(name)
        pairs = np.maximum.reduceat((vectors[name] @ everything.T).max(axis=0), starts)
        for way, scores in (("means", means @ means[own]), ("best pair", pairs)):
            scores[own] = -np.inf
            found[way].append([names[other] for other in np.argsort(-scores, kind="stable")[:TOP]])
    return found


def ndcg(ranked: list[str], right: set[str]) -> float:
    """nDCG@10 where all that is right is equally so."""
    gained = sum(1 / math.log2(rank + 1) for rank, name in enumerate(ranked[:TOP], start=1) if name in right)
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, min(TOP, len(right)) + 1))


def interval(differences: np.ndarray) -> list[float]:
    """95 % of the means of samples drawn with replacement."""
    random = np.random.default_rng(0)
    means = [random.choice(differences, len(differences)).mean() for _ in range(2_000)]
    return [round(float(one), 2) for one in np.percentile(means, [2.5, 97.5])]


if __name__ == "__main__":
    main()
