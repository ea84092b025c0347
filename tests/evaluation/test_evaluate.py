"""Evaluations of sets in files: found by their columns, resumed, compared, reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation import encoding, results, tasks
from searchkit.evaluation.encoding import Encoder, prune
from searchkit.evaluation.evaluate import Wanted, each, evaluate

DIM = 16


class WordEmbedder:
    """Vectors of words, an Instruction's words among them; counts what it embeds and can be told to stop."""

    model, dim, max_tokens = "words", DIM, 64

    def __init__(self, stop_after: int | None = None) -> None:
        self.embedded: list[str] = []
        self._stop_after = stop_after

    def embed(self, texts: Sequence[str], instruction: str = "") -> np.ndarray:
        if self._stop_after is not None and len(self.embedded) >= self._stop_after:
            raise KeyboardInterrupt
        self.embedded += [instruction + text for text in texts]
        made = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in (instruction + text).split():
                made[row] += np.random.default_rng(sum(map(ord, word)) * 31 + len(word)).normal(size=DIM)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    def fingerprint(self) -> dict[str, str]:
        return {"weights": "words"}

    def check_instruction(self, instruction: str) -> None:
        pass


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rows = [
        {"a": f"word{n} x", "b": f"word{n if n % 3 else n + 1} y", "label": int(n % 3 > 0)} for n in range(60)
    ]
    return write(tmp_path / "sets" / "pairs" / "pairs.jsonl", rows)


@pytest.fixture
def retrieval(tmp_path: Path) -> Path:
    folder = tmp_path / "sets" / "notes"
    write(
        folder / "corpus.jsonl", [{"_id": str(n), "text": f"note{n} about thing{n % 7}"} for n in range(40)]
    )
    write(folder / "queries.jsonl", [{"_id": f"q{n}", "text": f"thing{n % 7} note{n}"} for n in range(20)])
    lines = "".join(f"q{n}\t{n}\t1\n" for n in range(20))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"a": "x", "b": "y", "label": 1}], "pairs"),
        ([{"a": "x", "b": "y", "score": 1.5, "id": 3}], "sts"),
        ([{"text": "x", "label": "l"}], "clustering"),
        ([{"query": "x", "positive": ["a"], "negative": ["b"]}], "reranking"),
        ([{"hyp": "x", "refs": ["a"], "human_score": 1}], "judgement"),
    ],
)
def test_the_kind_of_a_task_shows_in_its_columns(tmp_path: Path, rows, kind: str):
    assert tasks.task_at(write(tmp_path / "set.jsonl", rows)).kind == kind


def test_unknown_columns_are_refused_with_what_is_expected(tmp_path: Path):
    path = write(tmp_path / "set.jsonl", [{"question": "x", "answer": "y"}])
    with pytest.raises(
        DataInvalid, match=r"(?s)line 1: no kind of task has the columns 'question', 'answer'.*--kind"
    ):
        tasks.task_at(path)


def test_what_was_measured_is_not_measured_again(tmp_path: Path, pairs: Path, retrieval: Path):
    wanted = Wanted(out=tmp_path / "out")
    chosen = [tasks.task_at(pairs), tasks.task_at(retrieval)]
    first = evaluate(WordEmbedder(), chosen, wanted)
    again = WordEmbedder()
    assert evaluate(again, chosen, wanted) == first
    assert again.embedded == []
    assert [one.task for one in first] == ["pairs", "notes"]


@pytest.mark.parametrize("change", ["text", "instruction"])
def test_another_measurement_is_written_over_only_on_demand(
    tmp_path: Path, pairs: Path, retrieval: Path, change: str
):
    wanted = Wanted(out=tmp_path / "out")
    (before,) = evaluate(WordEmbedder(), [tasks.task_at(pairs)], wanted)
    if change == "text":
        pairs.write_text(pairs.read_text().replace("word7", "word77"))
    else:
        wanted = Wanted(out=tmp_path / "out", instructions={"query": "find: ", "document": ""})
    embedder, chosen = WordEmbedder(), [tasks.task_at(retrieval), tasks.task_at(pairs)]
    with pytest.raises(UsageError, match=r"pairs\.json holds another measurement"):
        evaluate(embedder, chosen, wanted)
    assert embedder.embedded == []  # nothing is measured in vain
    assert results.read_all(tmp_path / "out") == {"pairs": before}
    _, after = evaluate(embedder, chosen, replace(wanted, again=True))
    assert results.read_all(tmp_path / "out")["pairs"] == after != before


def test_two_sets_of_one_name_are_told_apart_by_their_folders_or_refused(tmp_path: Path, pairs: Path):
    lines = pairs.read_text()
    files = [tmp_path / place for place in ("a/test.jsonl", "b/test.jsonl", "x/a/test.jsonl")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines)
    assert [one.name for one in tasks.named(files[:2])] == ["a", "b"]
    with pytest.raises(UsageError, match=r"both called 'a'\n.*suite\.toml"):
        tasks.named(files)
    assert tasks.task_at(tmp_path / "a" / ".." / "b").name == "b"


def test_a_kept_result_says_what_is_said_of_its_task_now(tmp_path: Path, pairs: Path):
    task = tasks.task_at(pairs)
    (first,) = evaluate(WordEmbedder(), [task], Wanted(out=tmp_path / "out"))
    (kept,) = evaluate(WordEmbedder(), [replace(task, paper="STS16")], Wanted(out=tmp_path / "out"))
    assert kept == replace(first, paper="STS16")


@pytest.mark.parametrize("damage", [b'{"task": "pai', b"", b"\xff\xfe"])
def test_a_damaged_result_is_measured_again_and_that_is_said(tmp_path: Path, pairs: Path, damage: bytes):
    task, wanted, said = tasks.task_at(pairs), Wanted(out=tmp_path / "out"), []
    (first,) = evaluate(WordEmbedder(), [task], wanted)
    (tmp_path / "out" / "pairs.json").write_bytes(damage)
    (again,) = each(WordEmbedder(), [task], wanted, on_note=said.append)
    assert replace(again, took_s=first.took_s) == first
    assert results.read_all(tmp_path / "out") == {"pairs": again}
    assert len(said) == 1 and "pairs.json is damaged" in said[0] and "measured again" in said[0]


def test_profiles_are_read_before_anything_is_measured(tmp_path: Path, pairs: Path, retrieval: Path):
    chosen = [tasks.task_at(pairs), tasks.task_at(retrieval, profile="scientific-retrievl")]
    embedder = WordEmbedder()
    with pytest.raises(UsageError, match="scientific-retrievl"):
        evaluate(embedder, chosen, Wanted())
    assert embedder.embedded == []


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, pairs: Path, retrieval: Path, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK", 10)
    chosen = [tasks.task_at(pairs), tasks.task_at(retrieval)]
    wanted = Wanted(out=tmp_path / "out", vectors=tmp_path / "vectors")
    stopped = WordEmbedder(stop_after=130)
    with pytest.raises(KeyboardInterrupt):
        evaluate(stopped, chosen, wanted)
    rest = WordEmbedder()
    found = evaluate(rest, chosen, wanted)
    assert not set(rest.embedded) & set(stopped.embedded)
    whole = evaluate(WordEmbedder(), chosen, Wanted())
    assert [one.measured for one in found] == [one.measured for one in whole]


def test_another_query_instruction_embeds_no_document_again(tmp_path: Path, retrieval: Path):
    task = tasks.task_at(retrieval)
    evaluate(WordEmbedder(), [task], Wanted(vectors=tmp_path / "v"))
    again = WordEmbedder()
    evaluate(again, [task], Wanted(vectors=tmp_path / "v", instructions={"query": "find: ", "document": ""}))
    assert len(again.embedded) == 20
    assert all(text.startswith("find: ") for text in again.embedded)


def test_a_damaged_block_is_embedded_again(tmp_path: Path):
    encode = Encoder(WordEmbedder(), {"document": "", "query": ""}, tmp_path)
    first = encode(["a", "b", "a"], "document")
    (block,) = tmp_path.glob("*.npy")
    block.write_bytes(block.read_bytes()[:-5])
    np.testing.assert_array_equal(encode(["a", "b", "a"], "document"), first)
    assert encode.embedder.embedded == ["a", "b"] * 2


def test_blocks_longest_not_used_go_first(tmp_path: Path):
    encode = Encoder(WordEmbedder(), {"document": "", "query": ""}, tmp_path)
    for text in ("a", "b", "c"):
        encode([text], "document")
    import os

    for age, path in enumerate(sorted(tmp_path.glob("*.npy"))):
        os.utime(path, (1_000 + age, 1_000 + age))
    size = path.stat().st_size
    prune(tmp_path, 2 * size)
    assert path.exists()
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_a_block_that_cannot_be_touched_or_written_is_no_error(tmp_path: Path, monkeypatch):
    encode = Encoder(WordEmbedder(), {"document": "", "query": ""}, tmp_path / "kept")
    first = encode(["a", "b"], "document")

    def refused(*_: object) -> None:
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(encoding.os, "utime", refused)
    np.testing.assert_array_equal(encode(["a", "b"], "document"), first)
    assert encode.embedder.embedded == ["a", "b"]
    (tmp_path / "file").write_text("")
    nowhere = Encoder(WordEmbedder(), {"document": "", "query": ""}, tmp_path / "file")
    np.testing.assert_array_equal(nowhere(["a", "b"], "document"), first)


def test_two_results_are_compared_item_by_item(tmp_path: Path, retrieval: Path, pairs: Path):
    chosen = [tasks.task_at(retrieval), tasks.task_at(pairs)]
    first = {one.task: one for one in evaluate(WordEmbedder(), chosen, Wanted())}
    noise = {"query": "it is all the same to us whatever it may be: ", "document": ""}
    second = {one.task: one for one in evaluate(WordEmbedder(), chosen, Wanted(instructions=noise))}
    worse, _ = results.compare(first, second)
    assert worse.difference < 0
    assert worse.low <= worse.difference <= worse.high
    assert worse.p < 0.05
    assert worse.worse > worse.better
    assert [one.p for one in results.compare(first, first)] == [1.0, 1.0]


def test_results_of_different_texts_are_not_compared(tmp_path: Path, pairs: Path):
    first = {one.task: one for one in evaluate(WordEmbedder(), [tasks.task_at(pairs)], Wanted())}
    pairs.write_text(pairs.read_text().replace("word7", "word77"))
    second = {one.task: one for one in evaluate(WordEmbedder(), [tasks.task_at(pairs)], Wanted())}
    with pytest.raises(UsageError, match="different texts"):
        results.compare(first, second)
    with pytest.raises(UsageError, match="no task is in both"):
        results.compare(first, {})


def test_a_result_is_read_as_it_was_written(tmp_path: Path, pairs: Path):
    (made,) = evaluate(WordEmbedder(), [tasks.task_at(pairs)], Wanted(out=tmp_path))
    assert results.read_all(tmp_path) == {"pairs": made}
    (tmp_path / "pairs.json").write_text("{}")
    with pytest.raises(DataInvalid, match="holds no result"):
        results.read_all(tmp_path)


def test_a_suite_names_tasks(tmp_path: Path, pairs: Path, retrieval: Path):
    suite = tmp_path / "suite.toml"
    suite.write_text(
        'data = "sets"\n[[task]]\npath = "pairs"\npaper = "X"\n[[task]]\nname = "n"\npath = "notes"\n'
    )
    assert [(one.name, one.kind, one.paper) for one in tasks.suite(suite)] == [
        ("pairs", "pairs", "X"),
        ("n", "retrieval", None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no task"),
        ("task = 3", "names no task"),
        ('[[task]]\nname = "x"', "has no path"),
        ('[[task]]\npath = "sets/pairs"\nprofil = "x"', "no key 'profil'.*profile"),
        ('[[task]]\npath = "sets/absent"', "there is no"),
        ('[[task]]\npath = "sets/pairs"\nkind = "pair"', "no kind of task.*pairs"),
        ('[[task]]\npath = "sets/pairs"\n[[task]]\npath = "sets/pairs"', "two tasks are named 'pairs'"),
        ("[[task", "suite.toml: "),
    ],
)
def test_a_suite_that_is_wrong_says_how(tmp_path: Path, pairs: Path, text: str, said: str):
    suite = tmp_path / "suite.toml"
    suite.write_text(text)
    with pytest.raises(UsageError, match=said):
        tasks.suite(suite)


def test_labellings_are_measured_each_for_itself(tmp_path: Path):
    rows = [{"text": f"topic{n % 3} mood{n % 2} w{n}", "topic": n % 3, "mood": n % 2} for n in range(60)]
    path = write(tmp_path / "two.jsonl", rows)
    task = tasks.task_at(path, kind="clustering", labels=("topic", "mood"))
    assert [one.task for one in evaluate(WordEmbedder(), [task], Wanted())] == ["two/topic", "two/mood"]
    one = tasks.task_at(path, kind="classification", labels=("topic",))
    (found,) = evaluate(WordEmbedder(), [one], Wanted())
    assert found.main > 60


def test_a_report_holds_every_figure_and_runs_nothing_of_the_texts(tmp_path: Path, pairs: Path):
    from searchkit.evaluation import report

    task = tasks.task_at(pairs, name="<script>alert(1)</script>")
    found = evaluate(WordEmbedder(), [task], Wanted(instructions={"query": "<b>: ", "document": ""}))
    report.write(found, tmp_path / "r.html", tmp_path / "r.png")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"{found[0].main:.2f}" in page
    assert "<script>" not in page
    assert "&lt;b&gt;: " in page
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
