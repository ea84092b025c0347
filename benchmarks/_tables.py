"""Writes the tables of README.md from results/*.json, so that no figure there is typed by hand.

    python -m benchmarks._tables [--check]

Text between `<!-- table NAME -->` and `<!-- end -->` is replaced; `--check` only says whether it would be.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _quality_tables as quality
from benchmarks._conditions import RESULTS
from benchmarks._markdown import secs, table

README = Path(__file__).with_name("README.md")
RECALL = 0.97  # that approximate search has to reach for a fair comparison of its speed
NOTHING = "No result is kept."
_MARKED = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.S)

Figures = dict[str, Any]


def rewritten(text: str) -> str:
    """The text with every marked table made anew."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


def machine() -> str:
    """Limits of the machine."""
    return _each("machine", _machine)


def embedding_throughput() -> str:
    """Both sets of texts under each other."""
    return _each("embedding_throughput", _embedding_throughput)


def instructor_throughput() -> str:
    """The INSTRUCTOR-base-sized checkpoint."""
    return _each("instructor_throughput", _instructor_throughput)


def precision_quality() -> str:
    """Points of nDCG@10 lost, by set."""
    return _each("precision_quality", _precision_quality)


def index_end_to_end() -> str:
    """Whole processes that index."""
    return _each("index_end_to_end", _index_end_to_end)


def query_latency() -> str:
    """Cold processes, then warm questions at each size."""
    return _each("query_latency", _query_latency)


def refresh() -> str:
    """Folders that were refreshed."""
    kept = [_load(path.stem) for path in sorted(RESULTS.glob("refresh*.json"))]
    rows = [
        (
            one["folder"], one["files"], f"{one['passages']:,}",
            f"{one['first_s']:.1f} s, {one['texts_per_s']:.0f} texts/s", secs(_middle(one["unchanged_s"])),
            f"{secs(one['edit']['s'])}, {one['edit']['embedded']} embedded",
            f"{secs(one['move']['s'])}, {one['move']['embedded']} embedded",
        )
        for one in kept
        if one and "edit" in one
    ]  # fmt: skip
    head = (
        "folder",
        "files",
        "passages",
        "first run",
        "nothing changed",
        "one file edited",
        "one file moved",
    )
    return table(head, rows) + _conditions(kept)


def refresh_many() -> str:
    """A folder of very many small files."""
    kept = [_load(path.stem) for path in sorted(RESULTS.glob("refresh-*-files.json"))]
    rows = [
        (
            f"{one['files']:,}", secs(_middle(one["unchanged_s"])),
            f"{secs(one['one_percent']['s'])}, {one['one_percent']['embedded']} embedded",
            ", ".join(f"{part.replace('_', ' ')} {secs(s)}" for part, s in one["unchanged_parts_s"].items()),
        )
        for one in kept
        if one
    ]  # fmt: skip
    head = ("files", "nothing changed", "one in a hundred changed", "parts of the run without a change")
    return table(head, rows) + _conditions(kept) if rows else NOTHING


def pipeline() -> str:
    """What indexing takes besides the model."""
    return _each("pipeline", _pipeline)


def growth() -> str:
    """Costs by the number of passages, under a fake model and under the default one."""
    names = {"growth": "fake", "growth-model": "all-MiniLM-L6-v2", "growth-memory": "the default, then fake"}
    kept = {name: _load(name) for name in names}
    rows = [
        (
            names[name], f"{row['passages']:,}", f"{row['index_ms_per_passage']:.3f}", secs(row["refresh_s"]),
            row["peak_rss_mb"], row["library_bytes_per_passage"],
        )
        for name, found in kept.items()
        if found
        for row in found["sizes"]
    ]  # fmt: skip
    head = (
        "model",
        "passages",
        "index, ms per passage",
        "refresh without a change",
        "peak MB",
        "bytes per passage",
    )
    return table(head, rows) + _conditions(kept.values()) if rows else NOTHING


def vector_search() -> str:
    """Of each contender and size the fastest setting that reaches RECALL, else the one nearest to it."""
    return _each("vector_search", _vector_search)


def _pipeline(found: Figures) -> str:
    rows = [
        (
            one["folder"], one["files"], f"{one['passages']:,}", f"{one['wall_s']:.1f} s",
            f"{one['texts_per_s']:.0f}", _share(one["share_outside"]), one["peak_rss_mb"],
        )
        for one in found["corpora"]
    ]  # fmt: skip
    head = (
        "corpus",
        "files",
        "passages",
        "run",
        "texts/s in the model",
        "time outside of the model",
        "peak MB",
    )
    return table(head, rows)


def _vector_search(found: Figures) -> str:
    rows = []
    for run in sorted(found["runs"], key=lambda run: run["rows"]):
        reaching = [point for point in run["points"] if point["recall"] >= RECALL]
        if not run["points"]:
            continue
        point = (
            min(reaching, key=lambda one: one["p50_ms"])
            if reaching
            else max(run["points"], key=lambda one: one["recall"])
        )
        rows.append(
            (
                f"{run['rows']:,}", run["contender"], point["setting"], f"{point['recall']:.3f}",
                f"{point['p50_ms']:.2f}", f"{point['p99_ms']:.2f}", f"{run['index_bytes_per_vector']:,.0f}",
                f"{run['rss_bytes_per_vector']:,.0f}", f"{run['build_s']:.1f}",
            )
        )  # fmt: skip
    head = (
        "vectors", "contender", "setting", "recall@10", "p50 ms", "p99 ms", "bytes per vector, index",
        "bytes per vector, memory", "build s",
    )  # fmt: skip
    return table(head, rows)


def _machine(found: Figures) -> str:
    rows = [(f"matrices, {name}", f"{rate:,.0f}", "10⁹/s") for name, rate in found["matrix_gops"].items()]
    rows += [
        ("memory read, one thread", f"{found['read_gb_s_one_thread']:.1f}", "GB/s"),
        ("memory read, all threads", f"{found['read_gb_s']:.1f}", "GB/s"),
    ]
    return table(("limit", "measured", "unit"), rows)


def _throughput_rows(rows: Figures, facts: Figures) -> str:
    head = ("contender", "texts/s, best", "median", "ratio", "least cosine", "mean cosine", "share of peak")
    return table(
        head,
        [
            (
                _contender(name, facts), row["texts_per_s"], row["texts_per_s_median"],
                f"{row.get('ratio', 0):.2f}", f"{row.get('min_cosine', 0):.5f}",
                f"{row.get('mean_cosine', 0):.5f}", _share(row.get("share_of_peak")),
            )
            for name, row in rows.items()
        ],
    )  # fmt: skip


def _embedding_throughput(found: Figures) -> str:
    parts = []
    for name, one in found["sets"].items():
        tokens = one["tokens"]
        parts.append(
            f"{name}: {one['texts']} texts of {tokens['median']:.0f} tokens in the median, at most "
            f"{tokens['max']}, from {one['origin']}\n\n{_throughput_rows(one['rows'], found['contenders'])}"
        )
    return "\n\n".join(parts) + _absent(found)


def _instructor_throughput(found: Figures) -> str:
    tokens = found["tokens"]
    return (
        f"{found['texts']} texts of {tokens['min']} to {tokens['max']} tokens with the Instruction, "
        f"{tokens['median']} in the median\n\n{_throughput_rows(found['rows'], found['contenders'])}"
        + _absent(found)
    )


def _precision_quality(found: Figures) -> str:
    names = list(found["ndcg@10"])
    rows: list[Sequence[Any]] = [
        ("float32", "float32", *(f"{found['ndcg@10'][name]:.4f}" for name in names), "nDCG@10")
    ]
    for pair, one in found["pairs"].items():
        documents, queries = pair.split("/")
        lost = (f"{one['by_set'][name]:+.2f}" for name in names)
        rows.append(
            (documents, queries, *lost, f"{one['mean']:+.3f} [{one['low']:+.2f}, {one['high']:+.2f}]")
        )
    sampled = "; ".join(f"{name}: {one['sampled']}" for name, one in found["sets"].items())
    return f"{table(('documents', 'queries', *names, 'mean, points lost'), rows)}\n\n{sampled}."


def _index_end_to_end(found: Figures) -> str:
    rows = [
        (
            name, f"{row['best_s']:.2f}", f"{row['median_s']:.2f}", row["texts_per_s"],
            f"{row['ratio']:.2f}" if row["ratio"] else "", f"{row['peak_mib'] or 0:,.0f}",
            row.get("top10_overlap", ""),
        )
        for name, row in found["rows"].items()
    ]  # fmt: skip
    head = ("", "s, best", "s, median", "texts/s", "times ours", "peak MiB", "same ten hits")
    return (
        f"{found['texts']:,} files of one passage each, from {found['origin']}\n\n{table(head, rows)}"
        + _absent(found)
    )


def _query_latency(found: Figures) -> str:
    parts = []
    if found["cold"]:
        rows = [
            (
                name, f"{row['best_s']:.3f}", f"{row['median_s']:.3f}", f"{row['ratio'] or 0:.1f}",
                f"{row['peak_mib'] or 0:,.0f}", row["top10_overlap"],
            )
            for name, row in found["cold"]["rows"].items()
        ]  # fmt: skip
        head = ("cold process", "s, best", "s, median", "times ours", "peak MiB", "of the ten nearest")
        parts.append(f"{found['cold']['passages']:,} passages, whole processes\n\n{table(head, rows)}")
    for size, warm in found["warm"].items():
        rows = [
            (name, row["p50_ms"], row["p99_ms"], f"{row['ratio'] or 0:.1f}", f"{row['top10_overlap']:.3f}")
            for name, row in warm.items()
        ]
        head = ("warm process", "p50 ms", "p99 ms", "times ours", "of the ten nearest")
        parts.append(f"{int(size):,} passages, {found['questions']} questions\n\n{table(head, rows)}")
    return "\n\n".join(parts) + _absent(found)


def _each(name: str, shown: Callable[[Figures], str]) -> str:
    found = _load(name)
    return shown(found) + _conditions([found]) if found else NOTHING


OF_QUALITY: tuple[Callable[[Figures], str], ...] = (
    quality.classification, quality.clustering, quality.duplicates, quality.evaluation, quality.hybrid,
    quality.instructions, quality.map, quality.mini, quality.relevance, quality.reranking,
    quality.sample_corpus, quality.self_evaluation, quality.similar,
)  # fmt: skip
TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        machine, embedding_throughput, instructor_throughput, precision_quality, index_end_to_end,
        query_latency, refresh, refresh_many, pipeline, growth, vector_search,
    )
} | {one.__name__: partial(_each, one.__name__, one) for one in OF_QUALITY}  # fmt: skip


def _load(name: str) -> Figures | None:
    path = RESULTS / f"{name}.json"
    found: Figures | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def _conditions(kept: Iterable[Figures | None]) -> str:
    """One line of what the figures above were taken under."""
    lines = dict.fromkeys(
        f"{one['cpu']}, {one['cores']} cores, Python {one['python']}, {one['date']}, commit {one['commit']}"
        for one in (found["conditions"] for found in kept if found)
    )
    return f"\n\n<sub>{'; '.join(lines)}</sub>" if lines else ""


def _contender(name: str, facts: Figures) -> str:
    """The contender's name; for 'auto' with what it chose."""
    fact = facts.get(name, {})
    return f"{name} ({fact['precision']}, {fact['runtime']})" if "precision" in fact else name


def _absent(found: Figures) -> str:
    lines = [f"without {name}: {why}" for name, why in found.get("absent", {}).items()]
    return f"\n\n{'; '.join(lines)}" if lines else ""


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    """Rewrite README.md, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 if it is out of date"
    )
    arguments = parser.parse_args()
    before = README.read_text(encoding="utf-8")
    after = rewritten(before)
    if arguments.check:
        sys.exit("README.md is not what results/ say: python -m benchmarks._tables" if after != before else 0)
    README.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
