"""`searchkit profiles lint`: what it prints, and its exit code."""

import json

from tests.collection.conftest import write

BAD = """
description = "Bad"
[document]
text_type = "page"
[query]
literal = "Represent the question"
"""


def test_shipped_profiles_are_clean(searchkit):
    assert searchkit("profiles", "lint") == (0, "12 profiles: clean\n", "")


def test_an_error_ends_with_1_and_says_where(searchkit, tmp_path):
    code, out, err = searchkit("profiles", "lint", write(tmp_path / "bad.toml", BAD), "company-docs")
    assert (code, err) == (1, "")
    assert "bad: error 'ending' at query.literal" in out and "2 profiles: 1 error, 0 warnings" in out
    assert (
        "found     'Represent the question': its last word runs" in out and "expected  ': ' at its end" in out
    )


def test_a_warning_alone_ends_with_0_in_json(searchkit, tmp_path):
    path = write(tmp_path / "bad.toml", BAD.replace("question", "question:"))
    code, out, _ = searchkit("profiles", "lint", path, "--json")
    printed = json.loads(out)
    assert (code, printed["errors"], printed["profiles"], printed["model"]) == (0, 0, 1, None)
    assert [(one["rule"], one["where"]) for one in printed["findings"]] == [("ending", "query.literal")]


def test_one_that_is_not_there_is_said(searchkit):
    code, out, err = searchkit("profiles", "lint", "company-doc")
    assert (code, out) == (2, "") and "did you mean: company-docs" in err
