"""Rows of tables with their fields and lines."""

import pytest

from searchkit.documents.table import table_rows
from searchkit.errors import UsageError


def rows_of(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    failed = []
    return [(row.line, dict(row.fields)) for row in table_rows(path, failed.append)], failed


def test_long_fields_stay_whole_and_lines_are_counted_as_they_stand(tmp_path):
    long = "word " * 1_000
    rows, failed = rows_of(tmp_path, "a.csv", f'text,label\n"two\nlines",x\n\n{long},y\n')
    assert rows == [(2, {"text": "two\nlines", "label": "x"}), (5, {"text": long.strip(), "label": "y"})]
    assert failed == []


def test_json_keeps_its_kinds_and_bad_lines_are_named(tmp_path):
    rows, failed = rows_of(tmp_path, "a.jsonl", '{"text": "a", "n": [1, true]}\n\n{oops\n"bare"\n17\n')
    assert rows == [(1, {"text": "a", "n": [1, True]}), (4, {"text": "bare"})]
    assert [one.document for one in failed] == ["a.jsonl, line 3", "a.jsonl, line 5"]


def test_other_encodings_and_delimiters_are_read_as_when_indexing(tmp_path):
    rows, _ = rows_of(tmp_path, "a.csv", "text;label\nKäse;süß\nBrot;gut\n".encode("cp1252"))
    assert rows[0] == (2, {"text": "Käse", "label": "süß"})


@pytest.mark.parametrize("name", ["a.docx", "missing.csv"])
def test_what_is_no_table_is_refused(tmp_path, name):
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(UsageError):
        list(table_rows(tmp_path / name, print))
