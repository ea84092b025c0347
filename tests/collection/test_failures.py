import os

import pytest

from searchkit.collection import index_pipeline, plan
from searchkit.collection.library import Library
from searchkit.profile import Profile
from tests.collection.conftest import write
from tests.fakes import InterruptedEmbedder, WordEmbedder


def documents(result):
    return [hit.document for hit in result.hits]


def test_an_unreadable_file_is_named_and_the_rest_goes_on(open_folder, unprivileged):
    profile = Profile.load("company-docs")
    write(open_folder / "open.md", "Open to all.\n")
    write(open_folder / "closed.md", "Not for you.\n").chmod(0)
    shared = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    with unprivileged():
        report = shared.index([open_folder], profile=profile)
    assert report.added == 1
    assert [failure.document for failure in report.failed] == ["closed.md"]
    assert "ermission" in report.failed[0].reason


def test_a_file_that_cannot_be_read_now_keeps_its_passages(open_folder, unprivileged):
    path = write(open_folder / "rule.md", "Bring your own cup.\n")
    library = Library(open_folder / "library", open_model=lambda model: WordEmbedder())
    profile = Profile.load("company-docs")
    with unprivileged():
        library.index([open_folder], profile=profile)
    os.utime(path, (1, 1))
    path.chmod(0)
    with unprivileged():
        report = library.index([open_folder], profile=profile)
        assert len(report.failed) == 1 and report.passages == 1
        assert documents(library.query("cup")) == ["rule.md"]


def test_a_file_whose_content_broke_loses_its_passages(library, docs):
    library.index([docs])
    write(docs / "vpn.txt", "")
    report = library.index([docs])
    assert [failure.document for failure in report.failed] == ["vpn.txt"] and report.passages == 2
    assert library.verify() == []
    assert library.index([docs]).failed == report.failed  # and it is said again, not forgotten


def test_lone_surrogates_in_json_are_stored_as_question_marks(library, docs):
    write(docs / "rows.jsonl", '{"text": "broken \\\\ud800 pair of bytes"}\n'.replace("\\\\", "\\"))
    report = library.index([docs])
    assert report.failed == () and documents(library.query("broken pair of bytes"))[0] == "rows.jsonl#1"


def test_a_stopped_run_goes_on_where_it_was(library_folder, docs):
    """What was committed before Ctrl-C is not embedded again."""
    for number in range(300):
        write(docs / "many" / f"{number:03}.txt", f"Rule number {number} speaks of item {number * 7}.\n")

    first, second = InterruptedEmbedder(), WordEmbedder()
    with pytest.raises(KeyboardInterrupt):
        Library(library_folder, open_model=lambda model: first).index([docs])
    report = Library(library_folder, open_model=lambda model: second).index([docs])
    assert first.texts and set(first.texts).isdisjoint(second.texts)
    assert len(first.texts) + len(second.texts) == report.passages == 303


def test_a_large_file_interrupted_in_its_middle_keeps_its_vectors(library_folder, tmp_path):
    lines = "\n\n".join(f"Paragraph {i} is about matter {i * 13} " + "and so on " * 30 for i in range(600))
    write(tmp_path / "docs" / "large.txt", lines)

    first, second = InterruptedEmbedder(), WordEmbedder()
    with pytest.raises(KeyboardInterrupt):
        Library(library_folder, open_model=lambda model: first).index([tmp_path / "docs"])
    after = Library(library_folder, open_model=lambda model: second)
    assert after.show().counts.documents == 0  # no half document can be found
    report = after.index([tmp_path / "docs"])
    assert report.reused == len(first.texts) > 0 and set(first.texts).isdisjoint(second.texts)
    assert after.verify() == []


def test_vectors_of_an_interrupted_run_survive_the_runs_of_other_collections(library_folder, tmp_path):
    lines = "\n\n".join(f"Paragraph {i} is about matter {i * 13} " + "and so on " * 30 for i in range(600))
    write(tmp_path / "large" / "large.txt", lines)
    write(tmp_path / "small" / "small.txt", "A small page.")

    first, second = InterruptedEmbedder(), WordEmbedder()
    with pytest.raises(KeyboardInterrupt):
        Library(library_folder, open_model=lambda model: first).index([tmp_path / "large"], collection="z")
    after = Library(library_folder, open_model=lambda model: second)
    after.index([tmp_path / "small"], collection="a")
    after.remove("a")
    second.texts.clear()
    (report,) = after.refresh()
    assert report.collection == "z" and report.reused == len(first.texts) > 0
    assert set(first.texts).isdisjoint(second.texts) and after.verify() == []


def test_rows_that_were_lost_are_said_again_without_reading_again(library, docs, embedder):
    write(docs / "rows.jsonl", '{"text": "a good row"}\n{"text": broken\n')
    first = library.index([docs])
    embedder.texts.clear()
    again = library.index([docs])
    assert len(first.failed) == 1 and again.failed == first.failed and again.unchanged == 4


def test_a_file_that_failed_is_not_read_again_until_it_or_searchkit_changes(library, docs, monkeypatch):
    write(docs / "broken.pdf", "no pdf")
    first = library.index([docs])
    os.utime(docs / "broken.pdf", (1, 1))
    library.index([docs])  # settles the time stamp
    reads = []
    load = index_pipeline.load
    monkeypatch.setattr(
        index_pipeline, "load", lambda source, **rest: reads.append(source) or load(source, **rest)
    )
    assert library.index([docs]).failed == first.failed and reads == []
    monkeypatch.setattr(plan, "VERSION", "99")
    assert library.index([docs]).failed == first.failed and len(reads) == 1


def test_whole_documents_are_embedded_in_batches_of_bounded_size(library_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(index_pipeline, "LARGEST_PENDING", 1_000)
    for number in range(10):
        write(tmp_path / "docs" / f"{number}.txt", f"Text {number} " + "and so on " * 60)
    sizes = []

    class Weighing(WordEmbedder):
        def embed_counted(self, texts, instruction=""):
            sizes.append(sum(map(len, texts)))
            return super().embed_counted(texts, instruction)

    library = Library(library_folder, open_model=lambda model: Weighing())
    assert library.index([tmp_path / "docs"], profile="topic-clustering").passages == 10
    assert max(sizes) < 2_000 and len(sizes) >= 5


def test_a_pipe_is_named_and_not_waited_for(library, docs):
    os.mkfifo(docs / "pipe.md")
    report = library.index([docs / "pipe.md"])
    assert report.failed[0].reason.startswith("is no regular file")
