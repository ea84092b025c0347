"""Sets with two labellings that say nothing of each other, by rules, of texts searchkit-mini never read.

Whether a model follows Instructions shows in texts that can be grouped in two ways. Each set says what is
asked for each labelling, in the words of a Profile.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0
MOST = 800  # texts of a set
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWays:
    """Rows {text, and a column for each labelling}, and the Instruction that asks for each."""

    rows: Sequence[Mapping[str, str]]
    instructions: Mapping[str, str]  # by labelling


def two_ways(data: Path) -> dict[str, TwoWays]:
    """All sets by name; data: the folder of judged sets."""
    makers: Mapping[str, Callable[[Path], TwoWays]] = {
        "medquad_disease_vs_type": _medquad,
        "policyqa_site_vs_question": _policies,
        "clinc_domain_vs_wording": _utterances,
        "stackoverflow_technology_vs_form": _posts,
        "powershell_module_vs_verb": _pages,
        "made_topic_vs_sentiment": _made,
    }
    return {name: make(data) for name, make in makers.items()}


def _medquad(data: Path) -> TwoWays:
    return TwoWays(
        rows=[
            {"text": row["text"], "disease": row["disease"], "type": row["type"]}
            for row in _rows(data / "instruction/medquad_disease_vs_type/data.jsonl.gz")
        ],
        instructions={
            "disease": "Represent the Medicine question for clustering by disease: ",
            "type": "Represent the Medicine question for clustering by type of information asked: ",
        },
    )


def _policies(data: Path) -> TwoWays:
    """Questions to a company's privacy policy: whose, and which of the questions that all were asked."""
    found = []
    for row in _rows(data / "retrieval/policyqa/queries.jsonl"):
        site, _, question = row["text"].partition(": ")
        found.append({"text": row["text"], "site": site, "question": question})
    return TwoWays(
        rows=_balanced(found, site=20, question=20),
        instructions={
            "site": "Represent the question for clustering by website: ",
            "question": "Represent the question for clustering by what is asked: ",
        },
    )


REQUESTS = (
    ("asked politely", r"^(can|could|would|will) you\b"),
    ("wished", r"^(i need|i want|i wanna|i would like|i'd like)\b"),
    ("told", r"^(please|tell|give|let|show|find|set|add|make|put|help|look) \b"),
    ("asked", r"^(what|what's|how|when|where|why|who|which)\b"),
)


def _utterances(data: Path) -> TwoWays:
    """What people tell an assistant: the domain, and how they put it."""
    found = []
    for row in _rows(data / "clustering/clinc150_test/data.jsonl.gz"):
        forms = [name for name, rule in REQUESTS if re.search(rule, row["text"].lower())]
        if len(forms) == 1:
            found.append({"text": row["text"], "domain": row["domain"], "wording": forms[0]})
    return TwoWays(
        rows=_balanced(found, domain=10, wording=4, each=20),
        instructions={
            "domain": "Represent the utterance for clustering by domain: ",
            "wording": "Represent the utterance for clustering by form of request: ",
        },
    )


POST_FORMS = (
    ("how", r"^how (to|do|can|should|would|could)\b"),
    ("what", r"^what('s| is| are)\b"),
    ("why", r"^why\b"),
    ("whether", r"^(is|are|can|does|do|should) \b"),
    ("trouble", r"\b(error|exception|problem|fails?|failed|not working|doesn't work|unable to|issue)\b"),
)


def _posts(data: Path) -> TwoWays:
    """Titles of posts: the technology, and the form of what is asked."""
    found = []
    for row in _rows(data / "clustering/stackoverflow20/data.jsonl.gz"):
        forms = [name for name, rule in POST_FORMS if re.search(rule, row["text"].lower())]
        if len(forms) == 1:
            found.append({"text": row["text"], "technology": row["label"], "form": forms[0]})
    return TwoWays(
        rows=_balanced(found, technology=20, form=5, each=12),
        instructions={
            "technology": "Represent the question for clustering by technology: ",
            "form": "Represent the question for clustering by form of question: ",
        },
    )


def _pages(data: Path) -> TwoWays:
    """Manual pages of commands: the module, and the verb that the command's name begins with."""
    found = []
    for row in _rows(data / "duplicates/powershell_versions/texts.jsonl.gz"):
        verb, dash, _ = row["title"].partition("-")
        if dash and verb.isalpha():
            text = row["text"].partition("SYNTAX")[0][:600]
            found.append({"text": text, "module": row["group"].split("/")[0], "verb": verb})
    return TwoWays(
        rows=_balanced(found, module=8, verb=10),
        instructions={
            "module": "Represent the documentation page for clustering by topic: ",
            "verb": "Represent the documentation page for clustering by action: ",
        },
    )


THINGS = {
    "boats": ("The ferry", "Our canoe", "The sailing yacht", "The fishing boat"),
    "art": ("The watercolour", "The sculpture", "The gallery's exhibition", "The portrait"),
    "coffee": ("The espresso", "The cappuccino", "The coffee roaster", "The barista's latte"),
    "insurance": ("The claim form", "The insurance adviser", "My household policy", "The insurer's hotline"),
    "fitness": ("The gym", "The personal trainer", "The yoga course", "The treadmill"),
    "theatre": ("The stage play", "The leading actress", "The set design", "The curtain call"),
    "parcels": ("The delivery", "The courier", "The parcel tracking", "The postman"),
    "children": ("The playground", "The babysitter", "The nursery", "The toy kitchen"),
}
SAID = {
    "praise": ("won us over at once", "made my whole week", "deserves five stars", "could hardly be improved",
               "was the highlight of the year", "left everybody smiling", "I would choose again any time",
               "surpassed what we were promised"),
    "blame": ("let us down again", "ruined my whole week", "deserves no star at all", "could hardly be worse",
              "was the low point of the year", "left everybody angry", "I would never choose again",
              "fell short of what we were promised"),
}  # fmt: skip


def _made(data: Path) -> TwoWays:
    """Sentences of our own: what is spoken of, and whether it is praised. Words not used in training rows."""
    rows = [
        {"text": f"{thing} {what}.", "topic": topic, "sentiment": sentiment}
        for (topic, things), (sentiment, said) in product(THINGS.items(), SAID.items())
        for thing, what in product(things, said)
    ]
    return TwoWays(
        rows=rows,
        instructions={
            "topic": "Represent the feedback for clustering by topic: ",
            "sentiment": "Represent the feedback for clustering by sentiment: ",
        },
    )


def _balanced(rows: Rows, *, each: int = 0, **most: int) -> list[Mapping[str, str]]:
    """Rows of the most frequent labels, so many of each labelling; equal texts once; at most MOST of them.

    each: of one pair of labels at most; 0 for no limit.
    """
    kept = list({row["text"]: row for row in rows}.values())
    for _ in range(3):  # what one labelling drops may make a label of the other rare
        for column, count in most.items():
            frequent = {name for name, n in Counter(row[column] for row in kept).most_common(count) if n >= 5}
            kept = [row for row in kept if row[column] in frequent]
    order = np.random.default_rng(SEED).permutation(len(kept)).tolist()
    seen: Counter[tuple[str, ...]] = Counter()
    chosen = []
    for at in order:
        key = tuple(kept[at][column] for column in most)
        seen[key] += 1
        if not each or seen[key] <= each:
            chosen.append(kept[at])
    return chosen[:MOST]


def _rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".gz":
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
