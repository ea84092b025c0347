"""Passages of Markdown that say something, titles that are said, and libraries that panic."""

from __future__ import annotations

import re

import pytest

from searchkit.documents import chunk as module
from searchkit.errors import DocumentError
from searchkit.records import Document
from tests.documents.test_chunk import markdown, passages, words


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def test_no_passage_is_a_lone_fence_or_a_lone_heading():
    parts = [
        f"## Example {n}\n\n{words(10 + n, n)}\n\n```powershell\n{words(25 + n, n)}\n```\n\n"
        f"```Output\n" + "\n".join(words(6, 70 + n + i) for i in range(9)) + "\n```\n"
        for n in range(30)
    ]  # fmt: skip
    found = passages(markdown("# Guide\n\n" + "\n".join(parts)))
    for passage in found:
        assert not all(re.match(r"#|\s*```", line) for line in lines_of(passage.text)), passage.text
        assert not re.match(r"```\w", lines_of(passage.text)[-1]), passage.text


def test_headings_without_text_go_with_their_neighbours():
    text = (
        f"# A\n\n{words(50)}\n\n## Inputs\n\n### None\n\n## Notes\n\n## Links\n\n{words(50, 2)}\n\n## End\n"
    )
    found = passages(markdown(text), capacity=100)
    assert [lines_of(passage.text)[0] for passage in found] == ["# A", "## Inputs"]
    assert found[-1].text.endswith("## End")


def test_a_small_rest_is_evened_out():
    for count in range(60, 400, 7):
        sizes = [
            len(passage.text)
            for passage in passages(Document(name="a", kind="text", text=words(count, 5)), 100)
        ]
        assert len(sizes) == 1 or min(sizes) > 0.2 * max(sizes), (count, sizes)


@pytest.mark.parametrize(
    ("title", "text", "context"),
    [
        ("HR", "There are three chairs.", "HR"),
        ("HR", "The HR desk", ""),
        ("C++", "A C++ guide", ""),
        ("", "a", ""),
    ],
)
def test_a_title_is_left_out_only_where_its_words_are_said(title, text, context):
    (passage,) = passages(markdown(text, title=title))
    assert passage.context == context


class PanicException(BaseException):
    """Stands for what Rust extensions raise when they panic."""


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (PanicException("byte index 3 is not a char boundary"), DocumentError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(), SystemExit),
        (ValueError("of the caller's"), ValueError),
    ],
)
def test_a_panic_while_cutting_is_an_error_of_the_document(monkeypatch, raised, expected):
    def failing(*_):
        raise raised

    monkeypatch.setattr(module, "_splitter", failing)
    with pytest.raises(expected):
        passages(markdown(words(500)))
