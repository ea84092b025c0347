"""PDF: which lines are headings, and which runs of characters are one line."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from reportlab.pdfgen import canvas

from tests.documents.make_files import pdf, read

BODY, BOLD = "Helvetica", "Helvetica-Bold"
PROSE = [
    "The company sells its goods in many countries and through several channels of trade",
    "and it reports the results of each of them in the notes to the statements that follow",
    "because they differ in what they earn and in what they cost over the years to come in",
    "Europe and elsewhere",
]


def headings(document):
    return [(heading.level, heading.text) for heading in document.headings]


def scattered(words: list[tuple[float, float, str]], size: int = 12) -> bytes:
    """A PDF with text at places, each drawn on its own."""
    file = io.BytesIO()
    paper = canvas.Canvas(file)
    for x, y, text in words:
        paper.setFont(BODY, size)
        paper.drawString(x, y, text)
    paper.save()
    return file.getvalue()


def test_prose_larger_than_the_tables_is_no_heading(tmp_path):
    table = [(BODY, 9, f"Net sales in region {i} 1,234 {i * 17} 5,678 9,012") for i in range(14)]
    page = [(BOLD, 12, "Results of the year"), *((BODY, 12, line) for line in PROSE), *table]
    assert headings(read(tmp_path, "a.pdf", pdf([page, page]))) == [(3, "Results of the year")] * 2


def test_a_paragraph_that_begins_in_bold_is_no_heading(tmp_path):
    file = io.BytesIO()
    paper = canvas.Canvas(file)
    text = paper.beginText(60, 700)
    text.setFont(BOLD, 11)
    text.textOut("PURCHASE, N.Y. ")
    text.setFont(BODY, 11)
    text.textLine("Example Inc today reported")
    for line in PROSE:
        text.textLine(line)
    paper.drawText(text)
    paper.save()
    assert headings(read(tmp_path, "a.pdf", file.getvalue())) == []


@pytest.mark.parametrize(
    "lines",
    [
        PROSE,
        ["Sales rose in all of the regions", "that the company serves", "and went on to rise"],
        ["Alpha beta", "Gamma delta", "Epsilon zeta", "Eta theta"],
        ["You agree that the company may keep any of the taxes it has paid for you"],
        ["Change in fair value of swaps (0.03) (0.04)"],
    ],
    ids=["full", "lower case", "many", "sentence", "figures"],
)
def test_text_set_larger_is_no_heading_if_it_reads_like_a_paragraph(tmp_path, lines):
    body = [(BODY, 10, f"{line} {number}.") for number in range(4) for line in PROSE[:3]]
    page = [*body, *((BODY, 12, line) for line in lines), *body]
    assert headings(read(tmp_path, "a.pdf", pdf([page]))) == []


def test_a_heading_on_two_lines_is_one(tmp_path):
    body = [(BODY, 10, f"{line} {number}.") for number in range(4) for line in PROSE[:3]]
    page = [*body, (BOLD, 13, "Discussion and Analysis"), (BOLD, 13, "of Financial Condition"), *body]
    assert headings(read(tmp_path, "a.pdf", pdf([page]))) == [
        (2, "Discussion and Analysis of Financial Condition")
    ]


def test_lines_that_pdfium_breaks_between_words_are_whole_again(tmp_path, monkeypatch):
    """No PDF of reportlab's makes pdfium do so; those of Square and of Google Docs do, see test_corpora."""
    whole = pypdfium2.PdfTextPage.get_text_range

    def broken(*args, **options):  # as long as the whole, so that places stay those of the characters
        return whole(*args, **options).replace(" ", "\n")

    monkeypatch.setattr(pypdfium2.PdfTextPage, "get_text_range", broken)
    made = scattered([(60, 700, "Invoices are due"), (320, 700, "elsewhere"), (60, 686, "Next month.")])
    text = read(tmp_path, "a.pdf", made).text
    assert text.split("\n") == ["Invoices are due", "elsewhere", "Next month."]
