"""Mends the cuts of Markdown: fences and headings go where the text they belong to went."""

from __future__ import annotations

import re

_FENCE = re.compile(r"[ \t]{0,12}(?:`{3,}|~{3,})")
_CLOSING = re.compile(r"[ \t]{0,12}(?:`{3,}|~{3,})[ \t]*$")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")

_Span = tuple[int, int]


def mend(text: str, spans: list[_Span], most: int) -> list[_Span]:
    """Move borders between neighbouring spans of `text` where no span gets longer than `most` characters.

    A fence that opens at a span's end goes to the next span, one that closes at a span's beginning to
    the span before; a span of nothing but headings and fences is joined to the next.
    """
    spans = list(spans)
    done: list[_Span] = []
    opened = False  # whether a fence is open where the current span begins
    held: _Span | None = None
    for index, (start, end) in enumerate(spans):
        if held is not None:
            start = held[0] if end - held[0] <= most else start
            if start != held[0]:
                done.append(held)
                opened ^= _has_odd_fences(text[slice(*held)])
            held = None
        line = _first_line(text, start, end) if done and opened else None
        if line and _CLOSING.match(text[slice(*line)]) and line[1] - done[-1][0] <= most:
            done[-1] = (done[-1][0], line[1])
            opened, start = False, line[1]
        if not text[start:end].strip():
            continue
        is_last = index + 1 == len(spans)
        if not is_last and _is_bare(text[start:end]):
            held = (start, end)
            continue
        opened ^= _has_odd_fences(text[start:end])
        if opened and not is_last and (line := _last_line(text, start, end)):
            following = spans[index + 1]
            if _FENCE.match(text[slice(*line)]) and line[0] > start and following[1] - line[0] <= most:
                spans[index + 1] = (line[0], following[1])
                end, opened = line[0], False
        done.append((start, end))
    return done if held is None else [*done, held]


def _has_odd_fences(text: str) -> bool:
    return sum(_FENCE.match(line) is not None for line in text.split("\n")) % 2 == 1


def _is_bare(text: str) -> bool:
    """Whether text holds nothing but headings and fences."""
    return all(not line.strip() or _HEADING.match(line) or _FENCE.match(line) for line in text.split("\n"))


def _first_line(text: str, start: int, end: int) -> _Span | None:
    while start < end and text[start] == "\n":
        start += 1
    stop = text.find("\n", start, end)
    return (start, end if stop < 0 else stop) if start < end else None


def _last_line(text: str, start: int, end: int) -> _Span | None:
    stop = start + len(text[start:end].rstrip())
    return (max(start, text.rfind("\n", start, stop) + 1), stop) if stop > start else None
