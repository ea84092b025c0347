"""What filters mean, on Documents with known metadata; and that no text of one reaches SQL or crashes."""

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from searchkit.errors import FilterInvalid
from searchkit.library import filters
from searchkit.library.database import Database
from searchkit.library.filter_grammar import MAX_DEPTH, OPERATORS, parse_filter
from searchkit.library.filters import FIELDS, allowed_passages, as_seconds

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def local(*moment):
    """Nanoseconds of a local time, as a file has it."""
    return int(datetime(*moment).timestamp() * 1e9)


# One passage each, of page 1 where there are pages; their ids are 1, 2, ... in this order.
DOCUMENTS = {
    "hr/leave.md": (
        "markdown",
        "Annual leave",
        900,
        local(2026, 1, 1),
        {"author": "Ann Lee", "tags": ["policy", "HR"], "draft": True, "flags": [False, True]},
    ),
    "hr/travel/rates.pdf": (
        "pdf",
        "Rates",
        20_000,
        local(2026, 1, 31, 23),
        {"author": "Ben Ode", "created": "2025-12-31T23:30:00Z"},
    ),
    "it/vpn.docx": (
        "docx",
        "VPN",
        5_000,
        local(2026, 11, 21, 9),
        {"created": "2026-02-03", "tags": "network; policy", "Änderung": "2026-03-04"},
    ),
    "it/tickets.csv#1": (
        "row",
        "",
        3_000,
        local(2025, 6, 1),
        {"Order No": 17, "price": "12.50", "state": "open", "note": None},
    ),
    "it/tickets.csv#2": (
        "row",
        "",
        3_000,
        local(2025, 6, 1),
        {"Order No": 4, "price": 9, "state": "ÖFFEN", "empty": ""},
    ),
    "mail/hello.eml": (
        "mail",
        "Re: 100% 'sure'",
        700,
        -local(2024, 2, 29),
        {"from": "Cy <cy@x.example>", "date": "Tue, 18 Nov 2025 10:30:00 +0100"},
    ),
}
NAMES = dict(enumerate(DOCUMENTS, start=1))


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    with Database.write(folder) as writing, writing.transaction() as tx:
        tx.run("INSERT INTO recipes VALUES (1, 'r', '{}', 2)")
        for collection in (1, 2):  # the second holds the same Documents: nothing of it may come back
            tx.run("INSERT INTO collections VALUES (?, ?, '{}', '', 1, 0)", (collection, f"c{collection}"))
            tx.run("INSERT INTO sources VALUES (?, ?, x'2f')", (collection, collection))
        tx.run("INSERT INTO texts VALUES (1, x'00', '', 'words')")
        for collection in (1, 2):
            for name, (kind, title, size, mtime_ns, metadata) in DOCUMENTS.items():
                file = (collection, name.partition("#")[0])
                tx.run(
                    """INSERT OR IGNORE INTO files (source_id, name, size, mtime_ns, sha256, failures, reader)
                       VALUES (?, ?, ?, ?, x'', '[]', '')""",
                    (*file, size, mtime_ns),
                )
                find = "SELECT file_id FROM files WHERE source_id = ? AND name = ?"
                file_id = tx.rows(find, file)[0][0]
                document = tx.run(
                    "INSERT INTO documents (file_id, name, kind, title, metadata) VALUES (?, ?, ?, ?, ?)",
                    (file_id, name, kind, title, json.dumps(metadata)),
                )
                tx.run(
                    'INSERT INTO passages (collection_id, document_id, text_id, position, start, "end", '
                    "heading, page) VALUES (?, ?, 1, 0, 0, 5, ?, ?)",
                    (collection, document, f"{title} > Top", 1 if kind == "pdf" else None),
                )
    with Database.read(folder) as reading:
        yield reading


def found(db, text):
    return [NAMES[i] for i in allowed_passages(db, 1, parse_filter(text), now=NOW).tolist()]


LEAVE, RATES, VPN, ONE, TWO, MAIL = DOCUMENTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type = pdf", [RATES]),
        ("TYPE = '.Docx'", [VPN]),
        ("type in (md, eml)", [LEAVE, MAIL]),
        ("type not in (pdf, row, mail)", [LEAVE, VPN]),
        ("type = csv", [ONE, TWO]),
        ("path = 'HR/leave.md'", [LEAVE]),
        ("path = it/tickets.csv", [ONE, TWO]),
        ("document = 'it/tickets.csv#2'", [TWO]),
        ("path glob 'hr/*'", [LEAVE]),
        ("path glob 'hr/**'", [LEAVE, RATES]),
        ("path glob '**/rates.*'", [RATES]),
        ("path glob '**/*.[dp]??*'", [RATES, VPN]),
        ("path glob '[!h]*/*.csv'", [ONE, TWO]),
        ("title contains 'ANNUAL'", [LEAVE]),
        ("title contains '100% ''sure'''", [MAIL]),
        ("title contains \"100% 'sure'\"", [MAIL]),
        ("heading contains 'rates >'", [RATES]),
        ("page = 1", [RATES]),
        ("page exists", [RATES]),
        ("page != 1", [LEAVE, VPN, ONE, TWO, MAIL]),
        ("not page exists and not type = row", [LEAVE, VPN, MAIL]),
        ("size > 4kB", [RATES, VPN]),
        ("size <= 0.7KB", [MAIL]),
        ("size >= 20_000", FilterInvalid),
        ("author = 'ann LEE'", [LEAVE]),
        ("author exists", [LEAVE, RATES, MAIL]),
        ("author contains cy@", [MAIL]),
        ("tags has policy", [LEAVE, VPN]),
        ("tags = hr", [LEAVE]),
        ("tags = policy", [LEAVE]),
        ("tags has 'polic'", []),
        ("draft = true", [LEAVE]),
        ("draft = false", []),
        ("draft = 'true'", [LEAVE]),
        ("draft has true and flags has true", [LEAVE]),
        ("flags = 1", []),
        ("änderung exists", [VPN]),
        ("ÄNDERUNG >= 2026-03-04", [VPN]),
        ('"Order No" > 9', [ONE]),
        ('"order no" in (4, 17)', [ONE, TWO]),
        ("price < 10", [TWO]),
        ("price = 12.5", [ONE]),
        ("price = '12.5'", []),
        ("state = öffen", [TWO]),
        ("note exists or empty exists", []),
        ("modified >= 2026-01-31", [RATES, VPN]),
        ("modified > 2026-01-31", [VPN]),
        ("modified = 2026-01", [LEAVE, RATES]),
        ("modified < 2026", [ONE, TWO, MAIL]),
        ("modified <= 2026-01-01", [LEAVE, ONE, TWO, MAIL]),
        ("modified = 2024-02-29", [MAIL]),  # of a file whose time stamp was not settled
        ("modified = today", [VPN]),
        ("modified = 7d", FilterInvalid),
        ("modified >= 7d", [VPN]),
        ("modified = 2026-01-31T23:00", [RATES]),
        ("created = 2025", [RATES, MAIL]),
        ("created >= '2026-02-03'", [VPN]),
        ("created = 2025-11-18T09:30:00Z", [MAIL]),
        ("meta.created exists", [RATES, VPN]),
        ("type = pdf or type = mail and size > 1", [RATES, MAIL]),
        ("(type = pdf or type = mail) and size < 1000", [MAIL]),
        ("not (type = pdf or type = mail)", [LEAVE, VPN, ONE, TWO]),
        ("type == pdf and type <> mail", [RATES]),
        ("NOT NOT type = pdf", [RATES]),
        ("state != open", [LEAVE, RATES, VPN, TWO, MAIL]),
        ("title glob '[z-a]'", []),
    ],
)
def test_what_a_filter_finds(db, text, expected):
    if isinstance(expected, list):
        assert found(db, text) == expected
    else:
        with pytest.raises(expected):
            found(db, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("type", "expected one of"),
        ("type = ", "expected a value"),
        ("type = pdf type = md", "expected 'and', 'or' or the end"),
        ("(type = pdf", "expected ')'"),
        ("type = pdf)", "closes nothing"),
        ("type = 'pdf", "never closed"),
        ("type in pdf", "expected '('"),
        ("type in (pdf", "expected ')' or ','"),
        ("type in ()", "expected a value"),
        ("type = and", "word of the grammar"),
        ("and type = pdf", "name of a field"),
        ("type ! pdf", "'!' means nothing"),
        ("type not = pdf", "expected 'in' or 'exists'"),
        ("(" * 60 + "type = pdf" + ")" * 60, "more than 12 brackets"),
        ("a" * 20_000, "at most 10,000"),
        ("tpye = pdf", "did you mean: type"),
        ("size = big", "'size' is a number"),
        ("modified > 2026-02-30", "'modified' is a date"),
        ("created = soon", "'created' is a date"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(db, text, says):
    with pytest.raises(FilterInvalid) as caught:
        found(db, text)
    assert says in str(caught.value) and caught.value.remedy


def test_the_place_is_pointed_at():
    with pytest.raises(FilterInvalid) as caught:
        parse_filter("type = pdf and size >")
    assert caught.value.message.splitlines()[1:] == ["  type = pdf and size >(the end)", " " * 23 + "^"]


def test_long_chains_are_no_deeper_than_short_ones(db):
    assert found(db, " or ".join(["size=1"] * 900) + " or type=pdf") == [RATES]
    assert found(db, '"Order No" in (' + ",".join(map(str, range(10, 2_000))) + ")") == [ONE]


_GRAMMAR = [
    *"(),'\"[%_",
    "**",
    "\\",
    "\0",
    "\ud800",
    "and",
    "or",
    "not",
    "in",
    "exists",
    "pdf",
    "7d",
    "-3",
    "1e400",
]
_TRAPS = ["'; DROP TABLE files; --", "?1", ":a", "日本", "😀", "meta."]
_words = st.sampled_from([*FIELDS, *OPERATORS, *_GRAMMAR, *_TRAPS])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=60), st.lists(_words, max_size=12).map(" ".join)))
@example(text="state = '\ud800'")
@example(text="path glob '[[[a]'")
@example(text="modified > 9999-12-31T23:59:59")
@example(text="created > 0000-01-01")
@example(text='"" = 1')
@example(text="size = 1e999")
def test_any_text_is_a_filter_or_says_what_is_wrong(db, text):
    try:
        ids = found(db, text)
    except FilterInvalid:
        ids = []
    assert set(ids) <= set(DOCUMENTS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(max_size=30).filter(lambda text: "\0" not in text))
def test_a_quoted_value_is_only_ever_a_value(db, value):
    """Whatever stands between the quotes, the rest of the filter keeps its meaning."""
    quoted = "'" + value.replace("'", "''") + "'"
    assert RATES in found(db, f"title = {quoted} or type = pdf")
    assert found(db, f"state = {quoted} and type = pdf") == []


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-31T08:30:00Z", "2026-01-31T08:30:00.000Z", "2026-01-31T09:30:00+01", "2026-01-31 08:30"),
        *("20260131T083000", "Sat, 31 Jan 2026 09:30:00 +0100", "Sat, 31 Jan 2026 08:30:00 -0000"),
    ],
)
def test_dates_are_read_as_programs_write_them(text, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert as_seconds(text) == datetime(2026, 1, 31, 8, 30, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40))
def test_what_sqlite_calls_never_raises(text):
    for function, arguments in filters._FUNCTIONS.values():
        function(*[text] * arguments)
        function(*[text, *[None] * (arguments - 1)])
    assert as_seconds(text) is None or isinstance(as_seconds(text), float)


def test_a_glob_takes_no_longer_for_many_stars():
    assert not filters._glob("*a" * 12 + "b", "a" * 40) and filters._glob(
        "**/" * 12 + "*a*", "x/" * 30 + "bab"
    )


def test_conditions_nested_as_deep_as_may_be_are_answered(db):
    for level in ("type = md and (", "type = md and (draft = true or ("):
        depth = (MAX_DEPTH - 1) // level.count("(")
        inner = "price in (1, 2) or tags has policy"
        closed = ")" * (depth * level.count("("))
        assert found(db, level * depth + inner + closed) in ([LEAVE], [])
    assert found(db, "not " * (MAX_DEPTH - 1) + "type = md") == [RATES, VPN, ONE, TWO, MAIL]
