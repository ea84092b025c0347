"""Rules about the words of a Profile: what a model would read otherwise than its author meant.

The trained forms are INSTRUCTOR's: "Represent the (domain) text_type for task_objective: " in its authors'
own examples (arXiv 2212.09741, section 2.3), and, in the data it was trained on, the same ending in ';'
without a blank. Each rule takes a value and yields what it found; none opens a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from searchkit.profile import Instruction, Profile

Severity: TypeAlias = Literal["error", "warning"]

SLOTS = ("domain", "text_type", "task_objective")
TEMPLATE = "'Represent the (domain) text_type for task_objective: '"
TRAINED_START = re.compile(r"Represent (the|this) \S")
PLACEHOLDER = re.compile(r"[{<\[](?:domain|text_type|task_objective|task|instruction|query|text)[}>\]]", re.I)
# What some families want before texts: searchkit puts it there itself, and only before their texts.
PREFIX_OF = {
    "query:": "e5",
    "passage:": "e5",
    "search_query:": "nomic",
    "search_document:": "nomic",
    "clustering:": "nomic",
    "classification:": "nomic",
    "instruct:": "qwen3-embedding",
    "task:": "embeddinggemma",
    "title:": "embeddinggemma",
}
REPEATED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
# What may end what a mark begins, in one language or another: “en”, „de“, „pl”, ”sv”, «fr», »de«, »sv».
PAIRED = {"(": ")", "[": "]", "{": "}", "„": "“”", "“": "”", "”": "”", "«": "»", "»": "«»"}
# What a slot says twice if it begins so; 'The Hague' does not.
TEMPLATE_WORDS = {
    "domain": re.compile(r"([Rr]epresent|the|for)(?!\S)"),
    "text_type": re.compile(r"([Rr]epresent|the|for)(?!\S)"),
    "task_objective": re.compile(r"([Rr]epresent|for)(?!\S)"),
}
SENTENCE_END = re.compile(r"[:;,]$|\b[a-z]{5,}\.$")  # a full stop, but not of 'U.S.', 'Inc.', 'etc.'
# A purpose in the text type: a word of the template's that follows 'for'. Requests for proposals are texts.
PURPOSE = re.compile(r"\bfor (retriev|search|find|cluster|classif|match|rank|detect|duplicate|similar)", re.I)
# The purpose of another task. 'retrieve' and 'similar' tell of none: tickets like a new one are retrieved,
# and so are duplicates. Nor does what is looked for: classified ads, papers on clustering.
TELLING = {
    "clustering": re.compile(r"\bclustering\b", re.I),
    "classification": re.compile(r"\b(classification|classify|classifying)\b", re.I),
}
LOOKING = re.compile(r"(retriev|search|find|look|answer)", re.I)
ASKING = {"question", "questions", "query", "queries", "claim", "claims"}
ANSWERING = {"document", "documents", "passage", "passages", "article", "articles", "paragraph", "paragraphs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found in a Profile. where: the key of its TOML form, such as 'query.task_objective'."""

    rule: str
    severity: Severity
    profile: str
    where: str
    found: str
    expected: str


Found: TypeAlias = Iterator[tuple[str, Severity, str, str, str]]  # rule, severity, where, found, expected


def sides(profile: Profile) -> Mapping[str, Instruction]:
    """The Profile's Instructions by the name of their table: one of a symmetric task, else two."""
    if profile.symmetric:
        return {"instruction": profile.document}
    return {"document": profile.document, "query": profile.query}


def findings(profile: Profile) -> Iterator[Finding]:
    """All that can be said of a Profile without a model."""
    for found in _found(profile):
        yield made(profile, *found)


def made(profile: Profile, rule: str, severity: Severity, where: str, found: str, expected: str) -> Finding:
    """A Finding of this Profile."""
    return Finding(
        rule=rule, severity=severity, profile=profile.name, where=where, found=found, expected=expected
    )


def _found(profile: Profile) -> Found:
    for where, instruction in sides(profile).items():
        yield from _slots(where, instruction)
        yield from _literal(where, instruction)
        yield from _text(where, instruction.render())
        yield from _task_sentence(where, instruction, read=profile.symmetric or where == "query")
        yield from _objective(where, instruction, profile)
    if not profile.symmetric:
        yield from _two_sides(profile)
    if profile.threshold is not None:
        yield (
            "threshold",
            "warning",
            "defaults.threshold",
            f"a cosine of {profile.threshold:g}, which means another likeness under every model",
            "none, and --min-relevance, which is measured in each collection",
        )


# -------------------------------------------------------------------- one Instruction


def _slots(where: str, instruction: Instruction) -> Found:
    """Words that the template puts itself, and blanks and marks at the border of a slot."""
    if instruction.literal is not None:
        return
    for slot in SLOTS:
        value = getattr(instruction, slot)
        place = f"{where}.{slot}"
        if value != value.strip():
            yield "blanks", "warning", place, repr(value), "no blanks around it: the template puts them"
        if twice := TEMPLATE_WORDS[slot].match(value.strip()):
            yield "slot-words", "error", place, repr(value), f"without {twice[1]!r}: the form is {TEMPLATE}"
        if SENTENCE_END.search(value.strip()):
            yield "slot-words", "error", place, repr(value), "without the mark: the template ends in ': '"
    if PURPOSE.search(instruction.text_type) and instruction.task_objective:
        yield (
            "slot-words",
            "error",
            f"{where}.text_type",
            repr(instruction.text_type),
            "the kind of text alone: what it is for stands in task_objective",
        )


def _literal(where: str, instruction: Instruction) -> Found:
    """How a text of the user's own begins and ends."""
    text = instruction.literal
    if not text:  # none at all is a choice
        return
    place = f"{where}.literal"
    for prefix, family in PREFIX_OF.items():
        if text.lower().lstrip().startswith(prefix):
            yield (
                "foreign-prefix",
                "warning",
                place,
                f"{text!r}: what models of the family '{family}' want",
                f"what the text is for: searchkit puts the words of '{family}' before its texts itself",
            )
            return
    if not TRAINED_START.match(text):
        yield "template", "warning", place, repr(text), f"the form that INSTRUCTOR was trained on: {TEMPLATE}"
    yield from _ending(place, text)


def _ending(place: str, text: str) -> Found:
    if text.endswith((": ", ";")):
        return
    if text[-1].isalnum():
        yield (
            "ending",
            "error",
            place,
            f"{text!r}: its last word runs into the first of every text",
            "': ' at its end",
        )
    else:
        yield (
            "ending",
            "warning",
            place,
            repr(text),
            "': ' at its end, or ';' as in INSTRUCTOR's training data",
        )


def _text(where: str, text: str) -> Found:
    """What is wrong with a sentence whoever reads it."""
    if "  " in text:
        yield "blanks", "warning", where, f"two blanks in a row in {text!r}", "one"
    if odd := sorted({character for character in text if _is_invisible(character)}):
        shown = ", ".join(f"U+{ord(one):04X}" for one in odd)
        yield "invisible", "warning", where, f"{shown} in {text!r}", "letters, marks and plain blanks"
    if unpaired := _unpaired(text):
        yield "quotes", "warning", where, f"{unpaired} without its partner in {text!r}", "both, or neither"
    if slot := PLACEHOLDER.search(text):
        yield (
            "placeholder",
            "error",
            where,
            f"{slot[0]} in {text!r}, which nobody fills",
            "the words themselves",
        )
    if twice := REPEATED.search(text):
        yield "repeated-word", "warning", where, f"{twice[0]!r} in {text!r}", "the word once"


def _is_invisible(character: str) -> bool:
    return character != " " and unicodedata.category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"}


def _unpaired(text: str) -> str:
    """The first quotation mark or bracket that has no partner; '' where all have. Apostrophes have none."""
    for mark in ('"', "`"):
        if text.count(mark) % 2:
            return mark
    opened: list[str] = []
    for character in text:
        if opened and character in PAIRED[opened[-1]]:
            opened.pop()
        elif character in PAIRED:
            opened.append(character)
        elif character in ")]}":
            return character
    return opened[-1] if opened else ""


def _task_sentence(where: str, instruction: Instruction, *, read: bool) -> Found:
    sentence = instruction.task_sentence
    if not sentence:
        return
    place = f"{where}.task_sentence"
    if not read:
        yield (
            "task-sentence", "warning", place, "one before documents, where no family reads any",
            "one in [query]",
        )  # fmt: skip
    if re.search(r"\b(?:Instruct|Query):", sentence):
        yield (
            "task-sentence",
            "error",
            place,
            repr(sentence),
            "the sentence alone: the family puts 'Instruct:' and 'Query:' around it",
        )
    elif sentence != sentence.strip() or sentence.endswith((":", ";")):
        yield (
            "task-sentence",
            "warning",
            place,
            repr(sentence),
            "a sentence without ':' and blanks at its ends",
        )


def _objective(where: str, instruction: Instruction, profile: Profile) -> Found:
    """Words of another task: INSTRUCTOR's authors chose such on test data, and nobody can tell why."""
    purpose = _purpose(instruction)
    for task, words in TELLING.items():
        if task != profile.task and words.search(purpose) and not LOOKING.match(purpose):
            yield (
                "objective",
                "warning",
                where,
                f"{instruction.render()!r} under task = {profile.task!r}",
                f"words of that task, or task = {task!r}",
            )
    if profile.task in TELLING and instruction.task_objective.strip().lower() == "retrieval":
        yield (
            "objective",
            "warning",
            f"{where}.task_objective",
            f"'retrieval' under task = {profile.task!r}",
            f"{profile.task!r}, or what is told apart by it",
        )


def _purpose(instruction: Instruction) -> str:
    """What stands after 'for'."""
    if instruction.literal is None:
        return instruction.task_objective.strip()
    return instruction.literal.partition(" for ")[2]


# -------------------------------------------------------------------- both sides


def _two_sides(profile: Profile) -> Found:
    document, query = profile.document.render(), profile.query.render()
    if document.strip() and _plain(document) == _plain(query):
        yield (
            "same-instruction",
            "error",
            "document and query",
            f"{query!r} on both sides of a task that has two",
            "a question and what answers it told apart; or a symmetric task such as 'similarity'",
        )
    stored, asked = _kinds(profile.document), _kinds(profile.query)
    if stored & ASKING and not stored & ANSWERING and asked & ANSWERING:
        yield (
            "swapped-sides",
            "warning",
            "document and query",
            f"[document] is {document!r}, [query] {query!r}",
            "the kind of text that is stored in [document], what is asked in [query]",
        )


def _kinds(instruction: Instruction) -> set[str]:
    return set(re.findall(r"\w+", instruction.text_type.lower()))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
