"""Which words of a query stand in a text, and where."""

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from searchkit.library import fulltext
from searchkit.library.database import Database
from searchkit.library.marking import REMEMBERED, Marker
from searchkit.library.migrations import TOKENIZER
from searchkit.library.words import words as indexed


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    Database.write(folder).close()
    with Database.read(folder) as opened:
        yield opened


def words_of(db, query):
    return [term.word for term in fulltext.expression(db, query).terms]


def shown(db, query, text):
    words = words_of(db, query)
    (spans,) = Marker(words).spans([text], range(len(words)))
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("query", "text", "marks"),
    [
        ("running", "He RUNS; a runner ran. Running!", ["RUNS", "Running"]),
        ("error E-204", "An E-204, not E-2040 or 204.", ["E-204"]),
        ("cafe", "The café's menu, two cafés", ["café", "cafés"]),
        ("naïve", "naive", ["naive"]),
        ("client", "the VPN-client of __client__", ["client", "client"]),
        ("vpn client", "VPN-client", ["VPN", "client"]),
        ("leave", "_Leave_ and e-mail", ["Leave"]),
        ("E-204", "E 204 and E-204-B", ["E 204", "E-204"]),
        ("python", "このPythonコード", ["Python"]),
        ("東京 残業", "彼は東京で残業する", ["東京", "残業"]),
        ("大学生", "東京大学生協", ["大学生"]),
        ("水", "水曜日の水 水", ["水", "水"]),
        ("छुट्टी", "हिन्दी में छुट्टी", ["छुट्टी"]),
        ("help@larkmoor.example", "write to help@larkmoor.example.", ["help@larkmoor.example"]),
        ("zebra", "nothing of the kind", []),
        ("😀", "😀 is no word", []),
        ('"; DROP TABLE token; --', "drop that table", ["drop", "table"]),
    ],
)
def test_marks_what_the_full_text_would_match(db, query, text, marks):
    assert shown(db, query, text) == marks


def test_a_word_of_several_is_told_apart_by_its_place(db):
    texts = ["frost and radar", "radar", ""]
    marker = Marker(words_of(db, "radar frost"))
    assert marker.held(texts) == marker.held(texts) == [{0, 1}, {0}, set()]
    assert marker.spans(texts, [1]) == [((0, 5),), (), ()]
    assert marker.held(["frosty radars of another text"]) == [{0}]


def test_without_words_or_texts_nothing_is_marked(db):
    assert Marker([]).spans(["radar"], []) == [()] and Marker([]).held(["radar"]) == [set()]
    marker = Marker(words_of(db, "radar"))
    assert marker.spans([], [0]) == marker.held([]) == []


LETTERS = st.text("abdeEnrst 204é-_.'@のコ京。", max_size=24)


@settings(max_examples=300, deadline=None)
@given(query=LETTERS, text=LETTERS)
@example(query="s", text="'s")
@example(query="コ", text="のコ")
def test_what_is_held_is_what_the_full_text_matches(db, query, text):
    words = words_of(db, query)
    (held,) = Marker(words).held([text])
    with sqlite3.connect(":memory:") as index:
        index.execute(f"""CREATE VIRTUAL TABLE t USING fts5(text, content='', tokenize="{TOKENIZER}")""")
        index.execute("INSERT INTO t (rowid, text) VALUES (1, ?)", (indexed(text),))
        for place, term in enumerate(fulltext.expression(db, query).terms):
            matches = bool(index.execute("SELECT 1 FROM t WHERE t MATCH ?", (term.match,)).fetchall())
            assert (place in held) == matches, (term, text)
    index.close()


@settings(deadline=None)
@given(query=st.text(max_size=40), text=st.text(max_size=80))
def test_marks_lie_within_the_text_in_order_and_never_fail(db, query, text):
    words = words_of(db, query)
    marker = Marker(words)
    (spans,) = marker.spans([text], range(len(words)))
    assert all(0 <= start < end <= len(text) for start, end in spans) and list(spans) == sorted(spans)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    if spans:
        assert marker.held([text])[0]


@settings(deadline=None)
@given(words=st.lists(st.text("abcdeé", min_size=1, max_size=6), min_size=1, max_size=8))
def test_every_word_of_a_text_is_marked_by_itself(db, words):
    text = " ".join(words)
    assert shown(db, text, text) == words


def test_many_texts_are_not_remembered(db):
    marker = Marker(words_of(db, "radar"))
    texts = [f"radar {i}" for i in range(3 * REMEMBERED)]
    assert marker.held(texts) == [{0}] * len(texts) and len(marker._tokens) == REMEMBERED
