"""Categories, the rest of many, numbers and dates."""

import pytest

from searchkit.analysis.map_colours import GREY, PALETTE, colours


def test_texts_are_categories_the_most_frequent_first():
    found = colours("type", ["pdf", "md", "md", None, "md", "pdf"])
    assert found.kind == "category" and found.categories == (("md", 3), ("pdf", 2), ("none", 1))
    assert found.of == (1, 0, 0, 2, 0, 1) and found.shown == ("pdf", "md", "md", "", "md", "pdf")
    assert [found.colour(at) for at in range(3)] == [*PALETTE[:2], GREY]


def test_of_many_categories_the_rare_ones_are_other():
    names = [f"t{number:02}" for number in range(len(PALETTE) + 5)]
    found = colours("tags", [*names[:-5], *names, None])
    assert [name for name, _ in found.categories] == [*names[:-5], "other", "none"]
    assert found.categories[-2:] == (("other", 5), ("none", 1))
    assert found.colour(len(PALETTE) - 1) == PALETTE[-1] and found.colour(len(PALETTE)) == GREY
    assert found.of[-2] == len(PALETTE) and found.shown[-2] == names[-1]  # its own name is still told


def test_a_category_that_is_called_none_keeps_its_colour():
    found = colours("tags", ["none", "other"])
    assert [found.colour(at) for at in (0, 1)] == list(PALETTE[:2])


def test_colours_are_told_apart():
    assert len(set(PALETTE)) == len(PALETTE) and GREY not in PALETTE


def test_numbers_lie_on_a_scale():
    found = colours("size", [10, "30", None, 20.0])
    assert (found.kind, found.low, found.high) == ("number", 10, 30)
    assert [found.share(one) for one in found.of] == [0, 1, None, 0.5]
    assert found.shown == ("10", "30", "", "20")


@pytest.mark.parametrize(
    "values", [["00123", "456"], ["1.10", "1.9"], ["0123", "0456"], ["+49", "7"], ["1e3"]]
)
def test_texts_that_are_other_ones_as_numbers_are_names(values):
    found = colours("number", values)
    assert found.kind == "category" and found.shown == tuple(values) == found.raw


def test_values_are_told_and_kept_as_they_are():
    found = colours("price", [1234.56, 2024, "12345", None])
    assert found.shown == ("1234.56", "2024", "12,345", "") and found.raw == (1234.56, 2024, "12345", None)
    moments = colours("modified", [1704067200.5], dates=True)
    assert moments.raw == ("2024-01-01T00:00:00.500000+00:00",)


def test_values_that_are_too_many_are_coloured_by_their_groups():
    found = colours("cluster", ["a", "b", "b", None], group_of={"a": "first", "b": "second"})
    assert found.categories == (("second", 2), ("first", 1), ("none", 1)) and found.grouped
    assert found.shown == ("a", "b", "b", "") and found.raw == ("a", "b", "b", None)


def test_skewed_numbers_lie_on_a_logarithmic_scale():
    found = colours("size", [1, 10, 10, 10, 10_000])
    assert [found.share(one) for one in found.of] == [0, 0.25, 0.25, 0.25, 1]


@pytest.mark.parametrize("values", [["2024-01-01", "2026-01-01"], [1704067200.0, 1767225600.0]])
def test_dates_lie_on_a_scale(values):
    found = colours("modified", values, dates=isinstance(values[0], float))
    assert found.kind == "date" and found.shown == ("2024-01-01", "2026-01-01")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], "category"),
        (["12", "twelve"], "category"),
        (["1", {"a": 1}], "category"),
        ([float("nan"), 1], "category"),
        ([10**400, 1], "category"),
        ([None, None], "category"),
        ([7, 7], "number"),
        ([-1e30, 1e30], "number"),
    ],
)
def test_whatever_the_values_are_every_point_has_a_colour(values, kind):
    found = colours("field", values)
    assert found.kind == kind and len(found.of) == len(found.shown) == len(values)
    if kind == "category":
        assert all(found.colour(int(one)) for one in found.of)
    else:
        assert all(0 <= found.share(one) <= 1 for one in found.of)


def test_moments_beyond_four_digit_years_are_told_as_numbers():
    assert colours("modified", [1e18], dates=True).shown == ("1,000,000,000,000,000,000",)
