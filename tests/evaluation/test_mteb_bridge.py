"""The mteb package evaluates searchkit's models: the figures are ours, the instructions what was asked for.

Skipped where mteb is not installed: it is an extra of its own (pip install "searchkit[mteb]").
"""

from __future__ import annotations

import builtins
import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from searchkit.errors import DataInvalid, ProfileNotFound, UsageError
from searchkit.evaluation import tasks
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.mteb_bridge import OF_TWO_SIDES, PROFILES, MtebEncoder
from tests.fakes import DIM, WordEmbedder


def test_without_mteb_it_is_said_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name.partition(".")[0] == "mteb":
            raise ModuleNotFoundError("No module named 'mteb'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r'(?s)No module named.*pip install "searchkit\[mteb\]"'):
        MtebEncoder(WordEmbedder())


@pytest.fixture(scope="module")
def mteb():
    return pytest.importorskip("mteb", reason='needs pip install "searchkit[mteb]"')


class Directions(WordEmbedder):
    """Every word has a direction of its own, so that no two documents are equally near by chance.

    Equal scores are ordered by the last bit, which differs between numpy and torch.
    """

    @staticmethod
    def _rows(texts):
        made = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for place, word in enumerate(text.split()):
                weight = 1 + 0.01 * place
                made[row] += weight * np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM)
        return made / np.linalg.norm(made, axis=1, keepdims=True).clip(min=1e-9)


WORDS = [
    f"{one}{other}" for one in ("ka", "lo", "mi", "nu", "pe") for other in ("ra", "so", "ti", "vu", "xy")
]


def a_text(seed: int, words: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


DOCUMENTS = {f"d{n}": a_text(n, 12) for n in range(60)}
QUERIES = {f"q{n}": " ".join([*DOCUMENTS[f"d{n}"].split()[:4], a_text(900 + n, 4)]) for n in range(25)}
JUDGED = {f"q{n}": {f"d{n}": 2, f"d{n + 25}": 1} for n in range(25)}
PAIRS = [
    (a_text(n, 8), " ".join([*a_text(n, 8).split()[: n % 8], a_text(500 + n, 3)]), n % 8) for n in range(40)
]


def facts(kind: str, name: str, score: str) -> dict:
    return {
        "type": kind, "name": name, "main_score": score, "description": "words", "reference": None,
        "dataset": {"path": "none", "revision": "none"}, "category": "t2t", "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"], "modalities": ["text"], "date": ("2026-01-01", "2026-01-01"),
        "domains": [], "task_subtypes": [], "license": None, "annotations_creators": None, "dialect": [],
        "sample_creation": None, "bibtex_citation": "",
    }  # fmt: skip


@pytest.fixture(scope="module")
def local(mteb) -> SimpleNamespace:
    """A task of retrieval and one of STS, made here."""
    from datasets import Dataset, DatasetDict
    from mteb.abstasks import AbsTaskRetrieval, AbsTaskSTS
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata

    class Words(AbsTaskRetrieval):
        metadata = TaskMetadata(**facts("Retrieval", "SearchkitWords", "ndcg_at_10"))

        def load_data(self, **_) -> None:
            rows = [{"id": one, "text": text, "title": ""} for one, text in DOCUMENTS.items()]
            asked = [{"id": one, "text": text} for one, text in QUERIES.items()]
            split = RetrievalSplitData(
                corpus=Dataset.from_list(rows),
                queries=Dataset.from_list(asked),
                relevant_docs=JUDGED,
                top_ranked=None,
            )
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    class Alike(AbsTaskSTS):
        metadata = TaskMetadata(**facts("STS", "SearchkitAlike", "cosine_spearman"))
        min_score, max_score = 0, 7

        def load_data(self, **_) -> None:
            columns = dict(zip(("sentence1", "sentence2", "score"), zip(*PAIRS, strict=True), strict=True))
            self.dataset = DatasetDict({"test": Dataset.from_dict(columns)})
            self.data_loaded = True

    return SimpleNamespace(retrieval=Words(), sts=Alike())


def main_score(mteb, encoder: MtebEncoder, task) -> float:
    (found,) = mteb.evaluate(
        encoder, task, cache=None, show_progress_bar=False, co2_tracker=False
    ).task_results
    return 100 * found.get_score()


def ours(tmp_path: Path, kind: str, instructions: dict) -> float:
    if kind == "sts":
        rows = [{"a": a, "b": b, "score": score} for a, b, score in PAIRS]
        path = tmp_path / "alike.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path = tmp_path / "words"
        path.mkdir()
        for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
            rows = [{"_id": one, "text": text} for one, text in texts.items()]
            (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        lines = [
            f"{query}\t{one}\t{worth}" for query, judged in JUDGED.items() for one, worth in judged.items()
        ]
        (path / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    (found,) = evaluate(Directions(), [tasks.task_at(path)], Wanted(instructions=instructions))
    return found.main


RETRIEVAL = {
    "query": "Represent the Wikipedia question for retrieving supporting documents: ",
    "document": "Represent the Wikipedia document for retrieval: ",
}
ALIKE = "Represent the sentence for measuring semantic similarity: "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "table", "literals"),
    [
        ("retrieval", None, RETRIEVAL),
        ("retrieval", {"SearchkitWords": {"query": "kara loso: ", "document": ""}}, {"query": "kara loso: "}),
        ("retrieval", {"Retrieval": ""}, {}),
        ("sts", None, {"query": ALIKE, "document": ALIKE}),
        ("sts", {"STS": {"instruction": "kara: "}}, {"query": "kara: ", "document": "kara: "}),
    ],
)
def test_mteb_finds_what_searchkit_eval_finds(mteb, local, tmp_path, kind, table, literals):
    encoder = MtebEncoder(Directions(), instructions=table)
    theirs = main_score(mteb, encoder, getattr(local, kind))
    # mteb rounds what it finds of rankings to five places.
    assert theirs == pytest.approx(ours(tmp_path, kind, literals), abs=1e-3 if kind == "retrieval" else 1e-6)
    assert 20 < theirs < 95


def test_it_is_an_encoder_by_mteb_own_protocol(mteb):
    from mteb.models.models_protocols import EncoderProtocol

    assert isinstance(MtebEncoder(WordEmbedder()), EncoderProtocol)


def test_every_type_of_task_of_texts_has_a_profile(mteb):
    from typing import get_args

    from mteb.abstasks.task_metadata import TaskType

    assert set(PROFILES) <= set(get_args(TaskType))
    encoder = MtebEncoder(WordEmbedder())
    for kind in PROFILES:
        sides = ("query", "document") if "Retrieval" in kind or "Reranking" in kind else (None,)
        assert all(encoder.instruction("any", kind, side).startswith("Represent the ") for side in sides)


def test_a_task_goes_before_its_type_and_a_file_says_the_same_as_a_table(mteb, tmp_path):
    table = {
        "SciFact": "scientific-retrieval",
        "STS16": {"instruction": "alike: "},
        "ArguAna": {"query": "counter: ", "document": "argument: "},
        "STS": {"profile": "topic-clustering"},
    }
    file = tmp_path / "table.toml"
    file.write_text(
        'SciFact = "scientific-retrieval"\n[STS16]\ninstruction = "alike: "\n'
        '[ArguAna]\nquery = "counter: "\ndocument = "argument: "\n[STS]\nprofile = "topic-clustering"\n'
    )
    for given in (table, file, str(file)):
        encoder = MtebEncoder(WordEmbedder(), instructions=given)
        assert encoder.instruction("SciFact", "Retrieval", "query").startswith(
            "Represent the scientific claim"
        )
        assert encoder.instruction("NQ", "Retrieval", "query") == RETRIEVAL["query"]
        assert encoder.instruction("STS16", "STS", None) == "alike: "
        assert encoder.instruction("STS12", "STS", None).startswith("Represent the document for clustering")
        assert encoder.instruction("ArguAna", "Retrieval", "document") == "argument: "


def test_one_profile_may_hold_for_all_and_none_too(mteb):
    one = MtebEncoder(WordEmbedder(), profile="topic-clustering")
    assert one.instruction("any", "STS", None) == one.instruction("any", "Retrieval", "query") != ""
    none = MtebEncoder(WordEmbedder(), profile="")
    assert none.instruction("any", "STS", None) == ""
    assert none.mteb_model_meta.use_instructions is False


def test_two_instructions_for_texts_that_have_no_sides_are_refused_before_a_run(mteb):
    with pytest.raises(
        UsageError, match=r"(?s)type .*STS.* no sides.*'wiki-retrieval' has two.*'Retrieval': 'wiki"
    ):
        MtebEncoder(WordEmbedder(), profile="wiki-retrieval")
    with pytest.raises(UsageError, match="tasks of type STS have no sides, and they were given two"):
        MtebEncoder(WordEmbedder(), instructions={"STS": {"query": "a: ", "document": "b: "}})
    # Of a task's own name the type is known when mteb comes to it.
    encoder = MtebEncoder(WordEmbedder(), instructions={"STS16": {"query": "a: ", "document": "b: "}})
    with pytest.raises(UsageError, match=r"task 'STS16', of type 'STS', has no sides"):
        encoder.instruction("STS16", "STS", None)


def test_types_of_two_sides_take_what_the_remedy_says(mteb):
    table = dict.fromkeys(OF_TWO_SIDES, "scientific-retrieval")
    encoder = MtebEncoder(WordEmbedder(), instructions=table)
    assert encoder.instruction("any", "Reranking", "query") != encoder.instruction(
        "any", "Reranking", "document"
    )
    assert set(OF_TWO_SIDES) < set(PROFILES)


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        ({"STS": 3}, DataInvalid, "STS = 3"),
        ({"STS": {"instruktion": "x"}}, DataInvalid, "expected"),
        ({"STS": {"query": "x"}}, DataInvalid, "expected"),
        ({"STS": {"instruction": 3}}, DataInvalid, "expected"),
        ({"STS": "no-such-profile"}, ProfileNotFound, "no-such-profile"),
        ("absent.toml", UsageError, "cannot be read"),
    ],
)
def test_a_table_that_is_wrong_is_refused_before_anything_is_embedded(mteb, table, error, said):
    with pytest.raises(error, match=said):
        MtebEncoder(WordEmbedder(), instructions=table)


def test_what_is_no_text_is_refused(mteb):
    encoder = MtebEncoder(WordEmbedder())
    task = SimpleNamespace(name="Pictures", type="STS")
    with pytest.raises(UsageError, match=r"task 'Pictures' holds image and no text"):
        encoder.encode([{"image": [1]}], task_metadata=task, hf_split="test", hf_subset="default")
    with pytest.raises(UsageError, match="no instruction for task 'Pictures', of type 'ImageClustering'"):
        encoder.instruction("Pictures", "ImageClustering", None)


def test_kept_results_of_other_instructions_or_weights_are_not_taken_for_these(mteb):
    """mteb finds kept results by name, revision and experiment."""

    def place(*args, **kwargs) -> tuple:
        meta = MtebEncoder(*args, **kwargs).mteb_model_meta
        return meta.name, meta.revision, meta.experiment_name

    same = place(WordEmbedder())
    assert same == place(WordEmbedder())
    others = {
        place(WordEmbedder(), profile=""),
        place(WordEmbedder(), instructions={"STS": {"instruction": "alike: "}}),
        place(WordEmbedder(weights="words-2")),
        place(WordEmbedder("owner/words")),
    }
    assert len(others | {same}) == 5
    assert place(WordEmbedder("owner/words"))[0] == "owner/words"
    assert place(WordEmbedder("all-MiniLM-L6-v2"))[0] == "sentence-transformers/all-MiniLM-L6-v2"
    assert same[0] == "local/words"
