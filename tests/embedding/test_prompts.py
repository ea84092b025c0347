"""What a family puts before a text is exact to the byte."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from searchkit.embedding.families import families
from searchkit.embedding.prompts import prompt_notices, render
from searchkit.profile import Instruction, Profile, Task

PROFILE = Profile(
    name="wiki",
    document=Instruction(domain="Wikipedia", text_type="document", task_objective="retrieval"),
    query=Instruction(literal="Represent {this}: ", task_sentence="Retrieve pages that answer {x}"),
)
SYMMETRIC = Profile(
    name="pairs",
    task="duplicates",
    document=Instruction(text_type="question", task_objective="finding {task} duplicates"),
    query=Instruction(literal="never used"),
)


@pytest.mark.parametrize(
    ("family", "side", "text"),
    [
        ("instructor", "document", "Represent the Wikipedia document for retrieval: "),
        ("instructor", "query", "Represent {this}: "),
        ("plain", "query", ""),
        ("e5", "document", "passage: "),
        ("e5", "query", "query: "),
        ("e5-instruct", "document", ""),
        ("e5-instruct", "query", "Instruct: Retrieve pages that answer {x}\nQuery: "),
        ("qwen3-embedding", "query", "Instruct: Retrieve pages that answer {x}\nQuery:"),
        ("bge-en", "query", "Represent this sentence for searching relevant passages: "),
        ("bge-en", "document", ""),
        ("nomic", "document", "search_document: "),
        ("embeddinggemma", "document", "title: none | text: "),
        ("embeddinggemma", "query", "task: search result | query: "),
        ("kalm", "query", "Instruct: Retrieve pages that answer {x} \n Query: "),
    ],
)
def test_retrieval_takes_each_side_as_the_family_was_trained(family, side, text):
    assert render(families()[family], PROFILE, side) == text


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("instructor", "Represent the question for finding {task} duplicates: "),
        ("e5", "query: "),
        ("bge-en", ""),
        ("nomic", "clustering: "),
        ("qwen3-embedding", "Instruct: Represent the question for finding {task} duplicates\nQuery:"),
    ],
)
def test_a_symmetric_task_takes_the_same_text_on_both_sides(family, text):
    sides = [render(families()[family], SYMMETRIC, side) for side in ("document", "query")]
    assert sides == [text, text]


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("instructor", None),
        ("plain", "takes no Instruction: those of profile 'wiki' are stored but do not change"),
        ("qwen3-embedding", "takes no Instruction for the document side"),
        ("e5", "its family's own words before texts (document 'passage: ', query 'query: ') in place of"),
    ],
)
def test_a_user_is_told_how_far_the_model_listens(family, said):
    notices = prompt_notices(families()[family], PROFILE, "m")
    assert (not notices) if said is None else (len(notices) == 1 and said in notices[0])


def test_templates_have_no_slots_but_those_that_are_filled_and_no_tasks_but_those_there_are():
    for family in families().values():
        prompt = family.prompt
        templates = [prompt.document, prompt.query, prompt.symmetric or "", *prompt.tasks.values()]
        slots = {slot for template in templates for slot in re.findall(r"\{(.*?)\}", template)}
        assert slots <= {"instruction", "task"}, family.name
        assert set(prompt.tasks) <= set(get_args(Task)), family.name
