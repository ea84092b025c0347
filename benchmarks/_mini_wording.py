"""How searchkit-mini is told what a vector is for: several ways to say each thing. Knows no rows.

Every text of a row has its own wording, drawn by a seed: what is learned is what an Instruction says, not
its letters. The rules of `searchkit eval robustness` (searchkit/evaluation/paraphrase.py) are not used
here: what they measure was not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Ways to ask for one side of labelled texts: {s} what the texts are, {a} what they are grouped by.
GROUPING = (
    "Represent the {s} for clustering by {a}: ",
    "Represent the {s} for clustering by {a}: ",
    "Represent the {s} for grouping by {a}: ",
    "Represent the {s} for grouping by {a}; Input: ",
    "Represent the {s} for classification by {a}: ",
    "Represent the {s} for {a} classification: ",
    "Represent the {s} for identifying the {a}: ",
    "Represent the {s} by its {a}: ",
    "Represent the {a} of the {s}: ",
    "Represent the {s} for finding others with the same {a}: ",
    "Identify the {a} of the {s}: ",
    "Identify the {a} of the {s}\nInput: ",
    "Classify the {s} by {a}: ",
    "Group by {a}: ",
    "Cluster the {s} by {a}: ",
    "Tell the {a} of this {s}: ",
    "What is the {a} of this {s}? ",
    "Sort texts by {a}, whatever else they say: ",
    "Encode the {s} so that texts with the same {a} are close: ",
)
# Of texts that answer or continue others: {q} what is asked with, {d} what is found.
ASKING = (
    "Represent the {q} for retrieving {d}s: ",
    "Represent the {q} for retrieving relevant {d}s: ",
    "Represent the {q} for retrieving supporting {d}s: ",
    "Represent the {q} for retrieving supporting {d}s; Input: ",
    "Represent the {q} for finding the right {d}: ",
    "Represent the {q} to find the {d} that belongs to it: ",
    "Given a {q}, retrieve {d}s that answer it: ",
    "Given the {q}, find the matching {d}: ",
    "Search for {d}s: ",
)
HELD = (
    "Represent the {d} for retrieval: ",
    "Represent the {d} for retrieval: ",
    "Represent the {d} for retrieval; Input: ",
    "Represent the {d} for search: ",
    "Represent the {d}: ",
    "Represent the {d} to be found by a {q}: ",
    "Represent the {d} so that it can be retrieved: ",
)
# Of texts that say the same as others.
ALIKE = (
    "Represent the {s} for retrieving duplicate {s}s: ",
    "Represent the {s} for detecting duplicates: ",
    "Represent the {s} for detecting duplicate content: ",
    "Represent the {s} for measuring semantic similarity: ",
    "Represent the {s} for semantic similarity; Input: ",
    "Represent the {s} for finding {s}s with the same meaning: ",
    "Represent the meaning of the {s}: ",
    "Retrieve {s}s that say the same: ",
    "Retrieve {s}s with the same meaning: ",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What is put before the two sides of a task's texts; {d}, {q}, {s}, {a} are drawn anew each time."""

    query: Sequence[str]
    document: Sequence[str]
    slots: Mapping[str, Sequence[str]]
    bare: float = 0.0  # share of the rows that have no Instruction at all

    def drawn(self, side: str, random: np.random.Generator) -> str:
        """One way to say it."""
        frames = self.query if side == "query" else self.document
        chosen = {name: values[int(random.integers(len(values)))] for name, values in self.slots.items()}
        return frames[int(random.integers(len(frames)))].format(**chosen)


def grouping(texts: Sequence[str], aspects: Sequence[str]) -> Wording:
    """Of labelled texts."""
    return Wording(query=GROUPING, document=GROUPING, slots={"s": texts, "a": aspects})


def answering(queries: Sequence[str], documents: Sequence[str]) -> Wording:
    """Of questions and what answers them."""
    return Wording(query=ASKING, document=HELD, slots={"q": queries, "d": documents}, bare=0.35)


def alike(texts: Sequence[str]) -> Wording:
    """Of texts that say the same."""
    return Wording(query=ALIKE, document=ALIKE, slots={"s": texts}, bare=0.35)


QUESTION = ("question", "query", "user question")
# The tasks of the mixture that are trained on as they are; those of labels are made anew in _mini_labels.py.
TASKS: Mapping[str, Wording] = {
    "medquad": answering(("Medicine question", "patient question", *QUESTION), ("answer", "medical passage")),
    "medical_forum": answering(("patient question", *QUESTION), ("doctor answer", "answer")),
    "squad_sentences": answering(
        ("Wikipedia question", *QUESTION), ("sentence", "Wikipedia sentence", "passage")
    ),
    "pubmedqa": answering(("biomedical question", *QUESTION), ("abstract", "PubMed abstract", "document")),
    "simplequestions_relation": answering(QUESTION, ("knowledge-base relation",)),
    "fewrel": answering(("sentence about two entities", "sentence"), ("relation description",)),
    "scitldr": answering(("summary", "scientific summary"), ("abstract", "paper abstract", "document")),
    "pubmed_abstract_body": answering(("biomedical abstract", "abstract"), ("article", "biomedical article")),
    "tldr_examples": answering(("task description", "user goal"), ("shell command", "command line")),
    "django_code": answering(("description", "comment"), ("Python code", "line of code")),
    "stackoverflow_code": answering(("programming question", *QUESTION), ("code", "code snippet")),
    "docs_heading_section": answering(
        ("heading", "technical topic", "title"), ("documentation section", "technical document", "document")
    ),
    "trivia_answer": answering(("trivia question", *QUESTION), ("answer",)),
    "medical_rqe": alike(("question", "Medicine question", "medical question")),
    "disflqa": alike(("question", "spoken question")),
    "wiki_split": alike(("sentence", "Wikipedia sentence", "text")),
    "database_questions": alike(("question", "database question")),
    "wdc_product_match": alike(("product", "product offer", "product record")),
    "snli_dev_test": alike(("sentence", "caption", "text")),
}
