"""Make traps/: one hostile file per loader. README.md in that folder says what each should produce.

    python sample_corpus/make_traps.py            write the files beside this script
    python sample_corpus/make_traps.py --to DIR   write them into another folder

Running it twice gives the same bytes; the junk comes from a seeded generator.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ZIP_TIME = (2026, 1, 1, 0, 0, 0)
BOMB_SLIDES = 40
BOMB_SLIDE_BYTES = 64 * 1024 * 1024  # 40 slides of 64 MiB: 2.5 GiB on 66 KB of disk
PDF_PASSWORD = "larkmoor"


def junk(size: int) -> bytes:
    """Return bytes that are no text in any encoding: random, with NUL bytes among them."""
    return random.Random(1998).randbytes(size - 16) + bytes(16)


def binary_markdown() -> bytes:
    return b"# Minutes of the meeting\n\n" + junk(4096)


def invalid_utf8_text() -> bytes:
    # Latin-1 bytes that are no UTF-8, cut sequences, a lone surrogate and an overlong slash.
    return "Pegelstände in Öblarn\n".encode("latin-1") + b"\xe2\x82 \xed\xa0\x80 \xc0\xaf \xff\xfe\xfd\n" * 40


def pdf(*, encrypted: bool = False, words: str = "Level at the weir: 1.28 m") -> bytes:
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    lock = StandardEncryption(PDF_PASSWORD, strength=128) if encrypted else None
    canvas = Canvas(target, invariant=1, pageCompression=0, encrypt=lock)
    for page in range(1, 4):
        if words:
            canvas.drawString(72, 720, f"{words}, page {page}")
        canvas.rect(72, 400, 300, 200, fill=1)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def truncated_pdf() -> bytes:
    whole = pdf()
    return whole[: len(whole) // 2]


def docx_without_zip() -> bytes:
    return b"PK\x03\x04 this only looks like the beginning of a Word document\n" + junk(2048)


def pptx_bomb() -> bytes:
    """Return a deck whose slides share one compressed body: each directory entry points to the same bytes."""
    slides = [f"ppt/slides/slide{number}.xml" for number in range(1, BOMB_SLIDES + 1)]
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="application/vnd.openxmlformats-officedocument.'
        'presentationml.slide+xml"/>'
        for name in slides
    )
    presentation = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/presentationml/2006/main"
    small = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
        f'PartName="/ppt/presentation.xml" ContentType="{presentation}"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="ppt/presentation.xml"/></Relationships>',
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{main}" xmlns:r="{office}"><p:sldIdLst>'
        + "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in range(1, BOMB_SLIDES + 1))
        + "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{office}/slide" Target="slides/slide{n}.xml"/>'
            for n in range(1, BOMB_SLIDES + 1)
        )
        + "</Relationships>",
    }
    head, tail = f'<p:sld xmlns:p="{main}"><p:cSld><p:spTree>'.encode(), b"</p:spTree></p:cSld></p:sld>"
    body = head + b" " * (BOMB_SLIDE_BYTES - len(head) - len(tail)) + tail

    out, directory = io.BytesIO(), io.BytesIO()
    entries = 0

    def entry(name: str, offset: int, packed: int, size: int, crc: int) -> None:
        nonlocal entries
        entries += 1
        directory.write(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\x01\x02",
                20,
                20,
                0,
                8,
                0,
                0x5C21,
                crc,
                packed,
                size,
                len(name),
                0,
                0,
                0,
                0,
                0,
                offset,
            )
            + name.encode()
        )

    def member(name: str, content: bytes) -> tuple[int, int, int, int]:
        offset, packer = out.tell(), zlib.compressobj(9, zlib.DEFLATED, -15)
        packed, crc = packer.compress(content) + packer.flush(), zlib.crc32(content)
        out.write(
            struct.pack(
                "<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0x5C21, crc, len(packed), len(content), len(name), 0
            )
            + name.encode()
            + packed
        )
        return offset, len(packed), len(content), crc

    for name, words in small.items():
        entry(name, *member(name, words.encode()))
    shared = member(slides[0], body)
    for name in slides:
        entry(name, *shared)
    start = out.tell()
    out.write(directory.getvalue())
    out.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, out.tell() - start, start, 0))
    return out.getvalue()


def truncated_xlsx() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as book:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            book.writestr(zipfile.ZipInfo(name, ZIP_TIME), f"<!-- {name} -->" + "<row/>" * 400)
    return target.getvalue()[:2500]


def nested_html() -> bytes:
    return b"<html><body>" + b"<b>" * 100_000 + b"the bottom of the well"


def broken_mail() -> bytes:
    return (
        b"From: =?no-such-charset?B?////?= <a@b>\r\nTo nobody at all\r\nDate: the day before yesterday\r\n"
        b'Subject: =?utf-8?Q?=E2=82?=\r\nContent-Type: multipart/mixed; boundary=""\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n--\r\nContent-Type: text/plain; charset=klingon\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!! not base64 !!!!\r\n" + junk(512)
    )


def broken_notebook() -> bytes:
    return b'{"cells": [{"cell_type": "markdown", "source": ["# Tides\\n", "half a sent'


def broken_csv() -> bytes:
    huge = "x" * 200_000
    return (
        f'id,remark\n1,"a field that is never closed\n2,with a NUL \0 byte\n3,{huge}\n4\n'
        '5,"two" quotes,and,far,too,many,columns\n'
    ).encode()


def mixed_jsonl() -> bytes:
    good = [
        json.dumps({"question": f"Good row {n}?", "answer": f"Yes, row {n} is good."}) for n in range(1, 4)
    ]
    return (
        "\n".join(
            [
                good[0],
                '{"question": "cut off',
                good[1],
                "not json at all",
                "[1, 2, 3]",
                '"only text"',
                '{"question": NaN}',
                "",
                good[2],
            ]
        ).encode()
        + b"\n\xff\xfe\n"
    )


def binary_code() -> bytes:
    return b'"""Reads gauges."""\n\nimport struct\n\n' + junk(4096)


TRAPS: dict[str, Callable[[], bytes]] = {
    "binary.md": binary_markdown,
    "invalid_utf8.txt": invalid_utf8_text,
    "truncated.pdf": truncated_pdf,
    "encrypted.pdf": lambda: pdf(encrypted=True),
    "no_text_layer.pdf": lambda: pdf(words=""),
    "no_zip.docx": docx_without_zip,
    "zip_bomb.pptx": pptx_bomb,
    "truncated.xlsx": truncated_xlsx,
    "nested_tags.html": nested_html,
    "broken_headers.eml": broken_mail,
    "invalid_json.ipynb": broken_notebook,
    "broken_quotes.csv": broken_csv,
    "malformed_lines.jsonl": mixed_jsonl,
    "binary.py": binary_code,
    "empty.md": lambda: b"",
}


def main() -> None:
    """Write all traps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=Path, default=HERE / "traps", metavar="DIR")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in TRAPS.items():
        (folder / name).write_bytes(make())
        print(f"{(folder / name).stat().st_size:>8}  {name}")


if __name__ == "__main__":
    main()
