"""The process that reads files: what it loads, and what of its answers is believed."""

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit.documents import worker
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, Heading, Marks

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "tokenizers", "onnxruntime", "faiss", "kreuzberg", "sqlite3", "numpy"}


def test_a_process_that_reads_loads_nothing_heavy():
    parsers = "".join(f"import {name}\n" for name in ("pypdfium2", "openpyxl", "pptx", "lxml.etree"))
    code = "import sys, searchkit.documents.worker\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True
    )
    assert "searchkit.documents.load" in done.stdout.split() and not HEAVY & set(done.stdout.split())
    done = subprocess.run(
        [sys.executable, "-c", code + parsers + "print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not (HEAVY - {"numpy"}) & set(done.stdout.split())  # openpyxl takes numbers of numpy's, too


DOCUMENT = Document(
    name="a.csv#1",
    kind="row",
    text="# Title\n\nSome text.",
    title="Title",
    headings=(Heading(start=0, level=1, text="Title"),),
    marks=Marks(unit="row", starts=(0, 9), numbers=(3, 7), by_line=True, sheets=((0, "Prices"),)),
    metadata={"author": "nobody", "tags": ["a", 1, None]},
)
FAILURE = Failure(document="a.csv#2", reason="is broken")
TAKEN_APART = {
    worker.DOCUMENT: lambda data, rest: worker.document_of(data, rest),
    worker.LOST: lambda data, rest: worker.unpack_lost(data),
    worker.END: lambda data, rest: worker.unpack_end(data),
}


def frames_of(stream):
    while (frame := worker.read_frame(stream)) is not None:
        yield frame


def test_frames_are_taken_apart_only_where_they_are_whole():
    """What a process sends that a hostile file has taken over is refused, whatever it is."""
    dice = random.Random(20261121)
    said = [
        list(worker.document_frames(DOCUMENT)),
        [(worker.LOST, worker.pack_lost(FAILURE))],
        [(worker.END, worker.pack_end(DocumentUnavailable("is away", remedy="wait")))],
    ]
    taken, refused = 0, 0
    for frames in said * 400:
        stream = io.BytesIO()
        for frame in frames:
            worker.write_frame(stream, *frame)
        whole = bytearray(stream.getvalue())
        for _ in range(dice.randrange(3)):
            whole[dice.randrange(len(whole))] = dice.randrange(256)
        rest = frames_of(io.BytesIO(whole[: dice.choice((None, dice.randrange(len(whole))))]))
        try:
            for kind, data in rest:
                TAKEN_APART.get(kind, lambda data, rest: None)(data, rest)
                taken += 1
        except worker.BrokenFrame:
            refused += 1
    assert taken > 200 and refused > 200


ABOUT = '"a.md","text","",[],null,{},1'


@pytest.mark.parametrize("kind", TAKEN_APART)
@pytest.mark.parametrize(
    "said",
    [
        "",
        "7",
        "[]",
        "nonsense",
        "[" * 100_000,
        '["' + "[" * 100_000,
        '[1,2,{"a":' + "[" * 100_000 + "]" * 100_000 + "}]",
        "[1e999]",
        *(
            f"[{odd}]"
            for odd in (
                ABOUT.replace("[],null", '[[1e999,1,"a"]],null'),
                ABOUT.replace("[],null", '[[0,-1e999,"a"]],null'),
                ABOUT.replace("[],null", "[[0,1]],null"),
                ABOUT.replace("[],null", '[[-1,1,"a"]],null'),
                ABOUT.replace("[],null", '[[99,1,"a"]],null'),
                ABOUT.replace("null", "[]"),
                ABOUT.replace("null", '["line",[1e999],[1],true,[]]'),
                ABOUT.replace("null", '["line",[99],[1],true,[]]'),
                ABOUT.replace("null", '["line",[-1],[1],true,[]]'),
                ABOUT.replace("null", '["line",[0,1],[1],true,[]]'),
                ABOUT.replace("null", '["line",[0],[0],true,[]]'),
                ABOUT.replace("null", f'["line",[0],[{1 << 63}],true,[]]'),
                ABOUT.replace("null", '["verse",[0],[1],true,[]]'),
                ABOUT.replace("null", '["row",[0],[1],true,[[99,"Prices"]]]'),
                ABOUT.replace("null", '["row",[0],[1],true,[[0,"\\ud800"]]]'),
                ABOUT.replace("a.md", "\\ud800"),
                ABOUT.replace("text", "\\udcff"),
                ABOUT.replace('""', '"\\ud800"'),
                ABOUT.replace("{}", '{"a":' + "[" * 300 + "]" * 300 + "}"),
                ABOUT.replace("{}", "7"),
                ABOUT.replace(",1", ",1e999"),
                ABOUT.replace(",1", ',"1"'),
                ABOUT.replace(",1", ",2"),
            )
        ),
    ],
)
def test_what_a_hostile_process_says_is_a_broken_frame_and_nothing_else(kind, said):
    rest = iter([(worker.TEXT, b"text")])
    with pytest.raises(worker.BrokenFrame):
        TAKEN_APART[kind](said.encode(), rest)


def test_what_is_said_of_a_file_can_be_printed():
    broken = worker.unpack_lost(b'["a\\ud800", "b\\udcff"]')
    assert (broken.document, broken.reason) == ("a?", "b?")
    end = worker.unpack_end(b'[false, "a\\ud800", ""]')
    assert isinstance(end, DocumentError) and end.message == "a?"
