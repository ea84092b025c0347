"""`searchkit eval`: what is said beside figures, what is kept of a run that fails, and what is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from searchkit.cli import main, output
from searchkit.errors import UsageError
from searchkit.evaluation import encoding, results
from tests.evaluation.test_evaluate import WordEmbedder, write


class Alike(WordEmbedder):
    """Of which every text is alike."""

    def embed(self, texts, instruction=""):
        return np.tile(np.eye(1, self.dim, dtype=np.float32), (len(texts), 1))


@pytest.fixture
def run(monkeypatch, tmp_path, capfd):
    """Run `searchkit eval` under an embedder. Returns: exit code, stdout, stderr."""
    monkeypatch.setenv("SEARCHKIT_CACHE", str(tmp_path / "cache"))

    def run(*arguments, embedder=WordEmbedder):
        monkeypatch.setattr("searchkit.embedding.embedder.open_embedder", lambda *_, **__: embedder())
        capfd.readouterr()
        code = main.run(["eval", *map(str, arguments)])
        return code, *capfd.readouterr()

    return run


def topics(path: Path, count: int = 40) -> Path:
    return write(path, [{"text": f"topic{n % 2} w{n}", "label": n % 2} for n in range(count)])


def scored(path: Path, extra: str = "") -> Path:
    return write(path, [{"a": f"w{n} x", "b": f"w{n + n % 2} {extra}", "score": n % 2} for n in range(20)])


def test_that_half_of_a_set_was_learned_from_is_said_wherever_figures_are(run, tmp_path):
    path, page = topics(tmp_path / "topics.jsonl"), tmp_path / "r.html"
    asked = [path, "--kind", "classification", "--out", tmp_path / "out"]
    assert "a random half of the texts was learned from" in " ".join(run(*asked)[1].split())
    assert "a random half" in json.loads(run(*asked, "--json", "--html", page)[1])[0]["notes"][0]
    assert "topics: without a file" in page.read_text(encoding="utf-8")
    assert "a random half" in run(*asked, "--against", "paper")[1]
    assert "a random half" in run("show", tmp_path / "out")[1]


def test_what_is_not_defined_is_said_and_null_for_programs(run, tmp_path):
    path, out, page = scored(tmp_path / "same.jsonl"), tmp_path / "out", tmp_path / "r.html"
    code, shown, _ = run(path, "--out", out, "--html", page, embedder=Alike)
    assert code == 0 and "not defined" in shown and "nan" not in shown
    assert "not defined" in page.read_text(encoding="utf-8")
    kept = json.loads((out / "same.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert kept["measured"]["measures"]["spearman"] is None
    (row,) = json.loads(run(path, "--out", out, "--json", embedder=Alike)[1])
    assert row["score"] is None and row["low"] is None
    assert np.isnan(results.read_all(out)["same"].main)
    (one,) = json.loads(run("compare", out, out, "--json")[1])
    assert one["difference"] is None
    assert "not defined" in run("compare", out, out)[1]


def test_what_was_measured_before_an_error_is_printed(run, tmp_path):
    good = scored(tmp_path / "good.jsonl")
    broken = scored(tmp_path / "broken.jsonl")
    with broken.open("a") as file:
        file.write("{nothing\n")
    code, shown, said = run(good, broken)
    assert code == 2 and "good" in shown and "spearman" in shown and "broken.jsonl, line 21" in said
    assert [one["task"] for one in json.loads(run(good, broken, "--json")[1])] == ["good"]


def test_a_damaged_result_is_measured_again_and_said(run, tmp_path):
    path, out = scored(tmp_path / "set.jsonl"), tmp_path / "out"
    assert run(path, "--out", out)[2] == ""
    (out / "set.json").write_text("{")
    code, _, said = run(path, "--out", out)
    assert code == 0 and said.startswith("Note: ") and "set.json is damaged" in said
    assert results.read_all(out)


def test_compare_names_what_it_leaves_out(run, tmp_path):
    for folder, extra in (("a", "y"), ("b", "z")):
        sets = [scored(tmp_path / "same.jsonl"), scored(tmp_path / "changed.jsonl", extra)]
        sets += [scored(tmp_path / f"only-{folder}.jsonl")]
        assert run(*sets, "--out", tmp_path / folder)[0] == 0
    code, shown, said = run("compare", tmp_path / "a", tmp_path / "b")
    assert code == 0 and "same" in shown and "changed" not in shown
    assert "'only-a' is only in the first" in said and "'only-b' is only in the second" in said
    assert "'changed' is of different texts" in said
    for folder in ("a", "b"):
        (tmp_path / folder / "same.json").unlink()
    code, _, said = run("compare", tmp_path / "a", tmp_path / "b")
    assert code == 2 and "nothing is comparable" in said


def test_how_many_texts_are_learned_from(run, tmp_path):
    path = topics(tmp_path / "topics.jsonl")
    few = run(path, "--kind", "classification", "--per-label", "1", "--json")[1]
    many = run(path, "--kind", "classification", "--json")[1]
    assert json.loads(few)[0]["score"] < json.loads(many)[0]["score"]
    code, _, said = run(scored(tmp_path / "s.jsonl"), "--per-label", "1")
    assert code == 2 and "has no per_label" in said


def test_names_of_tasks_are_nothing_that_a_terminal_obeys(run, tmp_path):
    path = scored(tmp_path / "set.jsonl")
    (tmp_path / "suite.toml").write_text(f'[[task]]\nname = "a\\u001b[31mred"\npath = "{path.name}"\n')
    for more in ((), ("--against", "paper")):
        code, shown, _ = run(tmp_path / "suite.toml", *more)
        assert code == 0 and "\x1b" not in shown and "[31mred" in shown


def test_vectors_that_are_too_many_are_deleted_after_a_command(run, tmp_path, monkeypatch):
    path, kept = scored(tmp_path / "set.jsonl"), tmp_path / "cache" / "evaluation"
    assert run(path)[0] == 0 and len(list(kept.glob("*.npy"))) == 2
    killed, writing = kept / "x-1.part", kept / "y-1.part"
    for part in (killed, writing):
        part.write_bytes(b"half")
    os.utime(killed, (1_000, 1_000))
    monkeypatch.setattr(encoding.prune, "__defaults__", (0,))
    assert run(path)[0] == 0
    assert list(kept.iterdir()) == [writing]


def test_a_file_that_cannot_be_written_is_an_error_for_people():
    with pytest.raises(UsageError, match=r"page\.html cannot be written: No such file"), output.written():
        Path("absent/page.html").write_text("")
    with pytest.raises(UsageError, match="the file cannot be written: full"), output.written():
        raise OSError(28, "full")
