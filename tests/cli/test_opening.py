"""`query --open`: which program is started with what, and what is said where none can be."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from searchkit.cli import opening
from searchkit.cli.opening import command_for, file_of
from searchkit.errors import UsageError
from searchkit.records import Hit, Place
from tests.collection.conftest import write


def hit(document="a.md", kind="markdown", place=None, source="/docs"):
    return Hit(
        rank=1, score=1.0, document=document, passage_id=1, heading="", start=0, end=1, text="x",
        place=place, where=document, metadata={"kind": kind, "source": source},
    )  # fmt: skip


def programs(*names):
    """A `which` that finds these programs in /bin, and those named by their path."""
    return lambda name: name if name in names and "/" in name else f"/bin/{name}" if name in names else None


LINE_7 = Place(unit="line", first=7, last=9)
SPREAD = Place(unit="row", first=3, last=3, sheet="A", last_sheet="A")


@pytest.mark.parametrize(
    ("editor", "arguments"),
    [
        ("vim", ["+7", "/docs/a.md"]),
        ("nvim -R", ["-R", "+7", "/docs/a.md"]),
        ("nano", ["+7", "/docs/a.md"]),
        ("emacsclient -nw -a ''", ["-nw", "-a", "", "+7", "/docs/a.md"]),
        ("micro", ["+7", "/docs/a.md"]),
        ("code --wait", ["--wait", "--goto", "/docs/a.md:7"]),
        ("codium", ["--goto", "/docs/a.md:7"]),
        ("subl", ["/docs/a.md:7"]),
        ("hx", ["/docs/a.md:7"]),
        ("idea", ["--line", "7", "/docs/a.md"]),
        ("kate", ["--line", "7", "/docs/a.md"]),
        ("notepad++", ["-n7", "/docs/a.md"]),
        ("vim.basic", ["+7", "/docs/a.md"]),
        ("my-editor --quiet", ["--quiet", "/docs/a.md"]),
    ],
)
def test_an_editor_is_told_the_line_in_its_own_way(editor, arguments):
    program = editor.split()[0]
    environment = {"VISUAL": editor, "EDITOR": "never"}
    command = command_for(hit(place=LINE_7), Path("/docs/a.md"), environment, "linux", programs(program))
    assert command == [f"/bin/{program}", *arguments]


@pytest.mark.parametrize(
    ("kind", "place", "platform", "environment", "found", "command"),
    [
        ("code", LINE_7, "linux", {"EDITOR": "vi", "VISUAL": " "}, ["vi"], ["/bin/vi", "+7", "/d/f"]),
        ("row", LINE_7, "linux", {"EDITOR": "vi"}, ["vi"], ["/bin/vi", "+7", "/d/f"]),
        ("text", None, "linux", {"EDITOR": "vi"}, ["vi"], ["/bin/vi", "/d/f"]),
        ("text", LINE_7, "linux", {}, ["xdg-open", "gio"], ["xdg-open", "/d/f"]),
        ("pdf", None, "linux", {"EDITOR": "vi"}, ["vi", "xdg-open"], ["xdg-open", "/d/f"]),
        ("xlsx", SPREAD, "linux", {"EDITOR": "vi"}, ["gio"], ["gio", "open", "/d/f"]),
        ("html", None, "darwin", {"EDITOR": "vi"}, [], ["open", "/d/f"]),
        ("code", LINE_7, "darwin", {}, [], ["open", "-t", "/d/f"]),  # never run: a script is a text
        ("code", LINE_7, "win32", {}, [], ["notepad.exe", "/d/f"]),
        ("pdf", None, "win32", {}, [], []),
        ("row", LINE_7, "win32", {}, [], []),
    ],
)
def test_text_goes_to_the_editor_and_the_rest_to_the_system(
    kind, place, platform, environment, found, command
):
    made = command_for(hit(kind=kind, place=place), Path("/d/f"), environment, platform, programs(*found))
    assert made == command


def test_an_editor_of_windows_may_have_blanks_in_its_path():
    editor = r"C:\Program Files\Notepad++\notepad++.exe"
    environment = {"EDITOR": editor}
    made = command_for(hit(place=LINE_7), Path("a.md"), environment, "win32", lambda name: name)
    assert made == [editor, "-n7", "a.md"]
    quoted = {"EDITOR": rf'"{editor}" -multiInst'}
    which = {editor: editor}.get
    assert command_for(hit(place=LINE_7), Path("a.md"), quoted, "win32", which) == [
        editor, "-multiInst", "-n7", "a.md",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "platform", "path", "said"),
    [
        ({}, "linux", "a.md", "found neither"),
        ({"EDITOR": "vmi"}, "linux", "a.md", "'vmi' in"),
        ({"EDITOR": "code 'open"}, "linux", "a.md", "cannot be read"),
        ({"EDITOR": "code.cmd"}, "win32", "a&calc.md", "may run parts"),
    ],
)
def test_what_cannot_be_started_is_said(environment, platform, path, said):
    which = programs("code.cmd")
    with pytest.raises(UsageError, match=said) as raised:
        command_for(hit(place=LINE_7), Path(path), environment, platform, which)
    assert raised.value.remedy


@pytest.mark.parametrize("name", ["a.md", "sub/b#1.md", "caf%E9.md", "100%25.md", "50%.md", "%2525 x.md"])
def test_the_file_of_a_hit_is_that_under_its_source(tmp_path, name):
    from searchkit.documents.discover import discover

    spelled = os.fsdecode(os.fsencode(name).replace(b"%E9", b"\xe9"))
    write(tmp_path / spelled, "text")
    (found,) = discover(tmp_path).files
    assert file_of(hit(found.name, source=str(tmp_path))) == tmp_path / spelled
    assert file_of(hit(f"{found.name}#12", kind="row", source=str(tmp_path))) == tmp_path / spelled
    (alone,) = discover(tmp_path / spelled).files
    if spelled.isascii():  # what JSON cannot hold of a source's own name is lost
        assert file_of(hit(alone.name, source=str(tmp_path / spelled))) == tmp_path / spelled


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """An editor that notes what it is given, and ends with $CODE. Its path holds a blank."""
    noted = tmp_path / "noted.txt"
    script = write(
        tmp_path / "my tools" / "vim",
        f"#!{sys.executable}\nimport os, sys\nopen({str(noted)!r}, 'w').write('\\n'.join(sys.argv[1:]))\n"
        "sys.exit(int(os.environ.get('CODE', 0)))\n",
    )
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    return lambda: noted.read_text().splitlines() if noted.exists() else None


posix = pytest.mark.skipif(os.name != "posix", reason="scripts are no programs on Windows")


@posix
def test_open_opens_the_first_hit_at_its_line_or_the_one_named(searchkit, docs, editor):
    write(
        docs / "$(touch x); é.md",
        "---\na: 1\n---\n\n# Laptops\n\n" + "Words. " * 400 + "\n\n# Zoo\n\nA zebra here.\n",
    )
    searchkit("index", docs)
    code, out, err = searchkit("query", "zebra", "--text", "--open")
    assert (code, editor()) == (0, ["+9", str(docs / "$(touch x); é.md")])
    assert "$(touch x); é.md:9-11" in out and err == "Opening $(touch x); é.md:9-11 with vim\n"
    code, out, err = searchkit("query", "parental leave", "--json", "--open", "1")
    assert (code, editor()) == (0, ["+1", str(docs / "hr" / "leave.md")]) and out.startswith("{")


@posix
def test_what_cannot_be_opened_is_said_after_the_hits(searchkit, docs, editor, monkeypatch):
    searchkit("index", docs)
    code, out, err = searchkit("query", "laptop", "--text", "--open", "2")
    assert (code, editor()) == (2, None) and "laptop.md:" in out and "no hit 2 to open: 1 were" in err
    (docs / "laptop.md").rename(docs / "gone.md")
    code, _, err = searchkit("query", "laptop", "--text", "--open")
    assert (code, editor()) == (1, None) and "is not there" in err and "searchkit index -c company" in err
    monkeypatch.setenv("CODE", "3")
    code, _, err = searchkit("query", "leave", "--text", "--open")
    assert code == 1 and "exit code 3" in err and editor()


@posix
def test_an_opener_of_the_system_is_not_waited_for(searchkit, docs, tmp_path, monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(opening, "GIVE_UP_WAITING_S", 0.05)
    monkeypatch.setattr(sys, "platform", "linux")
    write(tmp_path / "bin" / "xdg-open", "#!/bin/sh\nexec sleep 1\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    searchkit("index", docs)
    code, _, err = searchkit("query", "leave", "--text", "--open")
    assert (code, err) == (0, "Opening hr/leave.md:1-3 with xdg-open\n")


@posix
def test_ctrl_c_belongs_to_the_editor_while_it_runs(tmp_path):
    noted = tmp_path / "noted"
    interrupts = f"import os, signal; os.kill(os.getppid(), signal.SIGINT); open({str(noted)!r}, 'w')"
    before = signal.getsignal(signal.SIGINT)
    opening._run([sys.executable, "-c", f"import time; time.sleep(0.3); {interrupts}"], wait=True)
    assert noted.exists() and signal.getsignal(signal.SIGINT) is before
