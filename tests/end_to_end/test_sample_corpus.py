"""The sample corpus, whole, with the embedded default model: what the README promises of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.sample_corpus import CORPUS, K, measure
from searchkit.collection.library import Library

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_right_document_is_among_the_first_five_for_seven_questions_in_eight(library_folder):
    """searchkit-mini in 8 bits: 0.890; in float32 0.911, as all-MiniLM-L6-v2 in 8 bits."""
    library = Library(library_folder)
    figures = measure("company-docs", library)
    assert figures["questions"] >= 60
    assert figures[f"in_top_{K}"] >= 7 / 8
    again = library.index([CORPUS])
    assert (again.unchanged, again.embedded, again.failed) == (figures["files"], 0, ())
    assert library.verify() == []


@pytest.mark.slow
def test_the_sequence_of_the_readme_works_from_a_checkout(tmp_path):
    """`python cli.py` in the checkout, with a Library named by the environment."""
    environment = {**os.environ, "SEARCHKIT_LIBRARY": str(tmp_path / "library")}

    def searchkit(*arguments):
        command = [sys.executable, "cli.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    indexed = searchkit("index", "./sample_corpus", "--profile", "wiki-retrieval")
    assert "takes no Instruction" not in indexed.stderr
    assert "it/hardware-requests.md" in searchkit("query", "how do I get a new laptop").stdout
    (tmp_path / "library").chmod(0o555)
    hits = json.loads(searchkit("query", "how do I get a new laptop", "--json").stdout)["hits"]
    assert hits[0]["document"] == "it/hardware-requests.md" and len(hits) == 10
    (tmp_path / "library").chmod(0o755)
