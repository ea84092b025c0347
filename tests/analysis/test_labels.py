"""Which words stand for a cluster."""

from searchkit.analysis.labels import counted, names, telling_words, words_of

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


def test_a_single_cluster_is_named_by_its_most_frequent_words():
    assert told({1: ["tax form", "tax return", "rent"]})[1][0] == "tax"


def test_texts_without_words_have_no_telling_words_and_still_a_name():
    words = told({1: ["12 34", "..."], 2: ["!!!"]})
    assert words == {1: (), 2: ()} and names(words) == {1: "cluster 1", 2: "cluster 2"}


def test_languages_without_spaces_and_accents_have_words():
    assert "納品" in words_of("納品書") and "größe" in words_of("GRÖẞE Größe")


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
