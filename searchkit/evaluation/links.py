"""Links between Documents of a Collection, as Markdown writes them in its text.

Of other formats the Library holds what a reader sees, which is a link's words and not where it leads.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from searchkit.library.contents import StoredDocument

_LINK = re.compile(r"(?<!!)\[([^\[\]]{2,200})\]\(\s*<?([^()\s<>]{1,500})>?(?:\s+[\"'][^\"'\n]*[\"'])?\s*\)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_MARKUP = re.compile(r"[*_`]+")
_ENDINGS = (".md", ".markdown", ".mdx", ".html", ".htm", ".erb", ".txt", ".rst", ".adoc")
_OF_FOLDERS = ("index", "readme")  # pages that a link to their folder leads to


def links_of(text: str) -> Iterator[tuple[str, str]]:
    """The words of each link to another page, without markup, and where it leads."""
    for words, target in _LINK.findall(text):
        page = unquote(target.split("#", 1)[0].split("?", 1)[0])
        if page and not _SCHEME.match(target):
            yield " ".join(_MARKUP.sub("", words).split()), page


class Pages:
    """Documents by where links lead: 'manual/deploy', whether that is a .md, a .html.md.erb or a folder."""

    def __init__(self, documents: Iterable[StoredDocument]) -> None:
        self._exact: dict[tuple[int, str], set[int]] = {}
        self._ends: dict[tuple[int, str], set[int]] = {}
        for one in documents:
            if one.name != one.file:  # a row, or a part of an archive
                continue
            key = _key(one.name)
            self._exact.setdefault((one.source_id, key), set()).add(one.document_id)
            parts = key.split("/")
            for first in range(len(parts)):
                self._ends.setdefault((one.source_id, "/".join(parts[first:])), set()).add(one.document_id)

    def at(self, target: str, linking: StoredDocument) -> int | None:
        """The one Document that a link leads to; None where there is none, or it may be several.

        A target that begins with '/' counts from the root of a site, which may be any folder of the source.
        """
        if target.startswith("/"):
            found = self._ends.get((linking.source_id, _key(target.strip("/"))), set())
        else:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(linking.name), target))
            found = self._exact.get((linking.source_id, _key(place)), set())
        return next(iter(found)) if len(found) == 1 else None


def _key(name: str) -> str:
    key = name.casefold().rstrip("/")
    while ending := next((one for one in _ENDINGS if key.endswith(one)), ""):
        key = key.removesuffix(ending)
    folder, _, last = key.rpartition("/")
    return folder if folder and last in _OF_FOLDERS else key
