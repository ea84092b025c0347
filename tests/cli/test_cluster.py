"""`searchkit cluster`: a table, JSON, CSV, the stored clusters in a filter, and what is wrong."""

import csv
import io
import json
import sys

import pytest

from searchkit.cli import progress
from tests.collection.conftest import write

LEAVE = "Parental leave lasts fourteen weeks at full pay, case {}\n"
INVOICE = "The supplier's invoice was settled late by our bank, case {}\n"


@pytest.fixture
def indexed(searchkit, tmp_path):
    for number in range(6):
        write(tmp_path / "docs" / f"leave{number}.txt", LEAVE.format(number))
        write(tmp_path / "docs" / f"invoice{number}.txt", INVOICE.format(number))
    assert searchkit("index", tmp_path / "docs")[0] == 0
    return searchkit


def test_a_table_for_people(indexed):
    code, out, err = indexed("cluster", "--k", "2")
    assert (code, err) == (0, "")
    assert "fourteen" in out and "bank" in out and "12 passages · 2 clusters · kmeans" in out


def test_json_says_all_and_show_repeats_it_without_making_clusters_anew(indexed):
    made = json.loads(indexed("cluster", "--k", "AUTO", "--json")[1])
    assert (made["k"], made["passages"], made["since"], made["gone"]) == ("auto", 12, 0, 0)
    assert [one["passages"] for one in made["clusters"]] == [6, 6]
    assert [one["k"] for one in made["study"]] == [2]
    assert json.loads(indexed("cluster", "--show", "--json")[1]) == made


def test_csv_has_a_line_for_each_passage(indexed):
    rows = list(csv.DictReader(io.StringIO(indexed("cluster", "--k", "2", "--format", "csv")[1])))
    assert len(rows) == 12 and {row["cluster"] for row in rows} == {"1", "2"}
    assert len({(row["name"], row["document"][:5]) for row in rows}) == 2
    assert rows[0]["text"] and rows[0]["outlier"] == "0"


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capfd):
    with progress.steps() as show:
        assert show is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.steps() as show:
        show("reading words", 1, 4)
    out, err = capfd.readouterr()
    assert out == "" and "reading words" in err


def test_a_query_is_kept_to_a_cluster(indexed):
    made = json.loads(indexed("cluster", "--k", "2", "--json")[1])
    name = made["clusters"][0]["name"]
    hits = json.loads(indexed("query", "case", "--where", f"cluster = '{name}'", "-k", "9", "--json")[1])[
        "hits"
    ]
    assert len(hits) == 6 and len({hit["document"][:5] for hit in hits}) == 1


def test_hdbscan_that_finds_nothing_says_so(searchkit, docs):
    searchkit("index", docs)
    code, out, _ = searchkit("cluster", "--method", "hdbscan")
    assert code == 0 and "No passages lie close enough together" in out and "2 outliers" in out
    code, out, err = searchkit("cluster", "--method", "hdbscan", "--format", "csv")
    assert code == 0 and "No passages lie close enough together" in err
    assert [row["cluster"] for row in csv.DictReader(io.StringIO(out))] == ["0", "0"]


def test_where_nothing_stands_apart_that_is_said(searchkit, docs):
    searchkit("index", docs)
    code, out, _ = searchkit("cluster")
    assert code == 0 and "No clusters stand apart: the passages are one." in out
    assert json.loads(searchkit("cluster", "--show", "--json")[1])["notices"] == [
        "No clusters stand apart: the passages are one. --k N parts them all the same."
    ]


def test_themes_stand_above_their_clusters(indexed):
    """Each once, with all of its clusters below each other; in JSON by number."""
    made = json.loads(indexed("cluster", "--k", "9", "--json")[1])
    assert [one["theme"] for one in made["themes"]] == [1, 2, 3]
    numbers = [number for one in made["themes"] for number in one["clusters"]]
    assert sorted(numbers) == list(range(1, 10))
    for theme in made["themes"]:
        own = [one for one in made["clusters"] if one["number"] in theme["clusters"]]
        assert {one["theme"] for one in own} == {theme["theme"]}
        assert sum(one["passages"] for one in own) == theme["passages"]
    rows = indexed("cluster", "--show")[1]
    assert rows.split()[0] == "theme"
    for theme in made["themes"]:
        assert f"({theme['passages']})" in rows


def test_what_came_since_is_said_with_the_command_that_helps(indexed, tmp_path):
    indexed("cluster", "--method", "hdbscan")
    for number in range(2):
        write(tmp_path / "docs" / f"odd{number}.txt", "Quantum chromodynamics binds quarks")
    write(tmp_path / "docs" / "leave9.txt", LEAVE.format(9))
    indexed("index")
    out = " ".join(indexed("cluster", "--show")[1].split())
    assert "3 came since: 1 joined the nearest, 2 none" in out
    assert "make them again: searchkit cluster -c company-docs" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--k", "many"], "expected auto or a number"),
        (["--k", "0"], "ask for 1 or more"),
        (["--k", "13"], "has 12 passages"),
        (["--k", "2", "--method", "hdbscan"], "finds the number of clusters itself"),
        (["--show"], "searchkit cluster -c company-docs"),
        (["--show", "--k", "2"], "--show makes no clusters"),
        (["--show", "--min-size", "9"], "--min-size says how they are made"),
        (["--min-size", "9"], "--method hdbscan"),
        (["--min-size", "1", "--method", "hdbscan"], "ask for 2 or more"),
        (["--min-size", "13", "--method", "hdbscan"], "ask for 6 or less"),
        (["--by-instruction", "x", "--seed", "1"], "--by-instruction makes no clusters"),
        (["--by-instruction", "x", "--show"], "leave out one of them"),
        (["--by-instruction", "x"], "searchkit cluster -c company-docs"),
        (["-c", "other"], "there is no collection 'other'"),
    ],
)
def test_a_mistake_is_said(indexed, arguments, said):
    code, out, err = indexed("cluster", *arguments)
    assert (code, out) == (2, "") and said in err


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_command_prints_the_comparison(searchkit, docs, form):
    searchkit("index", docs)
    searchkit("cluster", "--k", "2")
    code, out, err = searchkit("cluster", "--by-instruction", "Represent the mood: ", "--format", form)
    assert (code, err) == (0, "")
    if form == "json":
        found = json.loads(out)
        assert (
            found["left_out"] == 0
            and found["adjusted_rand"] == 1
            and found["shared"] in ([[1, 0], [0, 1]], [[0, 1], [1, 0]])
        )
    else:
        assert ("v-measure 1.000" if form == "table" else "cluster,name,instructed") in out
