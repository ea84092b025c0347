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
        ("Sony DSC-W120", "Sony DSC-W130", ("numbers",)),  # products differ in the middle of a word
        ("one H100", "one H200", ("numbers",)),
        ("Windows Server2019", "Windows Server2022", ("numbers",)),
        ("at -5 degrees", "at 5 degrees", ("numbers",)),
        ("pages 3-5", "pages 3 to 5", ()),  # no minus
        ("faiss 1.15.11", "faiss 1.15.12", ("versions",)),
        ("2.13.10", "2.13.12", ("versions",)),
        ("python3.11.7", "python3.11.8", ("versions",)),
        ("1.500.000 euros", "1.600.000 euros", ("numbers",)),
        ("due 31.01.2024", "due 30.01.2024", ("dates",)),
        ("due 1/31/24", "due 2/28/24", ("dates",)),
        ("30 separate items", "60 separate items", ("numbers",)),
        ("a decrease 30 percent", "a decrease 60 percent", ("numbers",)),
        ("2 junior posts", "3 junior posts", ("numbers",)),
        ("mark 30", "mark 31", ("numbers",)),
        ("on 2 Sept. 2024", "on 3 Sept. 2024", ("dates",)),
        ("in May 2023", "in June 2023", ("dates",)),
        ("60 march on", "70 march on", ("numbers",)),
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
