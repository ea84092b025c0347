"""What is asked of a set is done or refused: splits, kinds, labels, and a part to learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation import sets, tasks
from searchkit.evaluation.evaluate import Wanted, evaluate, fingerprint_of
from searchkit.evaluation.results import Result
from searchkit.evaluation.trial import trials_of
from tests.evaluation.test_evaluate import WordEmbedder


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def beir(folder: Path, qrels: Sequence[str], **fields: str) -> Path:
    """Two queries, of which the first is judged in the first file, the second in all others."""
    write(folder / "corpus.jsonl", [{"_id": str(n), "text": f"document {n}"} for n in range(2)])
    write(folder / "queries.jsonl", [{"_id": f"q{n}", "text": f"query {n}", **fields} for n in range(2)])
    for place, name in enumerate(qrels):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"query-id\tcorpus-id\tscore\nq{min(place, 1)}\t0\t1\n")
    return folder


def labelled(count: int, text: str = "topic{topic} w{n}", start: int = 0) -> list[dict]:
    return [
        {"text": text.format(topic=n % 3, n=n), "label": n % 3 + start, "other": n % 2} for n in range(count)
    ]


def measured(task: tasks.Task) -> Result:
    return evaluate(WordEmbedder(), [task], Wanted())[0]


def test_a_split_has_its_own_judgements(tmp_path: Path):
    of_files = beir(tmp_path / "a", ["qrels/test.tsv", "qrels/dev.tsv"])
    assert list(sets.read_retrieval(of_files).queries) == ["q0"]
    assert list(sets.read_retrieval(of_files, "dev").queries) == ["q1"]
    of_both = beir(tmp_path / "b", ["qrels/test.tsv", "qrels/dev.tsv"], split="dev")
    assert list(sets.read_retrieval(of_both, "dev").queries) == ["q1"]
    beside = beir(tmp_path / "c", ["qrels.tsv", "qrels/dev.tsv"])
    assert list(sets.read_retrieval(beside, "dev").queries) == ["q1"]


@pytest.mark.parametrize(
    "qrels", [["qrels.tsv"], ["qrels/test.tsv"], ["qrels/test.tsv", "qrels/train.tsv"]], ids=str
)
def test_a_split_that_a_folder_does_not_tell_is_refused(tmp_path: Path, qrels: list[str]):
    with pytest.raises(UsageError, match=r"no split 'dev'|no qrels/dev\.tsv|no qrels\.tsv and"):
        sets.read_retrieval(beir(tmp_path / "set", qrels), "dev")


def test_a_file_has_no_split(tmp_path: Path):
    path = write(tmp_path / "set.jsonl", labelled(9))
    with pytest.raises(UsageError, match="one file, which has no split 'dev'"):
        tasks.task_at(path, split="dev")


def test_what_a_kind_does_not_know_is_refused(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", [{"a": "x", "b": "y", "label": n % 2} for n in range(4)])
    with pytest.raises(UsageError, match="'p' is of kind 'pairs', which has no labels"):
        tasks.task_at(path, labels=("label",))
    topics = write(tmp_path / "t.jsonl", labelled(9))
    with pytest.raises(UsageError, match="of kind 'clustering', which has no per_label"):
        tasks.task_at(topics, per_label=8)
    with pytest.raises(UsageError, match="named twice: label, label"):
        tasks.task_at(topics, labels=("label", "label"))


@pytest.mark.parametrize("asked", [{"kind": "sts"}, {"split": "dev"}, {"labels": ("topic",)}], ids=str)
def test_what_is_asked_beside_a_suite_is_refused(tmp_path: Path, asked: dict):
    write(tmp_path / "t.jsonl", labelled(9))
    (tmp_path / "suite.toml").write_text('[[task]]\npath = "t.jsonl"\n')
    assert len(tasks.named([tmp_path / "suite.toml"], kind=None)) == 1
    with pytest.raises(UsageError, match=f"suite.toml says itself.*\n.*{next(iter(asked))} = "):
        tasks.named([tmp_path / "suite.toml"], **asked)


def test_classification_asks_the_part_that_is_named(tmp_path: Path):
    folder = tmp_path / "set"
    for part, count in (("train", 60), ("test", 12), ("dev", 9)):
        write(folder / f"{part}.jsonl", labelled(count))
    found = {}
    for part in (None, "dev", "train"):
        found[part] = measured(tasks.task_at(folder, kind="classification", split=part))
    assert [found[part].measured.counts["texts"] for part in (None, "dev")] == [12, 9]
    assert found[None].measured.notes == ()
    halved = found["train"]  # what is learned is never asked
    assert halved.measured.counts["texts"] == 30
    assert "random half" in halved.measured.notes[0]


def test_how_many_texts_are_learned_from_can_be_said(tmp_path: Path):
    rows = [{"text": f"w{n} {n}", "label": n % 2} for n in range(300)]
    write(tmp_path / "set.jsonl", rows)
    (tmp_path / "suite.toml").write_text(
        "".join(
            f'[[task]]\nname = "{n}"\npath = "set.jsonl"\nkind = "classification"\nper_label = {n}\n'
            for n in (1, 70)
        )
    )
    few, many = tasks.suite(tmp_path / "suite.toml")
    assert measured(few).measured.measures != measured(many).measured.measures
    assert fingerprint_of(few) != fingerprint_of(many)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([{"text": "a", "label": 1}, {"text": "b", "label": 2}], None),
        ([{"text": "same", "label": n % 2} for n in range(9)], None),
        (labelled(30), labelled(30, start=7)),
    ],
    ids=["two rows", "equal texts", "labels that were not learned"],
)
def test_what_cannot_be_learned_is_refused(tmp_path: Path, train: list[dict], test: list[dict] | None):
    folder = write(tmp_path / "set" / "train.jsonl", train).parent
    if test is not None:
        write(folder / "test.jsonl", test)
    task = tasks.task_at(folder, kind="classification")
    for read in (measured, lambda task: trials_of(task, lambda *_: None)):
        with pytest.raises(DataInvalid, match="expected two or more labels to learn"):
            read(task)


def test_texts_in_groups_ask_for_the_others_of_their_group(tmp_path: Path):
    rows = [
        {"title": "T", "text": f"page{n} page{n} page{n} v{v}", "group": f"g{n}"}
        for n in range(6)
        for v in range(2)
    ]
    folder = write(tmp_path / "versions" / "texts.jsonl", [*rows, {"text": "alone", "group": "x"}]).parent
    task = tasks.task_at(folder)
    assert (task.kind, task.name) == ("retrieval", "versions")
    found = measured(task)
    assert found.measured.counts == {"documents": 13, "queries": 12}
    assert found.measured.measures["recall@10"] == 100
    assert found.measured.items["ndcg@10"][0] == 1  # itself is left out
    assert [trial.items for trial in trials_of(task, lambda *_: None)] == [12]
    with pytest.raises(DataInvalid, match="no two rows are of one 'group'"):
        sets.read_groups(write(tmp_path / "one.jsonl", rows[:1]))


def test_only_the_files_that_are_read_tell_whether_a_set_changed(tmp_path: Path):
    folder = beir(tmp_path / "set", ["qrels/test.tsv", "qrels/dev.tsv"])
    task = tasks.task_at(folder)
    before = fingerprint_of(task)
    (folder / "README.md").write_text("a set")
    (folder / "qrels" / "dev.tsv").write_text("another")
    (folder / "out").mkdir()
    (folder / "out" / "set.json").write_text("{}")
    assert fingerprint_of(task) == before
    (folder / "qrels" / "test.tsv").write_text("another")
    assert fingerprint_of(task) != before
