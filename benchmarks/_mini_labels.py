"""Texts of the mixture with two labellings each, by rules: what an Instruction has to decide between.

Where the mixture has rows of labels without their names (sentiment, categories), its own rows are used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks._mini_wording import Wording, grouping
from searchkit.training.examples import Example

QUESTIONS = ("question", "query", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLabelled:
    """Texts, each with a label under every labelling."""

    name: str
    texts: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    wordings: Mapping[str, Wording]  # by labelling


# The form of a question, by how it begins or what it holds; the first rule that fits.
FORMS: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("number", r"\bhow (many|much|long|old|far|often|tall|big)\b"),
        ("reason", r"^(why|what causes|what is the reason)\b|\bwhy (is|are|did|do|does|was|were)\b"),
        ("way", r"^(how (to|do|can|should|would|could)|what is the best way|best way)\b"),
        ("person", r"^(who|whose|whom)\b|\b(which|what) (actor|actress|singer|author|president|king|man)\b"),
        (
            "time",
            r"^(when|in what year|in which year|what year|which year)\b|\b(what|which) (year|date|day)\b",
        ),
        ("place", r"^(where|in (what|which) (city|country|state))\b|\b(what|which) (city|country|state)\b"),
        ("yes or no", r"^(is|are|was|were|do|does|did|can|could|should|has|have|will|would)\b"),
        ("meaning", r"^(what (does|do) .* (mean|stand for)|what is (a|an|the meaning)|define)\b"),
    )
)
FORM_WORDS = (
    "form of question", "kind of question", "kind of answer it expects", "type of question",
    "type of information asked", "question word",
)  # fmt: skip
MEDQUAD = re.compile(
    r"^(?P<type>how many people are affected by|what are the genetic changes related to|is|what is \(are\)|"
    r"what causes|what are the symptoms of|what are the treatments for|how to diagnose|who is at risk for|"
    r"what research \(or clinical trials\) is being done for|what are the complications of|how to prevent|"
    r"what is the outlook for|what to do for|do you have information about)\s+(?P<disease>.+?)"
    r"(?P<inherited>\s+inherited)?\s*\?+\s*\??$",
    re.IGNORECASE,
)


def form_of(question: str) -> str | None:
    """What a question asks for, where a rule tells."""
    low = question.lower().strip()
    return next((name for name, pattern in FORMS if pattern.search(low)), None)


def medquad_of(question: str) -> tuple[str, str] | None:
    """(disease, type of information) of a question of MedQuAD's templates."""
    found = MEDQUAD.match(question.strip())
    return (found["disease"].lower().strip(" ?"), found["type"].lower()) if found else None


def two_labelled(mixture: Mapping[str, Sequence[Example]]) -> list[TwoLabelled]:
    """All sets that rules make of the mixture."""
    made = [
        _medquad_questions(mixture),
        _medquad_answers(mixture),
        _commands(mixture["tldr_examples"]),
        _sections(mixture["docs_heading_section"]),
        _code_questions(mixture["stackoverflow_code"]),
        _relations(mixture["simplequestions_relation"]),
        _domains(mixture),
        _databases(mixture["database_questions"]),
    ]
    return [_cleaned(one) for one in made]


def _medquad_questions(mixture: Mapping[str, Sequence[Example]]) -> TwoLabelled:
    rows = [*mixture["medquad_by_disease"], *mixture["medquad_by_type"]]
    texts = _different(text for one in rows for text in _texts(one))
    return _made(
        "medquad_questions", texts, medquad_of,
        {
            "disease": grouping(("Medicine question", "medical question", *QUESTIONS),
                                ("disease", "disease it is about", "condition", "subject", "topic")),
            "type": grouping(("Medicine question", "medical question", *QUESTIONS),
                             ("type of information asked", "type", *FORM_WORDS)),
        },
    )  # fmt: skip


def _medquad_answers(mixture: Mapping[str, Sequence[Example]]) -> TwoLabelled:
    of = {one.positives[0][1]: medquad_of(one.query[1]) for one in mixture["medquad"]}
    return _made(
        "medquad_answers", list(of), of.__getitem__,
        {
            "disease": grouping(("medical passage", "answer", "document", "text"),
                                ("disease", "condition", "subject", "topic")),
            "type": grouping(("medical passage", "answer", "document", "text"),
                             ("type of information", "kind of information", "kind of section")),
        },
    )  # fmt: skip


def _commands(rows: Sequence[Example]) -> TwoLabelled:
    of = {}
    for one in rows:
        words, command = one.query[1].split(), one.positives[0][1].split()
        if len(words) > 2 and len(command) > 1:
            at = 1 if command[0] == "sudo" else 0
            of[one.query[1]] = (command[at], words[0].lower().strip(":,"))
    return _made(
        "commands", list(of), of.__getitem__,
        {
            "program": grouping(("task description", "user goal", "command description", "text"),
                                ("program", "tool", "command line program", "subject", "topic")),
            "action": grouping(("task description", "user goal", "command description", "text"),
                               ("action", "verb", "kind of action", "operation")),
        },
    )  # fmt: skip


SECTIONS = (
    "release signoff checklist", "design details", "story", "alpha", "beta", "notes", "graduation",
    "implementation", "tests", "example", "background", "deprecation", "how we teach this", "caveats",
    "definitions", "overview", "metrics", "limitations", "use cases", "security", "api changes",
    "recommendation", "alternatives", "motivation", "terminology", "scope", "performance", "infrastructure",
)  # fmt: skip


def _sections(rows: Sequence[Example]) -> TwoLabelled:
    of: dict[str, tuple[str, str] | None] = {}
    for one in rows:
        title, _, heading = one.query[1].rpartition(": ")
        kind = next((name for name in SECTIONS if name in heading.lower()), None)
        of[one.positives[0][1]] = (title, kind) if title and kind else None
    return _made(
        "sections", list(of), of.__getitem__,
        {
            "subject": grouping(("documentation section", "document", "page", "text"),
                                ("topic", "subject", "feature", "project", "proposal")),
            "section": grouping(("documentation section", "document", "page", "text"),
                                ("kind of section", "kind of page", "role in the document", "document type")),
        },
    )  # fmt: skip


def _code_questions(rows: Sequence[Example]) -> TwoLabelled:
    of = {one.query[1]: (one.query[0].split()[2], form_of(one.query[1])) for one in rows}
    return _made(
        "code_questions", list(of), lambda text: _both(*of[text]),
        {
            "language": grouping(("programming question", "post title", *QUESTIONS),
                                 ("programming language", "language", "technology")),
            "form": grouping(("programming question", "post title", *QUESTIONS), FORM_WORDS),
        },
    )  # fmt: skip


def _relations(rows: Sequence[Example]) -> TwoLabelled:
    of = {one.query[1]: (one.positives[0][1], form_of(one.query[1])) for one in rows}
    return _made(
        "relations", list(of), lambda text: _both(*of[text]),
        {
            "relation": grouping(QUESTIONS,
                                 ("relation it asks about", "property asked for", "topic", "intent")),
            "form": grouping(QUESTIONS, FORM_WORDS),
        },
    )  # fmt: skip


DOMAINS = {
    "medicine": ("medquad", "medical_forum", "pubmedqa", "medical_rqe"),
    "programming": ("stackoverflow_code",),
    "encyclopaedia": ("squad_sentences",),
    "trivia": ("trivia_answer",),
    "databases": ("database_questions",),
}


def _domains(mixture: Mapping[str, Sequence[Example]]) -> TwoLabelled:
    of = {}
    for domain, tasks in DOMAINS.items():
        for task in tasks:
            for one in mixture[task][:2_000]:
                if len(one.query[1]) < 200:
                    of[one.query[1]] = (domain, form_of(one.query[1]))
    return _made(
        "domains", list(of), lambda text: _both(*of[text]),
        {
            "domain": grouping(QUESTIONS, ("domain", "field", "area", "broad subject")),
            "form": grouping(QUESTIONS, FORM_WORDS),
        },
    )  # fmt: skip


def _databases(rows: Sequence[Example]) -> TwoLabelled:
    of = {}
    for one in rows:
        words = one.query[1].lower().split()
        if len(words) > 2:
            of[one.query[1]] = (one.query[0].split()[2], " ".join(words[:2]))
    return _made(
        "databases", list(of), of.__getitem__,
        {
            "database": grouping(("database question", "request", *QUESTIONS),
                                 ("domain", "database")),
            "opening": grouping(("database question", "request", *QUESTIONS),
                                ("wording", "opening words", "form of request", "style")),
        },
    )  # fmt: skip


def _both(one: str | None, other: str | None) -> tuple[str, str] | None:
    return (one, other) if one and other else None


def _texts(one: Example) -> list[str]:
    return [one.query[1], *(text for _, text in (*one.positives, *one.negatives))]


def _different(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _made(
    name: str,
    texts: Sequence[str],
    labels_of: Callable[[str], tuple[str, str] | None],
    wordings: Mapping[str, Wording],
) -> TwoLabelled:
    kept = [(text, labels) for text in texts if (labels := labels_of(text)) is not None]
    names = list(wordings)
    return TwoLabelled(
        name=name,
        texts=[text for text, _ in kept],
        labels={names[at]: [labels[at] for _, labels in kept] for at in range(len(names))},
        wordings=wordings,
    )


def _cleaned(found: TwoLabelled, least: int = 4) -> TwoLabelled:
    """Without labels of which there are fewer texts than that: nothing can be near them."""
    rows = list(range(len(found.texts)))
    while True:
        counts = {name: Counter(labels[row] for row in rows) for name, labels in found.labels.items()}
        kept = [row for row in rows if all(counts[name][found.labels[name][row]] >= least for name in counts)]
        if len(kept) == len(rows):
            break
        rows = kept
    return TwoLabelled(
        name=found.name,
        texts=[found.texts[row] for row in rows],
        labels={name: [labels[row] for row in rows] for name, labels in found.labels.items()},
        wordings=found.wordings,
    )
