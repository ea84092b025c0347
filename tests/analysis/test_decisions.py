"""What a person decided about two texts: where it holds, how it is kept, and when it goes."""

import pytest

from searchkit.analysis.duplicates import decide, duplicates, duplicates_against, duplicates_of_files
from searchkit.errors import UsageError
from searchkit.library.database import Database
from tests.analysis.same_texts import LEAVE, LEAVE_NOT, TUNNEL, indexed, names, titled
from tests.collection.conftest import write


def stored_decisions(library):
    with Database.read(library.folder) as db:
        return db.rows("SELECT first, second, same FROM duplicate_decisions")


def test_a_rejected_pair_is_kept_apart_and_an_accepted_one_together(library, three):
    (made,) = decide(library, reject=[(1, 2)])
    assert (made.first, made.second, made.same, made.changed) == (1, 2, False, True)
    assert not decide(library, reject=[(3, 2)])[0].changed  # 3 has the text of 1
    assert names(duplicates(library, three, threshold=0.8)) == [["a.txt", "c.txt"]]
    assert duplicates(library, three).threshold.rejected == 1
    decide(library, accept=[(2, 4)])
    found = duplicates(library, three, threshold=0.8)
    assert sorted(map(sorted, names(found))) == [["a.txt", "c.txt"], ["b.txt", "d.txt"]]
    assert sorted(one.accepted for group in found.groups for one in group.copies) == [False, True]
    assert [one.changed for _ in "12" for one in decide(library, undecide=[(1, 2)])] == [True, False]


def test_what_accepted_pairs_lead_to_is_marked_as_accepted(library, tmp_path):
    name = indexed(library, tmp_path / "in", a="one two", b="three four", c="five six", d="seven")
    decide(library, accept=[(1, 2), (2, 3)])
    (group,) = duplicates(library, name, threshold=0.9).groups
    assert [one.accepted for one in group.copies] == [True, True]


def test_a_decision_holds_under_another_heading(library, tmp_path):
    texts = {"a": titled("Old", LEAVE), "b": titled("Old", LEAVE_NOT)}
    name = indexed(library, tmp_path / "in", "company-docs", **texts)
    decide(library, reject=[(1, 2)])
    for file, text in texts.items():
        write(tmp_path / "in" / f"{file}.md", text.replace("Old", "Holidays"))
    library.refresh(name)
    found = duplicates(library, name, threshold=0.5)
    assert found.groups == () and found.threshold.rejected == 1


def test_a_decision_outlives_a_collection_and_shows_no_hash_of_its_texts(library, tmp_path, three):
    decide(library, reject=[(1, 2)])
    library.remove(three)
    again = indexed(library, tmp_path / "in2", x=LEAVE, y=LEAVE_NOT)
    assert duplicates(library, again, threshold=0.8).groups == ()
    with Database.read(library.folder) as db:
        hashes = {row[0] for row in db.rows("SELECT hash FROM texts")}
    marks = {mark for row in stored_decisions(library) for mark in row[:2]}
    assert len(marks) == 2 and not marks & hashes


def test_decisions_go_with_a_text_that_is_forgotten_and_with_no_other(library, three):
    decide(library, reject=[(1, 2), (2, 4)])
    library.forget("a.txt")
    assert len(stored_decisions(library)) == 2  # c.txt still has the text
    library.forget("c.txt")
    assert len(stored_decisions(library)) == 1
    library.forget("b.txt")
    assert stored_decisions(library) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"accept": [(1, 99)]}, "there is no passage 99"),
        ({"reject": [(1, 3)]}, "have the same text"),
        ({"accept": [(1, 2)], "reject": [(2, 1)]}, "named twice"),
        ({"accept": [(1, 2), (1, 2)]}, "named twice"),
        ({"undecide": [(2, 4)], "accept": [(2, 1), (2, 2)]}, "have the same text"),
    ],
)
def test_of_decisions_with_a_mistake_none_is_noted(library, three, asked, said):
    with pytest.raises(UsageError, match=said):
        decide(library, **asked)
    assert stored_decisions(library) == []


def test_a_pair_accepted_across_two_collections_is_marked_and_counted(library, tmp_path):
    """Though another text of that collection is near enough."""
    mine = indexed(library, tmp_path / "mine", a=LEAVE, b=TUNNEL)
    other = indexed(library, tmp_path / "other", x=LEAVE_NOT, y="Something else altogether.")
    decide(library, accept=[(1, 4)], reject=[(2, 4)])
    found = duplicates_against(library, other, mine, threshold=0.8)
    (group,) = found.groups
    assert (names(found), group.copies[0].accepted) == ([["y.txt", "a.txt"]], True)
    assert (found.threshold.accepted, found.threshold.rejected) == (1, 1)
    measured = duplicates_against(library, other, mine).threshold
    assert measured.how == "decided" and measured.value < 0.9


def test_decisions_hold_for_files_that_are_not_stored(library, tmp_path, three):
    new = write(tmp_path / "new" / "new.txt", LEAVE_NOT)
    assert names(duplicates_of_files(library, [new], three, threshold=0.8)) == [["b.txt", "new.txt"]]
    (tmp_path / "in" / "b.txt").unlink()
    decide(library, reject=[(1, 2)])
    library.refresh(three)
    found = duplicates_of_files(library, [new], three, threshold=0.8)
    assert found.groups == () and found.threshold.rejected == 1
