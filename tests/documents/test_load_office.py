"""Word, PowerPoint, Excel, PDF, RTF, OpenDocument and e-books: text, headings, pages, tables."""

from __future__ import annotations

import io
import zipfile

import pytest

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
