"""Questions made of a Collection's own texts, where nobody has judged any.

    link      the words of a Markdown link; looked for is the document that it leads to
    faq       a heading that is a question, or the question of a row that has an answer, too
    title     the title of a document
    heading   a heading of three words or more; looked for is its document

Left out is what says too little or may mean several documents: fewer than two words, more than 20, words that
title, heading or link of another document say, too. What a document says of itself is masked (masking.py); a
question whose words then still stand together in the document, in this order, is left out, for whoever looks
for words would only find a copy. For the same reason documents in which they stand together, the linking ones
among them, count neither as right nor as wrong. All are shuffled by the seed, and the kinds take turns.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchkit.errors import UsageError
from searchkit.evaluation.links import Pages, links_of
from searchkit.evaluation.masking import Phrase, masked, phrase_of
from searchkit.evaluation.questions import Question
from searchkit.library.collections import StoredCollection
from searchkit.library.contents import Content, StoredDocument, contents_of, documents_of
from searchkit.library.database import Database

SAMPLE = 300
LEAST = 10  # questions: fewer say nothing
KINDS = ("link", "faq", "title", "heading")  # of one wording the first one counts
LEAST_WORDS = {"link": 2, "faq": 3, "heading": 3, "title": 2}
MOST_WORDS = 20
PER_DOCUMENT = 2  # questions that look for one document, so that no long one has most of them
SPARE = 3  # times as many are looked at as are wanted
MOST_ELSEWHERE = 20  # documents that say the same words: what more of them say is a common phrase
ASKED_IN = ("question", "questions", "q", "frage", "pregunta", "query")  # columns of tables of questions
ANSWERED_IN = ("answer", "answers", "a", "antwort", "réponse", "reponse", "respuesta", "response")
_BORDER = " > "
_MARKDOWN = ("markdown", "notebook")
_ATX = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*")
_MARKUP = re.compile(r"\{[#:.][^}]*\}|(?<=\])\([^)]*\)|[*`\[\]]+")  # anchors, targets of links, marks


@dataclass(frozen=True, slots=True)
class Made:
    """Questions, and by Document the phrases that are to be masked in it."""

    questions: tuple[Question, ...]
    phrases: Mapping[int, frozenset[Phrase]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Words that may ask for a Document."""

    kind: str
    text: str
    document_id: int
    phrase: Phrase


def questions_of(db: Database, collection: StoredCollection, sample: int = SAMPLE, seed: int = 0) -> Made:
    """Make up to `sample` questions; the same of the same texts and seed.

    Raises: UsageError: there are fewer than LEAST.
    """
    documents = {one.document_id: one for one in documents_of(db, collection.collection_id)}
    found = unambiguous(_candidates(db, collection, documents))
    looked_at = drawn(found, SPARE * sample, seed)
    standing = _standing(db, collection, looked_at)
    kept = [
        one
        for one in looked_at
        if one.document_id not in standing[one.phrase] and len(standing[one.phrase]) <= MOST_ELSEWHERE
    ]
    chosen = kept[:sample]
    if len(chosen) < LEAST:
        raise UsageError(
            f"the texts of collection '{collection.name}' give {len(chosen)} questions, expected {LEAST} "
            f"or more (of {len(found)} headings, titles and links that mean one document)",
            remedy='write some yourself, a line {"question": ..., "documents": [...]} each: --questions FILE',
        )
    phrases: defaultdict[int, set[Phrase]] = defaultdict(set)
    for one in chosen:
        phrases[one.document_id].add(one.phrase)
    return Made(
        tuple(
            Question(
                text=one.text,
                documents=(frozenset([one.document_id]),),
                names=(documents[one.document_id].name,),
                kind=one.kind,
                not_counted=frozenset(standing[one.phrase]),
            )
            for one in chosen
        ),
        {document: frozenset(some) for document, some in phrases.items()},
    )


def unambiguous(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One candidate for each phrase that names one Document and has a fitting length."""
    by_phrase: dict[Phrase, Candidate] = {}
    several = set()
    for one in candidates:
        before = by_phrase.setdefault(one.phrase, one)
        if before.document_id != one.document_id:
            several.add(one.phrase)
        elif KINDS.index(one.kind) < KINDS.index(before.kind):
            by_phrase[one.phrase] = one
    return [
        one
        for phrase, one in by_phrase.items()
        if phrase not in several
        and LEAST_WORDS[one.kind] <= len(phrase) <= MOST_WORDS
        and any(word.isalpha() for word in phrase)
    ]


def drawn(candidates: Sequence[Candidate], most: int, seed: int) -> list[Candidate]:
    """Candidates in an order of chance, the kinds in turns, at most PER_DOCUMENT of a Document."""
    order = np.random.default_rng(seed).permutation(len(candidates))
    inorder = sorted(candidates, key=lambda one: (one.phrase, one.kind))
    queues: dict[str, list[Candidate]] = {kind: [] for kind in KINDS}
    for place in order.tolist():
        queues[inorder[place].kind].append(inorder[place])
    per_document: Counter[int] = Counter()
    found: list[Candidate] = []
    while len(found) < most and any(queues.values()):
        for queue in queues.values():
            while queue:
                one = queue.pop()
                if per_document[one.document_id] < PER_DOCUMENT:
                    per_document[one.document_id] += 1
                    found.append(one)
                    break
    return found[:most]


def _candidates(
    db: Database, collection: StoredCollection, documents: Mapping[int, StoredDocument]
) -> Iterator[Candidate]:
    for one in documents.values():
        if one.kind == "row" and (question := asked_in(one)):
            yield Candidate("faq", question, one.document_id, phrase_of(question))
        if one.title:
            yield Candidate("title", one.title, one.document_id, phrase_of(one.title))
    pages = Pages(documents.values())
    seen: set[tuple[int, str]] = set()
    for content in contents_of(db, collection.collection_id):
        linking = documents[content.document_id]
        above = content.heading.split(_BORDER) if content.heading else []
        within = headings_in(content.text) if linking.kind in _MARKDOWN else ()
        for heading in (*above, *within):
            if (content.document_id, heading) not in seen:
                seen.add((content.document_id, heading))
                kind = "faq" if heading.rstrip().endswith(("?", "？", "؟")) else "heading"
                yield Candidate(kind, heading, content.document_id, phrase_of(heading))
        for text, target in links_of(content.text):
            document = pages.at(target, linking)
            if document is not None and document != content.document_id:
                yield Candidate("link", text, document, phrase_of(text))


def headings_in(text: str) -> Iterator[str]:
    """The headings of Markdown within a passage: short sections share one, which is under none of them."""
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and (found := _ATX.fullmatch(line)):
            yield _MARKUP.sub("", found[1]).strip()


def asked_in(row: StoredDocument) -> str:
    """The question of a row that has a question and an answer, else ''."""
    fields = {str(name).casefold(): value for name, value in row.metadata.items()}
    asked = next((fields[name] for name in ASKED_IN if name in fields), None)
    answered = any(fields.get(name) for name in ANSWERED_IN)
    return asked.strip() if isinstance(asked, str) and answered else ""


def _standing(
    db: Database, collection: StoredCollection, candidates: Sequence[Candidate]
) -> dict[Phrase, set[int]]:
    """For each phrase the Documents in which its words stand together; its own one as it is when masked."""
    by_first: defaultdict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_first[one.phrase[0]].append(one)
    found: dict[Phrase, set[int]] = {one.phrase: set() for one in candidates}
    for content in contents_of(db, collection.collection_id):
        for one in _said(phrase_of(f"{content.context}\n{content.text}"), by_first):
            if one.document_id != content.document_id or _still_said(content, one):
                found[one.phrase].add(content.document_id)
    return found


def _still_said(content: Content, one: Candidate) -> bool:
    context, text = masked(content, {one.phrase})
    return any(_said(phrase_of(f"{context}\n{text}"), {one.phrase[0]: [one]}))


def _said(said: Phrase, by_first: Mapping[str, Sequence[Candidate]]) -> Iterator[Candidate]:
    """The candidates whose words stand together in a text, in their order."""
    for place, word in enumerate(said):
        for one in by_first.get(word, ()):
            if said[place : place + len(one.phrase)] == one.phrase:
                yield one
