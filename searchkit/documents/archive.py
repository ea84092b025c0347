"""Office's zip archives: reads members within limits and parses their XML safely; knows no format."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from xml.etree import ElementTree

from searchkit.documents.reading import MIB, Limits, megabytes, too_large
from searchkit.errors import DocumentError
from searchkit.records import SourceFile

SMALL_MEMBER = 16 * MIB  # below this no ratio is suspicious
OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# Office writes no DTD; without one, no entity can unfold. UTF-16 hides it from a plain search.
_DTDS = tuple(
    mark.encode(code) for mark in ("<!DOCTYPE", "<!ENTITY") for code in ("utf-8", "utf-16-le", "utf-16-be")
)

_XML = (".xml", ".rels")
# Parts without text of their own: copies that may be huge, and some over which openpyxl stumbles, such as
# an odd date in docProps/ or a chart sheet without a chart.
_LEFT_OUT = ("docProps/", "ppt/charts/", "xl/calcChain", "xl/charts", "xl/externalLinks/", "xl/pivotCache/")
_STRICT = "{http://purl.oclc.org/ooxml/"  # beginning of every namespace of ISO 29500 Strict
_ARCHIVES = (".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz")


class Archive:
    """An open archive. All members read from it share one allowance of unpacked bytes."""

    def __init__(self, file: zipfile.ZipFile, limits: Limits, *, allow_dtd: bool = False) -> None:
        self._zip = file
        self.allow_dtd = allow_dtd
        self._limits = limits
        self._left = limits.unpacked_bytes
        self._names = {info.filename: info for info in file.infolist()}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def tree(self, name: str) -> ElementTree.Element:
        """Return the root of XML member `name`. Raises: DocumentError: too large to be held as a tree."""
        if name in self and self._names[name].file_size > self._limits.tree_bytes:
            raise too_large(self._names[name].file_size, self._limits.tree_bytes)
        with self._open(name) as stream:
            return ElementTree.parse(stream).getroot()

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Return what part `name` refers to: id -> (kind, part's name)."""
        folder, _, base = name.rpartition("/")
        rels = f"{folder}/_rels/{base}.rels" if folder else f"_rels/{base}.rels"
        if rels not in self:
            return {}
        found = {}
        for element in self.tree(rels):
            target = element.get("Target", "")
            kind = element.get("Type", "").rpartition("/")[2]
            if element.get("TargetMode") != "External":
                found[element.get("Id", "")] = (kind, _resolve(folder, target))
        return found

    def check(self) -> None:
        """Unpack everything once, keeping nothing, before a library without limits is given the file.

        Raises: DocumentError: a member is a bomb, a further archive, encrypted, or cannot be unpacked.
        """
        for name, info in self._names.items():
            if name.lower().endswith(_ARCHIVES):
                raise DocumentError(f"holds a further archive, '{name}'", remedy="unpack it beside the file")
            if not info.is_dir():
                with self._open(name) as stream:
                    while stream.read(MIB):
                        pass

    def only_xml(self, main: str, *, streamed: tuple[str, ...] = ()) -> IO[bytes]:
        """Return an archive in memory with the XML of this one that holds text, for a library.

        A library without limits then meets no bomb and no DTD, and holds no pictures in memory. It reads
        members whose names begin as one of `streamed` piece by piece, all others as trees.

        Raises: DocumentError: part `main` is missing or of the strict kind, a member is a bomb, has a DTD
        or is encrypted, or the trees together are too large.
        """
        if self.tree(main).tag.startswith(_STRICT):
            raise DocumentError(
                "is saved as 'Strict Open XML', which is not read",
                remedy="open the file in Office and save it as the ordinary kind",
            )
        copy = io.BytesIO()
        trees = 0
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as kept:
            for name in self._names:
                if not name.lower().endswith(_XML) or name.startswith(_LEFT_OUT):
                    continue
                with self._open(name) as member, kept.open(name, "w") as part:
                    trees += 0 if name.startswith(streamed) else self._names[name].file_size
                    if trees > self._limits.tree_bytes:
                        raise too_large(trees, self._limits.tree_bytes)
                    shutil.copyfileobj(member, part, MIB)
        copy.seek(0)
        return copy

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        info = self._names.get(name)
        if info is None:
            raise DocumentError(
                f"lacks its part '{name}': found an incomplete Office file, expected one that Office opens",
                remedy="open the file in Office and save it again",
            )
        if info.flag_bits & 1:
            raise DocumentError("is encrypted", remedy="remove the password and save the file again")
        ratio = info.file_size / max(1, info.compress_size)
        if info.file_size > SMALL_MEMBER and ratio > self._limits.unpack_ratio:
            raise self._bomb(f"'{name}' unfolds {ratio:,.0f} times to {megabytes(info.file_size)}")
        with self._zip.open(info) as stream:
            yield io.BufferedReader(_Metered(stream, self))

    def spend(self, size: int) -> None:
        """Count `size` unpacked bytes. Raises: DocumentError: the allowance is used up."""
        self._left -= size
        if self._left < 0:
            raise self._bomb(f"unfolds to more than {megabytes(self._limits.unpacked_bytes)}")

    @staticmethod
    def _bomb(what: str) -> DocumentError:
        return DocumentError(
            f"{what}: a zip bomb, or too large to be read",
            remedy="open the file in Office and save it in parts, or leave it out through .searchkitignore",
        )


class _Metered(io.RawIOBase):
    """A member's bytes, counted, and refused if a DTD is in them."""

    def __init__(self, stream: IO[bytes], archive: Archive) -> None:
        self._stream, self._archive, self._tail = stream, archive, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._archive.spend(len(data))
        seen = self._tail + data
        if not self._archive.allow_dtd and any(mark in seen for mark in _DTDS):
            raise DocumentError(
                "holds XML with a document type definition, which Office files never have and which can "
                "unfold without end",
                remedy="open the file in Office and save it again",
            )
        self._tail = seen[-32:]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_archive(source: SourceFile, limits: Limits, *, allow_dtd: bool = False) -> Iterator[Archive]:
    """Open an Office file. Raises: DocumentError: it is no zip archive, is encrypted, or is a bomb."""
    with source.path.open("rb") as file:
        start = file.read(8)
        if start == OLE_MARK:
            raise _old_or_encrypted(file.read(MIB))
        if not zipfile.is_zipfile(file):
            raise DocumentError(
                f"is no zip archive, as {source.path.suffix} files are: it begins with {start!r}",
                remedy="check that the file is whole and that its suffix is right",
            )
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > limits.members:
                raise Archive._bomb(f"holds {len(members):,} members, at most {limits.members:,} are read")
            yield Archive(archive, limits, allow_dtd=allow_dtd)


def local(tag: str) -> str:
    """The name of an element or attribute without its namespace, in which strict files differ."""
    return tag.rpartition("}")[2]


def attribute(element: ElementTree.Element, name: str) -> str:
    """The value of the attribute whose local name is `name`, '' if there is none."""
    for key, value in element.items():
        if local(key) == name:
            return value
    return ""


def main_part(archive: Archive, kind: str, usual: str) -> str:
    """The name of the part that relation `kind` of the package points at, else the usual one."""
    return next((name for found, name in archive.related("").values() if found == kind), usual)


def core_properties(archive: Archive) -> dict[str, str]:
    """Title, author, subject, keywords and dates that the file says of itself; empty ones left out."""
    names = {"title": "title", "creator": "author", "subject": "subject", "keywords": "keywords",
             "created": "created", "modified": "modified"}  # fmt: skip
    part = main_part(archive, "core-properties", "docProps/core.xml")
    if part not in archive:
        return {}
    found = {
        names.get(local(element.tag), ""): (element.text or "").strip() for element in archive.tree(part)
    }
    return {name: re.sub(r"\s+", " ", value)[:500] for name, value in found.items() if name and value}


def _resolve(folder: str, target: str) -> str:
    """The member that `target`, written in a part of `folder`, names."""
    parts = [] if target.startswith("/") else folder.split("/") if folder else []
    for part in target.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _old_or_encrypted(start: bytes) -> DocumentError:
    if "EncryptedPackage".encode("utf-16-le") in start:
        return DocumentError("is encrypted", remedy="remove the password and save the file again")
    return DocumentError(
        "is an Office file of the kind before 2007, whatever its suffix says",
        remedy="open the file in Office and save it in today's format",
    )
