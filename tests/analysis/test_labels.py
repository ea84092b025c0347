"""Which words stand for a cluster."""

import pytest

from searchkit.analysis.describing import words_of_themes
from searchkit.analysis.labels import counted, names, telling_words, words_of, words_of_one

SPORT = ["the team won the match", "the match was lost by the team", "a match of the cup"]
MONEY = ["the bank raised the rate", "the banks and their rates", "a rate of the bank"]


def told(clusters):
    pairs = [(number, text) for number, texts in clusters.items() for text in texts]
    return telling_words(*counted(pairs))


def test_words_that_tell_a_cluster_from_the_others_come_first_and_function_words_do_not_come():
    words = told({1: SPORT, 2: MONEY})
    assert words[1][0] == "match" and {"bank", "rate"} == set(words[2][:2])
    assert not {"the", "of"} & {*words[1], *words[2]}


def test_of_variants_of_a_word_one_is_named():
    assert not {"banks", "rates"} & set(told({1: SPORT, 2: MONEY})[2])
    assert not {"transfer", "transfers"} <= set(
        told({1: ["transfer transfers"] * 3 + ["transfer"], 2: MONEY, 3: SPORT})[1]
    )


def test_the_topic_of_a_cluster_that_holds_most_texts_is_told_and_what_all_clusters_share_is_not():
    """Of all texts 'match' stands in 60 %: that is because of one cluster."""
    sport = [f"{SPORT[n % 3]} {n} on monday" for n in range(60)]
    words = told({1: sport, 2: [f"{text} on monday" for text in MONEY * 14]})
    assert words[1][0] == "match" and words[2][0] in ("bank", "rate")
    assert not {"on", "monday", "the"} & {*words[1], *words[2]}


def test_what_most_texts_of_all_but_one_cluster_hold_may_tell_these():
    held = {1: ["card lost"] * 3, 2: ["card fee"] * 3, 3: ["transfer late"] * 3}
    assert {"card"} <= set(told(held)[1]) & set(told(held)[2])


def test_a_single_cluster_is_named_by_frequent_words_that_are_long():
    assert told({1: ["tax form", "tax return", "rent"]})[1][0] == "tax"
    texts = ["the invoice of the bank", "the invoice in the post", "of the invoice", "the rent in the town"]
    assert told({1: texts})[1][0] == "invoice"


def test_a_single_cluster_is_named_by_what_stands_near_to_its_middle():
    near = [f"the {'goal' if n % 8 else 'rest'} of the {'season' if n % 3 else 'year'}" for n in range(60)]
    far = [f"the end of the {'season' if n % 3 else 'year'} according to them" for n in range(60)]
    words = words_of_one(near, far)
    assert words[0] == "goal" and words.index("season") < words.index("the")
    assert words_of_one(["the long winter"], [])[0] == "winter"  # one text has no other half
    assert words_of_one([], []) == ()


def test_a_theme_of_one_cluster_has_its_words_and_a_single_theme_those_of_its_clusters_in_turn():
    clusters = {1: SPORT, 2: MONEY, 3: ["the recipe for the soup", "the soup with salt"]}
    holding, sizes = counted((number, text) for number, texts in clusters.items() for text in texts)
    words = telling_words(holding, sizes)
    themes = words_of_themes(holding, sizes, {1: 1, 2: 1, 3: 2}, words)
    assert themes[2] == words[3] and themes[1][0] in ("match", "bank", "rate", "team")
    (only,) = words_of_themes(holding, sizes, {1: 1, 2: 1, 3: 1}, words).values()
    assert only[:4] == (words[1][0], words[2][0], words[3][0], words[1][1]) and "the" not in only


def test_texts_without_words_have_no_telling_words_and_still_a_name():
    words = told({1: ["12 34", "..."], 2: ["!!!"]})
    assert words == {1: (), 2: ()} and names(words) == {1: "cluster 1", 2: "cluster 2"}


def test_languages_without_spaces_and_accents_have_words():
    assert "納品" in words_of("納品書") and "größe" in words_of("GRÖẞE Größe")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी में नीति", {"हिन्दी", "में", "नीति"}),
        ("தமிழ் மொழி", {"தமிழ்", "மொழி"}),
        ("مَرحبًا بالعالم", {"مَرحبًا", "بالعالم"}),
        ("ไทย", {"ไท", "ทย"}),  # written without spaces: pairs of characters, as in the full text
        ("ทำงาน", {"ทํ", "าง", "งา", "าน"}),  # a pair that begins with a mark is none
        ("C++ and C# mod_rewrite 4x 12", {"c++", "and", "c#", "mod_rewrite"}),
    ],
)
def test_marks_belong_to_words(text, words):
    assert words_of(text) == words


def test_names_are_told_apart_by_further_words():
    assert names({1: ("card", "lost"), 2: ("card", "fee"), 3: ("card", "fee"), 4: ("outliers", "odd")}) == {
        1: "card",
        2: "card fee",
        3: "cluster 3",
        4: "outliers odd",
    }


def test_a_word_that_is_hardly_more_frequent_than_elsewhere_comes_last():
    asked = [
        f"{'how' if n else ''} {'tax' if n < 6 else ''} {'levy' if n > 7 else ''} {n}" for n in range(10)
    ]
    others = {number: ["how is it"] * 4 + ["it is"] * 6 for number in range(2, 7)}
    assert told({1: asked, **others})[1] == ("tax", "levy", "how")
