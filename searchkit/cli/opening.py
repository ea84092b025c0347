"""Opens the file of a Hit: text in the user's editor at its line, the rest in what the system opens it with.

Programs are started with a list of arguments and never through a shell: names of files are not ours.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from searchkit.errors import DocumentUnavailable, SearchkitError, UsageError
from searchkit.paths import path_of
from searchkit.records import Hit, QueryResult

TEXT = frozenset(("markdown", "text", "code", "row"))  # kinds of Documents that an editor shows
# What the system might run instead of showing it is only ever given to an editor.
SCRIPTS = frozenset(("markdown", "text", "code"))
GIVE_UP_WAITING_S = 3.0  # an opener that fails says so within; one that still runs shows the file

# How editors are told a line; where one is not named here, the file is opened at its beginning.
_LINE_ARGUMENTS = {
    name: arguments
    for arguments, names in (
        (
            ("+{line}", "{file}"),
            "vi vim nvim view gvim mvim vimx nano pico emacs emacsclient xemacs kak joe mg micro "
            "ne mcedit gedit xed pluma geany bbedit",
        ),
        (("{file}:{line}",), "subl sublime_text hx helix zed zeditor"),
        (
            ("--goto", "{file}:{line}"),
            "code code-insiders code-oss codium vscodium cursor windsurf positron",
        ),
        (
            ("--line", "{line}", "{file}"),
            "idea idea64 pycharm pycharm64 webstorm goland clion rubymine phpstorm rider rustrover kate "
            "kwrite mate",
        ),
        (("-n{line}", "{file}"), "notepad++"),
    )
    for name in names.split()
}
_LINUX_OPENERS = (("xdg-open",), ("gio", "open"), ("wslview",))
_BATCH_FILES = (".bat", ".cmd")  # Windows hands their arguments to a shell after all
_MEANS_SOMETHING_TO_CMD = re.compile(r'[&|<>^%!"()@\r\n]')

Which = Callable[[str], str | None]


def open_hit(result: QueryResult, number: int, say: Callable[[str], None]) -> None:
    """Open the file of Hit `number`, from 1, at its place; `say` is told what is opened, and with what.

    A terminal's editor is waited for. Raises: UsageError: there is no such Hit or no program to open it with.
    DocumentUnavailable: the file is not there any more. SearchkitError: the program failed.
    """
    if number > len(result.hits):
        raise UsageError(
            f"there is no hit {number} to open: {len(result.hits)} were found",
            remedy="ask for more with -k, or in other words",
        )
    hit = result.hits[number - 1]
    path = file_of(hit)
    if not os.path.exists(path):
        raise DocumentUnavailable(
            f"{path} is not there: it was moved or deleted since it was indexed",
            remedy=f"bring the collection up to date with: searchkit index -c {result.collection}",
        )
    command = command_for(hit, path, os.environ, sys.platform, shutil.which)
    say(f"Opening {hit.where or hit.document} with {Path(command[0]).name if command else 'its program'}")
    if not command:
        os.startfile(path)  # type: ignore[attr-defined, unused-ignore]  # Windows
        return
    _run(command, wait=_editor(os.environ) is not None and hit.metadata.get("kind") in TEXT)


def file_of(hit: Hit) -> Path:
    """The file that a Hit's Document was read from."""
    source, name = Path(str(hit.metadata.get("source", ""))), hit.document
    if hit.metadata.get("kind") == "row":
        name = name.rpartition("#")[0]
    return path_of(source, name)


def command_for(
    hit: Hit, path: Path, environment: Mapping[str, str], platform: str, which: Which
) -> list[str]:
    """The program that opens a Hit's file and its arguments; none where Windows chooses the program.

    environment: $VISUAL, else $EDITOR, names the editor for texts; it may hold arguments.
    Raises: UsageError: there is no program, or none that can safely be given this file.
    """
    kind = str(hit.metadata.get("kind"))
    if kind in TEXT and (editor := _editor(environment)):
        line = hit.place.first if hit.place and hit.place.unit == "line" else None
        return _edited(_words(editor, platform, which), str(path), line, which)
    if platform == "win32":
        return ["notepad.exe", str(path)] if kind in SCRIPTS else []
    if platform == "darwin":
        return ["open", *(["-t"] if kind in SCRIPTS else []), str(path)]
    for opener in _LINUX_OPENERS:
        if which(opener[0]):
            return [*opener, str(path)]
    raise UsageError(
        f"no program is known to open {path}: found neither $VISUAL and $EDITOR nor xdg-open",
        remedy="name an editor, for example with: export EDITOR=nano",
    )


def _editor(environment: Mapping[str, str]) -> str | None:
    return environment.get("VISUAL", "").strip() or environment.get("EDITOR", "").strip() or None


def _words(editor: str, platform: str, which: Which) -> list[str]:
    """An editor's program and arguments. A path with blanks is one word, if it is that of a program."""
    if which(editor):
        return [editor]
    try:
        words = shlex.split(editor, posix=platform != "win32")  # a backslash parts folders there
    except ValueError as error:
        raise UsageError(
            f"the editor {editor!r} in $VISUAL or $EDITOR cannot be read: {error}",
            remedy="name a program and its arguments, for example with: export EDITOR='code --wait'",
        ) from error
    return [word.strip('"') for word in words] if platform == "win32" else words


def _edited(editor: Sequence[str], path: str, line: int | None, which: Which) -> list[str]:
    program = which(editor[0])
    if program is None:
        raise UsageError(
            f"the editor '{editor[0]}' in $VISUAL or $EDITOR is not there",
            remedy="name one that is, for example with: export EDITOR=nano",
        )
    if program.lower().endswith(_BATCH_FILES) and _MEANS_SOMETHING_TO_CMD.search(path):
        raise UsageError(
            f"{path} cannot safely be given to {program}: a batch file may run parts of that name",
            remedy="name an editor that is an .exe in the variable EDITOR",
        )
    name = re.split(r"[/\\]", program)[-1].lower()
    told = _LINE_ARGUMENTS.get(name) or _LINE_ARGUMENTS.get(name.partition(".")[0])  # code.cmd, vim.basic
    if line is None or told is None:
        return [program, *editor[1:], path]
    return [program, *editor[1:], *(part.format(line=line, file=path) for part in told)]


def _run(command: Sequence[str], *, wait: bool) -> None:
    """Start a program and wait for it, or only long enough to see that it does not fail at once."""
    quiet = None if wait else subprocess.DEVNULL
    try:
        running = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=not wait)
    except OSError as error:
        raise SearchkitError(
            f"{command[0]} cannot be started: {error.strerror or error}",
            remedy="name another editor, for example with: export EDITOR=nano",
        ) from error
    try:
        with _ctrl_c_is_for(wait):
            code = running.wait(timeout=None if wait else GIVE_UP_WAITING_S)
    except subprocess.TimeoutExpired:  # somebody has to ask how it ended, or it stays in the system's lists
        threading.Thread(target=running.wait, daemon=True).start()
        return
    if code:
        raise SearchkitError(
            f"{Path(command[0]).name} could not open {command[-1]}: it ended with exit code {code}",
            remedy="open the file by hand, or name another editor in the variable EDITOR",
        )


@contextmanager
def _ctrl_c_is_for(editor: bool) -> Iterator[None]:
    """Leave Ctrl-C to an editor that shares the terminal: it is not the end of waiting.

    Set only once that runs, for a program is started with the signals that we ignore.
    """
    if not editor or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
