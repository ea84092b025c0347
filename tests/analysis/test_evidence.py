"""What differs between two texts, and which kinds of differences are pointed out."""

import pytest

from searchkit.analysis.evidence import MOST_WORDS, Change, evidence, summary


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ("30 days of leave", "60 days of leave", ("numbers",)),
        ("it costs 1,500 euros", "it costs 1.500 euros", ("numbers",)),
        ("runs on Python 3.11.7", "runs on Python 3.11.8", ("versions",)),
        ("needs version 7", "needs version 8", ("versions",)),
        ("since v2", "since v3", ("versions",)),
        ("due 2024-01-31", "due 2024-02-01", ("dates",)),
        ("on 3 March 2023", "on 3 April 2023", ("dates",)),
        ("on March 3, 2023", "on March 4, 2023", ("dates",)),
        ("you may go", "you may not go", ("negation",)),
        ("you can go", "you can't go", ("negation",)),
        ("you can’t go", "you cannot go", ()),
        ("never 30 days", "60 days", ("numbers", "negation")),
        ("a note of an annotation", "a noted annotation", ()),  # 'not' within words is none
        ("may be seen", "might be seen", ()),  # a month's name alone is none
        ("the 2 cats", "2 cats the", ()),
    ],
)
def test_kinds_of_differences(first, second, kinds):
    assert set(evidence(first, second).kinds) == set(kinds)
    assert evidence(second, first).kinds == evidence(first, second).kinds


def test_changes_are_words_in_their_order():
    found = evidence("Staff may take 30 days of paid leave.", "Staff may not take 60 days of leave.")
    assert found.changes == (Change("", "not"), Change("30", "60"), Change("paid", ""))
    assert summary(found) == "∅ → not; 30 → 60; paid → ∅"
    assert summary(found, most=1) == "∅ → not; 2 more"


def test_white_space_is_no_difference_of_words():
    found = evidence("a  b\nc", "a b c")
    assert found.changes == () and summary(found) == "only white space differs"


def test_long_texts_are_compared_up_to_a_length_and_numbers_in_all_of_them():
    words = [f"w{i}" for i in range(MOST_WORDS)]
    found = evidence(" ".join([*words, "30"]), " ".join([*words, "40"]))
    assert found.cut and found.changes == () and found.kinds == ("numbers",)
    assert summary(found) == f"differs after the first {MOST_WORDS} words"
