"""Which Instructions are tried: those of the template's grammar, paraphrases, and a user's own.

The grammar is the one of profile.py, "Represent the {domain} {text_type} for {task_objective}: ", with words
that make sense for a kind of task. A Candidate has an Instruction for each side; which sides it changes is
said where candidates are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from searchkit.embedding.embedder import Embedder
from searchkit.embedding.prompts import task_sentence
from searchkit.errors import UsageError
from searchkit.evaluation.measured import Kind
from searchkit.evaluation.paraphrase import paraphrases
from searchkit.evaluation.rows import rows_of
from searchkit.profile import SIDES, Instruction, Profile, Side, Task

Origin: TypeAlias = Literal["present", "none", "profile", "grammar", "paraphrase", "own", "tag", "simple"]
Changed: TypeAlias = Literal["query", "both"]  # the sides whose Instruction is tried
Texts: TypeAlias = Mapping[Side, str]  # literal, byte by byte, before the texts of each side
NOTHING = Instruction(literal="")
_PROBE = "zyx"  # a word of no family


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An Instruction for each side, what the model is given for it, and where it is from."""

    query: Instruction
    document: Instruction
    origin: Origin
    texts: Texts

    @property
    def shown(self) -> str:
        """In one line: the query side, and the document side where it is another."""
        query, document = self.texts["query"], self.texts["document"]
        return repr(query) if query == document or not document else f"{query!r}, documents {document!r}"


@dataclass(frozen=True, slots=True)
class Words:
    """What the slots of the template may hold for a kind of task.

    queries: (text_type, task_objective, sentence) of the query side; the sentence says the same for families
    that want one, {} is the domain and a blank. document: the slots of an asymmetric task's other side.
    """

    domains: tuple[str, ...]  # '' for none
    queries: tuple[tuple[str, str, str], ...]
    document: tuple[str, str] = ("", "")


_DOMAINS = ("", "scientific", "medical", "technical", "news", "company")
_FIND = Words(
    _DOMAINS,
    (
        (
            "question",
            "retrieving supporting documents",
            "Given a {}question, retrieve documents that answer it",
        ),
        ("query", "retrieving relevant documents", "Given a {}query, retrieve relevant documents"),
        (
            "statement",
            "retrieving supporting paragraphs",
            "Given a {}statement, retrieve paragraphs that support it",
        ),
        ("question", "retrieving passages that answer it", "Retrieve passages that answer the {}question"),
    ),
    ("document", "retrieval"),
)
GRAMMAR: Mapping[Kind, Words] = {
    "retrieval": _FIND,
    "reranking": _FIND,
    "pairs": Words(
        _DOMAINS,
        (
            ("question", "retrieving duplicate questions", "Retrieve {}questions that ask the same thing"),
            ("text", "detecting duplicate content", "Retrieve {}texts with the same content"),
            (
                "sentence",
                "retrieving sentences with the same meaning",
                "Retrieve {}sentences with the same meaning",
            ),
            ("text", "clustering by intent", "Identify the intent of the {}text"),
        ),
    ),
    "sts": Words(
        _DOMAINS,
        (
            (
                "sentence",
                "measuring semantic similarity",
                "Retrieve {}sentences that are semantically similar",
            ),
            ("statement", "", "Retrieve similar {}statements"),
            (
                "sentence",
                "retrieving sentences with the same meaning",
                "Retrieve {}sentences with the same meaning",
            ),
            ("text", "detecting duplicate content", "Retrieve {}texts with the same content"),
        ),
    ),
    "judgement": Words(
        ("", "image", "news", "scientific"),
        (
            (
                "caption",
                "retrieving captions with the same meaning",
                "Retrieve {}captions with the same meaning",
            ),
            (
                "sentence",
                "measuring semantic similarity",
                "Retrieve {}sentences that are semantically similar",
            ),
            ("summary", "measuring its quality", "Retrieve {}summaries of the same quality"),
            ("translation", "measuring semantic similarity", "Retrieve {}translations of the same text"),
        ),
    ),
    "clustering": Words(
        _DOMAINS,
        (
            ("document", "clustering by topic", "Identify the topic of the {}document"),
            ("text", "clustering", "Identify the group that the {}text belongs to"),
            ("article", "identifying its subject", "Identify the subject of the {}article"),
            ("document", "retrieval", "Retrieve similar {}documents"),
        ),
    ),
    "classification": Words(
        _DOMAINS,
        (
            ("text", "classification", "Classify the {}text"),
            ("sentence", "classification by topic", "Classify the {}sentence by its topic"),
            ("text", "identifying its category", "Identify the category of the {}text"),
            ("comment", "classification by sentiment", "Classify the sentiment of the {}comment"),
        ),
    ),
}
_TASKS: Mapping[Kind, Task] = {
    "retrieval": "retrieval",
    "reranking": "retrieval",
    "pairs": "duplicates",
    "sts": "similarity",
    "judgement": "similarity",
    "clustering": "clustering",
    "classification": "classification",
}


def words_for(kind: Kind) -> Words:
    """Raises: UsageError: no Instruction can be tried on this kind of task."""
    if kind not in GRAMMAR:
        raise UsageError(
            f"instructions cannot be tried on tasks of kind '{kind}'", remedy=f"expected {', '.join(GRAMMAR)}"
        )
    return GRAMMAR[kind]


def task_of(kind: Kind) -> Task:
    """The task of a Profile that a kind of set stands for. Raises: UsageError: see words_for."""
    words_for(kind)
    return _TASKS[kind]


def asymmetric(kind: Kind) -> bool:
    """Whether queries and documents play different parts, so that one side's Instruction can change alone."""
    return task_of(kind) == "retrieval"


class Renderer:
    """From Instructions to what a model is given.

    A family that takes Instructions is given them as it was trained to read them. To one that takes none they
    are given all the same, as they are, behind its own fixed words; `trained` says which of the two it is.
    """

    def __init__(self, embedder: Embedder, task: Task) -> None:
        self._embedder = embedder
        self._task = task
        self.symmetric = task != "retrieval"
        probe = Instruction(literal=_PROBE, task_sentence=_PROBE)
        forms = {side: self._family(probe, probe, side).partition(_PROBE) for side in SIDES}
        self.trained = any(found for _, found, _ in forms.values())
        # What stands before and behind an Instruction; where a family takes none, its own words before it.
        self._forms = {side: (before, after) for side, (before, _, after) in forms.items()}

    def texts(self, query: Instruction, document: Instruction) -> dict[Side, str]:
        """The literal text of each side. Raises: UsageError: one is too long for the model's window."""
        texts: dict[Side, str] = {}
        for side in SIDES:
            instruction = document if side == "document" else query
            if instruction == NOTHING:
                texts[side] = ""
                continue
            text = self._family(query, document, side)
            if not self.trained:
                text += instruction.render()
            self._embedder.check_instruction(text)
            texts[side] = text
        return texts

    def own(self, text: str, side: Side) -> Instruction:
        """A user's own text, taken out of the family's form if it stands in it: it is put there anyway.

        Raises: UsageError: it is empty, or no Unicode.
        """
        before, after = (part.strip() for part in self._forms[side])
        inside = text.strip().removeprefix(before).removesuffix(after).strip()
        return own(inside if inside and inside != text.strip() else text)

    def candidate(self, query: Instruction, document: Instruction, origin: Origin) -> Candidate:
        """Raises: as texts does."""
        return Candidate(query=query, document=document, origin=origin, texts=self.texts(query, document))

    def present(self, profile: Profile | None) -> Candidate:
        """What the model is given now: by a Profile as its family renders it.

        Without a Profile nothing, but for the fixed words of a family that takes no Instruction.
        """
        query = document = NOTHING
        if profile is not None:
            fitted = replace(profile, task=self._task)
            query, document = fitted.instruction("query"), fitted.instruction("document")
        texts: dict[Side, str] = dict.fromkeys(SIDES, "")
        if profile is not None or not self.trained:
            texts = {side: self._family(query, document, side) for side in SIDES}
        return Candidate(query=query, document=document, origin="present", texts=texts)

    def _family(self, query: Instruction, document: Instruction, side: Side) -> str:
        profile = Profile(name="tried", task=self._task, document=document, query=query)
        return self._embedder.instruction_for(profile, side)


def default_instructions(kind: Kind, profile: Profile | None) -> tuple[Instruction, Instruction]:
    """(query, document): the Profile's, else the first that the grammar makes."""
    if profile is not None:
        fitted = replace(profile, task=task_of(kind))
        return fitted.instruction("query"), fitted.instruction("document")
    words = words_for(kind)
    return _pair(kind, words, words.domains[0], words.queries[0])


def grammar(kind: Kind, profile: Profile | None = None) -> list[tuple[Instruction, Instruction]]:
    """(query, document) of all that the grammar makes, with a Profile's own words for the slots first."""
    words = words_for(kind)
    domains, queries = list(words.domains), list(words.queries)
    own = default_instructions(kind, profile)[0]
    if profile is not None and own.literal is None:
        domains = list(dict.fromkeys([own.domain, *domains]))
        known = task_sentence(replace(own, domain=""))
        queries = list(dict.fromkeys([(own.text_type, own.task_objective, known), *queries]))
    return [_pair(kind, words, domain, query) for domain, query in product(domains, queries)]


def paraphrased(
    pair: tuple[Instruction, Instruction], n: int, seed: int = 0
) -> list[tuple[Instruction, Instruction]]:
    """Up to n pairs that say the same in other words; the sides change together."""
    sides = [_said_otherwise(one, n, seed) for one in pair]
    if pair[0] == pair[1]:
        return [(one, one) for one in sides[0]]
    if not sides[1]:
        return [(one, pair[1]) for one in sides[0]]
    return [(one, sides[1][turn % len(sides[1])]) for turn, one in enumerate(sides[0])]


def _said_otherwise(instruction: Instruction, n: int, seed: int) -> list[Instruction]:
    texts = paraphrases(instruction.render(), n, seed)
    sentences = paraphrases(task_sentence(instruction), n, seed) or [task_sentence(instruction)]
    return [
        Instruction(literal=text, task_sentence=sentences[turn % len(sentences)])
        for turn, text in enumerate(texts)
    ]


def own(text: str) -> Instruction:
    """A user's own text, which no family may melt into the first word.

    Raises: UsageError: it is empty, or no Unicode.
    """
    if not text.strip():
        raise UsageError(
            "a candidate is empty", remedy="as in: --candidate 'Represent the ticket for retrieval: '"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the candidate {text!r} holds half a character: {error.reason}",
            remedy="write it in UTF-8; no profile could hold it",
        ) from error
    literal = text if text[-1].isspace() else f"{text} "
    return Instruction(literal=literal, task_sentence=text.strip().rstrip(":;").rstrip())


def read_own(file: Path) -> list[tuple[str, str | None]]:
    """(query side, document side or None) of a file: rows {query, document?}, else a candidate on each line.

    Raises: UsageError, DataInvalid: the file cannot be read, holds none, or a row breaks the layout.
    """
    if file.name.endswith((".jsonl", ".csv", ".tsv")):
        rows = [
            (row.text("query"), row.text("document") if row.fields.get("document") else None)
            for row in rows_of(file)
        ]
    else:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}", remedy="save it as UTF-8") from error
        rows = [(line, None) for line in lines if line.strip()]
    if not rows:
        raise UsageError(f"{file} holds no candidates", remedy="expected one on each line")
    return rows


def sampled(
    pairs: Sequence[tuple[Instruction, Instruction]], most: int, seed: int
) -> list[tuple[Instruction, Instruction]]:
    """At most so many of them, in their order."""
    if len(pairs) <= most:
        return list(pairs)
    chosen = np.sort(np.random.default_rng(seed).choice(len(pairs), most, replace=False))
    return [pairs[row] for row in chosen.tolist()]


def _pair(
    kind: Kind, words: Words, domain: str, query: tuple[str, str, str]
) -> tuple[Instruction, Instruction]:
    text_type, objective, sentence = query
    # Not str.format: a Profile's own sentence may hold braces.
    said = sentence.replace("{}", f"{domain} " if domain else "")
    asked = Instruction(domain=domain, text_type=text_type, task_objective=objective, task_sentence=said)
    if not asymmetric(kind):
        return asked, asked
    other, its_objective = words.document
    return asked, Instruction(domain=domain, text_type=other, task_objective=its_objective)
