"""A checkpoint's family is found from the strongest evidence there is."""

from __future__ import annotations

import pytest

from searchkit.embedding.families import Evidence, families, family_named, recognise
from searchkit.errors import ModelError, UsageError


@pytest.mark.parametrize(
    ("hub_id", "family"),
    [
        ("hkunlp/instructor-large", "instructor"),
        ("models/instructor-base", "instructor"),
        ("sentence-transformers/all-MiniLM-L6-v2", "plain"),
        ("sentence-transformers/gtr-t5-large", "sentence-t5"),
        ("intfloat/e5-base-v2", "e5"),
        ("intfloat/multilingual-e5-large", "e5"),
        ("intfloat/multilingual-e5-large-instruct", "e5-instruct"),
        ("intfloat/e5-mistral-7b-instruct", "mistral-instruct"),
        ("Qwen/Qwen3-Embedding-0.6B", "qwen3-embedding"),
        ("BAAI/bge-small-en-v1.5", "bge-en"),
        ("BAAI/bge-m3", "bge-m3"),
        ("nomic-ai/nomic-embed-text-v1.5", "nomic"),
        ("google/embeddinggemma-300m", "embeddinggemma"),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "arctic-v2"),
        ("Snowflake/snowflake-arctic-embed-l", "arctic"),
    ],
)
def test_a_name_tells_the_family(hub_id, family):
    found, notices = recognise(Evidence(names=(hub_id,)), hub_id)
    assert (found.name, notices) == (family, ())


def test_every_example_of_a_family_is_recognised_as_of_it():
    for family in families().values():
        for model in family.models:
            assert recognise(Evidence(names=(model,)), model)[0].name == family.name, model


@pytest.mark.parametrize(
    "name",
    [
        "nvidia/NV-Embed-v2",
        "jinaai/jina-embeddings-v3",
        "GritLM/GritLM-7B",
        "Alibaba-NLP/gte-Qwen2-7B-instruct",
        "nomic-ai/nomic-embed-text-v2-moe",
        "BAAI/bge-en-icl",
        "minishlab/potion-base-8M",
        "sentence-transformers/static-retrieval-mrl-en-v1",
    ],
)
def test_models_that_would_give_wrong_vectors_are_refused_with_the_reason(name):
    with pytest.raises(ModelError, match="does not load: it"):
        recognise(Evidence(names=(name,)), name)


def test_the_layout_of_instructor_is_read_as_instructor_and_said():
    evidence = Evidence(names=("work/my-fine-tune",), model_type="t5", instructor_layout=True)
    family, notices = recognise(evidence, "my-fine-tune")
    assert family.name == "instructor"
    assert "family='sentence-t5'" in notices[0]


def test_what_an_instructor_was_trained_from_does_not_make_it_its_ancestor():
    evidence = Evidence(
        names=("work/mine",), former_name="sentence-transformers/gtr-t5-large", instructor_layout=True
    )
    assert recognise(evidence, "mine")[0].name == "instructor"


def test_a_name_tells_gtr_from_instructor():
    evidence = Evidence(names=("work/gtr-t5-base",), model_type="t5", instructor_layout=True)
    assert recognise(evidence, "gtr-t5-base")[0].name == "sentence-t5"


def test_a_fine_tune_is_recognised_by_what_it_was_trained_from():
    family, notices = recognise(Evidence(names=("x/mine",), former_name="intfloat/e5-base-v2"), "mine")
    assert family.name == "e5"
    assert "because it was made from 'intfloat/e5-base-v2'" in notices[0]


def test_a_checkpoints_own_prompts_go_before_what_it_was_trained_from():
    evidence = Evidence(
        names=("x/mine",), former_name="intfloat/e5-base-v2", prompts={"query": "ask: ", "document": ""}
    )
    family, _ = recognise(evidence, "mine")
    assert (family.prompt.query, family.prompt.document) == ("ask: ", "")
    empty = Evidence(names=("x/mine",), former_name="intfloat/e5-base-v2", prompts={"query": ""})
    assert recognise(empty, "mine")[0].name == "e5"


def test_a_default_prompt_stands_where_no_prompt_is_named():
    prompts = {"std": "text: ", "document": ""}
    family, _ = recognise(Evidence(names=("x/y",), prompts=prompts, default_prompt="std"), "y")
    assert (family.prompt.query, family.prompt.document) == ("text: ", "")
    unused, notices = recognise(Evidence(names=("x/y",), prompts=prompts), "y")
    assert unused.name == "plain"
    assert "embedded as they are" in notices[0]


def test_only_a_t5_is_an_instructor_by_its_name():
    for model_type, family in (("t5", "instructor"), ("bert", "plain")):
        assert recognise(Evidence(names=("x/instructor-y",), model_type=model_type), "y")[0].name == family


def test_an_instructor_without_its_dense_layer_is_refused():
    evidence = Evidence(names=("hkunlp/instructor-large",), model_type="t5", has_dense=False)
    with pytest.raises(ModelError, match="has no Dense layer"):
        recognise(evidence, "hkunlp/instructor-large")


def test_a_name_does_not_outweigh_the_architecture():
    evidence = Evidence(names=("x/e5-mistral-7b-instruct-distilled",), model_type="bert")
    assert recognise(evidence, "x")[0].name == "plain"


def test_prompts_of_an_unknown_checkpoint_are_used_and_said():
    evidence = Evidence(
        names=("x/y",), prompts={"query": "ask: ", "passage": "read: ", "Clustering": "sort: "}
    )
    family, notices = recognise(evidence, "y")
    assert family.prompt.template("retrieval", "query") == "ask: "
    assert family.prompt.template("retrieval", "document") == "read: "
    assert family.prompt.template("clustering", "query") == "sort: "
    assert "prompts of its own configuration" in notices[0]


def test_an_unknown_checkpoint_is_read_plainly_and_said():
    family, notices = recognise(Evidence(names=("x/y",)), "y")
    assert family.name == "plain"
    assert "no known model family" in notices[0]


def test_a_mark_of_the_checkpoint_goes_before_its_name():
    evidence = Evidence(names=("x/all-MiniLM-L6-v2",), marked="instructor")
    assert recognise(evidence, "x")[0].name == "instructor"


def test_an_unknown_family_is_answered_with_near_names():
    with pytest.raises(UsageError, match=r"did you mean: instructor"):
        family_named("instructr")
