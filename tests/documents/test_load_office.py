"""Word, PowerPoint, Excel, PDF, RTF, OpenDocument and e-books: text, headings, pages, tables."""

from __future__ import annotations

import datetime
import io
import subprocess
import sys
import zipfile
from typing import Any

import pytest

from searchkit.errors import DocumentError
from searchkit.records import Document
from tests.documents import make_files
from tests.documents.make_files import read


def headings(document: Document) -> list[tuple[int, str]]:
    """Level and text of each heading, after checking that it stands where it says."""
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)
    return [(heading.level, heading.text) for heading in document.headings]


def test_word_gives_headings_lists_tables_and_every_character(tmp_path):
    document = read(tmp_path, "a.docx", make_files.docx(title="Travelling"))
    assert document.text == (
        "Travel policy\n\nCosts < 50 & > 10 are paid *at once*.\n\nTrains\n\n"
        "- First class\n- Second class\n\nCity | Fare\nBonn | 12 | 13"
    )
    assert headings(document) == [(1, "Travel policy"), (2, "Trains")]
    assert (document.kind, document.title) == ("docx", "Travelling")


NAMESPACES = (
    "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main' "
    "xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'"
)


def word_body(inner: str) -> bytes:
    return make_files.docx(
        parts={"word/document.xml": f"<w:document {NAMESPACES}><w:body>{inner}</w:body></w:document>"}
    )


def test_word_text_boxes_breaks_and_deletions_are_read_once(tmp_path):
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    inner = (
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        f"<w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:t>new</w:t></mc:Choice><mc:Fallback><w:t>old</w:t>"
        "</mc:Fallback></mc:AlternateContent></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    assert read(tmp_path, "a.docx", word_body(inner)).text == "one\ttwo\nthree\n\nboxed\n\nnew\n\ncontrolled"


def test_word_headings_may_be_set_by_outline_level(tmp_path):
    inner = (
        "<w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr><w:r><w:t>Outlined</w:t></w:r></w:p>"
        "<w:p><w:pPr><w:outlineLvl w:val='9'/></w:pPr><w:r><w:t>Body</w:t></w:r></w:p>"
    )
    assert headings(read(tmp_path, "a.docx", word_body(inner))) == [(2, "Outlined")]


def test_slides_are_pages_with_headings_tables_and_notes(tmp_path):
    document = read(tmp_path, "a.pptx", make_files.pptx())
    assert document.text == (
        "Slide 1: Quarterly review\n\nSales & service\nGrew again\n\nNotes: Mention the new office\n\n"
        "Slide 2: Costs\n\nItem | Cost\nBolt | 3\n\nSlide 3\n\nThank you"
    )
    assert headings(document) == [(1, "Slide 1: Quarterly review"), (1, "Slide 2: Costs"), (1, "Slide 3")]
    assert document.page_starts == tuple(heading.start for heading in document.headings)
    assert document.title == "Quarterly review"


def saved(office_file: Any) -> bytes:
    """What saving a workbook or a presentation writes."""
    file = io.BytesIO()
    office_file.save(file)
    return file.getvalue()


def test_shapes_are_read_in_groups_and_where_they_have_a_newer_version(tmp_path):
    import pptx

    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "outer"
    inner = group.shapes.add_group_shape()
    inner.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "inner\vbroken line"
    slide.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "old or new"
    slide.notes_slide.notes_text_frame.text = "First note\nSecond note"
    compatible = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    data = make_files.with_text(
        saved(show),
        "<p:grpSp>",
        f"<mc:AlternateContent {compatible}><mc:Choice Requires='a14'><p:grpSp>",
    )
    fallback = "<p:sp><p:nvSpPr><p:cNvPr id='9' name='x'/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/></p:sp>"
    data = make_files.with_text(
        data,
        "</p:grpSp>",
        f"</p:grpSp></mc:Choice><mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>",
    )
    document = read(tmp_path, "a.pptx", data)
    assert document.text == (
        "Slide 1\n\nouter\n\ninner\nbroken line\n\nold or new\n\nNotes: First note\nSecond note"
    )


def test_furniture_of_slides_is_left_out_and_merged_cells_are_read_once(tmp_path):
    import pptx

    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Title"
    slide.placeholders[1].text = "2026-01-31"
    table = slide.shapes.add_table(2, 3, 0, 0, 9, 9).table
    table.cell(0, 0).text = "wide"
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 2).text = "two\nlines"
    data = make_files.with_text(saved(show), '<p:ph idx="1"/>', '<p:ph type="dt" idx="1"/>')
    assert read(tmp_path, "a.pptx", data).text == "Slide 1: Title\n\nwide |  | two lines"


def test_a_slide_show_is_read_as_a_presentation(tmp_path):
    data = make_files.with_text(make_files.pptx(), "presentationml.presentation", "presentationml.slideshow")
    assert read(tmp_path, "a.ppsx", data).text == read(tmp_path, "a.pptx", make_files.pptx()).text


def test_pictures_and_copies_of_data_are_never_looked_into(tmp_path):
    parts = {
        "media/a.svg": "<!DOCTYPE svg><svg/>",
        "media/b.bmp": bytes(20 << 20),
        "embeddings/c.zip": "PK",
        "charts/d.xml": bytes(20 << 20),
    }
    for name, data, folder in (("a.pptx", make_files.pptx(), "ppt"), ("a.xlsx", make_files.xlsx(), "xl")):
        with_more = make_files.with_parts(data, {f"{folder}/{part}": held for part, held in parts.items()})
        assert read(tmp_path, name, with_more).text == read(tmp_path, name, data).text


@pytest.mark.parametrize(("name", "made"), [("a.pptx", make_files.pptx), ("a.xlsx", make_files.xlsx)])
def test_properties_are_what_the_file_says_and_nothing_is_made_up(tmp_path, name, made):
    core = (
        "<cp:coreProperties xmlns:cp='http://schemas.openxmlformats.org/package/2006/metadata/core-properties'"
        " xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:dcterms='http://purl.org/dc/terms/'>"
        "<dc:creator>Ada\nL.</dc:creator><dcterms:created>last spring</dcterms:created></cp:coreProperties>"
    )
    document = read(tmp_path, name, make_files.with_parts(made(), {"docProps/core.xml": core}))
    said = {key: value for key, value in document.metadata.items() if key != "sheets"}
    assert said == {"author": "Ada L.", "created": "last spring"}


def test_sheets_are_headings_and_values_look_as_people_see_them(tmp_path):
    document = read(tmp_path, "a.xlsx", make_files.xlsx())
    assert document.text == (
        "Sheet: Budget\n\nItem | Cost | Due | Share\nDesk & chair | 120.5 | 2024-05-01 | 25%"
    )
    assert headings(document) == [(1, "Sheet: Budget")]
    assert document.metadata["sheets"] == ["Budget"]


def test_a_cell_at_the_far_end_of_a_sheet_costs_nothing(tmp_path):
    document = read(tmp_path, "a.xlsx", make_files.xlsx(far_cell=(1_048_576, 16_384)))
    assert document.text.endswith("far away")
    assert len(document.text) < 200


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (datetime.datetime(2024, 5, 1, 13, 30, 59), "[$-407]d. mmmm yyyy hh:mm", "2024-05-01 13:30:59"),
        (datetime.date(2024, 5, 1), 'yyyy"年"m"月"', "2024-05-01"),
        (datetime.time(8, 5), "h:mm AM/PM", "08:05:00"),
        (datetime.timedelta(hours=26, minutes=30), "[h]:mm", "26:30:00"),
        (datetime.timedelta(seconds=-90), "[h]:mm:ss", "-0:01:30"),
        (1e9, "yyyy-mm-dd", "#VALUE!"),
        (0.125, "0.0%", "12.5%"),
        (7, "0%", "700%"),
        (5, '0.0"%"', "5"),
        (5, "0\\%", "5"),
        (12, '0 "days"', "12"),
        (-3, "#,##0.00 [$€-407];[Red]-#,##0.00", "-3"),
        (0.1 + 0.2, "General", "0.3"),
        (123456789012345, "0.00", "123456789012345"),
        (True, "General", "true"),
        ("=1/0", "General", ""),
    ],
)
def test_a_number_is_read_by_its_format(tmp_path, value, number_format, shown):
    import openpyxl

    book = openpyxl.Workbook()
    book.active["A1"] = "is"
    book.active["B1"] = value
    book.active["B1"].number_format = number_format
    text = read(tmp_path, "a.xlsx", saved(book)).text
    assert text == f"Sheet: Sheet\n\nis | {shown}".removesuffix(" | ")


def test_dates_count_from_1904_where_the_book_says_so(tmp_path):
    import openpyxl
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active["A1"] = datetime.date(2024, 5, 1)
    assert read(tmp_path, "a.xlsx", saved(book)).text.endswith("2024-05-01")


def test_dates_in_the_formats_of_east_asia_are_dates(tmp_path):
    data = make_files.with_text(make_files.xlsx(), '<xf numFmtId="164"', '<xf numFmtId="31"')
    assert "| 2024-05-01 |" in read(tmp_path, "a.xlsx", data).text


def test_merged_cells_are_read_once_and_hidden_sheets_not_at_all(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Costs", None, "2025"])
    sheet.append(["Rent", 5, 6])
    sheet.merge_cells("A1:B1")
    for number, state in enumerate(("hidden", "veryHidden")):
        book.create_sheet(f"Secret {number}").append(["secret"])
        book.worksheets[-1].sheet_state = state
    book.create_chartsheet("Chart")
    book.create_sheet("Last").append(["end"])
    document = read(tmp_path, "a.xlsx", saved(book))
    assert document.text == "Sheet: Sheet\n\nCosts |  | 2025\nRent | 5 | 6\n\nSheet: Last\n\nend"
    assert document.metadata["sheets"] == ["Sheet", "Last"]


SHEET = "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'>{}</worksheet>"


def sheet_of(rows: str, *, around: str = "{}") -> bytes:
    """A workbook whose first sheet holds these rows."""
    inner = around.format(f"<sheetData>{rows}</sheetData>")
    return make_files.with_parts(make_files.xlsx(), {"xl/worksheets/sheet1.xml": SHEET.format(inner)})


@pytest.mark.parametrize("size", ["A1", "A1:XFD1048576"])
def test_what_a_sheet_says_of_its_size_is_not_believed(tmp_path, size):
    rows = "".join(f"<row r='{n}'><c r='B{n}' t='str'><v>row {n}</v></c></row>" for n in (2, 3000))
    document = read(tmp_path, "a.xlsx", sheet_of(rows, around=f"<dimension ref='{size}'/>{{}}"))
    assert document.text == "Sheet: Budget\n\n | row 2\n | row 3000"


def test_rows_beyond_the_last_are_not_counted_up_to(tmp_path):
    rows = (
        "<row r='1'><c t='str'><v>first</v></c></row><row r='99999999999'><c t='str'><v>never</v></c></row>"
    )
    assert read(tmp_path, "a.xlsx", sheet_of(rows)).text == "Sheet: Budget\n\nfirst"


@pytest.mark.parametrize("cell", ["<c r='XFD{0}' t='str'><v>far</v></c>", "<c r='XFD{0}'/>"])
def test_too_many_empty_cells_are_refused(tmp_path, monkeypatch, cell):
    monkeypatch.setattr("searchkit.documents.xlsx.MOST_EMPTY", 1_000_000)
    rows = "".join(f"<row r='{n}'>{cell.format(n)}</row>" for n in range(1, 100))
    with pytest.raises(DocumentError, match="more than 1,000,000 empty cells"):
        read(tmp_path, "a.xlsx", sheet_of(rows))
    with pytest.raises(DocumentError, match="more than 1,000,000 empty cells"):
        read(tmp_path, "a.xlsx", sheet_of("<row r='1048576'/>"))


def test_what_openpyxl_warns_of_stays_between_us(tmp_path, recwarn, capfd):
    extension = (
        "{}<extLst><ext uri='{{78C0D931-6437-407d-A8EE-F0AAD7539E65}}'/></extLst>"  # conditional formatting
    )
    row = "<row r='1'><c r='A1' t='str'><v>kept</v></c></row>"
    assert read(tmp_path, "a.xlsx", sheet_of(row, around=extension)).text.endswith("kept")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_libraries_are_loaded_by_the_formats_that_need_them():
    code = (
        "import sys, searchkit.documents.load\n"
        "print({'openpyxl', 'pptx', 'lxml', 'kreuzberg', 'pypdfium2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


BODY = "This sentence is long enough to fill a whole line of the page that we print here, again and"


def page(number: int, *lines: tuple[str, int, str]) -> list[tuple[str, int, str]]:
    head, foot = ("Helvetica", 8, "ACME confidential"), ("Helvetica", 8, f"Page {number} of 5")
    return [head, *lines, foot]


def test_pdf_pages_headings_and_paragraphs_are_found(tmp_path):
    pages = [
        page(
            number,
            ("Helvetica-Bold", 16, f"Chapter about {name}"),
            ("Helvetica", 10, f"{BODY}"),
            ("Helvetica", 10, f"again about {name}."),
            ("Helvetica", 10, f"{name} 1,200 1,300"),
        )
        for number, name in enumerate(("ships", "trains", "cars", "planes", "bikes"), 1)
    ]
    document = read(tmp_path, "a.pdf", make_files.pdf(pages, title="Moving things"))
    assert headings(document) == [
        (1, f"Chapter about {n}") for n in ("ships", "trains", "cars", "planes", "bikes")
    ]
    assert document.page_starts == tuple(heading.start for heading in document.headings)
    assert f"{BODY} again about trains.\n\ntrains 1,200 1,300" in document.text
    assert "confidential" not in document.text and "Page 2" not in document.text
    assert (document.title, document.metadata["pages"]) == ("Moving things", 5)


@pytest.mark.parametrize("title", ["", "Untitled", "report.docx", "0001-22-33"])
def test_a_pdf_title_that_is_none_is_not_believed(tmp_path, title):
    pages = [[("Helvetica-Bold", 20, "Annual report"), *[("Helvetica", 10, BODY)] * 5]]
    assert read(tmp_path, "a.pdf", make_files.pdf(pages, title=title)).title == "Annual report"


RTF = r"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}Costs < 5 & > 3 caf\'e9\par Second\par}"
ODT = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:text>
 <text:h text:outline-level="1">Top</text:h><text:p>a &lt; b &amp; c</text:p>
 </office:text></office:body></office:document-content>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
 <rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
OPF = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title></metadata><manifest>
 <item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>
 <spine><itemref idref="a"/></spine></package>"""


def zipped(members: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_rich_text_opendocument_and_books_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    odt = zipped({"mimetype": "application/vnd.oasis.opendocument.text", "META-INF/manifest.xml": manifest,
                  "content.xml": ODT})  # fmt: skip
    inner = "<h1>Chapter &amp; one</h1><p>a &lt; b</p>"
    xhtml = f"<html xmlns='http://www.w3.org/1999/xhtml'><body>{inner}</body></html>"
    epub = zipped({"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "c.opf": OPF,
                   "a.xhtml": xhtml})  # fmt: skip
    assert read(tmp_path, "a.rtf", RTF).text == "Costs < 5 & > 3 café\n\nSecond"
    document = read(tmp_path, "a.odt", odt)
    assert (document.text, headings(document)) == ("Top\n\na < b & c", [(1, "Top")])
    book = read(tmp_path, "a.epub", epub)
    assert (book.title, book.text, headings(book)) == (
        "Book",
        "Chapter & one\n\na < b",
        [(1, "Chapter & one")],
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.epub",
        "a.odt",
        "a.rtf",
    ]  # no cache is left
