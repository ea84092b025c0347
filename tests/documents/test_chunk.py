"""Passages: where they begin and end, what they carry along, and what an edit does to them."""

from __future__ import annotations

import random
import re
import time
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.documents.chunk import chunk
from searchkit.documents.prose import markdown_headings
from searchkit.profile import Chunking
from searchkit.records import Document, Heading, Marks, Passage


def count_words(texts: Sequence[str]) -> list[int]:
    """A tokenizer for tests: words, single signs and single CJK characters, long words in parts of six."""
    return [
        sum(-(-len(word) // 6) for word in re.findall(r"[぀-鿿]|[^\W぀-鿿]+|[^\w\s]", text)) for text in texts
    ]


def markdown(text: str, **fields: object) -> Document:
    return Document(name="a.md", kind="markdown", text=text, headings=markdown_headings(text)[0], **fields)


def passages(document: Document, capacity: int = 60, count=count_words, **chunking: object) -> list[Passage]:
    return list(chunk(document, Chunking(**chunking), capacity=capacity, count_tokens=count))


def words(count: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghij", k=chance.randint(2, 8))) for _ in range(count))


def test_a_short_document_is_one_passage():
    (passage,) = passages(markdown("\n# Title\n\nSome text here.\n"))
    assert (passage.text, passage.start) == ("# Title\n\nSome text here.", 1)
    assert (passage.heading, passage.context, passage.place) == ("Title", "", None)


def test_sections_become_passages_with_their_heading_path():
    text = f"# Leave\n\n{words(45)}\n\n## Parental\n\n{words(45, 2)}\n\n## Sick\n\n{words(45, 3)}\n"
    found = passages(markdown(text, title="Handbook"), capacity=100)
    assert [passage.heading for passage in found] == ["Leave", "Leave > Parental", "Leave > Sick"]
    assert [passage.context for passage in found] == ["Handbook", "Handbook\nLeave", "Handbook\nLeave"]
    assert found[1].text.startswith("## Parental")
    assert found[1].embedded_text.startswith("Handbook\nLeave\n## Parental")


def test_later_passages_of_a_section_name_their_own_heading():
    found = passages(markdown(f"# Leave\n\n## Sick\n\n{words(200)}\n", title="Leave"))
    assert len(found) > 3
    assert found[0].context == ""
    assert {passage.context for passage in found[1:]} == {"Leave > Sick"}


@pytest.mark.parametrize(
    ("kind", "expected"), [("heading", "Handbook\nSick"), ("title", "Handbook"), ("none", "")]
)
def test_the_context_is_what_the_profile_asks_for(kind, expected):
    found = passages(markdown(f"# Sick\n\n{words(100)}\n", title="Handbook"), context=kind)
    assert found[1].context == expected
    assert found[1].heading == "Sick"


def test_small_sections_are_joined_with_their_neighbours():
    text = "# Terms\n\n" + "".join(f"## Term {n}\n\nMeans {n}.\n\n" for n in range(3))
    (passage,) = passages(markdown(text))
    assert (passage.heading, passage.text) == ("Terms", text.strip())


def test_small_sections_of_different_parents_stay_apart():
    text = f"# A\n\n{words(45)}\n\n## A1\n\nshort one.\n\n# B\n\nshort two.\n\n{words(30, 2)}\n"
    found = passages(markdown(text))
    assert ["A1" in passage.text and "# B" in passage.text for passage in found].count(True) == 0


def test_a_heading_without_text_goes_with_what_follows():
    found = passages(markdown(f"# A\n\n## B\n\n### C\n\n{words(20)}\n"))
    assert [passage.heading for passage in found] == ["A > B > C"]


def test_a_long_context_gives_way_to_the_text():
    title, heading = words(30), words(40, 2)
    document = markdown(f"# Short\n\n## {heading}\n\n{words(300, 3)}\n", title=title)
    for passage in passages(document, capacity=40):
        assert sum(count_words([passage.context])) <= 20
        assert sum(count_words([passage.embedded_text])) <= 40


def test_pages_are_numbered_and_end_a_passage_unless_the_sentence_goes_on():
    pages = [f"{words(30, n)}." for n in range(3)] + [
        f"{words(30, 4)} and",
        f"so on {words(30, 5)}.",
        "",
        "The end.",
    ]
    text = "\n\n".join(page for page in pages if page)
    starts, numbers, place = [], [], 0
    for number, page in enumerate(pages, 1):
        if page:
            starts.append(place)
            numbers.append(number)
            place += len(page) + 2
    marks = Marks(unit="page", starts=tuple(starts), numbers=tuple(numbers))
    document = Document(name="a.pdf", kind="pdf", text=text, marks=marks)
    found = passages(document, capacity=100)
    assert [(one.place.first, one.place.last) for one in found] == [(1, 1), (2, 2), (3, 3), (4, 5), (7, 7)]
    assert "and\n\nso on" in found[3].text


def test_a_whole_document_may_be_one_passage():
    text = f"\n# A\n\n{words(500)}\n"
    (passage,) = passages(markdown(text, title="Handbook"), unit="document")
    assert (passage.text, passage.context) == (text.strip(), "Handbook")


@pytest.mark.parametrize("unit", ["passage", "document"])
@pytest.mark.parametrize("text", ["", " \n ", "---\n\n***\n", "!?! ... |---|---|"])
def test_text_that_says_nothing_gives_no_passage(text, unit):
    assert passages(markdown(text), unit=unit) == []


def test_the_profile_may_ask_for_less_than_the_model_takes():
    found = passages(markdown(words(300)), capacity=200, max_tokens=20)
    assert max(count_words([passage.embedded_text for passage in found])) <= 20


def test_the_estimate_is_local_so_that_scripts_may_mix():
    text = (
        f"{words(3000)}\n\n"
        + "".join(f"これは{n}番目の長い文章です。" for n in range(600))
        + f"\n\n{words(3000, 2)}"
    )
    calls: list[int] = []

    def counting(texts: Sequence[str]) -> list[int]:
        calls.append(sum(map(len, texts)))
        return count_words(texts)

    found = passages(markdown(text), capacity=100, count=counting)
    counts = count_words([passage.embedded_text for passage in found])
    assert max(counts) <= 100
    assert sum(counts) / len(counts) > 65  # windows are used
    assert sum(calls) < 2.2 * len(text)  # and the text is counted about once


def test_a_tokenizer_that_makes_many_tokens_of_a_character_cannot_trap_us():
    found = passages(
        markdown("a😀b " * 50), capacity=3, count=lambda texts: [4 * len(text) for text in texts]
    )
    assert "".join(passage.text for passage in found).replace(" ", "").count("a") == 50


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["# ", "## ", "### ", "\n", "\n\n", "- ", "```\n", "| a | b |\n|---|---|\n", " ", "\t", "。",
             "\u3000", "…", "日本語の文章", "👩‍👩‍👧", "e\u0301", "\u200b", "x" * 300, "<!-- c -->", "1. ",
             "> ", "***", "===\n"]
        ),
        st.text(max_size=20),
        st.builds(words, st.integers(1, 40), st.integers(0, 99)),
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(TEXTS, st.integers(1, 60), st.sampled_from(["heading", "title", "none"]), st.text(max_size=30))
@example("\x1c# A\x1c\n\u2028b\x85c", 5, "heading", "t")
def test_passages_are_ordered_apart_and_hold_every_letter(text, capacity, context, title):
    text = re.sub("[\ud800-\udfff]", "", text)
    document = markdown(text, title=title.encode("utf-8", "ignore").decode())
    found = passages(document, capacity=capacity, context=context)
    covered, end = [], 0
    for passage in found:
        assert passage.start >= end and passage.end <= len(text)
        assert passage.text == text[passage.start : passage.end] == passage.text.strip() != ""
        assert any(char.isalnum() for char in passage.text)
        assert passage.end - passage.start == 1 or count_words([passage.embedded_text])[0] <= capacity
        covered.append(passage.text)
        end = passage.end
    assert re.findall(r"[^\W_]", "".join(covered)) == re.findall(r"[^\W_]", text)
    assert passages(document, capacity=capacity, context=context) == found


SECTIONS = [
    f"## Part {n}\n\n" + "\n\n".join(words(40, 10 * n + m) for m in range(n % 4 + 1)) + "\n\n"
    for n in range(12)
]


@pytest.mark.parametrize("edited", range(12))
def test_an_edit_leaves_the_passages_of_other_sections_alone(edited):
    before = passages(markdown("# Top\n\n" + "".join(SECTIONS)), capacity=80)
    changed = list(SECTIONS)
    changed[edited] = changed[edited].replace("\n\n", "\n\nquite new words here and more of them. ", 1)
    after = passages(markdown("# Top\n\n" + "".join(changed)), capacity=80)
    own = {passage.embedded_text for passage in before if f"Part {edited}" in passage.embedded_text}
    lost = {passage.embedded_text for passage in before} - {passage.embedded_text for passage in after}
    assert lost <= own


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["paragraphs", "lines", "sentences", "one line"])
def test_an_edit_in_text_without_headings_stays_local(kind, place):
    joint = {"paragraphs": "\n\n", "lines": "\n", "sentences": ". ", "one line": " "}[kind]
    text = joint.join(words(12, seed) for seed in range(3000))
    cut = text.index(joint, int(place * len(text)))
    edited = text[:cut] + joint + "a few words that were not there before" + text[cut:]
    before = {passage.text for passage in passages(Document(name="a", kind="text", text=text))}
    after = {passage.text for passage in passages(Document(name="a", kind="text", text=edited))}
    assert len(before - after) <= 0.3 * len(before)  # two or three pieces of some twenty


def test_many_headings_without_text_cost_no_more_than_linear_time():
    text = "".join(f"{'#' * (n % 6 + 1)} Heading {n}\n" for n in range(20_000))
    started = time.process_time()
    found = passages(markdown(text))
    assert time.process_time() - started < 5
    assert re.findall(r"\d+", "".join(passage.text for passage in found)) == [str(n) for n in range(20_000)]


def cheap(texts: Sequence[str]) -> list[int]:
    return [len(text) // 4 for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["word and other " * 1_400_000, "x" * 20_000_000, "文" * 5_000_000], ids=["words", "x", "cjk"]
)
def test_one_line_of_twenty_megabytes_takes_seconds(text):
    started = time.process_time()
    count = sum(
        1
        for _ in chunk(
            Document(name="a", kind="text", text=text), Chunking(), capacity=200, count_tokens=cheap
        )
    )
    assert count > 1000
    assert time.process_time() - started < 15


@pytest.mark.slow
def test_a_log_of_two_hundred_megabytes_is_streamed():
    document = Document(
        name="a", kind="text", text="2024-05-01 12:00:00 INFO service started, id=42\n" * 4_200_000
    )
    found = chunk(document, Chunking(), capacity=200, count_tokens=cheap)
    next(found)
    tracemalloc.start()
    try:
        for _, _passage in zip(range(20_000), found, strict=False):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


def test_headings_of_code_show_where_a_passage_stands():
    text = "class Invoice:\n    def total(self):\n" + "".join(f"        {words(6, n)}\n" for n in range(40))
    document = Document(
        name="a.py", kind="code", text=text, title="a.py",
        headings=(
            Heading(start=0, level=1, text="class Invoice"),
            Heading(start=15, level=3, text="def total(self)"),
        ),
    )  # fmt: skip
    found = passages(document)
    assert found[-1].heading == "class Invoice > def total(self)"
    assert found[-1].context == "a.py\nclass Invoice > def total(self)"
