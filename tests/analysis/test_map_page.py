"""The page of a map, opened in headless Chromium: points, hover, search, legend, lasso, what it saves."""

import csv
import json
import math
import re
from dataclasses import replace

import pytest

from searchkit.analysis.map_colours import PALETTE, colours
from searchkit.analysis.map_page import page as page_of
from searchkit.analysis.map_page import write_html
from searchkit.analysis.mapping import Map, Point
from tests.browser import WITHOUT, chromium, page

HOSTILE = (
    '</script><script>document.title="run"</script><img src=x onerror="document.title=1"> {{data}} = "a,b"'
)
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"


def a_map(places, texts=None, values=None, **facts):
    points = tuple(
        Point(
            x=x,
            y=y,
            passage_id=100 + at,
            document=f"folder/{at}.md",
            where=f"folder/{at}.md:{at + 1}",
            heading=f"Heading {at}",
            text=texts[at] if texts else f"The text of number {at}",
        )
        for at, (x, y) in enumerate(places)
    )
    given = values or [f"group {at % 2}" for at in range(len(points))]
    about = {"collection": "docs", "method": "tsne", "level": "passage", "total": len(points), "hits": {}}
    return Map(points=points, colours=colours("kind", given), **{**about, **facts})


GRID = a_map([(x / 4, y / 4) for y in range(5) for x in range(5)], hits={7: 1}, query="a question")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium() is None:
        pytest.skip(WITHOUT)
    with page(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def opened(browser, tmp_path):
    """Open a map in the browser; whatever a test does, nothing is complained of and nothing fetched."""

    def show(found, **window):
        browser.complaints.clear()
        browser.requests.clear()
        write_html(found, tmp_path / "map.html")
        browser.open(tmp_path / "map.html", **window)
        browser.until("window.searchkitMap !== undefined")
        browser.run(FRAME)
        return browser

    yield show
    assert browser.complaints == []
    assert [one for one in browser.requests if not one.startswith(("file:", "blob:"))] == []


def painted(browser, x, y):
    """Red, green and blue of the map's canvas at a place of the window."""
    return browser.run(
        f"""(() => {{ const map = document.getElementById('map'), box = map.getBoundingClientRect();
        const pixel = map.getContext('2d').getImageData({x} - box.left, {y} - box.top, 1, 1);
        return [...pixel.data].slice(0, 3) }})()"""
    )


def place(browser, at):
    return browser.run(f"searchkitMap.place({at})")


def tip(browser):
    hidden = browser.run("document.getElementById('tip').hidden")
    return None if hidden else browser.run("document.getElementById('tip').innerText")


def look_for(browser, text):
    browser.run("document.getElementById('search').focus(); document.getElementById('search').select()")
    browser.run("document.getElementById('found').textContent = ''")
    browser.type(text)
    browser.until("document.getElementById('found').textContent !== ''")
    browser.run(FRAME)
    return browser.run("searchkitMap.matches()")


def press(browser, button):
    browser.run(f"document.querySelector({json.dumps(button)}).click()")
    browser.run(FRAME)


def ids(browser):
    return browser.run("searchkitMap.selected().map((one) => one.passage_id)")


def test_every_point_is_painted_in_the_colour_of_its_category(opened):
    browser = opened(GRID)
    assert browser.run("[searchkitMap.points, searchkitMap.shown()]") == [25, 25]
    for at in range(25):
        wanted = [int(PALETTE[at % 2][start : start + 2], 16) for start in (1, 3, 5)]
        found = painted(browser, *map(round, place(browser, at)))
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 45, at  # a little shines through
    x, y = place(browser, 0)
    assert painted(browser, x + 40, y - 40) == [255, 255, 255]


def test_the_point_under_the_pointer_tells_what_it_is(opened):
    browser = opened(GRID)
    assert tip(browser) is None
    browser.mouse("mouseMoved", *place(browser, 7))
    told = tip(browser)
    for part in ("folder/7.md:8", "Heading 7", "kind: group 1 · hit 1", "The text of number 7"):
        assert part in told
    x, y = place(browser, 7)
    browser.mouse("mouseMoved", x + 60, y + 60)
    assert tip(browser) is None


def test_a_search_marks_what_it_finds_and_pales_the_rest(opened):
    browser = opened(GRID)
    middle = [round(one) for one in place(browser, 3)]
    before = painted(browser, *middle)
    assert look_for(browser, "NUMBER 12.MD") == [12]
    assert browser.run("document.getElementById('found').textContent") == "1 match"
    assert sum(before) + 100 < sum(painted(browser, *middle)) < 3 * 255
    press(browser, "#take")
    assert ids(browser) == [112]
    assert look_for(browser, "folder/3.md") == [3]


def test_a_search_knows_no_accents_and_finds_all_words_in_any_order(opened):
    browser = opened(a_map([(0, 0), (1, 1)], ["Télétravail à Genève", "travail"]))
    assert look_for(browser, "geneve teletravail") == [0]


def test_a_lasso_takes_the_points_in_it(opened):
    browser = opened(GRID)
    press(browser, "[data-mode=lasso]")
    x, y = place(browser, 12)
    step = place(browser, 13)[0] - x
    ring = [(x + 1.2 * step * math.cos(turn / 4), y + 1.2 * step * math.sin(turn / 4)) for turn in range(26)]
    browser.drag(*ring)
    assert ids(browser) == [107, 111, 112, 113, 117]
    assert browser.run("document.getElementById('chosen').textContent") == "5 selected"
    browser.run(FRAME)
    assert 650 < sum(painted(browser, *map(round, place(browser, 0)))) < 3 * 255  # pale
    press(browser, "#clear")
    assert ids(browser) == []


def test_a_box_takes_the_points_in_it_and_dragging_else_moves_the_map(opened):
    browser = opened(GRID)
    (x, y), (right, top) = place(browser, 0), place(browser, 6)
    browser.drag((x + 30, y - 30), (x + 40, y - 30), (x + 80, y - 50))
    assert place(browser, 0) == [x + 50, y - 20] and ids(browser) == []
    press(browser, "#whole")
    press(browser, "[data-mode=box]")
    browser.drag((x - 9, y + 9), (x, y), (right + 9, top - 9))
    assert ids(browser) == [100, 101, 105, 106]


def test_what_was_taken_is_saved_as_csv_and_json(opened, tmp_path):
    browser = opened(a_map([(0, 0), (1, 1)], [HOSTILE, "plain\nlines"]))
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    look_for(browser, "md")
    press(browser, "#take")
    press(browser, "#csv")
    press(browser, "#json")
    files = [tmp_path / f"docs-selection.{ending}" for ending in ("csv", "json")]
    for _ in range(500):
        if all(one.exists() and one.stat().st_size for one in files):
            break
        browser.run("new Promise((done) => setTimeout(done, 20))")
    with files[0].open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert files[0].read_bytes().startswith(b"\xef\xbb\xbf")  # or Excel garbles umlauts
    records = json.loads(files[1].read_text(encoding="utf-8"))
    assert [row["text"] for row in rows] == [one["text"] for one in records] == [HOSTILE, "plain\nlines"]
    assert [(row["passage_id"], row["where"], row["field"], row["value"]) for row in rows] == [
        ("100", "folder/0.md:1", "kind", "group 0"),
        ("101", "folder/1.md:2", "kind", "group 1"),
    ]
    assert [(one["x"], one["y"]) for one in records] == [(0, 0), (1, 1)]


def test_the_legend_hides_a_category_and_shows_it_again(opened):
    browser = opened(GRID)
    middle = [round(one) for one in place(browser, 0)]
    press(browser, "[data-category='0']")
    assert browser.run("searchkitMap.shown()") == 12 and painted(browser, *middle) == [255, 255, 255]
    browser.mouse("mouseMoved", *middle)
    assert tip(browser) is None  # what is not shown is not found
    press(browser, "[data-category='0']")
    assert browser.run("searchkitMap.shown()") == 25 and painted(browser, *middle) != [255, 255, 255]


def test_a_text_is_never_read_as_html(opened):
    browser = opened(
        a_map([(0, 0), (1, 1)], [HOSTILE] * 2, [HOSTILE, None], query=HOSTILE, collection="<b>docs</b>")
    )
    browser.mouse("mouseMoved", *place(browser, 0))
    assert HOSTILE in tip(browser)
    look_for(browser, "script")
    press(browser, "#take")
    assert browser.run("document.title") == "Map of <b>docs</b>"
    assert browser.run("document.querySelectorAll('img, b b, script').length") == 2  # the page's own two


def test_a_script_that_gets_in_does_not_run(opened):
    """The page's policy lets its own script run and no other."""
    browser = opened(GRID)
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert browser.run("window.ran") is None
    assert browser.complaints and "Content Security Policy" in browser.complaints.pop()
    browser.complaints.clear()


@pytest.mark.parametrize("values", [[1, 2, None], ["2024-01-01", "2025-01-01", None]])
def test_numbers_and_dates_have_a_scale(opened, values):
    browser = opened(a_map([(0, 0), (0.5, 0.5), (1, 1)], values=values))
    told = browser.run("document.getElementById('legend').innerText").split()
    assert told[:2] == [str(values[0]), str(values[1])] and told[2:] == ["none", "1"]
    colours_of = {tuple(painted(browser, *map(round, place(browser, at)))) for at in range(3)}
    assert len(colours_of) == 3


@pytest.mark.parametrize("places", [[(0.5, 0.5)], [(0, 0.5), (1, 0.5)]])
def test_one_point_and_two_are_shown(opened, places):
    browser = opened(a_map(places))
    for at in range(len(places)):
        x, y = place(browser, at)
        assert 0 < x < 980 and 60 < y < 800 and painted(browser, round(x), round(y)) != [255, 255, 255]


def test_dark_windows_and_narrow_ones_show_all_points(opened):
    browser = opened(GRID, width=520, height=700, dark=True)
    for at in (0, 24):
        x, y = place(browser, at)
        assert 0 < x < 520 and 0 < y < 500
        assert (
            sum(painted(browser, round(x), round(y)))
            > 200
            > sum(painted(browser, round(x) + 30, round(y) + 0))
        )


def test_keys_reach_the_search_and_zoom(opened):
    browser = opened(GRID)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="/", text="/")
    assert browser.run("document.activeElement.id") == "search"
    assert browser.run("document.activeElement.value") == ""
    browser.run("document.getElementById('map').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="+")
    assert browser.run("searchkitMap.zoom()") == pytest.approx(1.4)


def test_keys_zoom_wherever_the_focus_is_and_so_do_the_buttons(opened):
    browser = opened(GRID)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="+")
    assert browser.run("searchkitMap.zoom()") == pytest.approx(1.4)
    press(browser, "#out")
    assert browser.run("searchkitMap.zoom()") == pytest.approx(1)
    press(browser, "#in")
    assert browser.run("searchkitMap.zoom()") == pytest.approx(1.4)
    before = place(browser, 12)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
    assert place(browser, 12)[0] == pytest.approx(before[0] - 60)
    browser.run("document.getElementById('search').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="+")
    assert browser.run("searchkitMap.zoom()") == pytest.approx(1.4)  # typed


def test_two_fingers_zoom_around_their_middle(opened):
    browser = opened(GRID)
    x, y = place(browser, 12)

    def touch(kind, *points):
        fingers = [{"x": x + dx, "y": y, "id": at} for at, dx in enumerate(points)]
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
        browser.run(FRAME)  # moves are told once a frame

    touch("touchStart", -50)
    touch("touchStart", -50, 50)
    for step in (60, 80, 100):
        touch("touchMove", -step, step)
    assert browser.run("searchkitMap.zoom()") == pytest.approx(2, rel=0.05)
    assert place(browser, 12) == pytest.approx([x, y], abs=3)
    touch("touchEnd", -100)
    touch("touchMove", 0)
    touch("touchEnd")
    assert place(browser, 12) == pytest.approx([x, y], abs=3)  # the finger that was lifted last moved nothing
    assert browser.run("document.getElementById('point').hidden")


def test_what_is_searched_for_stands_out_whatever_is_selected(opened):
    browser = opened(GRID)
    look_for(browser, "folder/3.md")
    press(browser, "#take")
    middle = [round(one) for one in place(browser, 12)]
    pale = painted(browser, *middle)
    assert look_for(browser, "folder/12.md") == [12]
    assert sum(painted(browser, *middle)) + 100 < sum(pale)
    assert ids(browser) == [103]


def test_what_the_legend_hides_is_not_saved(opened):
    browser = opened(GRID)
    look_for(browser, "folder/2.md")
    press(browser, "#take")
    browser.run("document.getElementById('search').value = ''")
    press(browser, "[data-category='0']")
    assert ids(browser) == [] and browser.run("searchkitMap.csv().trim().split('\\n').length") == 1
    told = browser.run("document.getElementById('chosen').textContent")
    assert told == "0 selected, 1 hidden and left out"
    press(browser, "[data-category='0']")
    assert ids(browser) == [102]


def test_saved_values_are_those_of_the_document(opened):
    values = [1234.56, 2024, 2**60, float("inf"), "00123", "1.10", True, {"a": 1}, None]
    browser = opened(a_map([(at / 8, at / 8) for at in range(len(values))], values=values))
    look_for(browser, "md")
    press(browser, "#take")
    saved = [json.loads(browser.run("searchkitMap.json()"))[at]["value"] for at in range(len(values))]
    assert saved == [1234.56, 2024, str(2**60), "inf", "00123", "1.10", True, '{"a": 1}', None]
    rows = list(csv.DictReader(browser.run("searchkitMap.csv()").splitlines()))
    wanted = ["1234.56", "2024", str(2**60), "inf", "00123", "1.10", "true", '{"a": 1}', ""]
    assert [row["value"] for row in rows] == wanted


@pytest.mark.parametrize("field", ["x", "text", "where"])
def test_a_field_of_any_name_overwrites_nothing_that_is_saved(opened, field):
    found = a_map([(0, 0), (1, 1)], ["one", "two"])
    browser = opened(replace(found, colours=replace(found.colours, field=field)))
    record = browser.run("searchkitMap.record(1)")
    assert (record["x"], record["text"], record["where"]) == (1, "two", "folder/1.md:2")
    assert (record["field"], record["value"]) == (field, "group 1")


def test_a_text_that_a_spreadsheet_would_calculate_is_saved_as_text(opened):
    texts = ["=1+1", "+cmd", "-3.5", "- a list", "@name", "plain"]
    browser = opened(a_map([(at / 8, 0) for at in range(len(texts))], texts))
    look_for(browser, "md")
    press(browser, "#take")
    rows = csv.DictReader(browser.run("searchkitMap.csv()").splitlines())
    assert [row["text"] for row in rows] == ["'=1+1", "'+cmd", "-3.5", "'- a list", "'@name", "plain"]


def test_the_search_knows_all_texts_of_a_document(opened):
    found = a_map([(0, 0), (1, 1)], level="document")
    points = (found.points[0], replace(found.points[1], further="of a later zebra", passages=2))
    browser = opened(replace(found, points=points))
    assert look_for(browser, "zebra") == [1]
    placeholder = browser.run("document.getElementById('search').placeholder")
    assert placeholder == "Search documents ( / )"


@pytest.mark.slow
def test_a_hundred_thousand_points_stay_quick(opened):
    """Limits far above what was measured (LOG), for slow machines: a tenth of them would be usual."""
    side = 316
    places = [(x / side, y / side) for x in range(side) for y in range(side)]
    browser = opened(a_map(places, ["A passage of some length. " * 12] * len(places)))
    browser.until("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    assert browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd") < 20_000
    took = (
        "(() => { const from = performance.now(); searchkitMap.paint(); return performance.now() - from })()"
    )
    assert browser.run(took) < 1_000
    assert len(look_for(browser, "99.md")) == sum(str(at).endswith("99") for at in range(len(places)))


def test_the_page_names_no_address():
    """But that of SVG, which is a name and is not fetched."""
    text = page_of(GRID)
    assert set(re.findall(r"\w+://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|href)\s*=\s*[\"']", text) and "@import" not in text and "url(" not in text
