"""What is left out of a folder: defaults, .gitignore and .searchkitignore; knows names, opens no document."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchkit.documents.reading import words

# The later file of a folder wins: .searchkitignore can take back in what git leaves out.
IGNORE_FILES = (".gitignore", ".searchkitignore")
LARGEST_IGNORE_FILE = 1 << 20  # bytes

_FOLDERS = words(
    "node_modules bower_components __pycache__ __MACOSX venv site-packages $RECYCLE.BIN lost+found"
) | {"System Volume Information"}  # fmt: skip
_FILES = words(
    "Thumbs.db desktop.ini package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml poetry.lock "
    "uv.lock Pipfile.lock Cargo.lock composer.lock composer-lock.json Gemfile.lock go.sum"
)
_PATTERNS = re.compile(  # '~$plan.docx' is Word's lock, '#a#' and 'a~' are editors' copies
    "|".join(
        map(fnmatch.translate, ("~$*", "#*#", "*~", "*.swp", "*.min.js", "*.min.css", "*.tmp", "*.part"))
    )
)


def ignored_by_default(name: str, *, folder: bool) -> bool:
    """Whether a file or folder of this name is left out unless an ignore file takes it back in."""
    if name.startswith("."):
        return True
    if folder:
        return name in _FOLDERS
    return name in _FILES or _PATTERNS.match(name) is not None


@dataclass(frozen=True, slots=True)
class Rules:
    """The ignore files of a folder and, through `parent`, of those above it up to the root."""

    prefix: str  # the folder's name relative to the root, with a '/' at its end; '' for the root
    spec: Any  # pathspec.GitIgnoreSpec
    parent: Rules | None

    def verdict(self, name: str, *, folder: bool) -> bool | None:
        """Whether `name`, relative to the root, is ignored: by the nearest rule; None if there is none."""
        rules: Rules | None = self
        path = f"{name}/" if folder else name
        while rules is not None:
            said: bool | None = rules.spec.check_file(path[len(rules.prefix) :]).include
            if said is not None:
                return said
            rules = rules.parent
        return None


def add_rules(folder: Path, present: set[str], prefix: str, parent: Rules | None) -> Rules | None:
    """Return the rules that hold in `folder`, of whose entries `present` are the names.

    Raises: OSError: an ignore file cannot be read.
    """
    lines: list[str] = []
    for name in IGNORE_FILES:
        if name in present and (folder / name).is_file():
            with (folder / name).open("rb") as file:
                lines += file.read(LARGEST_IGNORE_FILE).decode("utf-8-sig", "replace").splitlines()
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return parent
    import pathspec  # 20 ms that only folders with ignore files pay

    return Rules(
        prefix, pathspec.GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line)), parent
    )


def _is_pattern(line: str) -> bool:
    """Whether pathspec takes the line; one that it does not must not switch the others off."""
    import pathspec

    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
