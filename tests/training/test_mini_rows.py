"""The rows that searchkit-mini is trained on: contrasts, what is held out, words kept apart."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from benchmarks._mini_labels import TwoLabelled, form_of, medquad_of
from benchmarks._mini_made import FEELINGS, TOPICS, made_sentences
from benchmarks._mini_reviews import polarities
from benchmarks._mini_rows import SEED, contrasts, known_groups, parted, reworded
from benchmarks._mini_sets import SAID, THINGS
from benchmarks._mini_wording import TASKS, alike, grouping
from searchkit.training.batches import groups_of
from searchkit.training.examples import Example

COLOURS, SHAPES = ("red", "green", "blue"), ("square", "circle", "star")


def things(copies: int = 4) -> TwoLabelled:
    rows = [(c, s, n) for c in COLOURS for s in SHAPES for n in range(copies)]
    return TwoLabelled(
        name="things",
        texts=[f"{colour} {shape} {number}" for colour, shape, number in rows],
        labels={"colour": [row[0] for row in rows], "shape": [row[1] for row in rows]},
        wordings={"colour": grouping(("thing",), ("colour",)), "shape": grouping(("thing",), ("shape",))},
    )


def pair(query: str, near: str, far: str) -> Example:
    return Example(query=("", query), positives=(("", near),), negatives=(("", far),), task="t")


def test_near_and_far_change_places_with_the_instruction():
    """A positive shares the label that is asked for and not the other one; a negative the other way round."""
    found = things()
    for asked, at in (("colour", 0), ("shape", 1)):
        rows = contrasts(found, asked, range(len(found.texts)), np.random.default_rng(1))
        assert len(rows) == 2 * len(found.texts)
        for row in rows:
            query, far = row["query"][1].split(), row["neg"][1].split()
            assert far[at] != query[at] and far[1 - at] == query[1 - at]
            assert row["group"] == query[at]
            for _, near in row["pos"]:
                assert near.split()[at] == query[at] and near.split()[1 - at] != query[1 - at]


def test_each_text_of_a_row_has_its_own_wording():
    """Different ways to say the same thing meet in a row, and every one of them names what is asked for."""
    rows = contrasts(things(), "colour", range(36), np.random.default_rng(1))
    said = [text for row in rows for text, _ in (row["query"], *row["pos"], row["neg"])]
    assert all("colour" in one for one in said)
    assert len(set(said)) > 10
    assert np.mean([row["query"][0] != row["neg"][0] for row in rows]) > 0.8


def test_a_row_without_instruction_has_none_on_either_side():
    """Rows are bare as a whole: a question without Instruction is not trained against instructed answers."""
    rows = reworded("t", [pair(f"q{n}", f"p{n}", f"n{n}") for n in range(400)], alike(("sentence",)), {})
    bare = [row for row in rows if not row["query"][0]]
    assert 0.25 < len(bare) / len(rows) < 0.45
    assert all(not row["pos"][0] and not row["neg"][0] for row in bare)
    assert all(row["pos"][0] and row["neg"][0] for row in rows if row["query"][0])


def test_rows_of_two_labels_are_told_apart_by_what_is_near_and_what_is_far():
    """Pairs of one label make many small groups; what is far from what is far is near again."""
    rows = [pair(f"q{n}", f"a{n}", f"a{n + 1}" if n % 2 == 0 else f"q{n - 1}") for n in range(0, 8)]
    rows += [pair(f"a{n}", f"q{n}", f"q{n + 1}") for n in range(0, 7)]
    intents = [pair("taxi now", "a taxi", "rain"), pair("train times", "next train", "rain")]
    scenarios = [pair("a taxi", "next train", "rain")]
    mixture = {"subjectivity": rows, "opinion_phrase_polarity": rows[:1]}
    groups = known_groups({**mixture, "hwu_intent": intents, "hwu_scenario": scenarios})
    assert len(set(groups_of(rows).values())) == 8
    found = groups["subjectivity"]
    assert len(set(found.values())) == 2 and found["q0"] == found["a2"] != found["q1"] == found["a7"]
    assert len({groups["hwu_scenario"][text] for text in ("taxi now", "train times", "a taxi")}) == 1
    (made,) = reworded("subjectivity", rows[:1], alike(("sentence",)), found)
    assert made["group"] == found["q0"]


def test_what_is_held_out_is_not_trained_on():
    """No query held out, and no rare positive of one, is in a row that is trained on; labels may be."""
    rows = [pair(f"q{n % 700}", "a label" if n % 3 else f"p{n % 500}", "n") for n in range(2_000)]
    trained, held = parted("t", rows)
    assert len(held) == 150
    texts = {one.query[1] for one in held}
    assert trained and not texts & {one.query[1] for one in trained}
    often = Counter(one.positives[0][1] for one in rows)
    rare = {one.positives[0][1] for one in held if often[one.positives[0][1]] <= 2}
    assert not rare & {one.positives[0][1] for one in trained}


def test_polarity_follows_from_rows_and_from_words():
    """Which texts are of one polarity follows from rows; a few known words say which polarity it is."""
    rows = [pair("a great film", "b", "c"), pair("c", "d is boring", "b"), pair("x", "y", "z")]
    assert polarities(rows) == {
        "a great film": "positive", "b": "positive", "c": "negative", "d is boring": "negative",
    }  # fmt: skip


def test_rules_read_questions():
    """Templates of medical questions give disease and type; other questions their form."""
    assert medquad_of("Is Ollier disease inherited ?") == ("ollier disease", "is")
    assert medquad_of("What are the symptoms of Tyrosinemia type 3 ?") == (
        "tyrosinemia type 3",
        "what are the symptoms of",
    )
    assert medquad_of("Tell me about it") is None
    asked = ("How many moons has Mars?", "Why not?", "How to sort a list", "Sort")
    assert [form_of(one) for one in asked] == [
        "number", "reason", "way", None,
    ]  # fmt: skip


def test_sentences_made_for_training_share_no_topic_and_no_verdict_with_those_for_evaluation():
    """The made-up set that is evaluated on speaks of other things, in other words."""
    trained = " ".join(one.lower() for found in made_sentences(SEED)[:1] for one in found.texts)
    for thing in (one for things_ in THINGS.values() for one in things_):
        assert thing.lower() not in trained
    for said in (one for verdicts in SAID.values() for one in verdicts):
        assert said not in trained
    assert not set(THINGS) & set(TOPICS)
    assert len(FEELINGS) == 3


def test_wordings_fill_all_their_slots():
    """No wording leaves a brace, whatever is drawn."""
    random = np.random.default_rng(0)
    for wording in (*TASKS.values(), grouping(("text",), ("topic",))):
        for side in ("query", "document"):
            for _ in range(30):
                assert not re.search(r"[{}]", wording.drawn(side, random))
