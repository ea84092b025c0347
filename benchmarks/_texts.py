"""Real texts to measure with: pieces of sample_corpus, and of the shared retrieval sets where they are.

Shared data is found by the environment variable SEARCHKIT_SHARED; without it everything is cut from
sample_corpus alone, and what is measured says which texts it was.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._conditions import ROOT

SEED = 20
PASSAGE_CHARACTERS = 340
# Of texts in words, as a log-normal distribution: half have fewer than 45, one in twenty more than 200.
MEDIAN_WORDS, SPREAD, FEWEST_WORDS, MOST_WORDS = 45, 0.9, 3, 260


@dataclass(frozen=True, slots=True)
class Texts:
    """Different texts and where they are from."""

    texts: list[str]
    origin: str


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """A judged retrieval set; `relevant` holds, by query, the gains of the documents that answer it."""

    name: str
    documents: dict[str, str]  # title and text in one
    queries: dict[str, str]
    relevant: dict[str, dict[str, float]]
    sampled: str  # what was left out, in words


def passages(n: int, *, characters: int = PASSAGE_CHARACTERS) -> Texts:
    """`n` different pieces of running text of about `characters` characters, cut between words, seeded."""
    running, origin = _running_texts(n * characters)
    chosen: dict[str, None] = {}
    for shift in range(8):  # where there is too little text, pieces overlap by parts of a piece
        for text in running:
            for piece in _cut(text[shift * characters // 8 :], characters):
                chosen.setdefault(piece)
        if len(chosen) >= n:
            break
    else:
        raise SystemExit(f"{origin} holds {len(chosen)} pieces of {characters} characters, wanted {n}")
    texts = list(chosen)
    random.Random(SEED).shuffle(texts)
    return Texts(texts[:n], origin)


def mixed_lengths(n: int) -> Texts:
    """`n` pieces of running text whose numbers of words are log-normal, as those of real documents are."""
    source = random.Random(SEED)
    lengths = [
        min(MOST_WORDS, max(FEWEST_WORDS, round(source.lognormvariate(0, SPREAD) * MEDIAN_WORDS)))
        for _ in range(n)
    ]
    running, origin = _running_texts(sum(lengths) * 7)
    words = [word for text in running for word in text.split()]
    texts, at = [], 0
    for length in lengths:
        if at + length > len(words):
            at = source.randrange(97)  # from the start again, where no piece begins
        texts.append(" ".join(words[at : at + length]))
        at += length
    return Texts(texts, origin)


def questions(n: int) -> list[str]:
    """`n` different questions asked of sample_corpus; with a number behind, where there are fewer."""
    lines = (ROOT / "sample_corpus" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = list(dict.fromkeys(json.loads(line)["question"] for line in lines if line.strip()))
    random.Random(SEED).shuffle(asked)
    more = [f"{text} {turn}" for turn in range(2, 2 + n // len(asked)) for text in asked]
    return [*asked, *more][:n]


def retrieval_folders() -> list[Path]:
    """The folders of the shared retrieval sets; none without SEARCHKIT_SHARED."""
    shared = os.environ.get("SEARCHKIT_SHARED")
    folder = Path(shared) / "data" / "retrieval" if shared else None
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder and folder.is_dir() else []


def retrieval_set(folder: Path, *, most_documents: int, most_queries: int) -> RetrievalSet:
    """Read one set; 0 for all of it, else seeded samples: queries, all that answers them, others to fill."""
    split_of_test = "validation"  # where queries have a split, as in SciFact, BEIR tests on this one
    queries = {}
    for query in _lines(folder / "queries.jsonl"):
        if query.get("split", split_of_test) == split_of_test:
            queries[query["_id"]] = query["text"]
    relevant: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        if query in queries and float(gain) > 0:
            relevant.setdefault(query, {})[document] = float(gain)
    documents = {
        one["_id"]: f"{one.get('title') or ''} {one['text']}".strip()
        for one in _lines(folder / "corpus.jsonl.gz")
    }
    source, counts = random.Random(SEED), (len(relevant), len(documents))
    asked = sorted(relevant)
    if most_queries and len(asked) > most_queries:
        asked = sorted(source.sample(asked, most_queries))
    needed = {document for query in asked for document in relevant[query]}
    others = sorted(set(documents) - needed)
    if most_documents and len(documents) > most_documents:
        others = source.sample(others, max(0, most_documents - len(needed)))
    kept = sorted(needed | set(others))
    return RetrievalSet(
        name=folder.name,
        documents={one: documents[one] for one in kept if one in documents},
        queries={one: queries[one] for one in asked},
        relevant={one: relevant[one] for one in asked},
        sampled=f"{len(asked)} of {counts[0]} queries, {len(kept)} of {counts[1]} documents",
    )


def _running_texts(characters: int) -> tuple[list[str], str]:
    """Texts in one line each, of at least `characters` in all where there are so many, and their origin."""
    texts, origin = list(_sample_corpus()), "sample_corpus"
    for folder in retrieval_folders():
        if sum(map(len, texts)) >= characters:
            break
        texts += [" ".join(one["text"].split()) for one in _lines(folder / "corpus.jsonl.gz")]
        origin = f"{origin}, {folder.name}"
    return texts, origin


def _sample_corpus() -> Iterator[str]:
    from searchkit.documents.discover import discover
    from searchkit.documents.load import load

    for file in discover(ROOT / "sample_corpus").files:
        if file.name != "questions.jsonl":
            yield " ".join(" ".join(document.text for document in load(file)).split())


def _cut(text: str, characters: int) -> Iterator[str]:
    """Pieces of at most `characters`, between words; a last one of less than three quarters is left out."""
    at = 0
    while len(text) - at > characters * 3 // 4:
        end = text.rfind(" ", at, at + characters + 1) if len(text) - at > characters else len(text)
        end = end if end > at else at + characters
        yield text[at:end].strip()
        at = end + 1


def _lines(file: Path) -> Iterator[dict[str, str]]:
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    yield from (json.loads(line) for line in text.split("\n") if line)
