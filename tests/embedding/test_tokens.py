"""Tokens are those of transformers, cut at the window, whatever a text holds."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from searchkit.embedding.families import Family, Reading, families
from searchkit.embedding.tokens import Tokens
from searchkit.errors import ModelError

ODDITIES = ["", " ", "\0", "a\0b", "lone \ud800 surrogate \udfff", "🙂", "a\u0301", "\u200b", "\r\n\t"]


def tokens_of(golden, name: str, family: Family, **changes) -> Tokens:
    tokenizer = Tokenizer.from_file(str(golden / name / "tokenizer.json"))
    return Tokens(tokenizer, family, **{"max_tokens": 32, "vocabulary": 10_000, **changes})


@pytest.mark.parametrize("name", ["bert-mean", "instructor-relu"])
def test_ids_equal_those_of_transformers(golden, golden_pairs, name):
    theirs = AutoTokenizer.from_pretrained(golden / name)
    ours = tokens_of(golden, name, families()["plain"]).rows(golden_pairs)
    for (instruction, text), ids in zip(golden_pairs, ours.ids, strict=True):
        assert ids.tolist() == theirs(instruction + text, truncation=True, max_length=32)["input_ids"]


def test_counts_are_those_before_truncation(golden):
    tokens = tokens_of(golden, "bert-mean", families()["plain"], max_tokens=8)
    rows = tokens.rows([("", "bees"), ("", "bees and rain and bees and rain and bees")])
    assert rows.lengths[1] == 8
    assert rows.counts[1] == tokens.count(["bees and rain and bees and rain and bees"])[0] + 2 > 8
    assert rows.counts[0] == rows.lengths[0]


@pytest.mark.parametrize("text", ODDITIES, ids=ascii)
@pytest.mark.parametrize("name", ["bert-mean", "instructor-relu", "qwen3-embedding-tiny"])
def test_odd_texts_are_tokenised(golden, name, text):
    tokens = tokens_of(golden, name, families()["plain"])
    assert len(tokens.count([text])) == len(tokens.rows([(text, text)]).ids) == 1


def test_an_instruction_of_one_token_is_not_masked_by_the_reference(golden):
    masked = tokens_of(golden, "instructor-relu", families()["instructor"])
    rows = masked.rows(
        [("a", "bees"), ("Represent the document for retrieval: ", "bees"), ("", "bees"), (" ", "b")]
    )
    alone = masked.count(["a", "Represent the document for retrieval:"])
    assert alone[0] == 1 and alone[1] > 1
    assert rows.masked.tolist() == [0, alone[1], 0, 0]


def test_the_knobs_of_other_versions_can_be_had(golden):
    later = Family(name="x", reading=Reading(pool_instruction=False, strip_instruction=True, separator="|"))
    tokens = tokens_of(golden, "instructor-relu", later)
    assert tokens.composed("Title: ", " bees ") == "Title:| bees "
    assert tokens.composed("", "bees") == "bees"
    assert tokens.rows([("a", "bees")]).masked.tolist() == [1]


def test_an_instruction_that_fills_the_window_leaves_the_end_token(golden):
    tokens = tokens_of(golden, "instructor-relu", families()["instructor"], max_tokens=8)
    rows = tokens.rows([("bees and rain " * 20, "text")])
    assert (rows.lengths, rows.masked.tolist()) == ([8], [7])


def test_tokens_the_family_insists_on_are_put_where_the_tokenizer_does_not(golden):
    bare = tokens_of(golden, "qwen3-embedding-tiny", families()["plain"])
    ended = tokens_of(golden, "qwen3-embedding-tiny", families()["plain"], ends=("", "<|endoftext|>"))
    assert (bare.suffix, len(ended.suffix)) == ((), 1)
    with pytest.raises(ModelError, match="has no token '</s>'"):
        tokens_of(golden, "qwen3-embedding-tiny", families()["plain"], ends=("", "</s>"))


def test_a_merge_across_the_border_is_noticed(golden):
    tokens = tokens_of(golden, "instructor-relu", families()["instructor"])
    assert tokens.border_merges("Represent the document for retrieval: ") is False
    assert tokens.border_merges("Represent the t") is True
    assert tokens.border_merges("") is False


def test_ids_beyond_the_networks_table_are_never_made(golden):
    tokens = tokens_of(golden, "bert-mean", families()["plain"], vocabulary=50)
    assert max(tokens.rows([("", "the ferry leaves the harbour")]).ids[0]) < 50


def test_a_window_without_room_for_text_is_refused(golden):
    with pytest.raises(ModelError, match="leaves no room"):
        tokens_of(golden, "bert-mean", families()["plain"], max_tokens=2)


def test_instructor_strips_the_text_and_keeps_the_space_that_ends_the_instruction(golden):
    tokens = tokens_of(golden, "instructor-relu", families()["instructor"])
    assert tokens.composed("Title: ", "  bees  ") == "Title: bees"
    assert tokens.composed(" Title:", "bees") == "Title:bees"
