"""Maps: how long a layout takes, how much of the neighbourhoods it keeps, how quick the page is in Chromium.

    python -m benchmarks.map --vectors FILE.npy [--rows 10000 100000] [--peers] [--save]

FILE.npy holds float32 rows of length 1, the first of which are laid out; without it, made ones are. *Kept* is
the share of the 15 nearest by cosine that are among the 15 nearest on the map, over 2,000 rows;
trustworthiness is scikit-learn's, among these rows. --peers lays out the fewest rows by scikit-learn's t-SNE,
too, and by UMAP where it is installed. The page has passages of 340 characters in 40 clusters; without a
Chromium (tests/browser.py says how it is found) it is left out.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import report, versions
from benchmarks.vector_search import made
from searchkit.analysis.knn import neighbours_among
from searchkit.analysis.map_colours import colours
from searchkit.analysis.map_layout import PERPLEXITY, positions
from searchkit.analysis.map_page import write_html
from searchkit.analysis.mapping import Map, Point
from searchkit.arrays import Float32Matrix
from tests.browser import Page, chromium, page

NEAREST = 15
JUDGED = 2_000
CLUSTERS = 40
TEXT = "A passage of the usual length, so that the page is as large as a real one would be. " * 4
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, help="float32 rows of length 1, as a .npy file")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--peers", action="store_true", help="lay out the fewest rows by other programs, too")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    asked = parser.parse_args()
    held = made(max(asked.rows)) if asked.vectors is None else np.load(asked.vectors, mmap_mode="r")
    figures: dict[str, Any] = {"layout": [], "page": [], "packages": versions(("openTSNE", "scikit-learn"))}
    for rows in sorted(asked.rows):
        vectors = np.ascontiguousarray(held[:rows], dtype=np.float32)
        methods = ["tsne", *(["scikit-learn", "umap"] if asked.peers and rows == min(asked.rows) else [])]
        for method in methods:
            if (found := laid_out(vectors, method)) is not None:
                figures["layout"].append(found)
                print(found)
        if chromium() is not None:
            figures["page"].append(in_chromium(rows))
            print(figures["page"][-1])
    report("map", figures, save=asked.save)


def laid_out(vectors: Float32Matrix, method: str) -> dict[str, Any] | None:
    """Seconds and quality of one layout; None where the program is not installed."""
    started = time.perf_counter()
    if method == "scikit-learn":
        from sklearn.manifold import TSNE

        placed = TSNE(perplexity=PERPLEXITY, init="pca", random_state=0, n_jobs=-1).fit_transform(vectors)
    elif method == "umap" and not versions(("umap-learn",)):
        return None
    else:
        placed = positions(vectors, method=method)
    took = time.perf_counter() - started
    return {"method": method, "rows": len(vectors), "s": round(took, 1), **quality(vectors, placed)}


def quality(vectors: Float32Matrix, placed: Any) -> dict[str, float]:
    """Of the neighbourhoods on the map."""
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    some = np.random.default_rng(0).choice(len(vectors), min(JUDGED, len(vectors)), replace=False)
    near = neighbours_among(vectors[some], vectors, NEAREST + 1).rows
    shown = (
        NearestNeighbors(n_neighbors=NEAREST + 1).fit(placed).kneighbors(placed[some], return_distance=False)
    )
    kept = [
        len(set(a) & set(b) - {row}) / NEAREST
        for row, a, b in zip(some.tolist(), near.tolist(), shown.tolist(), strict=True)
    ]
    trust = trustworthiness(vectors[some], placed[some], n_neighbors=NEAREST)
    return {"kept": round(float(np.mean(kept)), 3), "trustworthiness": round(float(trust), 3)}


def in_chromium(rows: int) -> dict[str, Any]:
    """Seconds that a page of so many points takes to open, and to answer the hand."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "map.html"
        write_html(made_up(rows), path)
        with page(Path(folder) / "profile") as browser:
            opened = timed(
                lambda: (browser.open(path), browser.until("window.searchkitMap !== undefined")), browser
            )
            x, y = browser.run("searchkitMap.place(0)")
            hover = timed(lambda: [browser.mouse("mouseMoved", x + 20 * at, y) for at in range(10)], browser)
            pan = timed(lambda: browser.drag((500, 400), (540, 400), (560, 420)), browser)
            browser.run("document.querySelector('[data-mode=lasso]').click()")
            ring = [(500 + 200 * math.cos(at / 3), 420 + 200 * math.sin(at / 3)) for at in range(20)]
            lasso = timed(lambda: browser.drag(*ring), browser)
            browser.run("document.getElementById('search').focus()")
            search = timed(
                lambda: (
                    browser.type("number 77"),
                    browser.until("document.getElementById('found').textContent !== ''"),
                ),
                browser,
            )
            return {
                "rows": rows,
                "mb": round(path.stat().st_size / 1e6, 1),
                "open_s": opened,
                "hover_ten_points_s": hover,
                "move_s": pan,
                "lasso_of_20_moves_s": lasso,
                "search_s": search,
            }


def timed(act: Any, browser: Page) -> float:
    """Seconds until what was done is painted."""
    started = time.perf_counter()
    act()
    browser.run(FRAME)
    return round(time.perf_counter() - started, 2)


def made_up(rows: int) -> Map:
    """A map of points around middles, with passages of the usual length."""
    rng = np.random.default_rng(0)
    of = rng.integers(0, CLUSTERS, rows)
    places = (rng.uniform(0.1, 0.9, (CLUSTERS, 2))[of] + rng.normal(0, 0.03, (rows, 2))).clip(0, 1)
    points = tuple(
        Point(
            x=float(x),
            y=float(y),
            passage_id=at,
            document=f"{at // 10}.md",
            where=f"{at // 10}.md:{at}",
            heading="",
            text=f"number {at} {TEXT}",
        )
        for at, (x, y) in enumerate(places)
    )
    by_cluster = colours("cluster", [f"cluster {one}" for one in of])
    return Map(
        collection="made up",
        method="tsne",
        level="passage",
        total=rows,
        points=points,
        colours=by_cluster,
        hits={},
    )


if __name__ == "__main__":
    main()
