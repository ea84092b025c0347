"""What does a refresh cost when nothing, and when one file, has changed?

Indexes a copy of a folder with the embedded default, then runs the real command line in processes of
their own: without a change, after one file got a new paragraph, and after one file moved. Prints what
was embedded and the seconds of the whole process, and as its last line JSON.

    python -m benchmarks.refresh [FOLDER] [--save]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._conditions import ROOT, report

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


def index(docs: Path, work: Path) -> tuple[dict[str, Any], float]:
    """Run `searchkit index` in a process of its own. Returns: its report and the seconds it took."""
    command = [sys.executable, "cli.py", "index", str(docs), "--library", str(work / "library"), "--json"]
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
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        figures = measure(arguments.folder, Path(work))
    name = "refresh" if arguments.folder == ROOT / "sample_corpus" else f"refresh-{arguments.folder.name}"
    report(name, figures, save=arguments.save)


if __name__ == "__main__":
    main()
