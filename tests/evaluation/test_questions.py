"""Questions to a Collection: what a row may say, and what is refused with its line."""

from __future__ import annotations

import json

import pytest

from searchkit.collection.library import Library
from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation.questions import fingerprint_of, read_questions, write_questions
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.fixture
def library(library_folder, tmp_path):
    folder = tmp_path / "docs"
    write(folder / "laptop.md", "# Laptops\n\nOrder a laptop in the hardware portal.\n")
    write(folder / "hr" / "leave.md", "# Leave\n\nParental leave lasts fourteen weeks.\n")
    write(folder / "staff.csv", "name,room\nAda,12\nGrace,14\n")
    made = Library(library_folder, open_model=lambda model: WordEmbedder())
    made.index([folder])
    return made


def read(library, file, split=None):
    with library.reading() as (db, collection):
        return read_questions(file, db, collection, split)


def jsonl(tmp_path, *rows):
    return write(tmp_path / "q.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_documents_are_named_as_elsewhere(library, tmp_path):
    """By the name in hits, the end of it, the path of the file; a table means all its rows."""
    path = str(tmp_path / "docs" / "laptop.md")
    file = jsonl(
        tmp_path,
        {"question": "one", "documents": ["hr/leave.md", "laptop.md"]},
        {"question": "two", "document": "leave.md"},
        {"question": "three", "document": path, "documents": [path]},
        {"question": "four", "documents": ["staff.csv"]},
        {"question": "five", "documents": ["staff.csv#2"]},
        {"question": "none", "answerable": False},
    )
    found = read(library, file)
    assert [one.names for one in found] == [
        ("hr/leave.md", "laptop.md"),
        ("hr/leave.md",),
        ("laptop.md",),
        ("staff.csv",),
        ("staff.csv#2",),
        (),
    ]
    assert [len(ids) for ids in found[3].documents] == [2]
    assert found[4].documents[0] < found[3].documents[0]


def test_a_table_may_hold_a_list_in_a_cell(library, tmp_path):
    rows = 'x,"[""laptop.md"", ""leave.md""]",,a\ny,laptop.md,true,b\nz,,no,b\n'
    text = f"question,documents,answerable,split\n{rows}"
    file = write(tmp_path / "q.csv", text)
    assert [len(one.documents) for one in read(library, file)] == [2, 1, 0]
    assert [one.text for one in read(library, file, "b")] == ["y", "z"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "x", "documents": ["laptop.mdx"]}, "line 2: no document .* 'laptop.mdx'.*laptop.md"),
        ({"question": "first", "documents": ["laptop.md"]}, "line 2: the question 'first' is already"),
        ({"question": "x", "id": "a", "documents": ["laptop.md"]}, "line 2: the id 'a' is already in line 1"),
        ({"question": " ", "documents": ["laptop.md"]}, "line 2: 'question' is empty"),
        ({"question": "?!", "documents": ["laptop.md"]}, "line 2: the query '\\?!' is punctuation only"),
        ({"query": "x", "documents": ["laptop.md"]}, "line 2: there is no 'question'.*'query'.*expected {"),
        ({"question": "x", "documents": "laptop.md; leave.md"}, "line 2: .*several .* are a JSON list"),
        ({"question": "x", "document": "leave.md", "passage": "sixteen weeks"}, "line 2: .* in no passage"),
        ({"question": "x", "document": "leave.md", "heading": "Laptops"}, "line 2: the heading stands in no"),
        (
            {"question": "x", "document": "leave.md", "passage": "Parental", "heading": "Laptops"},
            "line 2: the passage stands in hr/leave.md, and not under.*it stands under: 'Leave'",
        ),
        ({"question": "x"}, "line 2: it names no document"),
        ({"question": "x", "documents": []}, "line 2: it names no document"),
        ({"question": "x", "documents": [3]}, "line 2: 'documents' holds 3"),
        ({"question": "x", "documents": "[laptop.md]"}, "line 2: 'documents' begins as a JSON list"),
        ({"question": "x", "documents": ["laptop.md", "laptop.md"]}, "line 2: 'laptop.md' is named twice"),
        ({"question": "x", "documents": ["hr/leave.md", "leave.md"]}, "line 2: .* are the same document"),
        ({"question": "x", "documents": ["staff.csv", "staff.csv#1"]}, "line 2: .* are the same document"),
        ({"question": "x", "documents": ["leave.md"], "answerable": False}, "line 2: .* no answer, and"),
        ({"question": "x", "documents": ["leave.md"], "answerable": "maybe"}, "line 2: 'answerable' is"),
        ({"question": "x", "documents": ["leave.md"], "heading": 3}, "line 2: 'heading' is 3"),
        ({"question": "x", "documnets": ["leave.md"]}, "line 2: there is no column 'documnets'"),
        ({"question": "x", "documents": ["leave.md"], "answerabel": 0}, "line 2: .* 'answerable' is meant"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_refused_with_its_line(library, tmp_path, row, said):
    file = jsonl(tmp_path, {"question": "first", "id": "a", "documents": ["leave.md"]}, row)
    with pytest.raises(DataInvalid, match=f"(?s){said}"):
        read(library, file)


def test_columns_of_ones_own_are_left_alone(library, tmp_path):
    row = {
        "question": "x",
        "documents": ["leave.md"],
        "answer": "14",
        "language": "en",
        "hard": True,
        "id": 7,
    }
    assert len(read(library, jsonl(tmp_path, row))) == 1


def test_what_gives_no_question_is_refused(library, tmp_path):
    with pytest.raises(DataInvalid, match="holds no questions"):
        read(library, jsonl(tmp_path))
    with pytest.raises(DataInvalid, match="no question names a document"):
        read(library, jsonl(tmp_path, {"question": "x", "answerable": False}))
    with pytest.raises(UsageError, match=r"(?s)no question of split 'test'.*its splits are: dev"):
        read(library, jsonl(tmp_path, {"question": "x", "documents": ["leave.md"], "split": "dev"}), "test")
    with pytest.raises(UsageError, match="cannot be read"):
        read(library, tmp_path / "absent.jsonl")


def test_results_can_be_compared_where_the_same_is_asked_and_looked_for(library, tmp_path):
    """Questions without an answer are asked, too: what is refused depends on them."""
    asked = {"question": "x", "documents": ["leave.md"]}
    one = read(library, jsonl(tmp_path, asked))
    with_probe = read(library, jsonl(tmp_path, asked, {"question": "y", "answerable": False}))
    other = read(library, jsonl(tmp_path, asked | {"documents": ["laptop.md"]}))
    assert len({fingerprint_of(some) for some in (one, with_probe, other)}) == 3
    assert fingerprint_of(one) == fingerprint_of(read(library, jsonl(tmp_path, asked)))


def test_a_passage_across_two_is_refused_with_the_reason(library, tmp_path):
    sentences = [
        f"Sentence {number} says something of number {number} in many words." for number in range(200)
    ]
    write(tmp_path / "docs" / "long.txt", " ".join(sentences))
    library.index([tmp_path / "docs"])
    across = " ".join(sentences)  # of the whole document: in no passage, and across several
    file = jsonl(tmp_path, {"question": "x", "document": "long.txt", "passage": across})
    with pytest.raises(DataInvalid, match=r"line 1: .* stands in no passage of long\.txt, but across"):
        read(library, file)
    file = jsonl(tmp_path, {"question": "x", "document": "long.txt", "passage": sentences[7].upper()})
    assert read(library, file)[0].passage == sentences[7].upper()


def test_questions_are_read_as_they_were_written(library, tmp_path):
    made = read(library, jsonl(tmp_path, {"question": "ä x", "documents": ["leave.md", "staff.csv"]}))
    write_questions(made, tmp_path / "again.jsonl")
    assert read(library, tmp_path / "again.jsonl") == made
    with pytest.raises(UsageError, match="cannot be written"):
        write_questions(made, tmp_path / "no" / "folder.jsonl")
