"""INSTRUCTOR's published figures stand beside ours where the set is theirs, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from searchkit.cli import main
from searchkit.errors import UsageError
from searchkit.evaluation import paper, report, results, similarity
from searchkit.evaluation.measured import Measured
from searchkit.evaluation.results import Result


def a_result(task: str, kind: str = "retrieval", published: str | None = None, score: float = 50.0) -> Result:
    main_measure = {"retrieval": "ndcg@10", "clustering": "v_measure", "sts": "spearman"}[kind]
    measured = Measured(
        kind=kind,  # type: ignore[arg-type]
        main=main_measure,
        measures={main_measure: score},
        items={main_measure: [score / 100]},
        counts={"queries": 1},
        low=score - 1,
        high=score + 1,
    )
    return Result(
        task=task, measured=measured, model=f"model-of-{score:g}", fingerprint={}, instructions={},
        profile=None, data="", paper=published,
    )  # fmt: skip


def test_every_set_has_a_figure_in_percent_for_every_column():
    sets = paper.published()
    assert len(sets) == 35
    assert len(paper.columns()) == 4
    for one in sets.values():
        assert tuple(one.figures) == paper.columns()
        assert all(25 < figure < 100 for figure in one.figures.values()), one.name
    assert sets["SciFact"].figures["large, paper"] == 64.3
    assert sets["WMT21 zh-en"].figures["xl, reproduced"] == 30.55


@pytest.mark.parametrize(
    ("task", "kind", "named", "found"),
    [
        ("scifact", "retrieval", None, "SciFact"),
        ("sick_r", "sts", None, "SICK-R"),
        ("stsb", "sts", None, "STSBenchmark"),
        ("billboard_mscoco", "judgement", None, "MSCOCO"),
        ("claims", "retrieval", "SciFact", "SciFact"),
        ("scifact", "clustering", None, None),  # only its name is the same
        ("banking77_test", "clustering", None, None),
        ("handbook", "retrieval", None, None),
    ],
)
def test_a_set_is_found_by_what_its_task_says_or_is_called(task, kind, named, found):
    published = paper.beside(task, kind, named)
    assert (published.name if published else None) == found


@pytest.mark.parametrize(
    ("named", "kind", "said"),
    [("SciFakt", "retrieval", "no set 'SciFakt'.*SciFact"), ("SciFact", "sts", "of kind 'sts'.*'retrieval'")],
)
def test_a_name_that_cannot_be_meant_is_refused(named, kind, said):
    with pytest.raises(UsageError, match=said):
        paper.beside("mine", kind, named)


def test_a_report_has_a_column_for_each_published_figure(tmp_path: Path):
    found = [a_result("scifact", score=61.25), a_result("handbook", score=43.5)]
    beside = [paper.beside(one.task, one.measured.kind, one.paper) for one in found]
    report.write(found, tmp_path / "with.html", None, beside)
    report.write(found, tmp_path / "without.html", None)
    page, without = ((tmp_path / name).read_text("utf-8") for name in ("with.html", "without.html"))
    scifact, handbook = (line for line in page.splitlines() if line.startswith("<tr>"))
    assert '<td class="number">61.25' in scifact and "64.30" in scifact and "63.71" in scifact
    assert "64.30" not in handbook and handbook.count("<td") == scifact.count("<td")
    assert "2212.09741" in page
    assert "2212.09741" not in without and "64.30" not in without


class OneVector:
    """An embedder of which every text is alike."""

    model, dim, max_tokens = "alike", 2, 64

    def embed(self, texts, instruction=""):
        return np.tile(np.asarray([[0.6, 0.8]], dtype=np.float32), (len(texts), 1))

    def fingerprint(self):
        return {"weights": "alike"}


def test_what_was_measured_stands_beside_the_paper(tmp_path: Path, monkeypatch, capfd):
    rows = [{"a": f"a{n}", "b": f"b{n}", "score": n} for n in range(5)]
    (tmp_path / "sts16.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr("searchkit.embedding.embedder.open_embedder", lambda *_, **__: OneVector())
    monkeypatch.setitem(similarity.MEASURES["sts"], "spearman", lambda *_: 0.5)
    page = tmp_path / "report.html"
    asked = ["eval", str(tmp_path / "sts16.jsonl"), "--against", "paper", "--html", str(page)]
    assert main.run(asked) == 0
    for shown in (capfd.readouterr().out, page.read_text(encoding="utf-8")):
        assert all(figure in shown for figure in ("50.00", "85.50", "85.40", "84.63", "85.25"))


def test_a_suite_that_names_no_set_of_the_paper_is_refused_before_a_model_is_opened(tmp_path, capfd):
    (tmp_path / "mine.jsonl").write_text('{"a": "x", "b": "y", "score": 1}\n{"a": "z", "b": "y", "score": 2}')
    (tmp_path / "suite.toml").write_text('[[task]]\npath = "mine.jsonl"\npaper = "STS61"\n')
    assert main.run(["eval", str(tmp_path / "suite.toml"), "--against", "paper", "--model", "absent"]) == 2
    assert "no set 'STS61' (did you mean: STS16" in capfd.readouterr().err


@pytest.fixture
def kept(tmp_path: Path) -> SimpleNamespace:
    """Two folders of results, of which the second lacks a task."""
    first, second = tmp_path / "first", tmp_path / "second"
    for one in (a_result("scifact", score=61.25), a_result("handbook", score=43.5)):
        results.write(one, first)
    results.write(a_result("scifact", score=62.75), second)
    return SimpleNamespace(first=str(first), second=str(second))


def test_kept_results_are_shown_side_by_side_with_the_paper(kept, capfd):
    assert main.run(["eval", "show", kept.first, kept.second, "--against", "paper"]) == 0
    out = capfd.readouterr().out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("scifact")]
    assert [word for word in line.split() if word[0].isdigit()] == [
        "61.25", "62.75", "64.30", "64.60", "63.59", "63.71",
    ]  # fmt: skip
    assert "model-of-61.25" in out and "2212.09741" in out


def test_json_says_what_stands_beside_and_null_where_nothing_does(kept, capfd):
    assert main.run(["eval", "show", kept.first, "--against", "paper", "--json"]) == 0
    by_task = {one["task"]: one for one in json.loads(capfd.readouterr().out)[kept.first]}
    assert by_task["scifact"]["against"]["figures"]["large, paper"] == 64.3
    assert by_task["handbook"]["against"] is None
    assert main.run(["eval", "show", kept.first, "--json"]) == 0
    assert "against" not in json.loads(capfd.readouterr().out)[kept.first][0]
