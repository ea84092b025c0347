"""Keeps the lines that were typed into the shell, for the arrow keys of a later one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MOST_LINES = 1_000


class History:
    """A file with a line for each, oldest first, that only its owner may read.

    A line is there as soon as it was typed, whatever becomes of the process. Where the file cannot be read or
    written, the lines of this shell are all there is: nobody's question should fail for that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = ""

    def lines(self) -> list[str]:
        """The last thousand."""
        with suppress(OSError):
            text = self._path.read_text(encoding="utf-8", errors="replace")
            return [line for line in text.split("\n") if line][-MOST_LINES:]
        return []

    def add(self, line: str) -> None:
        """Append a line unless it is the one before once more."""
        line = " ".join(line.split())
        if line and line != self._last:
            self._write(self._path, os.O_APPEND, [line])
            self._last = line

    def shorten(self) -> None:
        """Let go of all but the last thousand."""
        held = self.lines()
        with suppress(OSError):
            if self._path.read_bytes().count(b"\n") > MOST_LINES:
                part = self._path.with_suffix(".part")
                self._write(part, os.O_TRUNC, held)
                part.replace(self._path)

    @staticmethod
    def _write(path: Path, flag: int, lines: list[str]) -> None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
            with os.fdopen(opened, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.writelines(f"{line}\n" for line in lines)
