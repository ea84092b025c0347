"""Judged sets: what a model is asked and what people said of it, read from files.

Layouts, by folder or by file (.gz, too):

    retrieval       corpus.jsonl {_id, title?, text}, queries.jsonl {_id, text, split?}, qrels.tsv or
                    qrels/*.tsv (query-id, corpus-id, score): BEIR's (github.com/beir-cellar/beir)
    reranking       {query, positive: [..], negative: [..]} as MTEB's
    pairs           {a, b, label}, label 0 or 1
    groups          {title?, text, group}: a retrieval set, too; each text asks for the others of its group
    sts             {a, b, score}
    labelled        {text, and one or more columns of labels}, title put before the text
    judgement       {hyp, refs: [..], human_score}
    prompts         {text, answer}, in a folder with files 'train' (examples) and 'test' (questions)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation.rows import Row, rows_of, stem_of, unique

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalSet:
    """Texts by id, and per query what its judged documents are worth; only judged queries."""

    documents: Mapping[str, str]
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A query and candidates, of which the first `relevant` are relevant."""

    query: str
    texts: tuple[str, ...]
    relevant: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankingSet:
    """Queries with candidates to put in order. left_out: how many had candidates of one kind only."""

    queries: tuple[Candidates, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """Pairs of texts. worth: 0 or 1 (duplicates), or any number (similarity)."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    worth: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """Texts with labels, under one or more labellings by name."""

    texts: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementSet:
    """Generated texts, the references of each, and what people gave them."""

    generated: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Texts and what is to be answered to each."""

    texts: tuple[str, ...]
    answers: tuple[str, ...]


def read_retrieval(folder: Path, split: str | None = None) -> RetrievalSet:
    """A folder in BEIR's layout. split: only queries whose row says so, or qrels/SPLIT.tsv, or both.

    Judged queries without a relevant document stay, and score 0: as trec_eval has it, and MTEB.

    Raises: UsageError: a file is missing, nothing there has splits, or the split holds nothing. DataInvalid:
    a duplicate id, an empty text, a judgement of what is not there.
    """
    corpus, asked, qrels = retrieval_files(folder, split)
    documents = _by_id(corpus)
    rows = [(row, row.name("_id", "id")) for row in rows_of(asked)]
    unique(rows, "the query id")
    in_rows = any("split" in row.fields for row, _ in rows)
    if split is not None and not in_rows and qrels.stem != split:
        raise UsageError(
            f"{folder} has no split '{split}'",
            remedy=f"leave it out to measure all; or name it in the queries, or in a qrels/{split}.tsv",
        )
    wanted = [
        (row, name) for row, name in rows if split is None or not in_rows or row.fields.get("split") == split
    ]
    queries = {name: row.text("text") for row, name in wanted}
    judgements = _judgements(qrels, documents, {name for _, name in rows})
    judged = {name: judgements[name] for name in queries if name in judgements}
    if not any(worth > 0 for one in judged.values() for worth in one.values()):
        there = sorted({str(row.fields["split"]) for row, _ in rows if "split" in row.fields})
        raise UsageError(
            f"{folder} has no judged query" + (f" of split '{split}'" if split else ""),
            remedy=f"splits of its queries: {', '.join(there)}" if there else "see its qrels and queries",
        )
    return RetrievalSet(
        documents=documents,
        queries={name: queries[name] for name in judged},
        judgements=judged,
    )


def retrieval_files(folder: Path, split: str | None = None) -> tuple[Path, Path, Path]:
    """Corpus, queries and judgements of a folder in BEIR's layout. Raises: UsageError: one is missing."""
    return _required(folder, "corpus"), _required(folder, "queries"), _qrels(folder, split)


def read_groups(file: Path) -> RetrievalSet:
    """Rows {title?, text, group}: every text is a document; those that are not alone in their group ask, too.

    A protocol of ours, for texts that say the same: relevant are the other members of the group. Ids are
    places in the file; a query is its own document, which retrieval leaves out.
    """
    rows = _some(file, list(rows_of(file)))
    documents = {str(place): titled(row) for place, row in enumerate(rows)}
    members: dict[str, list[str]] = {}
    for place, row in enumerate(rows):
        members.setdefault(row.name("group"), []).append(str(place))
    judgements = {
        one: {other: 1.0 for other in group if other != one} for group in members.values() for one in group
    }
    judgements = {one: others for one, others in judgements.items() if others}
    if not judgements:
        raise DataInvalid(f"{file}: no two rows are of one 'group'")
    return RetrievalSet(
        documents=documents, queries={one: documents[one] for one in judgements}, judgements=judgements
    )


def read_reranking(file: Path) -> RerankingSet:
    """Rows {query, positive, negative}; those of which one side is empty are left out, as MTEB does."""
    rows = _some(file, list(rows_of(file)))
    made = []
    for row in rows:
        query, positive, negative = row.text("query"), row.texts("positive"), row.texts("negative")
        if positive and negative:
            made.append(Candidates(query=query, texts=positive + negative, relevant=len(positive)))
    if not made:
        raise DataInvalid(f"{file}: no row has both a positive and a negative, so that no order is better")
    return RerankingSet(queries=tuple(made), left_out=len(rows) - len(made))


def read_pairs(file: Path) -> PairSet:
    """Rows {a, b, label}, label 0 or 1, of which both must occur."""
    rows = _some(file, list(rows_of(file)))
    worth = [row.number("label") for row in rows]
    for row, one in zip(rows, worth, strict=True):
        if one not in (0.0, 1.0):
            raise row.wrong(f"'label' is {one:g}, expected 0 or 1")
    if len(set(worth)) < 2:
        raise DataInvalid(f"{file}: every label is {worth[0]:g}, expected some of 0 and some of 1")
    return _pairs(file, rows, worth)


def read_scored(file: Path) -> PairSet:
    """Rows {a, b, score}."""
    rows = _some(file, list(rows_of(file)))
    worth = [row.number("score") for row in rows]
    if len(set(worth)) < 2:
        raise DataInvalid(f"{file}: every score is {worth[0]:g}; what does not differ cannot correlate")
    return _pairs(file, rows, worth)


def read_labelled(file: Path, columns: Sequence[str]) -> LabelledSet:
    """Rows {title?, text, one or more columns of labels}."""
    rows = _some(file, list(rows_of(file)))
    labels = {column: tuple(row.name(column) for row in rows) for column in columns}
    for column, values in labels.items():
        if len(set(values)) < 2:
            raise DataInvalid(f"{file}: every '{column}' is {values[0]!r}, expected two or more labels")
    return LabelledSet(texts=tuple(map(titled, rows)), labels=labels)


def read_judgement(file: Path) -> JudgementSet:
    """Rows {hyp, refs, human_score}."""
    rows = _some(file, list(rows_of(file)))
    references = tuple(row.texts("refs", least=1) for row in rows)
    scores = tuple(row.number("human_score") for row in rows)
    if len(set(scores)) < 2:
        raise DataInvalid(
            f"{file}: every human_score is {scores[0]:g}; what does not differ cannot correlate"
        )
    return JudgementSet(
        generated=tuple(row.text("hyp") for row in rows),
        references=references,
        scores=scores,
    )


def read_prompts(file: Path) -> PromptSet:
    """Rows {text, answer}: annotated examples, or questions."""
    rows = _some(file, list(rows_of(file)))
    return PromptSet(
        texts=tuple(row.text("text") for row in rows),
        answers=tuple(row.name("answer") for row in rows),
    )


def titled(row: Row) -> str:
    """Title and text in one, a blank between them, as BEIR and INSTRUCTOR's evaluation read documents.

    One of the two may be empty. Raises: DataInvalid: both are.
    """
    parts = [
        part for name in ("title", "text") if isinstance(part := row.fields.get(name), str) and part.strip()
    ]
    return " ".join(part.strip() for part in parts) if parts else row.text("text")


def named(path: Path) -> str:
    """What a set is called: by its folder, or by its file where the name of that says something."""
    whole = Path(os.path.abspath(path))  # of '.' and '..', too; links are called as they are named
    if path.is_dir():
        return whole.name
    stem = stem_of(whole)
    return whole.parent.name if stem in ("data", "pairs", "texts", "test") else stem


def _pairs(file: Path, rows: Sequence[Row], worth: Sequence[float]) -> PairSet:
    first, second = (tuple(row.text(side) for row in rows) for side in ("a", "b"))
    return PairSet(first=first, second=second, worth=tuple(worth))


def _by_id(file: Path) -> dict[str, str]:
    rows = [(row, row.name("_id", "id")) for row in rows_of(file)]
    unique(rows, "the id")
    return {name: titled(row) for row, name in rows}


def _judgements(file: Path, documents: Mapping[str, str], queries: set[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows_of(file):
        query, document = row.name("query-id"), row.name("corpus-id")
        if query not in queries:
            raise row.wrong(f"there is no query {query!r}")
        if document not in documents:
            raise row.wrong(f"there is no document {document!r}")
        if document in found.setdefault(query, {}):
            raise row.wrong(f"document {document!r} is judged twice for query {query!r}")
        worth = row.number("score")
        if not worth.is_integer():
            raise row.wrong(f"'score' is {worth:g}, expected a whole number: 0, or 1 and more for relevant")
        found[query][document] = worth
    return found


def _qrels(folder: Path, split: str | None) -> Path:
    there = sorted((folder / "qrels").glob("*.tsv"))
    if (folder / "qrels.tsv").exists() and not any(one.stem == split for one in there):
        return folder / "qrels.tsv"
    chosen = [one for one in there if one.stem == (split or "test")] or (there if len(there) == 1 else [])
    if not chosen:
        raise UsageError(
            f"{folder} has no qrels.tsv" + (f" and no qrels/{split or 'test'}.tsv" if there else ""),
            remedy=f"name a split: {', '.join(one.stem for one in there)}"
            if there
            else "expected lines of query-id, corpus-id and score between tabs, named so in the first line",
        )
    return chosen[0]


def _required(folder: Path, stem: str) -> Path:
    for name in (f"{stem}.jsonl", f"{stem}.jsonl.gz"):
        if (folder / name).exists():
            return folder / name
    raise UsageError(
        f"{folder} has no {stem}.jsonl", remedy="expected BEIR's corpus.jsonl, queries.jsonl, qrels"
    )


def _some(file: Path, rows: list[Made]) -> list[Made]:
    if not rows:
        raise DataInvalid(f"{file} holds no rows")
    return rows
