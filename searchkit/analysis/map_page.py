"""Writes a map as one page of HTML that opens offline: no library, no address, nothing fetched.

Texts go in as JSON and are shown as text, never as HTML; a policy in the page lets no other script run.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from searchkit.analysis.map_colours import CATEGORY, GREY, SCALE, Colours, in_words
from searchkit.analysis.mapping import Map, Point
from searchkit.whole_file import write_whole

UNIT = 1 << 16  # steps of a coordinate: finer than the pixels of any screen
SHARES = 4  # digits of a place on the scale
QUERY_SHOWN, FIELD_SHOWN = 60, 40  # characters in a title
CALLED = {"tsne": "t-SNE", "umap": "UMAP"}


def write_html(found: Map, path: Path) -> None:
    """Write the page. Raises: UsageError: the file cannot be written."""
    write_whole(path, page(found).encode("utf-8", "replace"))


def page(found: Map) -> str:
    """The page as text."""
    script = _part("js")
    return _filled(
        _part("html"),
        {
            "title": escape(title(found)),
            "style": _part("css"),
            # The one script that may run: a hash of the text between its tags.
            "script_hash": f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'",
            "data": _json(_data(found)),
            "script": script,
        },
    )


def title(found: Map) -> str:
    """What a map is called."""
    return f"Map of {found.collection}"


def about(found: Map) -> str:
    """What it shows, in one line."""
    shown, level = len(found.points), found.level
    many = f"{shown:,} {level}{'' if shown == 1 else 's'}"
    if shown < found.total:
        many += f" of {found.total:,}, taken at random{' but for the hits' if found.hits else ''}"
    parts = [many, f"{CALLED[found.method]}", f"coloured by {called(found.colours)}"]
    if found.query:
        parts.append(f"{len(found.hits):,} hits of “{_short(found.query, QUERY_SHOWN)}”")
    return " · ".join(parts)


def called(found: Colours) -> str:
    """What the legend is headed by."""
    return f"themes of {found.field}s" if found.grouped else _short(found.field, FIELD_SHOWN)


def _short(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _part(ending: str) -> str:
    return Path(__file__).with_name(f"map_page.{ending}").read_text(encoding="utf-8").strip()


def _filled(template: str, values: dict[str, str]) -> str:
    """The template with each {{name}} replaced, once: what a value holds is left alone."""
    parts = template.split("{{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, rest = part.split("}}", 1)
        filled += [values[name], rest]
    return "".join(filled)


def _json(value: object) -> str:
    """JSON that no text can leave: '<' begins no tag in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )


def _data(found: Map) -> dict[str, Any]:
    points, colours = found.points, found.colours
    names, name = _numbered(one.document for one in points)
    headings, heading = _numbered(one.heading for one in points)
    labels, label = _numbered(colours.shown)
    # By their JSON, in which 1, 1.0 and true are three.
    raws, raw = _numbered(json.dumps(one, ensure_ascii=False) for one in colours.raw)
    data: dict[str, Any] = {
        "title": title(found),
        "about": about(found),
        "collection": found.collection,
        "field": colours.field,
        "heading_of_legend": called(colours),
        "level": found.level,
        "unit": UNIT,
        "x": [round(one.x * UNIT) for one in points],
        "y": [round(one.y * UNIT) for one in points],
        "id": [one.passage_id for one in points],
        "names": names,
        "name": name,
        "place": [_place(one) for one in points],
        "headings": headings,
        "heading": heading,
        "labels": labels,
        "label": label,
        "raws": [json.loads(one) for one in raws],
        "raw": raw,
        "text": [one.text for one in points],
        "further": [one.further for one in points] if found.level == "document" else None,
        "hits": sorted(found.hits.items()),
        "grey": GREY,
    }
    if colours.kind == CATEGORY:
        data["value"] = [int(one or 0) for one in colours.of]
        data["categories"] = [
            {"name": name, "count": count, "colour": colours.colour(at)}
            for at, (name, count) in enumerate(colours.categories)
        ]
        return data
    shares = [colours.share(one) for one in colours.of]
    data["value"] = [None if one is None else round(one, SHARES) for one in shares]
    data["scale"] = {
        "colours": SCALE,
        "ends": [in_words(colours.kind, one) for one in (colours.low, colours.high)],
        "without": shares.count(None),
    }
    return data


def _place(one: Point) -> str:
    if one.passages > 1:
        return f" ({one.passages:,} passages)"
    return one.where.removeprefix(one.document)


def _numbered(texts: Iterable[str]) -> tuple[list[str], list[int]]:
    """The different texts, and for each which of them it is."""
    number: dict[str, int] = {}
    of = [number.setdefault(text, len(number)) for text in texts]
    return list(number), of
