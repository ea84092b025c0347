"""The sample corpus, whole, with the embedded default model: what the README promises of it."""

import pytest

from benchmarks.sample_corpus import CORPUS, K, measure
from searchkit.collection.library import Library


@pytest.mark.slow
def test_the_right_document_is_among_the_first_five_for_nine_questions_in_ten(library_folder):
    library = Library(library_folder)
    figures = measure("company-docs", library)
    assert figures["questions"] >= 60
    assert figures[f"in_top_{K}"] >= 0.9
    again = library.index([CORPUS])
    assert (again.unchanged, again.embedded, again.failed) == (figures["files"], 0, ())
    assert library.verify() == []
