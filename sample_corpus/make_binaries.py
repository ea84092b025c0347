"""Make the PDF, DOCX, PPTX and XLSX files of the sample corpus from the texts in _sources/.

    python sample_corpus/make_binaries.py            write the files beside this script
    python sample_corpus/make_binaries.py --to DIR   write them into another folder

`_sources/hr/remote-work.docx.md` becomes `hr/remote-work.docx`, `_sources/it/x.xlsx.toml` becomes
`it/x.xlsx`. The same libraries give the same bytes each time: dates come from the sources, zip
members carry one fixed time, and PDF pages are written uncompressed. `_sources/made_with.json`
holds the versions with which the committed files were made.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import re
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "_sources"
MADE_WITH = SOURCES / "made_with.json"
LIBRARIES = ("reportlab", "python-docx", "python-pptx", "openpyxl", "lxml")
ZIP_TIME = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Block:
    """A piece of a source text: heading, paragraph, list or table."""

    kind: Literal["heading", "paragraph", "bullets", "numbers", "table", "notes"]
    text: str = ""
    level: int = 0
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Text:
    """A Markdown source, parsed."""

    title: str
    author: str
    date: datetime.datetime
    blocks: tuple[Block, ...] = field(default=())


# Reading the sources


def read_text(path: Path) -> Text:
    """Read a Markdown source: front matter, then blocks separated by blank lines."""
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.splitlines())
    blocks = tuple(block_of(chunk.splitlines()) for chunk in re.split(r"\n\s*\n", body.strip()))
    return Text(fields["title"].strip('"'), fields["author"], noon(fields["date"]), blocks)


def noon(day: str) -> datetime.datetime:
    """Return twelve o'clock of an ISO date."""
    return datetime.datetime.fromisoformat(f"{day.strip()}T12:00:00")


def block_of(lines: list[str]) -> Block:
    """Turn the lines between two blank lines into one Block."""
    first = lines[0]
    if heading := re.match(r"(#+) (.*)", first):
        return Block("heading", heading[2], level=len(heading[1]))
    if first.startswith("Notes: "):
        return Block("notes", " ".join(lines).removeprefix("Notes: "))
    if first.startswith("- "):
        return Block("bullets", items=tuple(line.removeprefix("- ") for line in lines))
    if re.match(r"1\. ", first):
        return Block("numbers", items=tuple(re.sub(r"^\d+\. ", "", line) for line in lines))
    if first.startswith("|"):
        cells = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
        return Block("table", rows=(cells[0], *cells[2:]))
    return Block("paragraph", " ".join(lines))


# One maker per format: source path -> bytes of the finished file


def make_pdf(source: Path) -> bytes:
    """Lay a Markdown source out as A4 pages with the page number at the foot."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import ListFlowable, ListItem, Paragraph, SimpleDocTemplate, Spacer, Table

    text = read_text(source)
    styles = getSampleStyleSheet()
    body = styles["BodyText"]

    def paragraph(words: str, style: str = "BodyText") -> Paragraph:
        escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return Paragraph(escaped, styles[style])

    def flowables() -> Iterator[Any]:
        for block in text.blocks:
            if block.kind == "heading":
                yield paragraph(block.text, "Title" if block.level == 1 else f"Heading{block.level}")
            elif block.kind == "table":
                grid = [
                    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ]
                rows = [[paragraph(cell) for cell in row] for row in block.rows]
                yield Table(rows, style=grid, repeatRows=1, spaceBefore=2 * mm, spaceAfter=3 * mm)
            elif block.items:
                numbered = block.kind == "numbers"
                yield ListFlowable(
                    [ListItem(paragraph(item)) for item in block.items],
                    bulletType="1" if numbered else "bullet",
                    start=None if numbered else "•",
                )
                yield Spacer(1, 2 * mm)
            else:
                yield paragraph(block.text)

    def footer(canvas: Any, template: Any) -> None:
        canvas.setFont(body.fontName, 8)
        canvas.drawCentredString(A4[0] / 2, 10 * mm, f"{text.title}, page {template.page}")

    target = io.BytesIO()
    SimpleDocTemplate(
        target,
        pagesize=A4,
        title=text.title,
        author=text.author,
        creator="Larkmoor Instruments",
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        invariant=1,
        pageCompression=0,
    ).build(list(flowables()), onFirstPage=footer, onLaterPages=footer)
    return target.getvalue()


def make_docx(source: Path) -> bytes:
    """Turn a Markdown source into a Word document with real heading, list and table styles."""
    import docx

    text = read_text(source)
    document = docx.Document()
    for block in text.blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level - 1)
        elif block.kind == "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), style="Table Grid")
            for cells, words in zip(table.rows, block.rows, strict=True):
                for cell, word in zip(cells.cells, words, strict=True):
                    cell.text = word
        elif block.items:
            style = "List Number" if block.kind == "numbers" else "List Bullet"
            for item in block.items:
                document.add_paragraph(item, style=style)
        else:
            document.add_paragraph(block.text)
    return packed(document, text.title, text.author, text.date)


def make_pptx(source: Path) -> bytes:
    """Turn a Markdown source into slides: every level-2 heading begins one, 'Notes:' are speaker notes."""
    import pptx
    from pptx.util import Inches

    text = read_text(source)
    deck = pptx.Presentation()
    slide: Any = None
    for block in text.blocks:
        if block.kind == "heading":
            slide = deck.slides.add_slide(deck.slide_layouts[1])
            slide.shapes.title.text = block.text
        elif block.kind == "notes":
            slide.notes_slide.notes_text_frame.text = block.text
        elif block.kind == "table":
            body = slide.placeholders[1]
            body.element.getparent().remove(body.element)
            shape = slide.shapes.add_table(
                len(block.rows),
                len(block.rows[0]),
                Inches(0.5),
                Inches(1.6),
                Inches(9),
                Inches(0.5 * len(block.rows)),
            )
            for i, row in enumerate(block.rows):
                for j, word in enumerate(row):
                    shape.table.cell(i, j).text = word
        else:
            slide.placeholders[1].text_frame.text = "\n".join(block.items or (block.text,))
    return packed(deck, text.title, text.author, text.date)


def make_xlsx(source: Path) -> bytes:
    """Turn a TOML source into a workbook with one worksheet per [[sheet]] table."""
    import openpyxl
    from openpyxl.styles import Font

    data = tomllib.loads(source.read_text(encoding="utf-8"))
    book = openpyxl.Workbook()
    book.remove(book.active)
    for sheet in data["sheet"]:
        page = book.create_sheet(sheet["name"])
        page.append(sheet["header"])
        for row in sheet["rows"]:
            page.append([None if cell == "" else cell for cell in row])
        for number, cells in enumerate(page.columns):
            cells[0].font = Font(bold=True)
            widest = max(len(str(cell.value or "")) for cell in cells)
            page.column_dimensions[chr(ord("A") + number)].width = min(widest + 2, 60)
        page.freeze_panes = "A2"
    book.properties.title, book.properties.creator = data["title"], data["author"]
    return repacked(book.save, noon(data["date"]))


def packed(office_file: Any, title: str, author: str, date: datetime.datetime) -> bytes:
    """Set the core properties of a python-docx or python-pptx object and return its bytes."""
    core = office_file.core_properties
    core.title, core.author, core.last_modified_by, core.revision = title, author, author, 1
    core.created = core.modified = date
    core.comments = ""
    return repacked(office_file.save, date)


def repacked(save: Callable[[io.BytesIO], Any], date: datetime.datetime) -> bytes:
    """Save into memory and write the zip again with nothing in it that depends on the clock."""
    original, target = io.BytesIO(), io.BytesIO()
    save(original)
    stamp = f"{date.isoformat()}Z".encode()
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            member = zipfile.ZipInfo(name, ZIP_TIME)
            member.create_system = 3  # what the file says about its maker's system, on every system
            new.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return target.getvalue()


MAKERS: dict[str, Callable[[Path], bytes]] = {
    ".pdf": make_pdf,
    ".docx": make_docx,
    ".pptx": make_pptx,
    ".xlsx": make_xlsx,
}


def sources() -> dict[str, Path]:
    """Return the source of every binary, by the binary's path relative to the corpus."""
    found = sorted([*SOURCES.rglob("*.md"), *SOURCES.rglob("*.toml")])
    return {path.relative_to(SOURCES).with_suffix("").as_posix(): path for path in found}


def versions() -> dict[str, str]:
    """Return the versions of everything that shapes the bytes."""
    return {name: metadata.version(name) for name in LIBRARIES} | {"zlib": zlib.ZLIB_RUNTIME_VERSION}


def main() -> None:
    """Write all binaries, and the versions if they are written in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=Path, default=HERE, metavar="DIR")
    folder = parser.parse_args().to
    for name, source in sources().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(MAKERS[target.suffix](source))
        print(f"{target.stat().st_size:>8}  {name}")
    if folder == HERE:
        MADE_WITH.write_text(json.dumps(versions(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
