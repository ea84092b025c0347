"""Tables of figures about quality: what is found, in which order, and what is said of it."""

from __future__ import annotations

from typing import Any

from benchmarks._markdown import secs, table

Figures = dict[str, Any]


def hybrid(found: Figures) -> str:
    """By mode and set, and the gain over the better arm."""
    rows = [
        (name, mode, *(f"{one[mode][measure]:.2f}" for measure in ("ndcg@10", "recall@100", "mrr")))
        for name, one in [*found["sets"].items(), ("mean", found["mean"])]
        for mode in ("vector", "text", "hybrid")
    ]
    equal = all(one["vector_arm_equals_numpy"] for one in found["sets"].values())
    gain = found["gain_over_better_arm"]
    return (
        f"{table(('set', 'mode', 'nDCG@10', 'recall@100', 'MRR'), rows)}\n\n"
        f"Hybrid against the better arm of each set: {gain['mean']:+.2f} points of nDCG@10 on average, "
        f"{gain['worst']:+.2f} at worst. The vector arm {'is' if equal else 'IS NOT'} that of a numpy scan."
    )


def similar(found: Figures) -> str:
    """By way of comparing."""
    low, high = found["similar_less_means_95"]
    took = found["took_ms"]
    return (
        f"{table(('compared by', 'nDCG@10'), found['ndcg@10'].items())}\n\n"
        f"{found['documents']:,} documents, {found['passages']:,} passages, {found['documents_with_links']} "
        f"documents with links. Less the means of the vectors: {low:+.1f} to {high:+.1f} points (95 %). "
        f"An answer takes {took['p50']} ms, at the 95th percentile {took['p95']} ms."
    )


def clustering(found: Figures) -> str:
    """V-measure by set, the number of clusters chosen, their names, and labels under two instructions."""
    ways = ("searchkit", "mteb protocol")
    head = ("set", "texts", "labels", *(f"v-measure, {way}" for way in ways), "k of `auto`", "factor", "took")
    rows = []
    for name, one in found["sets"].items():
        scores = (f"{one['v_measure'][way]['mean']:.1f} ± {one['v_measure'][way]['sd']:.1f}" for way in ways)
        auto = one["auto"]
        rows.append(
            (name, one["texts"], one["labels"], *scores, auto["k"], auto["factor"], f"{auto['took_s']} s")
        )
    called = [
        (name, one["named"]["clusters"], one["named"]["label"], one["named"]["word for it"])
        for name, one in found["sets"].items()
        if "named" in one
    ]
    two = found["two_labels"]
    cells = [
        (under, *(f"{score['mean']:.1f} ± {score['sd']:.1f}" for score in row.values()))
        for under, row in two.items()
    ]
    within = found["auto_within_factor"]
    return "\n\n".join(
        (
            table(head, rows),
            f"Within a factor of {within['factor']}: {within['sets']} of {len(found['sets'])}.",
            table(("set", "clusters", "label among the first five words", "a word for it"), called),
            table(("instruction", *(f"v-measure by {one}" for one in next(iter(two.values())))), cells),
        )
    )


def evaluation(found: Figures) -> str:
    """By set, beside what others measured; the judgement of texts beside what words alone say."""
    rows = []
    for name, one in found["sets"].items():
        others = (f"{key} {value:.2f}" for key, value in one["measures"].items() if key != one["main"])
        beside = ("" if one[key] is None else f"{one[key]:.2f}" for key in ("public", "reference"))
        score, interval = one["measures"][one["main"]], f"{one['low']:.1f} to {one['high']:.1f}"
        rows.append(
            (
                name,
                one["kind"],
                one["main"],
                f"{score:.2f}",
                interval,
                *beside,
                ", ".join(others),
                secs(one["took_s"]),
            )
        )
    head = ("set", "kind", "measure", "score", "95 %", "public", "reference", "others", "took")
    parts = [table(head, rows)]
    judged = [(name, one) for name, one in found["sets"].items() if "jaccard" in one]
    for name, one in judged:
        ways = list(one["jaccard"])
        cells = [
            (who, *(f"{figures[way]:.2f}" for way in ways))
            for who, figures in (("cosine", one["measures"]), ("words in common", one["jaccard"]))
        ]
        parts.append(table((f"{name}, by", *ways), cells))
    return "\n\n".join((*parts, f"{found['model']}, {found['precision']}."))


def relevance(found: Figures) -> str:
    """Verdicts by set, and nDCG@10 of several Collections together."""
    said = ("answerable_said_relevant", "unanswerable_said_nothing_relevant")
    ways = ("alone", "by relevance", "by ranks")
    rows = [
        (
            name,
            f"{one['answerable']:,}",
            f"{one[said[0]]:.1f} %",
            f"{one['unanswerable']:,}",
            f"{one[said[1]]:.1f} %",
            *(f"{one['ndcg@10'][way]:.2f}" for way in ways),
        )
        for name, one in found["sets"].items()
    ]
    mean = (f"{found['mean'][key]:.1f} %" for key in said)
    rows.append(("mean", "", next(mean), "", next(mean), *(f"{found['mean_ndcg@10'][w]:.2f}" for w in ways)))
    header = ("set", "own questions", "said relevant", "others'", "said nothing relevant", *ways)
    every, area = found["all"], found["auc"]
    return (
        f"{table(header, rows)}\n\n"
        f"Of all {every['answerable']:,} own questions {every[said[0]]:.1f} % are said to have found what is "
        f"relevant, of all {every['unanswerable']:,} of others {every[said[1]]:.1f} % to have found nothing. "
        f"Area under the ROC: {area['relevance']:.4f}, of the bare cosine {area['cosine']:.4f}."
    )


def reranking(found: Figures) -> str:
    """Before and after."""
    rows = [
        (
            name, mode, one["queries"], f"{one[mode]['before']:.2f}", f"{one[mode]['after']:.2f}",
            f"{one[mode]['better']}, {one[mode]['worse']}", secs(one["seconds_a_query"]),
        )
        for name, one in found["sets"].items()
        for mode in ("vector", "hybrid")
    ]  # fmt: skip
    head = ("set", "mode", "queries", "nDCG@10 before", "after", "better, worse", "a query takes")
    return f"{table(head, rows)}\n\nThe first {found['first']} judged by {found['judged_by']}."


def sample_corpus(found: Figures) -> str:
    """By profile."""
    row = (found["profile"], f"{found['in_top_5']:.3f}", f"{found['first']:.3f}", f"{found['mrr@10']:.3f}")
    return table(("profile", "in the first five", "first", "MRR@10"), [row])
