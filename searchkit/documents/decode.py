"""Bytes to text: which encoding, and whether it is text at all; knows no format and no file."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from searchkit.errors import DocumentError

SAMPLE = 1 << 16  # bytes looked at for what is a matter of ratio
CONTROL_SHARE = 0.01  # more control characters than this, and it is no text
NUL_SHARE = 0.1  # the same for NUL, which exports of databases leave in fields
HIGH_SHARE = 0.35  # cp1252 text with more characters above ASCII than this is another code page's

_CONTROLS = bytes(set(range(32)) - {0, 7, 8, 9, 10, 11, 12, 13, 27})  # bell to escape occur in terminal logs
_BARE_MARKS = re.compile(r"^ {0,3}#{1,6}[ \t]+$", re.M)
_SURROGATES = re.compile("[\ud800-\udfff]")
# What browsers take a declared name for: exports name a standard and mean the code page that contains it.
_DECLARED_FOR = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How bytes are to be read."""

    name: str  # a Python codec
    bom: int = 0  # bytes to leave out at the beginning
    errors: str = "strict"

    @property
    def label(self) -> str:
        """What a Document's metadata says: '' for faultless UTF-8."""
        if self.name != "utf-8":
            return self.name
        return "utf-8, damaged" if self.errors != "strict" else ""


def find_encoding(data: bytes, *, whole: bool = True) -> Encoding:
    """Return how to read `data`: by mark, as UTF-8, as UTF-16, as cp1252, in this order.

    With `whole` False, `data` is the beginning of something longer, and may end within a character.

    Raises: DocumentError: it is not text in any of these.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return Encoding(name=name, bom=len(mark))
    if name := _utf16_without_mark(data[:SAMPLE]):
        return Encoding(name=name)
    _refuse_binary(data[:SAMPLE])
    try:
        codecs.utf_8_decode(data, "strict", whole)
    except UnicodeDecodeError as error:
        around = max(0, error.start - SAMPLE // 2)
        return _not_utf8(data[around : around + SAMPLE])
    return Encoding(name="utf-8")


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of `data` and the label of its encoding, '' for faultless UTF-8.

    A byte order mark goes, every kind of line end becomes a line feed, a NUL a space; nothing else changes,
    so that line numbers are the file's and offsets count its characters.

    Raises: DocumentError: it is not text.
    """
    encoding = find_encoding(data)
    view = memoryview(data)[encoding.bom :]
    try:
        text = str(view, encoding.name, encoding.errors)
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"begins like {encoding.name} but is not: byte {error.start + encoding.bom:,} fits no character",
            remedy="save the file as UTF-8",
        ) from error
    return tidy_newlines(text), encoding.label


def declared_codec(name: str) -> str:
    """The Python codec to read text with that is declared to be in `name`; '' if nobody knows it."""
    try:
        found = codecs.lookup(name.strip())
    except (LookupError, ValueError):
        return ""
    return _DECLARED_FOR.get(found.name, found.name) if found._is_text_encoding else ""


def tidy_newlines(text: str) -> str:
    """Make every line end a line feed, and every NUL a space."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", " ")


def without_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which no database and no tokenizer takes, by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Replace spans, ordered and apart, by white space of their length; lines and offsets stay true."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += [text[done:start], re.sub(r"[^\n]", " ", text[start:end])]
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def spans_between(text: str, opening: str, closing: str) -> Iterator[tuple[int, int]]:
    """Yield the spans from each `opening` to the next `closing`, both included, in one pass."""
    end = 0
    while (start := text.find(opening, end)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        end += len(closing)
        yield start, end


def without_template_tags(name: str, text: str) -> str:
    """`text` with ERB's tags blanked if the name ends in '.erb'; so are bare heading marks."""
    if not name.lower().endswith(".erb") or "<%" not in text:
        return text
    blanked = blank(text, spans_between(text, "<%", "%>"))
    marks = (match.span() for match in _BARE_MARKS.finditer(blanked))
    return blank(blanked, (span for span in marks if text[slice(*span)] != blanked[slice(*span)]))


def _utf16_without_mark(sample: bytes) -> str:
    """The UTF-16 codec that `sample` is in, judged by where its zero bytes are; '' if it is not."""
    pairs = len(sample) // 2
    if pairs < 2:
        return ""
    even, odd = sample[0 : pairs * 2 : 2].count(0), sample[1 : pairs * 2 : 2].count(0)
    # Latin text has a zero in nearly every pair, on one side; two zeros in a pair never occur in text.
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > 0.4 * pairs and others <= 0.01 * pairs:
            text = sample[: pairs * 2].decode(name, "replace")
            printable = sum(char.isprintable() or char.isspace() for char in text)
            return name if printable > 0.95 * len(text) else ""
    return ""


def _refuse_binary(sample: bytes) -> None:
    """Raise DocumentError if control characters say that `sample` is no text."""
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    nuls = sample.count(0)
    if controls > CONTROL_SHARE * len(sample) or nuls > NUL_SHARE * len(sample):
        raise DocumentError(
            f"holds binary data: {controls + nuls:,} of the first {len(sample):,} bytes are control "
            "characters, expected text",
            remedy="check the file's suffix, or leave it out through .searchkitignore",
        )


def _not_utf8(sample: bytes) -> Encoding:
    """How to read text of which `sample`, with a fault in it, is not UTF-8."""
    text = sample.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    # One byte lost here and there, as in a log cut by rotation: most characters above ASCII still read well.
    if sum(char > "\x7f" for char in text) > 4 * faults:
        return Encoding(name="utf-8", errors="replace")
    if sum(byte > 0x7F for byte in sample) > HIGH_SHARE * len(sample):
        raise DocumentError(
            "is text in an encoding that cannot be told: expected UTF-8, UTF-16 or Windows-1252",
            remedy="save the file as UTF-8",
        )
    # cp1252 leaves five bytes undefined; latin-1 gives every byte a character.
    undefined = any(byte in sample for byte in b"\x81\x8d\x8f\x90\x9d")
    return Encoding(name="latin-1" if undefined else "cp1252", errors="strict" if undefined else "replace")
