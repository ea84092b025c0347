import dataclasses
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import ProfileInvalid, ProfileNotFound
from searchkit.profile import Instruction, Profile, profile_files, profiles_folder

SHIPPED = [
    "classification",
    "code-search",
    "company-docs",
    "document-duplicates",
    "faq-retrieval",
    "question-duplicates",
    "scientific-retrieval",
    "semantic-similarity",
    "sentiment-clustering",
    "support-tickets",
    "topic-clustering",
    "wiki-retrieval",
]
RETRIEVAL = """
task = "retrieval"
[document]
text_type = "note"
task_objective = "retrieval"
[query]
text_type = "question"
task_objective = "retrieving notes"
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_profiles_are_all_there():
    assert list(profile_files()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_survives_every_form_it_is_stored_in(name, tmp_path):
    profile = Profile.load(name)
    assert profile.name == name and profile.description
    assert Profile.from_dict(profile.to_dict()) == profile
    assert Profile.load(write(tmp_path / f"{name}.toml", profile.to_toml())) == profile


@pytest.mark.parametrize("name", SHIPPED)
def test_sides_differ_exactly_where_the_task_is_asymmetric(name):
    profile = Profile.load(name)
    assert (profile.instruction("query") == profile.instruction("document")) == profile.symmetric


def test_the_wiki_instructions_are_those_of_the_reference():
    profile = Profile.load("wiki-retrieval")
    assert profile.document.render() == "Represent the Wikipedia document for retrieval: "
    assert profile.query.render() == "Represent the Wikipedia question for retrieving supporting documents: "


def test_a_literal_instruction_keeps_every_byte(tmp_path):
    text = RETRIEVAL.replace('text_type = "note"\ntask_objective = "retrieval"', 'literal = " search;\\t"')
    assert Profile.load(write(tmp_path / "mine.toml", text)).document.render() == " search;\t"


def test_a_users_profile_overrides_a_shipped_one_of_the_same_name():
    write(profiles_folder() / "company-docs.toml", RETRIEVAL)
    assert Profile.load("company-docs").document.text_type == "note"


def test_a_profile_is_named_after_its_file(tmp_path):
    assert Profile.load(write(tmp_path / "mine.toml", RETRIEVAL)).name == "mine"


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(ProfileNotFound, match="wiki-retrieval"):
        Profile.load("wiki-retreival")


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ProfileNotFound, match="searchkit profiles new gone"):
        Profile.load(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (('task = "retrieval"', 'task = "search"'), "'task' is 'search'"),
        (('task = "retrieval"', 'tusk = "retrieval"'), "unknown key 'tusk' (did you mean: task?)"),
        (("[query]", "[question]"), "unknown key 'question'"),
        (('text_type = "note"', ""), "'document.text_type'"),
        (('text_type = "note"', "text_type = 3"), "'document.text_type' is 3"),
        (('text_type = "note"', 'text_type = "note"\nliteral = "x"'), "'document.literal'"),
        (('task = "retrieval"', 'task = "clustering"'), "'query'"),
        (("[query]", "[chunking]\nmax_tokens = 5\n[query]"), "'chunking.max_tokens' is 5"),
        (("[query]", "[chunking]\nmax_tokens = true\n[query]"), "'chunking.max_tokens' is True"),
        (("[query]", '[chunking]\nunit = "page"\n[query]'), "'chunking.unit' is 'page'"),
        (("[query]", "[defaults]\nk = 0\n[query]"), "'defaults.k' is 0"),
        (("[query]", "[defaults]\nthreshold = 2\n[query]"), "'defaults.threshold' is 2"),
        (('[query]\ntext_type = "question"\ntask_objective = "retrieving notes"', ""), "'query'"),
        (("[query]", "[query"), "not a readable TOML file"),
    ],
)
def test_a_broken_profile_is_refused_by_field(change, named, tmp_path):
    path = write(tmp_path / "broken.toml", RETRIEVAL.replace(*change))
    with pytest.raises(ProfileInvalid) as caught:
        Profile.load(path)
    assert named in str(caught.value) and str(path) in str(caught.value)


def test_one_instruction_for_retrieval_is_refused(tmp_path):
    path = write(tmp_path / "one.toml", 'task = "retrieval"\n[instruction]\ntext_type = "x"\n')
    with pytest.raises(ProfileInvalid, match="retrieval has two"):
        Profile.load(path)


def test_profiles_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Profile.load("company-docs").k = 3  # type: ignore[misc]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_profile_survives_its_toml(literal, domain, text_type, sentence):
    """Whatever characters an Instruction has, an empty literal among them."""
    query = Instruction(domain=domain, text_type=text_type or "x", task_sentence=sentence)
    profile = Profile(name="any", document=Instruction(literal=literal), query=query)
    assert Profile.from_dict({"name": "any", **tomllib.loads(profile.to_toml())}) == profile
