"""The shell: every line a query or a command, errors that end nothing, and a real terminal."""

import contextlib
import io
import os
import re
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from searchkit.cli import history
from searchkit.cli.history import History
from searchkit.cli.shell import COMMANDS, HISTORY_FILE, PROMPT
from searchkit.collection.library import Library
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(searchkit, docs, monkeypatch):
    """Type lines into a shell over two documents. Returns: exit code, stdout, stderr."""
    assert searchkit("index", docs)[0] == 0

    def talk(*lines, options=()):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return searchkit("shell", *options)

    return talk


def test_every_line_is_answered_as_query_does(shell, searchkit):
    code, out, err = shell("", "new laptop", "  ", "parental leave")
    assert code == 0 and err == "Loading searchkit-mini ...\n" and PROMPT not in out
    expected = searchkit("query", "new laptop")[1] + searchkit("query", "parental leave")[1]
    assert without_times(out) == without_times(expected)
    assert without_times(searchkit("query", "new laptop")[1]) != without_times(expected)


def without_times(out):
    return [
        " · ".join(part for part in line.split(" · ") if not part.endswith(" ms")) for line in out.split("\n")
    ]


def test_the_options_say_how_queries_are_asked(shell):
    _, out, _ = shell("laptop portal", options=["--path", "hr/**", "--text"])
    assert "Nothing was found" in out and "· text ·" in out


def test_the_model_is_opened_once_and_before_the_first_line(shell, monkeypatch, library_folder):
    opened = []

    def counting(model):
        opened.append(model)
        return WordEmbedder(model)

    monkeypatch.setattr(Library.__init__, "__kwdefaults__", {"open_model": counting})
    assert shell()[2] == "Loading searchkit-mini ...\n" and len(opened) == 1
    opened.clear()
    assert shell("laptop", "leave", ":mode vector", "laptop")[0] == 0 and len(opened) == 1
    opened.clear()
    assert shell("laptop", options=["--text"])[2] == "" and opened == []
    assert shell("laptop", ":mode", "laptop", options=["--text"])[2] == "Loading searchkit-mini ...\n"


def test_without_its_model_it_still_goes_by_words(shell, monkeypatch):
    def broken(model):
        from searchkit.errors import ModelError

        raise ModelError("the model is broken", remedy="mend it")

    monkeypatch.setattr(Library.__init__, "__kwdefaults__", {"open_model": broken})
    code, out, err = shell("laptop", ":mode text", "laptop")
    assert code == 1 and err.count("Error: the model is broken\n  mend it") == 2 and "laptop.md" in out


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([":k 1", "laptop leave", ":show 2"], "there is no hit 2: 1 to 1 are shown"),
        ([":show 1"], "there is no hit 1: nothing has been found yet"),
        ([":show two"], "'two' is no number"),
        (["laptop", ":show 0"], "there is no hit 0"),
        ([":more"], "there are no more hits"),
        (["laptop", ":more"], "there are no more hits"),
        ([":kk 3"], "there is no command ':kk' (did you mean: k?)"),
        ([":"], "there is no command ':'"),
        ([":k 0"], "k is 0, expected 1 to 10,000"),
        ([":diversity much"], "'much' is no number"),
        ([":diversity 2"], "diversity is 2, expected 0 to 1"),
        ([":context -1"], "-1 passages around each"),
        ([":mode vektor"], "did you mean: vector"),
        ([":where type = "], "the filter"),
        ([":where tpye = md", "laptop"], "did you mean: type"),
        ([":collection compny-docs"], "did you mean: company-docs"),
        ([":collection 'a"], "cannot be read: No closing quotation"),
        ([":profile nosuch"], "no profile is named 'nosuch'"),
        (["?!"], "punctuation only"),
        ([":mode text", ":min-relevance 90"], "relevance is not known in the mode 'text'"),
    ],
)
def test_a_mistake_is_said_and_the_shell_goes_on(shell, lines, said):
    code, out, err = shell(*lines, ":mode text", ":min-relevance", ":where", "parental")
    assert code == 1 and said in err and "\n  " in err.split("Error: ", 1)[1]
    assert "leave.md" in out.splitlines()[-4] and err.count("Error: ") == 1


@pytest.mark.parametrize(
    ("command", "row"),
    [
        (":k 1", "k              1"),
        (":where type = md", "where          type = md"),
        (":mode vector", "mode           vector"),
        (":collection company-docs", "collection     company-docs"),
        (":profile wiki-retrieval", "profile        wiki-retrieval"),
        (":context 1", "context        1"),
        (":per-document 1", "per-document   1"),
        (":diversity 0.3", "diversity      0.3"),
        (":min-relevance 5", "min-relevance  5.0"),
        (":explain", "explain        True"),
    ],
)
def test_what_a_command_changes_holds_until_it_is_put_back(shell, command, row):
    name = command.split()[0]
    _, before, _ = shell(":options")
    code, out, err = shell(command, ":options", name, ":options")
    assert code == 0 and "Error" not in err
    changed, back = out.split("  explain  ", 1)[0], out[-len(before) :]
    assert row in out and row not in before and back == before and changed


def test_a_setting_changes_what_is_asked(shell):
    _, out, _ = shell(":k 1", ":mode text", ":where path = 'hr/leave.md'", ":explain", "leave laptop")
    assert "leave.md" in out and "laptop.md" not in out
    assert "leaves 1 of 2 passages" in out and "· text ·" in out


def test_pages_follow_one_another_and_number_on(shell):
    _, out, err = shell(":k 1", "laptop leave", ":more", ":show 1", ":show 2", ":more")
    first, second = out.index("more with :more"), out.rindex("searchkit-mini")
    assert first < second and "more with" not in out[second:]
    assert "laptop.md" in out[second:] and "hr/leave.md" in out[second:]  # :show of hits of either page
    assert err.endswith("show more at once with: :k 20\n")


def test_a_passage_is_shown_whole_with_those_around_it(searchkit, shell, docs):
    text = "\n".join(f"Sentence {number} of a long text about cables and frost.\n" for number in range(120))
    write(docs / "long.md", text)
    assert searchkit("index", docs)[0] == 0
    _, out, _ = shell(":where path = long.md", ":k 1", ":mode text", "sentence 60", ":show 1")
    shown = out[out.rindex("\nlong.md:") :]
    assert "Sentence 60 of" in shown
    assert shown.count("Sentence") > 40 and "Sentence 119" not in shown  # three passages of some 20 each


def test_similar_documents_of_a_hit_and_their_next_page(shell, searchkit, docs):
    write(docs / "laptops.md", "# Laptops\n\nOrder an old laptop in the hardware portal.\n")
    searchkit("index", docs)
    _, out, err = shell(":k 1", "cups blue laptop", ":similar 1", ":more", ":similar 1")
    assert "Error" not in err and out.count("· similar ·") == 3
    names = re.findall(r"^ [12] .*? (\S+\.md)", out, re.MULTILINE)
    assert names == ["laptop.md", "laptops.md", "hr/leave.md", "laptop.md"]


def test_the_file_of_a_hit_is_opened(shell, docs, tmp_path, monkeypatch):
    opened = tmp_path / "opened.txt"
    editor = tmp_path / "editor.py"
    editor.write_text(f"import sys; open({str(opened)!r}, 'w').write(sys.argv[-1])")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    _, _, err = shell(":k 1", "laptop leave", ":more", ":open 2", ":open 3")
    assert opened.read_text() in {str(docs / "laptop.md"), str(docs / "hr" / "leave.md")}
    assert "Opening" in err and "there is no hit 3: 1 to 2 are shown" in err


def test_what_is_indexed_meanwhile_is_found(process, docs, library_folder, tmp_path):
    done, _ = process("index", docs, "--library", library_folder).communicate(timeout=60)
    assert "2 added" in done
    running = process("shell", "--text", "--library", library_folder, stdin=subprocess.PIPE)
    running.stdin.write("zebra\n")
    running.stdin.flush()
    assert "Nothing was found" in running.stdout.readline()
    write(docs / "zoo.md", "A zebra has stripes.")
    process("index", "--library", library_folder).communicate(timeout=60)
    out, err = running.communicate("zebra\n", timeout=60)
    assert "zoo.md" in out and err == "" and running.returncode == 0


def test_help_names_every_command_and_a_blank_before_a_colon_makes_a_query(shell):
    _, out, err = shell(":help", " :quit", ":quit", "laptop")
    assert all(f"\n  :{name} " in out for name in COMMANDS)
    assert "more with" not in out and out.count("searchkit-mini") == 1 and "Error" not in err


def test_an_offset_is_refused(shell):
    code, out, err = shell("laptop", options=["--offset", "1"])
    assert (code, out) == (2, "") and ":more" in err


def test_a_library_that_is_not_there_ends_it_at_once(searchkit):
    code, out, err = searchkit("shell")
    assert code == 1 and out == "" and "searchkit index FOLDER" in err


# -------------------------------------------------------------------- history


def test_history_keeps_the_last_lines_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MOST_LINES", 3)
    file = tmp_path / "new" / "history"
    kept = History(file)
    for line in ("one", "", "one", "two\tand more", "three", "fo\ud800ur", "three"):
        kept.add(line)
    assert file.read_text() == "one\ntwo and more\nthree\nfo?ur\nthree\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept.shorten()
    assert file.read_text() == "three\nfo?ur\nthree\n" and History(file).lines() == [
        "three",
        "fo?ur",
        "three",
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and os.listdir(file.parent) == ["history"]


def test_a_history_that_cannot_be_kept_is_no_error(tmp_path):
    write(tmp_path / "file", "no folder")
    kept = History(tmp_path / "file" / "history")
    kept.add("one")
    kept.shorten()
    assert kept.lines() == []


# -------------------------------------------------------------------- a terminal


class Terminal:
    """The shell in a terminal of its own."""

    def __init__(self, *arguments, **environment):
        import pty

        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "tests.cli.word_searchkit", "shell", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "120", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text):
        os.write(self._ours, text.encode())

    def wait_for(self, text, seconds=30):
        """Until it is shown, after what was waited for before. Returns: what was shown till then."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} was not shown, only {self.shown!r}")
            assert self._read(), f"it has ended; {text!r} was not shown, only {self.shown!r}"
        before, _, self.shown = self.shown.partition(text)
        return before

    def interrupt(self):
        """Ctrl-C until there is a prompt: one that falls between two keys readline notices with the next."""
        for _ in range(10):
            time.sleep(0.2)
            self.type("\x03")
            with contextlib.suppress(TimeoutError):
                return self.wait_for(PROMPT, seconds=3)
        raise AssertionError("Ctrl-C led to no prompt")

    def _read(self):
        if select.select([self._ours], [], [], 0.2)[0]:
            try:
                self.shown += os.read(self._ours, 65_536).decode()
            except OSError:  # Linux says so when the other side is closed
                return False
        return True

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(docs, library_folder, process):
    process("index", docs, "--library", library_folder).communicate(timeout=60)
    opened = []

    def start(*arguments, **environment):
        opened.append(Terminal("--library", library_folder, *arguments, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.end()


@pytest.mark.skipif(sys.platform != "linux", reason="asks for a terminal in the Linux way")
def test_in_a_terminal_it_asks_answers_and_leaves_as_it_should(terminal, tmp_path):
    """A prompt, an answer, Ctrl-C that leaves a line and not the shell, an arrow key, Ctrl-D."""
    cache = str(tmp_path / "cache")
    first = terminal("-k", "1", SEARCHKIT_CACHE=cache)
    assert "Loading searchkit-mini" in first.wait_for(PROMPT)
    first.type("parental leave\r")
    assert "hr/leave.md" in first.wait_for(PROMPT)
    first.type("half a line")
    first.wait_for("half a line")
    assert "Error" not in first.interrupt() and first.process.poll() is None
    first.type(":k 2\r")
    first.wait_for(PROMPT)
    first.type("\x04")
    assert first.process.wait(timeout=30) == 0
    kept = tmp_path / "cache" / HISTORY_FILE
    assert kept.read_text() == "parental leave\n:k 2\n"

    second = terminal("--text", SEARCHKIT_CACHE=cache)
    second.wait_for(PROMPT)
    second.type("\x1b[A\x1b[A\r")  # twice up: what was typed into the other one
    assert "hr/leave.md" in second.wait_for(PROMPT)
    second.type(":quit\r")
    assert second.process.wait(timeout=30) == 0
    assert kept.read_text() == "parental leave\n:k 2\nparental leave\n:quit\n"


@pytest.mark.skipif(sys.platform != "linux", reason="asks for a terminal in the Linux way")
def test_ctrl_c_leaves_a_query_that_takes_long_and_nothing_is_kept_when_asked(terminal, tmp_path):
    slow = terminal("--no-history", "--vector", SEARCHKIT_CACHE=str(tmp_path / "cache"), SLOW_QUERY_S="30")
    slow.wait_for(PROMPT)
    slow.type("leave\r")
    slow.wait_for("asked\r\n")
    slow.interrupt()
    slow.type(":mode text\r")
    slow.wait_for(PROMPT)
    slow.type("leave\r")
    assert "hr/leave.md" in slow.wait_for(PROMPT)
    slow.type("\x04")
    assert slow.process.wait(timeout=30) == 0
    assert not (tmp_path / "cache" / HISTORY_FILE).exists()
