"""Hard negatives: near and wrong, never what is right or may well be; few or many texts, kept or replaced."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from searchkit.arrays import Float32Matrix
from searchkit.training import mining
from searchkit.training.examples import Example, Pair, read_examples
from searchkit.training.mining import Mining, highest, mine_task, without_instructions, write_rows
from searchkit.vector_index import choose

# Angles on a circle, in degrees: a cosine is that of their difference.
ANGLES = {"q": 0, "right": 20, "near": 30, "nearer": 21, "copy": 2, "far": 80, "other q": 90, "tied": 10}


def embed(pairs: Sequence[Pair]) -> Float32Matrix:
    angles = np.radians([ANGLES[text.strip()] for _, text in pairs])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def row(query: str, *positives: str, negatives: Sequence[str] = (), group: str | None = None) -> Example:
    return Example(
        query=("Ask: ", query),
        positives=tuple(("Tell: ", one) for one in positives),
        negatives=tuple(("Tell: ", one) for one in negatives),
        task="t",
        group=group,
    )


ROWS = [row("q", "right"), row("other q", "far", "near", "nearer", "copy")]


def negatives(one: Example) -> list[str]:
    return [text for _, text in one.negatives]


def test_what_is_near_and_not_too_near_is_a_negative():
    """Best first: 'copy' is nearer than the positive, 'nearer' almost as near as it is."""
    made, found = mine_task(ROWS, embed, Mining(count=2, below=0.95))
    assert negatives(made[0]) == ["near", "far"]
    assert made[0].negatives[0] == ("Tell: ", "near")
    assert (found.rows, found.negatives, found.without, found.too_near) == (2, 3, 0, 2)
    loose, _ = mine_task(ROWS, embed, Mining(count=2, below=1.0))
    assert negatives(loose[0]) == ["nearer", "near"]
    none, found = mine_task(ROWS, embed, Mining(count=2, below=0.0))
    assert negatives(none[0]) == [] and found.without == 2


def test_a_guide_judges_what_another_model_finds():
    """By texts alone, whatever their Instruction; for it 'near' says the same as the query."""
    asked = []

    def guide(pairs: Sequence[Pair]) -> Float32Matrix:
        asked.extend(pairs)
        return embed([("", "q" if text == "near" else text) for _, text in pairs])

    made, _ = mine_task(ROWS, embed, Mining(count=1, guide=guide))
    assert negatives(made[0]) == ["far"]
    assert {instruction for instruction, _ in asked} == {""}


def test_texts_tied_by_other_rows_or_equal_are_never_negatives():
    """'tied' answers the same as 'right' does; 'right' with blanks around it is the same text."""
    rows = [row("q", "right"), row("tied", "right"), row("other q", "far", " right ")]
    made, _ = mine_task(rows, embed, Mining(below=1.0))
    assert negatives(made[0]) == ["far"] and "right" not in "".join(negatives(made[1]))


def test_texts_of_the_same_group_are_never_negatives():
    """And rows keep their group."""
    rows = [row("q", "right", group="a"), row("tied", "near", group="a"), row("other q", "far", group="b")]
    made, _ = mine_task(rows, embed, Mining(below=1.0))
    assert negatives(made[0]) == ["far"] and [one.group for one in made] == ["a", "a", "b"]


def test_negatives_that_a_row_has_are_replaced_or_kept():
    """Those kept come first and count."""
    rows = [row("q", "right", negatives=["far"]), row("other q", "near")]
    assert negatives(mine_task(rows, embed, Mining(count=1))[0][0]) == ["near"]
    assert negatives(mine_task(rows, embed, Mining(count=1, keep=True))[0][0]) == ["far"]
    assert negatives(mine_task(rows, embed, Mining(count=2, keep=True))[0][0]) == ["far", "near"]


def test_a_row_for_which_nothing_is_found_keeps_what_it_has():
    """Somebody said that it is wrong; 'without' counts only rows that have none."""
    rows = [row("q", "right", negatives=["far"]), row("other q", "near")]
    made, found = mine_task(rows, embed, Mining(below=0.0))
    assert [negatives(one) for one in made] == [["far"], []]
    assert (found.negatives, found.without, found.as_they_were) == (1, 1, 1)


@pytest.mark.parametrize(
    ("positive", "below", "limit"), [(0.8, 0.75, 0.6), (0.8, 1, 0.8), (0, 0.75, 0), (-0.8, 0.75, -1)]
)
def test_a_negative_scores_less_than_the_positive(positive: float, below: float, limit: float):
    """Below zero, too, where a share of the positive's score is more than it."""
    assert highest(positive, below) == pytest.approx(limit)


def test_a_positive_below_zero_has_no_negatives_above_it():
    """'right' is at 120 degrees, 'less' at 125, 'far' at 170."""
    angles = {"q": 0, "right": 120, "less": 125, "far": 170, "other q": 300}

    def turned(pairs: Sequence[Pair]) -> Float32Matrix:
        at = np.radians([angles[text] for _, text in pairs])
        return np.stack([np.cos(at), np.sin(at)], axis=1).astype(np.float32)

    rows = [row("q", "right"), row("other q", "less", "far")]
    made, found = mine_task(rows, turned, Mining(below=0.8))
    assert negatives(made[0]) == ["far"] and found.too_near >= 1


def test_a_model_that_pools_the_instruction_reads_texts_alone():
    """Else what all of them share brings all of them nearer to each other."""
    asked = []

    def seen(pairs: Sequence[Pair]) -> Float32Matrix:
        asked.extend(pairs)
        return embed(pairs)

    made, _ = mine_task(ROWS, without_instructions(seen), Mining())
    assert asked and {instruction for instruction, _ in asked} == {""}
    assert made[0].query == ("Ask: ", "q") and made[0].negatives[0] == ("Tell: ", "near")


def test_many_texts_are_searched_by_a_snapshot(monkeypatch: pytest.MonkeyPatch):
    """Lists of codes where a scan would take long; they find what the scan finds."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[:50]
    exact = mining._nearest(asked, vectors, 10)
    monkeypatch.setattr(choose, "FLAT_BYTES", 0)
    found = mining._nearest(asked, vectors, 10)
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) > 9 and all(a[0] == at for at, a in enumerate(found))


def test_rows_are_written_as_they_are_read(tmp_path: Path):
    """Plain and gzipped; equal rows make equal files."""
    rows = [row("q", "right", negatives=["far", "near"], group="a"), row("other q", "far", "near")]
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        write_rows(rows, tmp_path / name)
        assert read_examples([tmp_path / name]) == {"t": rows}
    first = (tmp_path / "rows.jsonl.gz").read_bytes()
    write_rows(rows, tmp_path / "rows.jsonl.gz")
    assert (tmp_path / "rows.jsonl.gz").read_bytes() == first
    line = json.loads(gzip.decompress(first).splitlines()[1])
    assert line["pos"] == [["Tell: ", "far"], ["Tell: ", "near"]] and "neg" not in line
