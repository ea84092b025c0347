"""Finding by words: what is one, what queries mean, and that the index never leaves its texts."""

import sqlite3
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from searchkit.errors import QueryInvalid
from searchkit.library import fulltext
from searchkit.library.database import FILE_NAME, Database
from searchkit.library.fulltext import WordQuery
from searchkit.library.migrations import FULL_TEXT, KNOWN
from searchkit.library.words import words

TEXTS = {
    "frost": "The radar gauge reports E-204 after the first frost",
    "other": "Error E 2040 is another one, and 204 alone says nothing; write to help@larkmoor.example",
    "naive": "A naïve café owner was running late",
    "urlaub": "Wie beantrage ich Übergangsgeld",
    "japan": "残業の申請は上司に出してください",
    "china": "水资源管理条例",
    "thai": "การลาพักร้อน",
    "thai-other": "ทางรถไฟ",
    "hindi": "हिन्दी में छुट्टी",
    "hindi-other": "न द ह",
    "german": "Die Maßnahme in der Straße",
    "turkish": "İstanbul ofisi",
    "full": "ＦＵＬＬ ｗｉｄｔｈ ﬁnance",
    "twice": "the frost and the frost",
}
IDS = {name: i for i, name in enumerate(TEXTS, start=1)}


def put(tx, texts, *, collection=1, first=1):
    for text_id, (context, text) in enumerate(texts, start=first):
        tx.run("INSERT INTO texts VALUES (?, ?, ?, ?)", (text_id, str(text_id).encode(), context, text))
        tx.run(
            """INSERT INTO passages (passage_id, collection_id, document_id, text_id, position, start, "end",
                 heading) VALUES (?, ?, 1, ?, 0, 0, 1, '')""",
            (text_id, collection, text_id),
        )


def prepare(tx):
    tx.run("INSERT INTO recipes VALUES (1, 'r', '{}', 2)")
    for i in (1, 2):
        tx.run("INSERT INTO collections VALUES (?, ?, '{}', '', 1, 0)", (i, f"c{i}"))
    tx.run("INSERT INTO sources VALUES (1, 1, x'2f')")
    tx.run("INSERT INTO files VALUES (1, 1, 'a', 0, 0, x'', '[]', '')")
    tx.run("INSERT INTO documents VALUES (1, 1, 'a', '', '', '{}')")


@pytest.fixture
def folder(tmp_path):
    with Database.write(tmp_path) as db, db.transaction() as tx:
        prepare(tx)
        put(tx, [("", text) for text in TEXTS.values()])
    return tmp_path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    with Database.write(folder) as db, db.transaction() as tx:
        prepare(tx)
        put(tx, [("", text) for text in TEXTS.values()])
    with Database.read(folder) as db:
        yield db


def found(db, query, n=10, **restricted):
    ids, scores = fulltext.search(db, 1, fulltext.expression(db, query).telling, n, **restricted)
    assert (np.diff(scores) <= 0).all()
    names = list(IDS)
    return [names[i - 1] for i in ids]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("E-204", ["frost"]),
        ("e-204", ["frost"]),
        ("What does E-204 mean?", ["frost"]),
        ("help@larkmoor.example", ["other"]),
        ("Naive CAFE", ["naive"]),
        ("run", ["naive"]),  # stems
        ("ubergangsgeld", ["urlaub"]),
        ("申請", ["japan"]),
        ("残業申請", ["japan"]),
        ("水", ["china"]),
        ("资源", ["china"]),
        ("พักร้อน", ["thai"]),
        ("ที่ทาง", ["thai-other"]),
        ("हिन्दी", ["hindi"]),
        ("Maßnahme", ["german"]),
        ("STRAßE", ["german"]),
        ("İstanbul", ["turkish"]),
        ("full width finance", ["full"]),
        ("frost", ["twice", "frost"]),
        ("unheard", []),
        ("😀 !?", []),
    ],
)
def test_what_a_query_finds(shared, query, first):
    assert found(shared, query)[: len(first) or 1] == first


@pytest.mark.parametrize(("query", "alone"), [("हिन्दी", "hindi"), ("พักร้อน", "thai"), ("Straße", "german")])
def test_a_word_is_not_its_letters(shared, query, alone):
    assert found(shared, query) == [alone]


@pytest.mark.parametrize(
    "query",
    [
        *(
            'frost" OR "naive',
            "frost NEAR(late, 5)",
            "frost*",
            "text:frost",
            "(frost",
            "frost AND NOT",
            "^frost",
        ),
        *("- frost", '"', "'", "frost + - {", "AND", "NOT", "frost\0late", "'; DROP TABLE texts; --"),
        *("x" * 10_000, "frost " * 1_600, " ".join(map(str, range(3_000, 5_500)))),
    ],
)
def test_nothing_of_a_query_is_syntax(shared, query):
    names = found(shared, query)
    assert ("frost" in names) == ("frost" in query)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=80))
@example(query="\ud800")
@example(query="\u0e00\u0301")
def test_any_text_is_a_query(shared, query):
    found(shared, query.encode("utf-8", "replace").decode("utf-8"))


@pytest.mark.parametrize(
    "expression", ['"unclosed', "NEAR(", "NEAR(a, b)", "NEAR(a b, c)", "nosuch:frost", "a AND", "*"]
)
def test_an_expression_that_has_no_meaning_is_refused(shared, expression):
    with pytest.raises(QueryInvalid, match="cannot be read") as caught:
        fulltext.search(shared, 1, expression, 10)
    assert "--fts" in caught.value.remedy


def test_an_expression_may_use_the_syntax(shared):
    ids, _ = fulltext.search(shared, 1, "text : (frost NOT radar) OR naïve*", 10)
    assert set(ids) == {IDS["twice"], IDS["naive"]}


def test_only_what_is_allowed_is_found_and_n_is_still_met(shared):
    allowed = np.array([IDS["frost"], IDS["naive"]])
    assert found(shared, "frost late", 2, allowed=allowed) == ["naive", "frost"]
    assert found(shared, "frost", 1, allowed=np.array([IDS["frost"]])) == ["frost"]


def test_other_collections_are_not_found(folder):
    with Database.write(folder) as db:
        with db.transaction() as tx:
            put(tx, [("", "frost in another collection")], collection=2, first=100)
        assert fulltext.search(db, 1, "another", 10)[0].tolist() == [IDS["other"]]
        assert fulltext.search(db, 2, "another", 10)[0].tolist() == [100]


def test_all_that_score_as_the_last_are_returned(folder):
    with Database.write(folder) as db:
        with db.transaction() as tx:
            put(tx, [("", "zebra crossing")] * 7, first=200)
            put(tx, [("", "zebra zebra")], first=300)
        assert fulltext.search(db, 1, "zebra", 1)[0].tolist() == [300]
        assert fulltext.search(db, 1, "zebra", 3)[0].tolist() == [300, *range(200, 207)]


def test_title_and_headings_are_searched_too(folder):
    with Database.write(folder) as db:
        with db.transaction() as tx:
            put(tx, [("Handbook > Quokkas", "nothing of the kind")], first=400)
        assert fulltext.search(db, 1, "quokkas", 1)[0].tolist() == [400]


def test_common_words_are_left_out_when_rarer_ones_match(folder):
    with Database.write(folder) as db:
        with db.transaction() as tx:
            put(tx, [("", "the one and the other in it")] * 5, first=600)
        asked = fulltext.expression(db, "the radar and the frost", 3)
        assert asked == WordQuery('"radar" OR "frost"', '"radar" OR "frost" OR "the" OR "and"')
        assert fulltext.expression(db, "the the", 3) == WordQuery('"the"', ""), "alone it is all there is"
        assert fulltext.expression(db, "in the and frost", 3).telling.startswith('"frost"'), (
            "not the first one"
        )


@contextmanager
def raw(folder):
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.create_function("fulltext_words", 1, words)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def test_a_text_that_goes_leaves_nothing_behind(folder):
    with Database.write(folder) as db, db.transaction() as tx:
        tx.run("DELETE FROM passages")
        tx.run("DELETE FROM texts")
    with raw(folder) as connection:
        connection.execute("CREATE VIRTUAL TABLE temp.held USING fts5vocab(main, fulltext, row)")
        assert connection.execute("SELECT * FROM held").fetchall() == []
        assert connection.execute("SELECT count(*) FROM fulltext_docsize").fetchone() == (0,)


def test_a_transaction_undone_leaves_the_index_as_it_was(folder):
    with Database.write(folder) as db:
        with suppress(ZeroDivisionError), db.transaction() as tx:
            put(tx, [("", "wombat")], first=500)
            tx.run("DELETE FROM passages WHERE text_id = ?", (IDS["frost"],))
            tx.run("DELETE FROM texts WHERE text_id = ?", (IDS["frost"],))
            _ = 1 / 0
        assert fulltext.search(db, 1, "wombat", 5)[0].tolist() == []
        assert fulltext.search(db, 1, "radar", 5)[0].tolist() == [IDS["frost"]]


def test_a_library_from_before_is_indexed_when_it_is_first_read(folder):
    with raw(folder) as connection:
        for name in ("texts_into_fulltext", "texts_out_of_fulltext"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DROP TABLE fulltext")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (KNOWN[2],))
    with Database.read(folder) as db:
        assert found(db, "E-204") == ["frost"]


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM fulltext_docsize WHERE id < 4", "DELETE FROM fulltext_data", "DROP TABLE fulltext"],
)
def test_rebuild_makes_it_anew_whatever_is_left_of_it(folder, damage):
    with raw(folder) as connection:
        connection.execute(damage)
    with Database.write(folder) as db:
        with db.transaction() as tx:
            fulltext.rebuild(tx)
        assert found(db, "E-204") == ["frost"] and fulltext.problems(db) == []


def test_rows_of_one_template_are_not_all_returned(folder, monkeypatch):
    monkeypatch.setattr(fulltext, "MOST_TIES", 3)
    with Database.write(folder) as db:
        with db.transaction() as tx:
            put(tx, [("", "zebra crossing")] * 20, first=200)
        assert fulltext.search(db, 1, "zebra", 2)[0].tolist() == [200, 201, 202, 203, 204]


def test_the_words_of_a_text_are_frozen():
    """The index takes texts out by their words: another answer here damages every Library there is."""
    assert words("日本語のE-204 ﬁne x水y ไทย") == " 日本 本語 語の E-204 fine x 水 y  ไท ทย "
    assert "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'" in FULL_TEXT[0]
