"""Every trap of sample_corpus/traps, and whatever else users feed us, through a whole index run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit.collection import index_pipeline
from searchkit.collection.library import Library
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]
TRAPS = ROOT / "sample_corpus" / "traps"
MEBIBYTE = 1 << 20

# What each trap's failure must say; None for a trap whose whole rows are read.
EXPECTED = {
    "binary.md": "holds binary data",
    "binary.py": "holds binary data",
    "broken_headers.eml": "holds binary data",
    "broken_quotes.csv": "opens a quote on line 2",
    "empty.md": "is empty",
    "encrypted.pdf": "is encrypted; remove the password",
    "invalid_json.ipynb": "is no notebook",
    "invalid_utf8.txt": "encoding that cannot be told",
    "malformed_lines.jsonl": "is not JSON",
    "nested_tags.html": "is nested too deeply",
    "no_text_layer.pdf": "has no text layer",
    "no_zip.docx": "is no zip archive",
    "truncated.pdf": "cannot be opened as PDF",
    "truncated.xlsx": "is no zip archive",
    "zip_bomb.pptx": "a zip bomb",
}


def opened(folder: Path) -> Library:
    return Library(folder, open_model=lambda model: WordEmbedder())


def test_every_trap_gets_a_reason_and_the_rest_goes_on(library_folder, tmp_path):
    docs = Path(shutil.copytree(TRAPS, tmp_path / "docs"))
    (docs / "README.md").unlink()
    write(docs / "good.md", "A page like any other.")
    assert {trap.name for trap in docs.iterdir()} == {*EXPECTED, "good.md"}
    library = opened(library_folder)
    report = library.index([docs])
    reasons = {failure.document.partition("#")[0]: failure.reason for failure in report.failed}
    for name, said in EXPECTED.items():
        assert (name in reasons) == (said is not None), name
        assert said is None or said in reasons[name], reasons[name]
    assert not any("Traceback" in reason or reason != " ".join(reason.split()) for reason in reasons.values())
    assert "good.md" in [hit.document for hit in library.query("a page like any other").hits]
    assert library.verify() == []


def test_links_that_loop_or_leave_are_named_and_not_followed(library_folder, tmp_path):
    docs = write(tmp_path / "docs" / "page.md", "A page.").parent
    secret = write(tmp_path / "secret.md", "Not yours.")
    (docs / "loop").symlink_to(docs)
    (docs / "self.md").symlink_to(docs / "self.md")
    (docs / "out.md").symlink_to(secret)
    report = opened(library_folder).index([docs])
    assert report.added == 1
    assert {"out.md", "self.md"} <= {failure.document for failure in report.failed}


def test_a_file_that_vanishes_between_plan_and_reading_is_named(library_folder, tmp_path, monkeypatch):
    docs = write(tmp_path / "docs" / "gone.md", "Soon gone.").parent
    write(docs / "stays.md", "Stays here.")
    digest = index_pipeline.sha256_of

    def digest_and_delete(source):
        found = digest(source)
        if source.name == "gone.md":
            source.path.unlink()
        return found

    monkeypatch.setattr(index_pipeline, "sha256_of", digest_and_delete)
    report = opened(library_folder).index([docs])
    assert report.added == 1 and "vanished" in report.failed[0].reason


def test_a_file_written_while_it_is_read_is_read_again_next_time(library_folder, tmp_path):
    docs = write(tmp_path / "docs" / "growing.txt", "first words\n" * 20_000).parent

    class Writing(WordEmbedder):
        def count_tokens(self, texts):
            with (docs / "growing.txt").open("a") as file:
                file.write("more words\n")
            return super().count_tokens(texts)

    report = Library(library_folder, open_model=lambda model: Writing()).index([docs])
    assert "changed while it was being read" in report.failed[0].reason
    library = opened(library_folder)
    assert library.index([docs]).failed == () and library.verify() == []


def test_a_file_changed_within_the_clocks_grain_is_noticed(library_folder, tmp_path):
    path = write(tmp_path / "docs" / "page.md", "The answer is one.")
    library = opened(library_folder)
    library.index([path.parent])
    stamp = path.stat().st_mtime_ns
    path.write_text("The answer is two.", encoding="utf-8")  # as long as before
    os.utime(path, ns=(stamp, stamp))
    assert library.index([path.parent]).changed == 1


@pytest.mark.slow
def test_a_line_of_20_mb_is_indexed(library_folder, tmp_path):
    text = " ".join(f"word{i % 5000}" for i in range(2_300_000))
    assert len(text) > 20_000_000
    write(tmp_path / "docs" / "line.txt", text)
    library = opened(library_folder)
    report = library.index([tmp_path / "docs"])
    assert report.failed == () and report.passages > 5_000 and library.verify() == []


@pytest.mark.slow
def test_a_text_file_of_200_mb_is_indexed_in_bounded_memory(library_folder, tmp_path):
    """The text may be held once or twice, never its passages and vectors all at once."""
    paragraph = " ".join(f"Measure {{number}} of gauge {i} reads {i * 7} centimetres." for i in range(16))
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells a process's own peak; ru_maxrss counts that of whoever started it, too")
    (tmp_path / "docs").mkdir()
    with (tmp_path / "docs" / "large.txt").open("w") as file:
        for number in range(200 * MEBIBYTE // len(paragraph)):
            file.write(paragraph.format(number=number % 3000) + "\n\n")
    size = (tmp_path / "docs" / "large.txt").stat().st_size
    measured = (
        "import re, sys; from searchkit.cli.main import run; import tests.cli.word_searchkit as words\n"
        "words.use_word_embedder(); code = run(sys.argv[1:])\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    command = ["index", str(tmp_path / "docs"), "--json", "--library", str(library_folder)]
    done = subprocess.run(
        [sys.executable, "-c", measured, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["failed"] == [] and report["passages"] > 100_000 and report["reused"] > 90_000
    peak = int(done.stderr.split()[-1]) * 1024
    assert peak < 3 * size, f"{peak:,} bytes"
