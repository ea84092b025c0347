"""What does a refresh cost when nothing, when one file, and when one in a hundred has changed?

Indexes a copy of a folder with all-MiniLM-L6-v2, then runs the real command line in processes of
their own: without a change, after one file got a new paragraph, and after one file moved. With --files,
the folder is made of so many small synthetic documents, of which one in a hundred then changes, and the
run without a change is taken apart. Prints what was embedded and the seconds of the whole process, and
as its last line JSON.

    python -m benchmarks.refresh [FOLDER] [--files 10000] [--save]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._conditions import ROOT, report
from benchmarks._documents import write_documents
from searchkit.settings import BASE_MODEL

RUNS = 5


def measure(folder: Path, work: Path) -> dict[str, Any]:
    """Index a copy of `folder` under `work`, then refresh it in several ways."""
    docs = Path(shutil.copytree(folder, work / "docs"))
    first, first_s = index(docs, work)
    print(f"first run: {first['added']} files, {first['passages']} passages, {first_s:.1f} s")
    unchanged = sorted(index(docs, work)[1] for _ in range(RUNS))
    again, _ = index(docs, work)
    assert again["embedded"] == 0 and again["unchanged"] == first["added"], again
    files = sorted(path for path in docs.rglob("*.md") if path.stat().st_size > 2000) or sorted(
        docs.rglob("*.html")
    )
    edited = files[len(files) // 2]
    edited.write_text(edited.read_text(encoding="utf-8") + "\n\nA paragraph that was not there before.\n")
    edit, edit_s = index(docs, work)
    print(f"one file edited: {edit['embedded']} embedded, {edit['reused']} reused, {edit_s:.2f} s")
    edited.rename(edited.with_name(f"moved-{edited.name}"))
    move, move_s = index(docs, work)
    print(f"one file moved: {move['moved']} moved, {move['embedded']} embedded, {move_s:.2f} s")
    middle = unchanged[RUNS // 2]
    print(f"nothing changed: {middle:.2f} s (median of {RUNS}) for {first['added']} files")
    return {
        "folder": folder.name,
        "files": first["added"],
        "failed": len(first["failed"]),
        "passages": first["passages"],
        "first_s": round(first_s, 2),
        "texts_per_s": round(first["embedded"] / first["took_s"], 1),
        "unchanged_s": [round(seconds, 3) for seconds in unchanged],
        "edit": {"embedded": edit["embedded"], "reused": edit["reused"], "s": round(edit_s, 2)},
        "move": {"moved": move["moved"], "embedded": move["embedded"], "s": round(move_s, 2)},
    }


def measure_many(files: int, work: Path) -> dict[str, Any]:
    """Index `files` synthetic documents under `work`; refresh without a change, and with one in a hundred."""
    docs = work / "docs"
    write_documents(docs, files, passages=1, words=12)
    time.sleep(2.5)  # files younger than a clock's grain are hashed again: not what is asked here
    first, first_s = index(docs, work)
    unchanged = sorted(index(docs, work)[1] for _ in range(RUNS))
    parts = parts_of(docs, work / "library")
    for path in sorted(docs.rglob("*.md"))[::100]:
        path.write_text(path.read_text(encoding="utf-8") + "\nA sentence that was not there before.\n")
    edit, edit_s = index(docs, work)
    middle = unchanged[RUNS // 2]
    print(f"{files} files: first {first_s:.1f} s, nothing changed {middle:.2f} s (median of {RUNS}), {parts}")
    print(f"1 % changed: {edit['changed']} files, {edit['embedded']} embedded, {edit_s:.2f} s")
    return {
        "files": first["added"],
        "passages": first["passages"],
        "first_s": round(first_s, 2),
        "unchanged_s": [round(seconds, 3) for seconds in unchanged],
        "unchanged_parts_s": parts,
        "one_percent": {"changed": edit["changed"], "embedded": edit["embedded"], "s": round(edit_s, 2)},
    }


def parts_of(docs: Path, library: Path) -> dict[str, float]:
    """What a run without changes consists of, each part measured by itself, best of RUNS."""
    from searchkit.collection.plan import make_plan
    from searchkit.collection.sources import look
    from searchkit.library import collections, documents
    from searchkit.library.database import Database

    def best(part: Callable[[], object]) -> float:
        times = []
        for _ in range(RUNS):
            started = time.perf_counter()
            part()
            times.append(time.perf_counter() - started)
        return round(min(times), 3)

    loads = [
        sys.executable,
        "-c",
        "import searchkit.cli.main, searchkit.cli.index, searchkit.collection.library",
    ]
    with Database.read(library) as db:
        (source,) = collections.sources(db, collections.collections(db)[0].collection_id)
        found, stored = look(docs, library).files, documents.files_of(db, source.source_id)
        return {
            "python": best(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)),
            "python_and_imports": best(lambda: subprocess.run(loads, cwd=ROOT, check=True)),
            "list_files": best(lambda: look(docs, library)),
            "read_rows": best(lambda: documents.files_of(db, source.source_id)),
            "compare": best(lambda: make_plan(found, stored, lambda _: b"")),
        }


def index(docs: Path, work: Path) -> tuple[dict[str, Any], float]:
    """Run `searchkit index` in a process of its own. Returns: its report and the seconds it took."""
    library = ["--library", str(work / "library"), "--model", BASE_MODEL]
    command = [sys.executable, "cli.py", "index", str(docs), *library, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    assert done.returncode in (0, 3), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, took


def main() -> None:
    """Measure one folder and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "sample_corpus")
    parser.add_argument("--files", type=int, help="so many synthetic documents instead of FOLDER")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if arguments.files:
            report(
                f"refresh-{arguments.files}-files",
                measure_many(arguments.files, Path(work)),
                save=arguments.save,
            )
            return
        figures = measure(arguments.folder, Path(work))
    name = "refresh" if arguments.folder == ROOT / "sample_corpus" else f"refresh-{arguments.folder.name}"
    report(name, figures, save=arguments.save)


if __name__ == "__main__":
    main()
