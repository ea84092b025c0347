"""Real document trees, where $SEARCHKIT_SHARED holds them: everything loads and nothing is lost."""

from __future__ import annotations

import re

import pytest

from searchkit.documents.chunk import chunk
from searchkit.documents.discover import discover
from searchkit.documents.load import load
from searchkit.errors import DocumentError
from searchkit.profile import Chunking


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corpus", "files", "failures"),
    [
        ("ant_manual_html", 220, 0),
        ("gov_docs", 740, 40),
        ("powershell_docs", 1660, 0),
        ("office_files", 80, 1),
    ],
)
def test_a_real_tree_becomes_passages(shared_data, corpus, files, failures):
    root = shared_data / "corpora" / corpus
    if not root.is_dir():
        pytest.skip(f"no corpora/{corpus} in $SEARCHKIT_SHARED")
    found = discover(root)
    assert len(found.files) >= files
    failed = []
    long_headings, lone_words = Share(), Share()
    for source in found.files:
        try:
            for document in load(source):
                passages = list(chunk(document, Chunking(), capacity=200, count_tokens=_estimate))
                held = "".join(passage.text for passage in passages)
                letters = re.compile(r"[^\W_]")
                assert len(letters.findall(held)) == len(letters.findall(document.text)), source.name
                assert (
                    not re.search("[\x00-\x08\x0e-\x1a\ue000-\uf8ff]", document.text)
                    or document.kind != "pdf"
                )
                if document.kind == "pdf":
                    long_headings.add(len(heading.text) > 70 for heading in document.headings)
                    lines = (line.split() for line in document.text.split("\n"))
                    lone_words.add(len(line) == 1 for line in lines if line)
        except DocumentError as error:
            failed.append((source.name, error.message))
    assert len(failed) <= failures, failed
    # Prose taken for headings, and lines broken at every word, lose no letter.
    assert long_headings.true <= 0.10 * long_headings.all
    assert lone_words.true <= 0.11 * lone_words.all


class Share:
    """How many of all are true."""

    def __init__(self):
        self.true = self.all = 0

    def add(self, truths):
        for truth in truths:
            self.true += truth
            self.all += 1


def _estimate(texts: list[str]) -> list[int]:
    return [len(text) // 4 for text in texts]
