"""Rows to train on, made of questions, clicks and answers: what is right, what is wrong, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from searchkit.collection.library import Library
from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation.rows_to_train import (
    Making,
    like_file_names,
    rows_of_answers,
    rows_of_clicks,
    rows_of_collection,
)
from searchkit.profile import Profile
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

MAKING = Making(task="mine", profile=Profile.load("company-docs"))
ASK, TELL = MAKING.instructions


@pytest.fixture
def library(library_folder: Path, tmp_path: Path) -> Library:
    folder = tmp_path / "docs"
    write(folder / "laptop.md", "# Laptops\n\nOrder a new laptop in the hardware portal.\n")
    write(folder / "phone.md", "# Phones\n\nOrder a new phone in the shop by the gate.\n")
    write(folder / "leave.md", "# Leave\n\nParental leave lasts fourteen weeks.\n")
    made = Library(library_folder, open_model=lambda model: WordEmbedder())
    made.index([folder])
    return made


def jsonl(folder: Path, *rows: object) -> Path:
    return write(folder / "asked.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def texts(pairs: tuple[tuple[str, str], ...]) -> str:
    return " | ".join(text for _, text in pairs)


def test_the_instructions_are_the_profiles(library: Library, tmp_path: Path):
    """As a model that follows Instructions reads them; the model that indexed may follow none."""
    assert ASK.startswith("Represent ") and TELL.startswith("Represent ") and ASK != TELL
    file = jsonl(tmp_path, {"question": "how long is parental leave", "documents": ["leave.md"]})
    (one,) = rows_of_collection(library, None, file, MAKING, clicked=False)
    assert one.query == (ASK, "how long is parental leave") and one.task == "mine"
    assert {instruction for instruction, _ in (*one.positives, *one.negatives)} == {TELL}


def test_questions_become_rows_with_passages_of_a_collection(library: Library, tmp_path: Path):
    """The positive is of the document named, negatives are of others, the nearest first."""
    file = jsonl(
        tmp_path,
        {"question": "order a new laptop in the portal", "documents": ["laptop.md"]},
        {"question": "anything", "answerable": False},
    )
    (one,) = rows_of_collection(library, None, file, MAKING, clicked=False)
    assert "hardware portal" in texts(one.positives)
    assert "phone" in one.negatives[0][1] and "laptop" not in texts(one.negatives)


def test_the_passage_that_was_named_is_the_positive(library: Library, tmp_path: Path):
    """Though another one of the document is nearer to the question."""
    long = "# Travel\n\n" + "Trains are booked by the office. " * 60 + "\n\n# Costs\n\nTaxis are paid back.\n"
    write(tmp_path / "more" / "travel.md", long)
    library.index([tmp_path / "more"])
    row = {"question": "trains are booked by the office", "documents": ["travel.md"]}
    (near,) = rows_of_collection(library, None, jsonl(tmp_path, row), MAKING, clicked=False)
    file = jsonl(tmp_path, {**row, "passage": "Taxis are\npaid back"})
    (named,) = rows_of_collection(library, None, file, MAKING, clicked=False)
    assert "Taxis" in texts(named.positives) and "Taxis" not in texts(near.positives)


def test_what_is_as_near_as_the_positive_is_no_negative(library: Library, tmp_path: Path):
    """Here the phone's passage says more of the question than the laptop's."""
    file = jsonl(tmp_path, {"question": "order a new phone in the shop", "documents": ["laptop.md"]})
    (one,) = rows_of_collection(library, None, file, MAKING, clicked=False)
    assert "phone" not in texts(one.negatives)


def test_clicks_on_documents_of_a_collection(library: Library, tmp_path: Path):
    """What was shown and never clicked for the query is the first negative, however far it is."""
    file = jsonl(
        tmp_path,
        {"query": "order a new laptop", "clicked": "laptop.md", "shown": ["leave.md", "laptop.md"]},
        {"query": "order a new laptop", "clicked": ["laptop.md"]},
    )
    (one,) = rows_of_collection(library, None, file, MAKING, clicked=True)
    assert "laptop" in texts(one.positives) and "leave" in one.negatives[0][1]


def test_clicks_on_texts(tmp_path: Path):
    """One row for a query; what somebody clicked is no negative though another one passed it over."""
    file = write(
        tmp_path / "clicks.csv",
        'query,clicked,shown\nold shoes,boots,"[""boots"", ""hats"", ""laces""]"\n'
        'old shoes,laces,\nnew hats,caps,"[""caps"", ""boots""]"\n',
    )
    first, second = rows_of_clicks(file, MAKING)
    assert (texts(first.positives), texts(first.negatives)) == ("boots | laces", "hats")
    assert (texts(second.positives), texts(second.negatives)) == ("caps", "boots")


def test_texts_are_one_whatever_their_blanks_and_queries_whatever_their_capitals(tmp_path: Path):
    """What was clicked does not come back as a negative because a log breaks its lines elsewhere."""
    file = jsonl(
        tmp_path,
        {"query": "Old shoes", "clicked": "red\n boots", "shown": ["red boots", "hats"]},
        {"query": " old  SHOES", "clicked": "laces"},
    )
    (one,) = rows_of_clicks(file, MAKING)
    assert one.query[1] == "Old shoes"
    assert (texts(one.positives), texts(one.negatives)) == ("red\n boots | laces", "hats")
    (faq,) = rows_of_answers(
        jsonl(tmp_path, {"question": "Where?", "answer": "here"}, {"question": "where? ", "answer": "here "}),
        MAKING,
    )
    assert (faq.query[1], texts(faq.positives)) == ("Where?", "here")


def test_names_of_files_are_told_from_texts(tmp_path: Path):
    """Who forgets the collection would train on names."""
    asked = [
        {"query": f"q{n}", "clicked": one} for n, one in enumerate(("hr/leave.md", "see leave.md", "3.5"))
    ]
    assert like_file_names(rows_of_clicks(jsonl(tmp_path, *asked), MAKING)) == ["hr/leave.md"]


def test_questions_of_one_split(library: Library, tmp_path: Path):
    """The others are kept back, to judge the model that was trained."""
    file = jsonl(
        tmp_path,
        {"question": "order a laptop", "documents": ["laptop.md"], "split": "train"},
        {"question": "order a phone", "documents": ["phone.md"], "split": "test"},
    )
    made = rows_of_collection(library, None, file, replace(MAKING, split="train"), clicked=False)
    assert [one.query[1] for one in made] == ["order a laptop"]


def test_answers(tmp_path: Path):
    """A question that has two answers is one row."""
    file = write(tmp_path / "faq.csv", "question,answer\nwhere,here\nwhen,now\nwhere,there\n")
    first, second = rows_of_answers(file, MAKING)
    assert texts(first.positives) == "here | there" and first.negatives == ()
    assert second.query == (ASK, "when")


@pytest.mark.parametrize(
    ("make", "text", "said"),
    [
        (rows_of_answers, "", "holds no rows"),
        (rows_of_answers, '{"question": "a"}', "line 1: there is no 'answer'"),
        (rows_of_clicks, '{"query": "a", "clicked": []}', "line 1: 'clicked' is"),
        (rows_of_clicks, '{"query": "a", "clicked": 1}', "line 1: 'clicked' is 1, whether something was"),
        (rows_of_clicks, '{"query": "a", "clicked": "True"}', "line 1: 'clicked' is 'True', whether"),
        (rows_of_clicks, '{"query": "a", "clicked": "[1"}', "begins as a JSON list and is none"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, make, text: str, said: str):
    """By line, with what was found."""
    with pytest.raises(DataInvalid, match=said.replace("[", r"\[")):
        make(write(tmp_path / "asked.jsonl", text), MAKING)


def test_documents_that_are_not_there_are_refused(library: Library, tmp_path: Path):
    """In clicks, too."""
    file = jsonl(tmp_path, {"query": "a", "clicked": "missing.md"})
    with pytest.raises(UsageError, match=r"missing\.md"):
        rows_of_collection(library, None, file, MAKING, clicked=True)
