"""Which Instructions are tried on a set or a Collection, what comes of it, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from searchkit.errors import DataInvalid, ProfileNotFound, UsageError
from searchkit.evaluation import candidates, plots, tasks, tuning, variants
from searchkit.evaluation.candidates import NOTHING, Renderer
from searchkit.evaluation.paraphrase import paraphrases
from searchkit.evaluation.selection import Plan
from searchkit.evaluation.tuning import Tuning, pool_of, profile_of, tune
from searchkit.profile import Instruction, Profile
from tests.evaluation.reading import ReadingEmbedder, every_kind, pairs, retrieval, write

INSTRUCTION = "Represent the scientific claim for retrieving supporting paragraphs: "
FEW = {"grammar": 4, "paraphrases": 2, "plan": Plan(rounds=400)}


# ---------------------------------------------------------------- paraphrases


def test_paraphrases_are_different_and_the_same_for_the_same_seed():
    made = paraphrases(INSTRUCTION, 8, seed=3)
    assert len(set(made)) == 8 and INSTRUCTION not in made
    assert made == paraphrases(INSTRUCTION, 8, seed=3) != paraphrases(INSTRUCTION, 8, seed=4)


@pytest.mark.parametrize("end", [": ", ":", ";", "\nQuery:", ""])
def test_a_paraphrase_ends_as_the_instruction_does(end: str):
    text = INSTRUCTION.rstrip(": ") + end
    assert all(one.endswith(end) for one in paraphrases(text, 6))
    assert {one[: len(one) - len(end)][-1].isalpha() for one in paraphrases(text, 6)} == {True}


def test_what_means_other_things_is_left_alone():
    made = paraphrases("Represent the name of the BBC article, {as it is}: ", 6)
    assert made and all("the name of the BBC article, {as it is}" in one for one in made)


@pytest.mark.parametrize("text", ["", ": ", "  "])
def test_of_nothing_there_is_no_paraphrase(text: str):
    assert paraphrases(text, 5) == []


# ---------------------------------------------------------------- candidates


@pytest.mark.parametrize("kind", candidates.GRAMMAR)
def test_the_grammar_makes_valid_profiles_of_every_kind(kind):
    for query, document in candidates.grammar(kind):
        made = Profile(name="x", task=candidates.task_of(kind), query=query, document=document)
        assert Profile.from_dict(made.to_dict()) == made
        assert made.query.render().startswith("Represent the ") and made.query.render().endswith(": ")
        assert "{" not in made.query.task_sentence


def test_a_profiles_own_words_are_among_those_of_the_grammar():
    profile = Profile.load("scientific-retrieval")
    rendered = [query.render() for query, _ in candidates.grammar("retrieval", profile)]
    assert rendered[0] == profile.query.render()
    assert "Represent the medical claim for retrieving supporting paragraphs: " in rendered


def test_candidates_are_tried_once_and_the_present_one_comes_first():
    profile = Profile.load("scientific-retrieval")
    wanted = Tuning(profile=profile, own=[(profile.query.render(), None), ("mine:", None)])
    made = pool_of(ReadingEmbedder(), "retrieval", wanted)
    pool = made.candidates
    assert pool[0].origin == "present" and pool[0].texts["query"] == profile.query.render()
    assert made.trained and len({one.texts["query"] for one in pool}) == len(pool)
    assert [one.texts["query"] for one in pool if one.origin == "own"] == ["mine: "]
    assert {one.texts["document"] for one in pool} == {profile.document.render()}


def test_both_sides_of_a_symmetric_task_are_given_the_same():
    pool = pool_of(ReadingEmbedder(), "pairs", Tuning(own=[("mine: ", None)])).candidates
    assert all(one.texts["query"] == one.texts["document"] for one in pool)
    with pytest.raises(UsageError, match="one instruction for both sides"):
        pool_of(ReadingEmbedder(), "pairs", Tuning(changed="query"))


def test_with_both_sides_documents_are_given_the_other_half():
    pool = pool_of(ReadingEmbedder(), "retrieval", Tuning(changed="both", own=[("q: ", "d: ")])).candidates
    assert {"query": "q: ", "document": "d: "} in [dict(one.texts) for one in pool]
    assert len({one.texts["document"] for one in pool}) > 3


def test_an_own_candidate_for_queries_leaves_documents_as_they_are():
    profile = Profile.load("scientific-retrieval")
    wanted = Tuning(profile=profile, changed="both", own=[("q: ", None)])
    pool = pool_of(ReadingEmbedder(trained=False), "retrieval", wanted).candidates
    assert [dict(one.texts) for one in pool if one.origin == "own"] == [{"query": "q: ", "document": ""}]


def test_a_family_without_instructions_is_given_them_behind_its_own_words():
    class Fixed(ReadingEmbedder):
        def instruction_for(self, profile, side):
            return f"{side}: "

    renderer = Renderer(Fixed(), "retrieval")
    asked = candidates.own("find: ")
    assert not renderer.trained
    assert renderer.texts(asked, NOTHING) == {"document": "", "query": "query: find: "}
    assert renderer.present(None).texts == {"document": "document: ", "query": "query: "}


def test_a_family_that_wants_a_sentence_is_given_one_and_nothing_before_documents():
    class Asking(ReadingEmbedder):
        def instruction_for(self, profile, side):
            return f"Instruct: {profile.query.task_sentence}\nQuery:" if side == "query" else ""

    renderer = Renderer(Asking(), "retrieval")
    (query, document), *_ = candidates.grammar("retrieval")
    assert renderer.trained
    assert renderer.texts(query, document) == {
        "document": "",
        "query": "Instruct: Given a question, retrieve documents that answer it\nQuery:",
    }
    assert renderer.present(None).texts == {"document": "", "query": ""}
    for text in ("find it", "Instruct: find it\nQuery:", "Instruct: find it\nQuery: ", "Instruct: find it"):
        made = renderer.own(text, "query")
        assert renderer.texts(made, NOTHING)["query"] == "Instruct: find it\nQuery:"


def test_an_own_candidate_is_not_put_twice_behind_the_familys_own_words():
    class Fixed(ReadingEmbedder):
        def instruction_for(self, profile, side):
            return f"{side}: "

    renderer = Renderer(Fixed(), "retrieval")
    for text in ("find: ", "query: find: "):
        assert renderer.texts(renderer.own(text, "query"), NOTHING)["query"] == "query: find: "


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_an_instruction(tmp_path: Path):
    (tmp_path / "c.txt").write_text("one: \ntwo: \n", encoding="utf-8-sig")
    assert candidates.read_own(tmp_path / "c.txt") == [("one: ", None), ("two: ", None)]
    (tmp_path / "d.txt").write_bytes(b"caf\xe9: \n")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        candidates.read_own(tmp_path / "d.txt")


def test_candidates_in_files(tmp_path: Path):
    (tmp_path / "c.txt").write_text("one: \n\ntwo\n")
    assert candidates.read_own(tmp_path / "c.txt") == [("one: ", None), ("two", None)]
    rows = write(tmp_path / "c.jsonl", [{"query": "q: ", "document": "d: "}, {"query": "r: "}])
    assert candidates.read_own(rows) == [("q: ", "d: "), ("r: ", None)]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match="holds no candidates"):
        candidates.read_own(tmp_path / "empty.txt")
    with pytest.raises(DataInvalid, match="line 1: there is no 'query'"):
        candidates.read_own(write(tmp_path / "d.jsonl", [{"text": "x"}]))
    with pytest.raises(UsageError, match="a candidate is empty"):
        candidates.own(" ")


# ---------------------------------------------------------------- tune


def test_the_better_instruction_is_found_and_becomes_a_profile(tmp_path: Path):
    embedder = ReadingEmbedder(noise=3.0)
    # 'supporting' stands in some of the grammar, and in no paraphrase of another.
    (found,) = tune(embedder, tasks.task_at(retrieval(tmp_path / "set")), Tuning(grammar=12, paraphrases=0))
    assert found.winner is not None
    chosen = found.candidates[found.winner]
    assert "supporting" in chosen.texts["query"] and "is better by" in found.verdict
    made = profile_of(found, found.winner, None, "mine")
    assert embedder.instruction_for(made, "query") == chosen.texts["query"]
    assert embedder.instruction_for(made, "document") == chosen.texts["document"] == ""
    (tmp_path / "mine.toml").write_text(made.to_toml())
    assert Profile.load(tmp_path / "mine.toml") == made


def test_where_none_is_better_the_default_is_kept(tmp_path: Path):
    (found,) = tune(ReadingEmbedder(good=""), tasks.task_at(retrieval(tmp_path / "set")), Tuning(**FEW))
    assert found.winner is None
    said = re.fullmatch(
        r"no significant difference: keep the default \(50 items held out; differences under ±([\d.]+) "
        r"points cannot be told from chance\)",
        found.verdict,
    )
    assert said and float(said[1]) > 3


def test_where_the_present_one_is_better_than_all_that_is_said(tmp_path: Path):
    profile = Profile.load("scientific-retrieval")
    task = tasks.task_at(retrieval(tmp_path / "set"))
    own = [("find it: ", None), ("look: ", None)]
    wanted = Tuning(profile=profile, grammar=0, paraphrases=0, own=own, plan=Plan(rounds=1_000))
    (found,) = tune(ReadingEmbedder(), task, wanted)
    assert found.winner is None
    assert found.verdict == "none is better, all that were compared significantly worse: keep the default"


def test_no_document_is_embedded_twice_for_the_query_side(tmp_path: Path):
    embedder = ReadingEmbedder()
    tune(embedder, tasks.task_at(retrieval(tmp_path / "set")), Tuning(**FEW))
    documents = [text for _, text in embedder.embedded if text[0] == "d"]
    assert len(documents) == len(set(documents)) == 100


def test_symmetric_texts_are_embedded_under_each_instruction(tmp_path: Path):
    embedder = ReadingEmbedder()
    tune(embedder, tasks.task_at(pairs(tmp_path / "set.jsonl")), Tuning(**FEW))
    assert len({instruction for instruction, text in embedder.embedded if text == "d7"}) > 1


def test_the_json_form_has_no_nan(tmp_path: Path):

    (found,) = tune(ReadingEmbedder(), tasks.task_at(pairs(tmp_path / "set.jsonl")), Tuning(**FEW))
    odd = tuning.plain(found)
    assert json.loads(json.dumps(odd, allow_nan=False))["candidates"][0]["origin"] == "present"


# ---------------------------------------------------------------- robustness and ablation


def test_robustness_measures_paraphrases_and_their_gap(tmp_path: Path):
    sets = every_kind(tmp_path)
    chosen = [tasks.task_at(sets[kind]) for kind in ("retrieval", "pairs")]
    wanted = variants.Varying(profile=Profile.load("scientific-retrieval"), plan=Plan(rounds=1_000))
    embedder = ReadingEmbedder(noise=3.0)
    found = variants.robustness(embedder, chosen, wanted, k=5)
    assert [one.task for one in found] == ["notes", "pairs"] and [len(one.levels) for one in found] == [6, 6]
    scores = [level.score for level in found[0].levels]
    assert found[0].gap == pytest.approx(max(scores) - min(scores))
    # 'supporting' is what makes it good, and paraphrases say it otherwise.
    assert found[0].levels[0].score == max(scores) and found[0].gap > 10 and found[0].gap_p < 0.05
    assert {level.texts["document"] for level in found[0].levels} == {
        Profile.load("scientific-retrieval").document.render()
    }
    assert plots.robustness_png(found).startswith(b"\x89PNG")


def test_all_instructions_are_looked_at_before_the_first_set_is_measured(tmp_path: Path):
    sets = every_kind(tmp_path)
    embedder = ReadingEmbedder()
    chosen = [tasks.task_at(sets["pairs"]), tasks.task_at(sets["sts"], profile="misspelt")]
    with pytest.raises(ProfileNotFound, match="misspelt"):
        variants.ablate(embedder, chosen, variants.Varying())
    assert embedder.embedded == []


def test_an_instruction_without_paraphrases_is_refused(tmp_path: Path):
    (tmp_path / "odd.toml").write_text(
        'task = "retrieval"\n[document]\nliteral = ""\n[query]\nliteral = ">>> "\n'
    )
    wanted = variants.Varying(profile=Profile.load(tmp_path / "odd.toml"))
    with pytest.raises(UsageError, match="no paraphrase of '>>> '"):
        variants.robustness(ReadingEmbedder(), [tasks.task_at(retrieval(tmp_path / "s"))], wanted)


def test_ablation_goes_from_nothing_to_the_detailed_instruction(tmp_path: Path):
    task = tasks.task_at(retrieval(tmp_path / "claims"), profile="scientific-retrieval")
    (found,) = variants.ablate(ReadingEmbedder(noise=3.0), [task], variants.Varying(plan=Plan(rounds=300)))
    assert [(level.name, level.texts["query"], level.texts["document"]) for level in found.levels] == [
        ("none", "", ""),
        ("tag", "claims: ", "claims: "),
        ("simple", "scientific claim: ", "scientific paragraph: "),
        ("detailed", INSTRUCTION, "Represent the scientific paragraph for retrieval: "),
    ]
    assert found.levels[0].difference == 0 and found.changed == "both"
    assert found.levels[3].difference > 10 and found.levels[3].p < 0.05
    assert plots.ablation_png([found]).startswith(b"\x89PNG")


def test_with_the_query_side_alone_documents_have_no_instruction(tmp_path: Path):
    task = tasks.task_at(retrieval(tmp_path / "claims"))
    embedder = ReadingEmbedder()
    wanted = variants.Varying(changed="query", plan=Plan(rounds=100))
    (found,) = variants.ablate(embedder, [task], wanted)
    assert {level.texts["document"] for level in found.levels} == {""}
    assert len([text for _, text in embedder.embedded if text[0] == "d"]) == 100


def test_a_literal_instruction_has_no_simple_form_and_takes_that_of_the_grammar():
    literal = Instruction(literal="find it: ")
    plain = candidates.default_instructions("retrieval", None)[0]
    assert variants._simple(literal, plain).render() == "question: "
