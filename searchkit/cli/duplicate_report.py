"""Writes duplicates as one page of HTML that opens offline: texts side by side, what differs marked."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from searchkit.analysis.copies import Copy, Found, Group
from searchkit.analysis.evidence import MOST_WORDS, opcodes
from searchkit.cli.duplicate_lists import headline
from searchkit.errors import UsageError

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
section { border-top: 1px solid #8886; margin-top: 1.5rem; padding-top: .5rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: .7rem 0 1.4rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; border-radius: 6px;
  padding: .6rem; max-height: 24rem; overflow: auto; }
.where { font-weight: 600; overflow-wrap: anywhere; } .about { color: #888; font-size: .87em; }
del { background: #f8514940; text-decoration: none; } ins { background: #2ea04350; text-decoration: none; }
.kind { background: #d2992240; border-radius: 4px; padding: 0 .4em; }
@media (max-width: 45rem) { .pair { grid-template-columns: 1fr; } }
"""
_PIECES = re.compile(r"\s*\S+|\s+")  # white space with its word: alone it is equal to all other


def require_folder(path: Path) -> None:
    """Raise UsageError where no file can be written, before anything is looked for."""
    if not path.absolute().parent.is_dir():
        raise _not_written(path, "there is no such folder")


def write(found: Found, path: Path) -> None:
    """Write what is given of the groups. Raises: UsageError: the file cannot be written."""
    try:
        path.write_text(report(found), encoding="utf-8", errors="replace")
    except OSError as error:
        raise _not_written(path, error.strerror or "") from error


def _not_written(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"the report cannot be written to {path}: {reason}",
        remedy="name a file in a folder that you may write to: --html FILE",
    )


def report(found: Found) -> str:
    """The page. Everything that stands in a document is escaped."""
    sections = "".join(_section(number, group) for number, group in enumerate(found.groups, start=1))
    left = found.total - len(found.groups)
    more = f"<p>{left:,} more groups are left out.</p>" if left else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="generator" content="searchkit duplicates">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Duplicates in {escape(found.collection)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Duplicates in {escape(found.collection)}</h1>"
        f"<p>{escape(headline(found)).replace(chr(10), '<br>')}</p>{sections}{more}</body></html>\n"
    )


def _section(number: int, group: Group) -> str:
    first = group.representative
    pairs = "".join(_pair(first, one) for one in group.copies)
    return f"<section><h2>Group {number}: {len(group.copies) + 1} passages</h2>{pairs}</section>"


def _pair(first: Copy, one: Copy) -> str:
    left, right = (escape(first.text), escape(one.text)) if one.exact else _marked(first.text, one.text)
    about = "the same text" if one.exact else f"cosine {one.cosine:.3f}"
    kinds = "".join(
        f' <span class="kind">{escape(kind)}</span>'
        for kind in (one.differences.kinds if one.differences else ())
    )
    head = _head(first, "stands for the group", "")
    return (
        f'<div class="pair"><div>{head}<div class="text">{left}</div></div>'
        f'<div>{_head(one, about, kinds)}<div class="text">{right}</div></div></div>'
    )


def _head(one: Copy, about: str, kinds: str) -> str:
    number = f" [{one.passage_id}]" if one.passage_id is not None else ""
    return (
        f'<div class="where">{escape(one.where)}{number}</div><div class="about">{escape(about)}{kinds}</div>'
    )


def _marked(first: str, second: str) -> tuple[str, str]:
    """Both texts, escaped, with the words marked that the other has not."""
    one, other = _PIECES.findall(first), _PIECES.findall(second)
    if max(len(one), len(other)) > MOST_WORDS:
        return escape(first), escape(second)
    left, right = [], []
    for same, a, b, c, d in opcodes([piece.strip() for piece in one], [piece.strip() for piece in other]):
        left.append(_in(None if same else "del", "".join(one[a:b])))
        right.append(_in(None if same else "ins", "".join(other[c:d])))
    return "".join(left), "".join(right)


def _in(tag: str | None, text: str) -> str:
    words = text.lstrip()
    space = text[: len(text) - len(words)]
    return space + (f"<{tag}>{escape(words)}</{tag}>" if tag and words else escape(words))
