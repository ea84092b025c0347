"""Judged sets are read as they are, and refused with the line that is wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from searchkit.errors import DataInvalid, UsageError
from searchkit.evaluation import sets
from searchkit.evaluation.rows import rows_of


def jsonl(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    jsonl(
        folder / "corpus.jsonl",
        {"_id": "1", "title": "Foxes", "text": "are red"},
        {"_id": "2", "text": "a whale"},
    )
    jsonl(
        folder / "queries.jsonl",
        {"_id": "q1", "text": "fox", "split": "test"},
        {"_id": "q2", "text": "whale", "split": "train"},
        {"_id": "q3", "text": "not judged", "split": "test"},
    )
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\t1\t2\nq2\t2\t1\n", encoding="utf-8")
    return folder


def test_a_folder_of_beir_is_read_with_titles_and_judged_queries_only(beir: Path):
    found = sets.read_retrieval(beir)
    assert dict(found.documents) == {"1": "Foxes are red", "2": "a whale"}
    assert dict(found.queries) == {"q1": "fox", "q2": "whale"}
    assert found.judgements == {"q1": {"1": 2.0}, "q2": {"2": 1.0}}


def test_a_split_keeps_its_queries(beir: Path):
    assert list(sets.read_retrieval(beir, "train").queries) == ["q2"]


def test_a_split_that_is_not_there_names_those_that_are(beir: Path):
    with pytest.raises(UsageError, match=r"no judged query of split 'dev'\n.*test, train"):
        sets.read_retrieval(beir, "dev")


def test_judgements_may_lie_in_a_file_of_each_split(beir: Path):
    (beir / "qrels").mkdir()
    (beir / "qrels.tsv").rename(beir / "qrels" / "test.tsv")
    assert len(sets.read_retrieval(beir).queries) == 2


def test_a_query_judged_without_a_relevant_document_stays_as_trec_eval_has_it(beir: Path):
    with (beir / "qrels.tsv").open("a") as file:
        file.write("q3\t1\t0\n")
    assert sets.read_retrieval(beir).judgements["q3"] == {"1": 0.0}
    (beir / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq3\t1\t0\n")
    with pytest.raises(UsageError, match="no judged query"):
        sets.read_retrieval(beir)


def test_missing_judgements_are_missed(beir: Path):
    (beir / "qrels.tsv").unlink()
    with pytest.raises(UsageError, match=r"no qrels\.tsv"):
        sets.read_retrieval(beir)


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (
            "corpus.jsonl",
            '{"_id": "1", "text": "again"}',
            "corpus.jsonl, line 3: the id '1' is already in line 1",
        ),
        ("corpus.jsonl", '{"_id": "9", "text": " "}', "corpus.jsonl, line 3: 'text' is empty"),
        ("corpus.jsonl", '{"_id": "9", "body": "x"}', "corpus.jsonl, line 3: there is no 'text'"),
        ("corpus.jsonl", "{nothing", "corpus.jsonl, line 3: no JSON"),
        ("corpus.jsonl", "[1]", "corpus.jsonl, line 3: .* is no JSON object"),
        (
            "queries.jsonl",
            '{"_id": "q1", "text": "x"}',
            "queries.jsonl, line 4: the query id 'q1' is already in line 1",
        ),
        ("qrels.tsv", "q9\t1\t1", "qrels.tsv, line 4: there is no query 'q9'"),
        ("qrels.tsv", "q1\t9\t1", "qrels.tsv, line 4: there is no document '9'"),
        ("qrels.tsv", "q1\t1\t1", "qrels.tsv, line 4: document '1' is judged twice"),
        ("qrels.tsv", "q1\t2\tgood", "qrels.tsv, line 4: 'score' is 'good', expected a number"),
        ("qrels.tsv", "q1\t2\tnan", "qrels.tsv, line 4: 'score' is 'nan', expected a number"),
        ("qrels.tsv", "q1\t2\t0.5", "qrels.tsv, line 4: 'score' is 0.5, expected a whole number"),
        ("qrels.tsv", "q1\t2", "qrels.tsv, line 4: 2 cells, expected 3"),
    ],
)
def test_what_breaks_the_layout_is_refused_with_its_line(beir: Path, file: str, line: str, said: str):
    with (beir / file).open("a", encoding="utf-8") as out:
        out.write(line + "\n")
    with pytest.raises(DataInvalid, match=said):
        sets.read_retrieval(beir)


def test_a_header_that_names_other_columns_is_refused(beir: Path):
    (beir / "qrels.tsv").write_text("query\tdocument\tscore\nq1\t1\t1\n", encoding="utf-8")
    with pytest.raises(DataInvalid, match=r"line 2: there is no 'query-id'.*'query', 'document', 'score'"):
        sets.read_retrieval(beir)


def test_compressed_files_are_read_as_the_others(tmp_path: Path):
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write('{"a": "x", "b": "y", "label": 0}\n{"a": "x", "b": "z", "label": 1}\n')
    found = sets.read_pairs(path)
    assert (found.first, found.second, found.worth) == (("x", "x"), ("y", "z"), (0.0, 1.0))


def test_half_a_compressed_file_is_an_error_and_no_shorter_set(tmp_path: Path):
    path = tmp_path / "pairs.jsonl.gz"
    whole = gzip.compress(
        b"".join(b'{"a": "x%d", "b": "y", "label": %d}\n' % (n, n % 2) for n in range(5000))
    )
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="cannot be read"):
        sets.read_pairs(path)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            b'{"a": "x", "b": "y", "score": 1' + b"0" * 400 + b"}",
            "line 2: 'score' is 1000.*expected a number",
        ),
        (b"[" * 100_000, "line 2: no JSON"),
        (b'{"a": "\xff"}', "line 2: no UTF-8"),
    ],
    ids=["a number without end", "brackets without end", "another encoding"],
)
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, raw: bytes, said: str, ending: str):
    whole = b'{"a": "x", "b": "y", "score": 1}\n' + raw + b"\n"
    path = tmp_path / f"p{ending}"
    path.write_bytes(gzip.compress(whole) if ending.endswith(".gz") else whole)
    with pytest.raises(DataInvalid, match=said):
        sets.read_scored(path)


def test_a_compressed_file_that_is_damaged_inside_cannot_be_read(tmp_path: Path):
    whole = bytearray(gzip.compress(b'{"a": "x", "b": "y", "label": 1}' * 400))
    whole[10] = 0xFF  # the first block is of no kind that there is
    (tmp_path / "p.jsonl.gz").write_bytes(whole)
    with pytest.raises(UsageError, match="cannot be read"):
        sets.read_pairs(tmp_path / "p.jsonl.gz")


def test_a_cell_may_be_as_long_as_a_document(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text(f"a,b,label\n{'word ' * 60_000},x,1\ny,z,0\n", encoding="utf-8")
    assert len(sets.read_pairs(path).first[0]) == 300_000


def test_csv_may_hold_line_breaks_and_errors_name_where_a_row_begins(tmp_path: Path):
    path = tmp_path / "p.csv"
    path.write_text('a,b,label\n"one\nand two",x,1\nthree,,0\n', encoding="utf-8")
    with pytest.raises(DataInvalid, match=r"line 4: 'b' is empty"):
        sets.read_pairs(path)


@pytest.mark.parametrize("labels", [(1, 1), (0, 2), (0, "yes")])
def test_labels_of_pairs_are_0_and_1_and_both_occur(tmp_path: Path, labels: tuple[object, object]):
    path = jsonl(tmp_path / "p.jsonl", *({"a": "x", "b": "y", "label": one} for one in labels))
    with pytest.raises(DataInvalid, match="label"):
        sets.read_pairs(path)


def test_scores_that_do_not_differ_are_refused(tmp_path: Path):
    path = jsonl(tmp_path / "p.jsonl", {"a": "x", "b": "y", "score": 2}, {"a": "x", "b": "z", "score": 2})
    with pytest.raises(DataInvalid, match="cannot correlate"):
        sets.read_scored(path)


def test_texts_may_have_several_labellings(tmp_path: Path):
    rows = [{"title": "T", "text": "a", "x": "1", "y": 2}, {"text": "b", "x": "2", "y": 3}]
    found = sets.read_labelled(jsonl(tmp_path / "d" / "data.jsonl", *rows), ["x", "y"])
    assert found.texts == ("T a", "b")
    assert dict(found.labels) == {"x": ("1", "2"), "y": ("2", "3")}


def test_an_unknown_column_of_labels_is_refused_with_a_near_name(tmp_path: Path):
    path = jsonl(tmp_path / "d.jsonl", {"text": "a", "topic": "1"})
    with pytest.raises(DataInvalid, match=r"there is no 'topics'.*topic"):
        sets.read_labelled(path, ["topics"])


def test_judgements_that_are_all_the_same_are_refused(tmp_path: Path):
    rows = [{"hyp": f"x{one}", "refs": ["y"], "human_score": 3} for one in range(4)]
    with pytest.raises(DataInvalid, match="every human_score is 3; what does not differ cannot correlate"):
        sets.read_judgement(jsonl(tmp_path / "j.jsonl", *rows))


def test_judgements_of_generated_texts_need_references(tmp_path: Path):
    path = jsonl(tmp_path / "j.jsonl", {"hyp": "x", "refs": [], "human_score": 3})
    with pytest.raises(DataInvalid, match="line 1: 'refs' is \\[\\], expected a list of texts"):
        sets.read_judgement(path)


def test_reranking_reads_candidates(tmp_path: Path):
    path = jsonl(tmp_path / "r.jsonl", {"query": "q", "positive": ["a"], "negative": ["b", "c"]})
    (one,) = sets.read_reranking(path).queries
    assert (one.texts, one.relevant) == (("a", "b", "c"), 1)


def test_candidates_of_one_kind_only_are_left_out_and_counted(tmp_path: Path):
    rows = [
        {"query": "q", "positive": ["a"], "negative": ["b"]},
        {"query": "r", "positive": [], "negative": ["b"]},
        {"query": "s", "positive": ["a"], "negative": []},
    ]
    found = sets.read_reranking(jsonl(tmp_path / "r.jsonl", *rows))
    assert ([one.query for one in found.queries], found.left_out) == (["q"], 2)
    with pytest.raises(DataInvalid, match="no row has both"):
        sets.read_reranking(jsonl(tmp_path / "r.jsonl", *rows[1:]))


def test_an_empty_file_and_one_of_another_kind_are_refused(tmp_path: Path):
    with pytest.raises(DataInvalid, match="holds no rows"):
        sets.read_pairs(jsonl(tmp_path / "p.jsonl"))
    with pytest.raises(UsageError, match="no file of rows"):
        list(rows_of(tmp_path / "p.txt"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(rows_of(tmp_path / "absent.jsonl"))
