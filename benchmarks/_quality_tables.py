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


def classification(found: Figures) -> str:
    """By set: accuracy, calibration and loss of each way; silence; few labelled texts."""
    rows = []
    for name, one in found["sets"].items():
        for way, scores in one["ways"].items():
            measures = (("accuracy", 1), ("calibration_error", 1), ("log_loss", 2))
            cells = (
                f"{scores[key]['mean']:.{digits}f} ± {scores[key]['sd']:.{digits}f}"
                for key, digits in measures
            )
            rows.append((name, way, *cells))
    said = ("answered", "right", "own unlike", "foreign unanswered", "foreign improbable")
    silence = [
        (name, *(f"{one['silence'][key]['mean']:.1f} %" if one["silence"] else "none" for key in said))
        for name, one in found["sets"].items()
    ]
    few = [
        (name, *(f"{score['mean']:.1f} ± {score['sd']:.1f}" for score in one["mteb"].values()))
        for name, one in found["sets"].items()
    ]
    head = (
        "set",
        "answered",
        "of these right",
        "held back as unlike",
        "foreign texts held back",
        "by probability alone",
    )
    return "\n\n".join(
        (
            table(("set", "way", "accuracy", "calibration error", "log loss"), rows),
            table(head, silence),
            table(("set", *(f"accuracy, {way}" for way in next(iter(found["sets"].values()))["mteb"])), few),
        )
    )


def duplicates(found: Figures) -> str:
    """By set, beside peers; and how the time grows."""
    sets, growth = found["sets"], found["growth"]
    head = ("set", "texts", "pairs", "AP", "scikit-learn's", "`auto`", "F1", "best F1", "share of the best")
    rows = [
        (
            name, f"{one['texts']:,}", f"{one['pairs']:,}",
            f"{one['ap']:.6f}", f"{one['ap_scikit_learn']:.6f}",
            f"{one['auto']:.3f}", f"{one['f1_auto']:.3f}",
            f"{max(one['f1_best'], one['f1_best_of_pairs_alone']):.3f}", f"{one['share_of_best']:.1%}",
        )
        for name, one in sets.items()
    ]  # fmt: skip
    beside = [
        (name, who, f"{figures['f1']:.3f}", secs(figures["took_s"]))
        for name, one in sets.items()
        for who, figures in [
            ("searchkit, auto", {"f1": one["f1_auto"], "took_s": one["took_s"]}),
            *(peer for peer in one["peers"].items() if isinstance(peer[1], dict)),
        ]
    ]
    grown = [
        (f"{one['rows']:,}", secs(one["took_s"]), one["us_per_row_and_log2"], f"{one['copies_found']:.1%}")
        for one in growth
    ]
    parts = [table(head, rows), table(("set", "by", "F1", "took"), beside)]
    if grown:
        parts.append(table(("rows", "took", "µs by row and log2(rows)", "copies found"), grown))
    return "\n\n".join(parts)


def map(found: Figures) -> str:
    """How long layouts take and what they keep; how quick the page is."""
    laid_out = [
        (
            f"{one['rows']:,}", one["method"], secs(one["s"]), f"{one['kept']:.3f}",
            f"{one['trustworthiness']:.3f}",
        )
        for one in found["layout"]
    ]  # fmt: skip
    shown = [
        (
            f"{one['rows']:,}", f"{one['mb']:.1f} MB", secs(one["open_s"]), secs(one["hover_ten_points_s"]),
            secs(one["move_s"]), secs(one["lasso_of_20_moves_s"]), secs(one["search_s"]),
        )
        for one in found["page"]
    ]  # fmt: skip
    parts = [table(("points", "method", "took", "kept of the 15 nearest", "trustworthiness"), laid_out)]
    if shown:
        acts = ("opened", "ten points hovered", "moved", "a lasso of 20 moves", "first search")
        head = ("points", "page", *acts)
        parts.append(table(head, shown))
    return "\n\n".join(parts)


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
                f"{one['usual']:.2f}",
                *beside,
                ", ".join(others),
            )
        )
    head = (
        "set",
        "kind",
        "measure",
        found["precision"],
        "95 %",
        found["usual"],
        "public",
        "reference",
        "others",
        "took",
    )
    parts = [table(head, rows)]
    judged = [(name, one) for name, one in found["sets"].items() if "jaccard" in one]
    for name, one in judged:
        ways = list(one["jaccard"])
        cells = [
            (who, *(f"{figures[way]:.2f}" for way in ways))
            for who, figures in (("cosine", one["measures"]), ("words in common", one["jaccard"]))
        ]
        parts.append(table((f"{name}, by", *ways), cells))
    return "\n\n".join((*parts, f"{found['model']}."))


def mini(found: Figures) -> str:
    """Every judged set, base and trained model side by side; following; wordings."""
    models = ("base", "mini without", "mini")
    rows = [
        (category, name, *(f"{one[which]:.2f}" for which in models), f"{one['mini'] - one['base']:+.2f}")
        for category, sets in found["quality"]["sets"].items()
        for name, one in [*sets.items(), ("**mean**", found["quality"]["categories"][category])]
    ]
    overall = found["quality"]["mean"]
    rows.append(
        (
            "**mean**", "", *(f"{overall[which]:.2f}" for which in models),
            f"{overall['mini'] - overall['base']:+.2f}",
        )
    )  # fmt: skip
    following = {name: one for name, one in found["following"].items() if name != "mean"}
    lines = []
    for name, one in following.items():
        for labelling in list(one["mini"])[:2]:
            (other,) = (key for key in list(one["mini"])[:2] if key != labelling)
            for_each = (
                f"{one[which][labelling][asked]:.1f}"
                for which in ("base", "mini")
                for asked in (labelling, other, "none")
            )
            lines.append((name, labelling, *for_each))
    mean = found["following"]["mean"]
    asked = ("its own instruction", "the other one", "none")
    head = ("set", "labelling", *(f"{which}: {one}" for which in ("base", "mini") for one in asked))
    said = "; ".join(
        f"own less {other} {mean['mini'][f'own - {other}']:.1f} points, the base "
        f"{mean['base'][f'own - {other}']:.1f}"
        for other in ("other", "none")
    )
    worded = found["wordings"]
    gaps = [(name, f"{one['gap']:.2f}") for name, one in worded.items() if name != "mean gap"]
    return (
        f"{table(('category', 'set', 'base', 'mini, no instruction', 'mini', 'gain'), rows)}\n\n"
        f"{table(head, lines)}\n\n"
        f"On average {said}.\n\n"
        f"{table(('set', 'best less worst of five paraphrases'), [*gaps, ('mean', worded['mean gap'])])}"
    )


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


def instructions(found: Figures) -> str:
    """What tuning confirmed, the gaps between paraphrases, degrees of detail, and the made-up embedder."""
    compared = [
        (
            name, f"`{row['instruction'].strip()}`", f"{row['present']:.2f}", f"{row['score']:.2f}",
            f"{row['score'] - row['present']:+.2f}", f"{row['low']:+.2f} to {row['high']:+.2f}",
            f"{row['p']:.3f}",
        )
        for name, one in found["tune"].items()
        for row in one["compared"]
    ]  # fmt: skip
    head = ("set", "instruction, the best of the choice", "none", "with it", "difference", "95 %", "p")
    verdicts = "\n".join(
        f"- {name}, {one['candidates']} instructions, {one['held_out']:,} of {one['items']:,} items held "
        f"out: {one['verdict']}"
        for name, one in found["tune"].items()
    )
    gaps = [
        (
            name, one["main"], f"{one['levels'][0]['score']:.2f}",
            f"{min(level['score'] for level in one['levels']):.2f}",
            f"{max(level['score'] for level in one['levels']):.2f}", f"{one['gap']:.2f}",
            f"{one['gap_p']:.3f}",
        )
        for name, one in found["robustness"].items()
    ]  # fmt: skip
    degrees = [
        (name, one["main"], *(_degree(level) for level in one["levels"]))
        for name, one in found["ablate"].items()
    ]
    made = found["made_up"]
    return "\n\n".join(
        (
            table(head, compared),
            verdicts,
            table(("set", "measure", "as it is", "worst", "best", "gap", "p"), gaps),
            table(("set", "measure", "none", "tag", "simple", "detailed"), degrees),
            f"Made up, {made['seeds']} seeds, {made['instructions']} instructions, {made['questions']} "
            f"questions: where none is better, one is called better in {made['claimed_where_none_is']} % of "
            f"the seeds; one that gives {made['gain']:.0f} points is found in "
            f"{made['found_where_one_is']} %.",
        )
    )


def self_evaluation(found: Figures) -> str:
    """Ways to search, by judged questions and by a Collection's own texts; how far both agree."""
    systems = [(name, f"{one['judged']:.2f}", f"{one['self']:.2f}") for name, one in found["systems"].items()]
    questions = found["questions"]
    head = (
        "cut, mode",
        f"nDCG@10 by {questions['judged']} judged questions",
        f"by {questions['self']} of its own",
    )
    return "\n\n".join(
        (
            table(head, systems),
            f"{found['corpus']}: Kendall's tau {found['kendall_tau']:.3f}. Judged questions decide "
            f"{found['pairs_decided_by_judged']} pairs (p < 0.05), of which "
            f"{found['of_them_in_the_same_order']} stand in the same order. Of these "
            f"{found['of_them_comparable_by_self']} have the same questions of their own: "
            f"{found['self_significant_same']} are significant by these too, in the same order; "
            f"{found['self_significant_opposite']} in the opposite one.",
        )
    )


def _degree(level: Figures) -> str:
    return f"{level['score']:.2f}" + (f" (p = {level['p']:.3f})" if level["name"] != "none" else "")
