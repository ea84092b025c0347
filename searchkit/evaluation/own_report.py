"""What a report on a Collection says beside its figures: evidence, verdicts, the worst questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from searchkit.evaluation.results import Result


def section(found: Sequence[Result]) -> str:
    """HTML to stand below the figures; '' where there is nothing to say."""
    return "\n".join(_of_result(one) for one in found if one.details)


def verdicts(one: Result) -> str:
    """What was said of relevance, in a sentence; '' where it is not known."""
    measures, counts = one.measured.measures, one.measured.counts
    said = []
    if "refused" in measures:
        said.append(
            f"of {counts['unanswerable']:,} questions without an answer ({one.details['unanswerable']}) "
            f"{measures['refused']:.1f} % were told that nothing relevant was found"
        )
    if "answered" in measures:
        said.append(
            f"of {counts['questions']:,} with one {100 - measures['answered']:.1f} % were wrongly told so"
        )
    return "; ".join(said)


def latency(one: Result) -> str:
    """How long queries took, in a sentence."""
    times = one.details["latency_ms"]
    return (
        f"a query took {times['p50']:g} ms (median of {times['queries']:,}), "
        f"one in twenty {times['p95']:g} ms or more"
    )


def place(row: Mapping[str, Any]) -> str:
    """Where what was wanted stood."""
    return "not found" if not row["ranks"] else "rank " + ", ".join(map(str, row["ranks"]))


def _of_result(one: Result) -> str:
    details = one.details
    lines = [f"Evidence: {details['evidence']}.", _sentence(verdicts(one)), _sentence(latency(one))]
    kinds = details["kinds"]
    if len(kinds) > 1:
        parts = ", ".join(
            f"{kind} {about[one.measured.main]:.2f} ({about['questions']:,})" for kind, about in kinds.items()
        )
        lines.append(f"{one.measured.main} by kind of question: {parts}.")
    paragraphs = "".join(f"<p>{escape(line)}</p>\n" for line in lines if line)
    return (
        f"<h2>{escape(one.task)}: {escape(details['collection'])}, {escape(details['mode'])}</h2>\n"
        f"{paragraphs}{_table(details['worst'])}{_table_not_refused(details['not_refused'])}"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    made = "\n".join(
        f"<tr><td>{escape(row['question'])}</td><td>{escape(', '.join(row['wanted']))}</td>"
        f"<td>{place(row)}</td><td>{'<br>'.join(map(_found, row['found'])) or 'nothing'}</td></tr>"
        for row in rows
    )
    return (
        "<h3>Answered worst</h3>\n<table><tr><th>question</th><th>wanted</th><th>where it stood</th>"
        f"<th>found first</th></tr>\n{made}\n</table>\n"
    )


def _table_not_refused(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    made = "\n".join(
        f"<tr><td>{escape(row['question'])}</td><td>{_found(row['found'])}</td></tr>" for row in rows
    )
    return (
        "<h3>Taken for answered, and is not</h3>\n<table><tr><th>question</th><th>found first</th></tr>\n"
        f"{made}\n</table>\n"
    )


def _found(hit: Mapping[str, Any]) -> str:
    return f"<code>{escape(hit['where'])}</code> {escape(hit['text'])}"
