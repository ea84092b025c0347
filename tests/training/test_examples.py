"""Rows to train on: MEDI's form is read from every file it comes in, and nothing else passes for it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from searchkit.errors import TrainingInvalid
from searchkit.training import examples
from searchkit.training.examples import find_files, read_examples
from tests.training.conftest import row

ROWS = [row(at, task) for task in ("things", "houses") for at in range(30)]


def test_lines_and_lists_plain_and_gzipped_are_the_same_rows(tmp_path: Path):
    """The original medi-data.json is one list; ours are lines."""
    lines = "\n".join(map(json.dumps, ROWS))
    for name, text in (
        ("a.jsonl", lines),
        ("b.jsonl", f"\ufeff\n{lines}\n\n"),
        ("c.json", json.dumps(ROWS)),
        ("d.json", json.dumps(ROWS, indent=2)),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    read = [read_examples([file]) for file in sorted(tmp_path.iterdir())]
    assert len(read) == 8 and all(one == read[0] for one in read)
    assert {task: len(rows) for task, rows in read[0].items()} == {"things": 30, "houses": 30}


@pytest.mark.parametrize("block", [1, 2, 7, 100, 5000])
def test_a_list_is_read_in_parts_wherever_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
):
    """No row is lost or made at the border of two parts."""
    monkeypatch.setattr(examples, "BLOCK", block)
    file = tmp_path / "rows.json"
    odd = {**row(0), "query": ["", 'a "quoted" text, [with] {brackets} \\ and \u00e4']}
    file.write_text(json.dumps([odd, *ROWS], indent=1), encoding="utf-8")
    read = read_examples([file])
    assert read["things"][0].query[1] == odd["query"][1]
    assert sum(map(len, read.values())) == 1 + len(ROWS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query": "where is it"}, "query is 'where is it'"),
        ({"query": ["one"]}, "query is"),
        ({"query": ["", "  "]}, "query has an empty text"),
        ({"pos": [["", "right"], ["", 3]]}, "pos is"),
        ({"pos": []}, "no pos"),
        ({"neg": {"text": "wrong"}}, "neg is"),
        ({"task_name": None}, "no task_name"),
        ({"task_name": True}, "no task_name"),
        ({"group": ["a"]}, "group is ['a'], expected a text or a whole number"),
        ({"groups": "a"}, "unknown key 'groups' (did you mean: group"),
        ({"pos": ["", "half of it \ud83d"]}, r"pos has half of a character, \ud83d"),
        ({"query": ["\udc00: ", "text"]}, r"query has half of a character, \udc00"),
        ({"task_name": "\ud83d"}, "task_name has half of a character"),
    ],
)
def test_a_row_of_another_form_is_refused_by_file_and_line(tmp_path: Path, change: dict[str, Any], said: str):
    """And told what was found and what a row is."""
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, [row(0), {**row(1), **change}])), encoding="utf-8")
    with pytest.raises(TrainingInvalid) as raised:
        read_examples([file])
    assert raised.value.message.startswith(f"{file}:2: ") and said in raised.value.message
    assert "a row is: " in raised.value.remedy


def test_blank_lines_on_top_are_counted(tmp_path: Path):
    """The line named is the one that an editor shows, whatever ends the lines."""
    file = tmp_path / "rows.jsonl"
    for ends in ("\n", "\r\n"):
        file.write_text(
            ends.join(["\ufeff", "  ", "", json.dumps(row(0)), "", "{}"]), encoding="utf-8", newline=""
        )
        with pytest.raises(TrainingInvalid) as raised:
            read_examples([file])
        assert raised.value.message.startswith(f"{file}:6: no query")


def test_a_row_without_its_parts_is_refused(tmp_path: Path):
    """Query and positive have to be there; a misspelt negative is not passed over."""
    file = tmp_path / "rows.jsonl"
    for text, said in (
        ("[1]\n", "row 1: a int"),
        ('"text"', ":1: a str, expected an object"),
        ("{}", "no query and no pos"),
        ('{"query": ["", "a"], "pos": ["", "b"], "negative": ["", "c"], "task": 1}', "'negative' (did you"),
        ('{"query": ["", "a"], "pos": ["", "b"], "hard_neg": ["", "c"], "task": 1}', "'hard_neg' (did you"),
        ('{"query": ["", "a"', ":1: no JSON"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(TrainingInvalid) as raised:
            read_examples([file])
        assert said in raised.value.message


@pytest.mark.parametrize(
    "text",
    ["[", '[{"query": ["", "a', "[{}", "[{} {}]", "[{}, ", "[{},]", "[{}]\n[{}]", "[{}]\n{}", "[{}] x",
     '[{"task_id": ' + "7" * 5000 + "}]"],
)  # fmt: skip
def test_a_list_that_is_cut_off_or_torn_is_refused(tmp_path: Path, text: str):
    """Also where its rows so far are right, or more follows than one list."""
    whole = json.dumps(row(0))
    file = tmp_path / "rows.json"
    file.write_text(text.replace("{}", whole), encoding="utf-8")
    with pytest.raises(TrainingInvalid, match=r"row [12]: no JSON: "):
        read_examples([file])


def test_a_damaged_file_is_refused(tmp_path: Path):
    """A .gz that is cut off or torn, bytes that are no UTF-8, a file without rows."""
    whole = gzip.compress("\n".join(map(json.dumps, ROWS)).encode())
    for name, content, said in (
        ("a.jsonl.gz", whole[: len(whole) // 2], "cannot be read"),
        ("b.jsonl.gz", b"no gzip", "cannot be read"),
        ("t.jsonl.gz", whole[:40] + b"\xff" * 40 + whole[80:], "cannot be read"),
        ("c.jsonl", b'{"query": ["", "\xff"]}', "cannot be read"),
        ("d.jsonl", b"\n\n", "no rows in"),
        ("e.json", b"[]", "no rows in"),
        ("f.json", b"[]\n[{}]", "after the list: no JSON: the list has ended"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(TrainingInvalid, match=said):
            read_examples([file])


def test_several_positives_and_negatives_and_no_instruction(tmp_path: Path):
    """A row may have lists of pairs, a number for a task, and a group, no negatives at all."""
    file = tmp_path / "rows.jsonl"
    said = {
        "group": 3,
        "query": ["", "a"],
        "pos": [["", "b"], ["x", "c"]],
        "neg": [["", "d"], ["", "e"]],
        "task_id": 7,
    }
    bare = {"query": ["", "a"], "pos": ["", "b"], "neg": None, "task_name": None, "task": "7"}
    file.write_text(f"{json.dumps(said)}\n{json.dumps(bare)}\n", encoding="utf-8")
    first, second = read_examples([file])["7"]
    assert first.positives == (("", "b"), ("x", "c")) and first.negatives == (("", "d"), ("", "e"))
    assert second.negatives == () and (first.group, second.group) == ("3", None)


def test_files_are_found_by_globs_each_once(tmp_path: Path):
    """In a stable order, and a pattern that names none is refused."""
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps(row(0)), encoding="utf-8")
    found = find_files(["*.jsonl", "a.jsonl"], tmp_path)
    assert [file.name for file in found] == ["a.jsonl", "b.jsonl"]
    with pytest.raises(TrainingInvalid, match=r"no file is 'c\*'"):
        find_files(["*.jsonl", "c*"], tmp_path)
