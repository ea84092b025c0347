"""Classifiers in a Library: trained, asked, refused, forgotten."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from searchkit.analysis import classifying
from searchkit.analysis.classified_fields import read_collection
from searchkit.analysis.classifying import FromFile
from searchkit.analysis.texts import texts_of
from searchkit.collection.library import Library
from searchkit.errors import FilterInvalid, RecipeMismatch, UsageError
from searchkit.library import classifiers as store
from searchkit.library.document_labels import NotOne, label_of
from tests.analysis.teams import INVOICE, LEAVE, train, train_stored
from tests.collection.conftest import write
from tests.fakes import WordEmbedder

ROOT = Path(__file__).parents[2]


def test_labelled_texts_make_a_classifier_that_a_later_process_asks(library, labelled, library_folder):
    report = train(library, labelled)
    assert (report.texts, report.measured.accuracy, report.left_out) == (30, 1, ())
    later = Library(library_folder, open_model=WordEmbedder)
    found = classifying.predict(later, "teams", [LEAVE.format("x"), INVOICE.format("y")], proba=True)
    assert [one.label for one in found] == ["hr", "finance"]
    assert all(one.probability > 0.8 and one.held_back == "" for one in found)
    assert sum(found[0].probabilities.values()) == pytest.approx(1)


def test_what_is_unlike_all_it_learnt_is_unsure_and_never_holds_back_when_told_so(library, labelled):
    train(library, labelled)
    odd = "Zebras graze quietly beside volcanoes"
    (found,) = classifying.predict(library, "teams", [odd])
    assert (found.label, found.held_back) == (None, "unlike") and found.guess in ("hr", "finance")
    assert classifying.predict(library, "teams", [odd], abstain="never")[0].label == found.guess
    (found,) = classifying.predict(library, "teams", [LEAVE.format("x")], abstain=1.0)
    assert (found.label, found.guess, found.held_back) == (None, "hr", "improbable")


def test_passages_are_learnt_from_by_a_field_and_classified_without_a_model(indexed, library_folder):
    report = train_stored(indexed)
    assert report.texts == 40 and report.measured.choice.folds == 5

    def no_model(model):
        raise AssertionError("no model is needed")

    without = Library(library_folder, open_model=no_model)
    found = classifying.predict_collection(without, "teams", abstain="never")
    assert len(found) == 40
    assert all((one.label == "hr") == ("leave" in one.text) for one in found)
    some = classifying.predict_collection(without, "teams", where="team = hr", abstain="never")
    assert {one.label for one in some} == {"hr"} and len(some) == 20
    assert classifying.predict_collection(without, "teams", where="path = nowhere") == []
    assert classifying.predict(indexed, "teams", [LEAVE.format("x")], abstain="never")[0].label == "hr"


def test_predicting_needs_no_scikit_learn(indexed, library_folder):
    train_stored(indexed)
    code = (
        "import sys; from searchkit import Library; from searchkit.analysis import classifying\n"
        f"found = classifying.predict_collection(Library({str(library_folder)!r}), 'teams')\n"
        "print(len(found), 'sklearn' in sys.modules, 'scipy' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["40", "False", "False", "False"], done.stderr


def test_a_footer_of_many_documents_says_nothing_of_any_label(library, tmp_path):
    for n in range(12):
        team, text = (("hr", LEAVE), ("finance", INVOICE))[n % 2]
        rest = "# Contact\n\n" + "Write to the front desk for anything else. " * 15
        write(
            tmp_path / "docs" / f"{n}.md",
            f"---\nteam: {team}\n---\n# Text\n\n{text.format(n) * 15}\n\n{rest}\n",
        )
    profile = ROOT / "searchkit" / "profiles" / "company-docs.toml"
    plain = write(
        tmp_path / "plain.toml", profile.read_text().replace('context = "heading"', 'context = "none"')
    )
    library.index([tmp_path / "docs"], profile=plain)
    report = train_stored(library)
    if len(classifying.predict_collection(library, "teams")) == 12:
        pytest.fail("the footer was not cut off: this test tests nothing")
    (conflict,) = report.conflicts
    assert set(conflict.labels) == {"hr", "finance"} and "front desk" in conflict.text
    assert (report.texts, report.repeated, report.contradicting) == (12, 1, 1)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (" hr ", "hr"), ("a\n b", "a b"), (3, "3"), (3.5, "3.5"), (True, "true"), (["x"], "x"),
        (["x", "x"], "x"), (None, None), ("", None), ([], None), (float("nan"), None), (0, "0"),
    ],
)  # fmt: skip
def test_values_become_labels(value, label):
    assert label_of(value) == label


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}])
def test_several_labels_are_none(value):
    with pytest.raises(NotOne):
        label_of(value)


def test_rows_that_cannot_be_used_are_named_by_their_line(library, labelled):
    with labelled.open("a") as file:
        file.write('\n{broken\n\n{"text": "no label"}\n{"text": " ", "label": "hr"}\n{"label": "hr"}\n')
        file.write('{"text": 7, "label": "hr"}\n{"text": "two", "label": ["a", "b"]}\n[1]\n')
    report = train(library, labelled)
    said = {one.document.removeprefix("labelled.jsonl, "): one.reason for one in report.failed}
    assert list(said) == [f"line {n}" for n in (31, 33, 34, 35, 36, 37, 38)]
    assert "not JSON" in said["line 31"] and "has no 'label'" in said["line 33"]
    assert "'text' is empty" in said["line 34"] and "has no 'text'" in said["line 35"]
    assert "JSON number" in said["line 36"] and "2 labels" in said["line 37"] and "list" in said["line 38"]
    assert report.texts == 30


def test_a_class_with_one_text_is_left_out_and_differing_labels_are_pointed_out(library, labelled):
    with labelled.open("a") as file:
        file.write('\n{"text": "lonely", "label": "other"}\n')
        file.write(json.dumps({"text": LEAVE.format(0).upper() + " ", "label": "finance"}))
    report = train(library, labelled)
    assert report.left_out == (("other", 1),) and classifying.show(library, "teams").head.classes == (
        "finance",
        "hr",
    )
    (conflict,) = report.conflicts
    assert conflict.labels == ("hr", "finance") and conflict.where == ("line 1", "line 32")
    assert (report.texts, report.contradicting) == (29, 1)


def test_a_text_counts_once_however_often_it_is_listed(library, tmp_path):
    """Four texts make no promise, and no more when each stands there twenty times."""
    rows = [{"text": (LEAVE, INVOICE)[n % 2].format(n), "label": ("hr", "finance")[n % 2]} for n in range(4)]
    table = write(tmp_path / "dup.jsonl", "\n".join(map(json.dumps, rows * 20)))
    report = train(library, table)
    assert (report.texts, report.repeated, report.measured.reach) == (4, 4, None)


def test_what_stands_under_other_headings_elsewhere_is_not_learnt_and_asked(library, tmp_path):
    for n in range(12):
        team, text = (("hr", LEAVE), ("finance", INVOICE))[n % 2]
        write(tmp_path / f"docs/{n:02}.md", f"---\nteam: {team}\ntitle: T{n}\n---\n{text.format(n // 4)}\n")
    library.index([tmp_path / "docs"])
    with library.reading() as (db, collection):
        found = read_collection(db, collection, "team")
        held = texts_of(db, collection)
    assert len(found.vectors) == 12 and len(held.firsts) == 6
    groups = {(body, group) for body, group in zip(held.bodies.tolist(), found.groups.tolist(), strict=True)}
    assert len(groups) == len({group for _, group in groups}) == 6


def test_columns_of_csv_and_fields_within_fields(library, tmp_path):
    lines = [f'"{(LEAVE, INVOICE)[n % 2].format(n)}",{n % 2}' for n in range(30)]
    table = write(tmp_path / "rows.csv", "question;team\n".replace(";", ",") + "\n".join(lines))
    source = FromFile(path=table, text_field="question", label_field="team")
    classifying.train(library, "csv", source)
    assert classifying.show(library, "csv").head.classes == ("0", "1")
    rows = [{"a": {"b": (LEAVE, INVOICE)[n % 2].format(n)}, "c": n % 2 == 0} for n in range(30)]
    table = write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows)))
    classifying.train(library, "nested", FromFile(path=table, text_field="a.b", label_field="c"))
    assert classifying.show(library, "nested").head.classes == ("false", "true")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no row"),
        ('{"text": "a"}\n{"text": "b"}', "has no field 'label'"),
        ('{"body": "a", "label": "x"}', "has no field 'text'"),
        ("nonsense", "line 1 is not JSON"),
        ('{"text": "a", "label": "x"}\n{"text": "b", "label": "x"}', "all 2 have the same 'label': 'x'"),
        ('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}', "0 of 2 classes have 2 different texts"),
        ('{"text": "a", "label": "x"}\n' * 4 + '{"text": "a", "label": "y"}\n' * 4, "1 text with differing"),
    ],
)
def test_a_file_with_nothing_to_learn_says_what_was_found(library, tmp_path, content, said):
    with pytest.raises(UsageError, match=said):
        train(library, write(tmp_path / "bad.jsonl", content))
    assert classifying.listed(library) == []


def test_a_csv_without_column_names_says_what_was_taken_for_them(library, tmp_path):
    path = write(tmp_path / "bare.csv", "I lost my card,lost\nWhere is it,find\n")
    with pytest.raises(UsageError, match="has no field 'label'") as error:
        train(library, path)
    assert "I lost my card" in error.value.remedy and "first line" in error.value.remedy


@pytest.mark.parametrize("name", ["missing.jsonl", "notes.docx", "."])
def test_a_file_that_is_none_is_refused(library, tmp_path, name):
    with pytest.raises(UsageError):
        train(library, tmp_path / name)


@pytest.mark.parametrize(
    "wanted", [{"precision": 1.0}, {"precision": 0.0}, {"precision": float("nan")}, {"seed": -1}]
)
def test_what_cannot_be_carried_out_is_refused(library, labelled, wanted):
    with pytest.raises(UsageError):
        train(library, labelled, **wanted)


def test_a_name_is_taken_until_it_is_replaced(library, labelled):
    train(library, labelled)
    with pytest.raises(UsageError, match="already"):
        train(library, labelled)
    train(library, labelled, replace=True, precision=0.8)
    assert [one.head.precision for one in classifying.listed(library)] == [0.8]
    for name in ("", " x", "a\nb"):
        with pytest.raises(UsageError, match="cannot name"):
            train(library, labelled, name)


def test_a_replacement_that_fails_leaves_the_old_classifier(library, labelled):
    train(library, labelled)
    broken = replace(classifying.show(library, "teams"), figures={"accuracy": float("nan")})
    with pytest.raises(ValueError, match="JSON"), library.written() as db, db.transaction() as tx:
        store.put(tx, broken)
    assert classifying.show(library, "teams").figures["accuracy"] == 1


def test_fields_and_classifiers_that_are_not_there_are_named(indexed):
    with pytest.raises(FilterInvalid, match=r"has a field 'meta\.taem'.*did you mean: team"):
        train_stored(indexed, field="meta.taem")
    with pytest.raises(UsageError, match="all 20 have the same 'type'"):
        train_stored(indexed, field="type")
    with pytest.raises(UsageError, match="no classifier 'teams'"):
        classifying.predict(indexed, "teams", ["x"])
    with pytest.raises(UsageError, match="no classifier 'teams'"):
        classifying.remove(indexed, "teams")
    train_stored(indexed, field="meta.TEAM")
    classifying.remove(indexed, "teams")
    assert classifying.listed(indexed) == []


def test_an_empty_text_and_a_single_str_are_refused(library, labelled):
    train(library, labelled)
    with pytest.raises(UsageError, match="text 2 is empty"):
        classifying.predict(library, "teams", ["x", " "])
    with pytest.raises(UsageError, match="a single str"):
        classifying.predict(library, "teams", "x")
    for abstain in ("often", 1.5, float("nan")):
        with pytest.raises(UsageError, match="expected auto, never"):
            classifying.predict(library, "teams", ["x"], abstain=abstain)
    assert classifying.predict(library, "teams", []) == []


def test_other_weights_or_another_instruction_are_another_recipe(library, labelled, indexed, library_folder):
    train(library, labelled)
    other = Library(library_folder, open_model=lambda model: WordEmbedder(model, weights="words-2"))
    with pytest.raises(RecipeMismatch, match="weights: stored 'words-1', asked 'words-2'") as error:
        classifying.predict(other, "teams", ["x"])
    assert "searchkit classify train teams --replace" in error.value.remedy
    with pytest.raises(RecipeMismatch, match="document instruction"):
        classifying.predict_collection(library, "teams")


def test_new_texts_get_the_instruction_of_the_labelled_ones(library, library_folder, labelled):
    heard = []

    class Listening(WordEmbedder):
        def embed_counted(self, texts, instruction=""):
            heard.append(instruction)
            return super().embed_counted(texts, instruction)

    listening = Library(library_folder, open_model=Listening)
    train(listening, labelled)
    classifying.predict(listening, "teams", ["x"])
    assert heard == ["Represent the text for classification: "] * 2


@pytest.mark.parametrize("field", ["path", "Document", "title", "heading", "size", "page", "modified"])
def test_what_is_no_metadata_is_no_field_to_learn_from(indexed, field):
    with pytest.raises(FilterInvalid, match=f"'{field}' is no field to learn from") as error:
        train_stored(indexed, field=field)
    assert "fields here: type, team" in error.value.remedy and f"meta.{field}" in error.value.remedy


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_collection_with_hardly_a_document_says_what_it_lacks(library, tmp_path, count):
    folder = tmp_path / "few"
    write(folder / "bare.md", "A text without front matter.")
    for n in range(count):
        write(folder / f"{n}.md", f"---\nteam: {'hr' if n else 'it'}\n---\nText {n}.")
    library.index([folder])
    with pytest.raises(UsageError):
        train_stored(library)


def test_documents_that_all_say_the_same_teach_nothing(library, tmp_path):
    for n in range(8):
        write(tmp_path / "same" / f"{n}.txt", "All of these say the same.")
        write(tmp_path / "same" / f"{n}.md", f"---\nteam: t{n % 2}\n---\nAll of these say the same.")
    library.index([tmp_path / "same"])
    with pytest.raises(UsageError, match="classes have"):
        train_stored(library)
