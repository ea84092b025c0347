"""Files that tests read, made on the spot: ordinary ones of every binary format, and hostile ones."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from searchkit.records import Document, Failure, SourceFile


def source(path: Path, name: str | None = None) -> SourceFile:
    """The SourceFile that discovery would make of a file."""
    status = path.stat()
    return SourceFile(path=path, name=name or path.name, size=status.st_size, mtime_ns=status.st_mtime_ns)


def read(folder: Path, name: str, content: str | bytes) -> Document:
    """Write a file and load the one Document it holds."""
    (document,) = read_all(folder, name, content)
    return document


def read_all(
    folder: Path, name: str, content: str | bytes, failures: list[Failure] | None = None
) -> list[Document]:
    """Write a file and load its Documents; `failures` receives the rows that are lost."""
    from searchkit.documents.load import load

    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(load(source(path), on_failure=None if failures is None else failures.append))


def docx(*, title: str = "", parts: dict[str, bytes | str] | None = None) -> bytes:
    """A Word file with two headings, a list and a table; `parts` replace those of the same names."""
    import docx as library

    document = library.Document()
    document.core_properties.title = title
    document.add_heading("Travel policy", 1)
    document.add_paragraph("Costs < 50 & > 10 are paid *at once*.")
    document.add_heading("Trains", 2)
    document.add_paragraph("First class", style="List Bullet")
    document.add_paragraph("Second class", style="List Bullet")
    table = document.add_table(2, 2)
    for row, texts in enumerate((("City", "Fare"), ("Bonn", "12 | 13"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    file = io.BytesIO()
    document.save(file)
    return with_parts(file.getvalue(), parts) if parts else file.getvalue()


def pptx() -> bytes:
    """Three slides: title, text and notes; a table; no title."""
    import pptx as library
    from pptx.util import Inches

    show = library.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Quarterly review"
    slide.placeholders[1].text = "Sales & service\nGrew again"
    slide.notes_slide.notes_text_frame.text = "Mention the new office"
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Costs"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, texts in enumerate((("Item", "Cost"), ("Bolt", "3"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    slide = show.slides.add_slide(show.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "Thank you"
    file = io.BytesIO()
    show.save(file)
    return file.getvalue()


def xlsx(*, far_cell: tuple[int, int] | None = None) -> bytes:
    """A sheet with text, a number, a date and a percentage; an empty sheet; perhaps a cell far away."""
    import datetime

    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Budget"
    sheet.append(["Item", "Cost", "Due", "Share"])
    sheet.append(["Desk & chair", 120.5, datetime.date(2024, 5, 1), 0.25])
    sheet["D2"].number_format = "0%"
    book.create_sheet("Nothing")
    if far_cell:
        sheet.cell(*far_cell).value = "far away"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def pdf(pages: list[list[tuple[str, int, str]]], *, password: str = "", title: str = "") -> bytes:
    """A PDF; each page is a list of lines (font, size, text)."""
    from reportlab.lib import pdfencrypt
    from reportlab.pdfgen import canvas

    file = io.BytesIO()
    encrypt = pdfencrypt.StandardEncryption(password) if password else None
    paper = canvas.Canvas(file, encrypt=encrypt)
    paper.setTitle(title)
    for lines in pages:
        height = 780
        for font, size, text in lines:
            paper.setFont(font, size)
            paper.drawString(60, height, text)
            height -= 24
        paper.showPage()
    paper.save()
    return file.getvalue()


def garbled_pdf() -> bytes:
    """A PDF whose font says that its letters are code points for private use."""
    meaning = b"1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <20> <7e> <e020> endbfrange"
    shown = b"BT /F 12 Tf 60 700 Td (An ordinary sentence to a person who looks at it.) Tj ET"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(shown), shown),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(meaning), meaning),
    ]
    objects = b"".join(b"%d 0 obj%s endobj\n" % (number, part) for number, part in enumerate(parts, 1))
    return b"%PDF-1.4\n" + objects + b"trailer<</Root 1 0 R/Size 7>>\n%%EOF\n"


def zip_bomb(member: str, size: int = 40 << 20) -> bytes:
    """A zip archive whose one member unfolds a thousand times."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(member, "w") as out,
    ):
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))
    return file.getvalue()


def lying_zip(member: str, content: bytes) -> bytes:
    """A zip archive that declares one byte for a member that holds far more."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    data = bytearray(file.getvalue())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 1)
    return bytes(data)


def billion_laughs() -> str:
    """XML whose entities unfold a billion times."""
    entities = ['<!ENTITY a0 "lol">']
    for level in range(1, 10):
        entities.append(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">')
    return (
        f"<?xml version='1.0'?><!DOCTYPE d [{''.join(entities)}]>"
        "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
        "<w:body><w:p><w:r><w:t>&a9;</w:t></w:r></w:p></w:body></w:document>"
    )


def ole_file() -> bytes:
    """The beginning of an Office file with a password: an OLE container."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000) + "EncryptedPackage".encode("utf-16-le")


def with_parts(data: bytes, parts: dict[str, bytes | str]) -> bytes:
    """The Office file `data` with parts added, or replaced where it has them."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
        for name in parts.keys() - set(old.namelist()):
            new.writestr(name, parts[name])
    return file.getvalue()


def with_text(data: bytes, old: str, new: str) -> bytes:
    """The Office file `data` with a text replaced in all its XML."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name.endswith((".xml", ".rels"))}
    assert any(old.encode() in part for part in parts.values())
    return with_parts(data, {name: part.replace(old.encode(), new.encode()) for name, part in parts.items()})
