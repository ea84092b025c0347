"""Profiles are looked over: each rule sees what breaks it, and nothing else is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from searchkit.embedding.lint import lint
from searchkit.errors import ModelNotFound, ProfileNotFound
from searchkit.profile import Instruction, Profile, profile_files
from tests.embedding.conftest import GOLDEN, edit_json
from tests.test_readme import BLOCKS

QUESTION = Instruction(
    domain="bicycle",
    text_type="question",
    task_objective="retrieving articles",
    task_sentence="Given a question, retrieve articles that answer it",
)
ARTICLE = Instruction(domain="bicycle", text_type="article", task_objective="retrieval")


def literal(text: str) -> Instruction:
    return Instruction(literal=text)


def rules(profile: Profile, model=None) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity, one.where) for one in lint([profile], model)]


def of_query(query: Instruction) -> Profile:
    return Profile(name="bikes", document=ARTICLE, query=query)


def of_task(task, instruction: Instruction) -> Profile:
    return Profile(name="bikes", task=task, document=instruction, query=instruction)


def test_all_shipped_profiles_are_clean():
    assert len(profile_files()) >= 12
    assert lint() == ()


def test_the_profile_that_the_readme_shows_is_clean(tmp_path: Path):
    (toml,) = [text for kind, text in BLOCKS if kind == "toml" and "[query]" in text]
    (tmp_path / "bikes.toml").write_text(toml, encoding="utf-8")
    assert lint([tmp_path / "bikes.toml"]) == ()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (QUESTION, []),
        (literal("Represent the bicycle question for retrieving articles: "), []),
        (literal("Represent the bicycle question for retrieving articles;"), []),
        (literal(""), []),
        (literal("Represent the users' question for retrieval: "), []),
        (
            Instruction(domain="bicycle ", text_type="question"),
            [("blanks", "warning", "query.domain"), ("blanks", "warning", "query")],
        ),
        (Instruction(text_type="question", task_objective="retrieval: "), "blanks slot-words"),
        (Instruction(domain="the bicycle", text_type="question"), "slot-words repeated-word"),
        (
            Instruction(text_type="question", task_objective="for retrieval"),
            [
                ("slot-words", "error", "query.task_objective"),
                ("repeated-word", "warning", "query"),
            ],
        ),
        (
            Instruction(text_type="question for retrieval", task_objective="retrieving articles"),
            [("slot-words", "error", "query.text_type")],
        ),
        (
            Instruction(domain="bicycle", text_type="bicycle question"),
            [("repeated-word", "warning", "query")],
        ),
        (literal("Represent the question"), [("ending", "error", "query.literal")]),
        (literal("Represent the question:"), [("ending", "warning", "query.literal")]),
        (literal("Represent the question; "), [("ending", "warning", "query.literal")]),
        (literal("represent the question: "), [("template", "warning", "query.literal")]),
        (literal("A question about bicycles: "), [("template", "warning", "query.literal")]),
        (literal("query: "), [("foreign-prefix", "warning", "query.literal")]),
        (literal("Instruct: Find it\nQuery: "), "foreign-prefix invisible"),
        (literal("Represent  the question: "), "template blanks"),
        (literal("Represent the\u00a0question: "), "template invisible"),
        (literal("Represent the \u200bquestion: "), [("invisible", "warning", "query")]),
        (literal('Represent the "bicycle question: '), [("quotes", "warning", "query")]),
        (literal("Represent the (bicycle question: "), [("quotes", "warning", "query")]),
        (literal("Represent the bicycle] question: "), [("quotes", "warning", "query")]),
        (literal("Represent the {domain} question: "), [("placeholder", "error", "query")]),
        (literal("Represent the question for clustering: "), [("objective", "warning", "query")]),
        (
            Instruction(text_type="question", task_sentence="Instruct: find it"),
            [("task-sentence", "error", "query.task_sentence")],
        ),
        (
            Instruction(text_type="question", task_sentence="Find it: "),
            [("task-sentence", "warning", "query.task_sentence")],
        ),
        (ARTICLE, [("same-instruction", "error", "document and query")]),
        (literal("Represent the bicycle article for retrieval;"), "same-instruction"),
    ],
)
def test_what_is_said_of_a_query_instruction(query: Instruction, found):
    said = rules(of_query(query))
    if isinstance(found, str):
        assert sorted(rule for rule, _, _ in said) == sorted(found.split())
    else:
        assert sorted(said) == sorted(found)


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(domain="public", text_type="request for proposals", task_objective="retrieving offers"),
        Instruction(domain="U.S.", text_type="tax question", task_objective="retrieving rulings"),
        Instruction(text_type="question", task_objective="retrieving filings of Acme Inc."),
        Instruction(domain="The Hague", text_type="question", task_objective="retrieving rulings"),
        Instruction(text_type="Kubernetes cluster question", task_objective="retrieving manuals"),
        Instruction(text_type="question", task_objective="retrieving Kubernetes cluster manuals"),
        Instruction(text_type="question", task_objective="retrieving classified ads"),
        Instruction(domain="image classification", text_type="question", task_objective="retrieving papers"),
        Instruction(text_type="question", task_objective="finding papers on clustering"),
        *(
            literal(f"Represent the {quoted} question for retrieving articles: ")
            for quoted in ("„Förderung“", "»x«", "«x»", "“x”", "„x”", "”x”", "»x»", "“a „b“ (c)”")
        ),
    ],
    ids=lambda one: one.render(),
)
def test_nothing_is_said_of_what_is_right(instruction: Instruction):
    said = rules(of_query(replace(instruction, task_sentence="Find what answers it")))
    assert [one for one in said if one[0] != "repeated-word"] == []  # 'the The Hague' does stand there


@pytest.mark.parametrize("mark", ["„", "“", "”", "«", "»", "[", ")"])
def test_one_of_two_marks_is_seen(mark: str):
    assert rules(of_query(literal(f"Represent the {mark}bicycle question: "))) == [
        ("quotes", "warning", "query")
    ]


@pytest.mark.parametrize(
    "objective", ["clustering", "topic clustering", "classifying tickets", "the classification of tickets"]
)
def test_a_purpose_of_another_task_is_seen(objective: str):
    for one in (
        Instruction(text_type="question", task_objective=objective, task_sentence="Find it"),
        literal(f"Represent the request for proposals for {objective}: "),
    ):
        assert rules(of_query(one)) == [("objective", "warning", "query")]


def test_sides_that_were_swapped_are_seen():
    profile = Profile(name="bikes", document=QUESTION, query=Instruction(text_type="bicycle article"))
    assert ("swapped-sides", "warning", "document and query") in rules(profile)
    assert ("task-sentence", "warning", "document.task_sentence") in rules(profile)


def test_an_objective_of_another_task_is_seen():
    clustered = Instruction(text_type="article", task_objective="retrieval")
    assert rules(of_task("clustering", clustered)) == [("objective", "warning", "instruction.task_objective")]
    assert rules(of_task("similarity", literal("Represent the text for classification: "))) == [
        ("objective", "warning", "instruction")
    ]


def test_a_threshold_is_said_to_belong_to_a_model():
    profile = Profile(name="bikes", document=ARTICLE, query=QUESTION, threshold=0.7)
    assert rules(profile) == [("threshold", "warning", "defaults.threshold")]


def test_a_file_that_breaks_the_grammar_is_a_finding_and_the_others_go_on(tmp_path: Path):
    broken = tmp_path / "broken.toml"
    broken.write_text('[document]\ndomain = "x"\n[query]\ntext_type = "q"\n')
    found = lint([broken, of_query(literal("Represent the question:"))])
    assert [(one.rule, one.severity, one.profile) for one in found] == [
        ("grammar", "error", str(broken)),
        ("ending", "warning", "bikes"),
    ]
    assert "text_type" in found[0].found and "searchkit profiles show" in found[0].expected


def test_what_is_not_there_is_an_error():
    with pytest.raises(ProfileNotFound):
        lint(["compny-docs"])
    with pytest.raises(ModelNotFound):
        lint(["company-docs"], "./no-such-model")


@pytest.fixture
def named(tmp_path: Path):
    """A tiny BERT of 64 tokens in a folder of some name."""

    def make(name: str, window: int = 256) -> Path:
        folder = Path(shutil.copytree(GOLDEN / "bert-mean", tmp_path / name))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": window}))
        edit_json(folder / "config.json", max_position_embeddings=512)
        return folder

    return make


def test_a_model_that_ignores_instructions_is_said_once(named):
    found = rules(Profile.load("company-docs"), named("all-minilm-mine", 64))
    assert found == [("ignored", "warning", "instructions"), ("window", "warning", "chunking.max_tokens")]


def test_a_profile_without_instructions_is_not_told_that_they_are_ignored(named):
    assert rules(of_query(literal("")), named("all-minilm-mine", 512)) == [
        ("ignored", "warning", "instructions")
    ]
    plain = Profile(name="plain", document=literal(""), query=literal(""))
    assert rules(plain, named("paraphrase-mine", 512)) == []


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("acme-e5-legal", "'e5', which wants document 'passage: ', query 'query: '"),
        ("our_nomic.v2", "'nomic', which wants"),
        (
            "acme-e5-instruct",
            f"'e5-instruct', which wants query 'Instruct: {QUESTION.task_sentence}\\nQuery: '",
        ),
        ("acme-bge-en-legal", "'bge-en'"),
        ("acme-bge-legal", ""),  # English or Chinese
        ("e5-nomic-mix", ""),
        ("all-minilm-e51", ""),
        ("e5-base-v2", ""),
    ],
)
def test_a_model_called_like_a_family_with_prefixes_may_miss_them(named, name: str, missing: str):
    found = [one for one in lint([of_query(QUESTION)], named(name, 512)) if one.rule == "missing-prefix"]
    assert [(one.severity, one.where) for one in found] == ([("warning", "model")] if missing else [])
    assert all(missing in one.found for one in found)


def test_a_configuration_with_words_for_one_side_misses_the_other(named):
    folder = named("our-own", 512)
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"document": "doc: "}}')
    assert ("missing-prefix", "warning", "query") in rules(of_query(QUESTION), folder)


def test_an_instruction_that_takes_too_much_of_the_window_is_seen(named):
    long = of_query(literal("Represent the question about bicycles for retrieving articles of shops: "))
    instructor = GOLDEN / "instructor-relu"
    shares = [one for one in lint([long], instructor) if one.rule == "share"]
    assert [one.where for one in shares] == ["document", "query"]
    assert all(one.severity == "error" and "of the 64 tokens" in one.found for one in shares)


def test_a_small_share_of_the_window_is_a_warning():
    found = lint([of_query(literal("Represent it: "))], GOLDEN / "instructor-relu")
    (share,) = [one for one in found if one.rule == "share" and one.where == "query"]
    assert share.severity == "warning" and "10%" in share.expected


def test_a_model_that_masks_says_what_its_mask_misses():
    said = rules(of_query(literal("a")), GOLDEN / "instructor-relu")
    assert ("mask", "warning", "query") in said
    one_side = rules(of_query(literal("")), GOLDEN / "instructor-relu")
    assert ("one-sided", "warning", "query") in one_side and ("mask", "warning", "query") not in one_side


@pytest.mark.parametrize(
    ("query", "severity"), [(ARTICLE, "warning"), (literal(""), "error"), (QUESTION, None)]
)
def test_a_family_that_reads_a_task_wants_one_as_a_sentence(tmp_path: Path, query: Instruction, severity):
    folder = Path(shutil.copytree(GOLDEN / "qwen3-embedding-tiny", tmp_path / "qwen3-embedding-0.6b"))
    document = Instruction(text_type="page")
    found = rules(Profile(name="bikes", document=document, query=query), folder)
    said = [one for one in found if one[0] == "task-sentence"]
    assert said == ([("task-sentence", severity, "query.task_sentence")] if severity else [])
