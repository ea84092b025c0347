"""From character offsets in a Document's text to places in its file."""

from __future__ import annotations

from bisect import bisect_right

from searchkit.records import Document, Place


class Places:
    """Finds where in the file spans of one Document stand; in their order, each line feed is counted once."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._marks = document.marks
        self._sheet_starts = [start for start, _ in document.marks.sheets] if document.marks else []
        # The last offset asked for, the mark before it, its number: what comes next is counted from there.
        self._offset = self._reached = 0
        self._index = -1

    def of(self, start: int, end: int) -> Place | None:
        """The Place of the text from `start` to before `end`, both on characters that are no white space."""
        if self._marks is None or not self._marks.starts:
            return None
        return Place(
            unit=self._marks.unit,
            first=self._number(start),
            last=self._number(end - 1),
            sheet=self._sheet(start),
            last_sheet=self._sheet(end - 1),
        )

    def _number(self, offset: int) -> int:
        marks = self._marks
        assert marks is not None  # asked by `of`
        index = max(0, bisect_right(marks.starts, offset) - 1)
        if not marks.by_line:
            return marks.numbers[index]
        if index != self._index or offset < self._offset:
            self._index, self._offset, self._reached = index, marks.starts[index], marks.numbers[index]
        self._reached += self._text.count("\n", self._offset, offset)
        self._offset = max(self._offset, offset)
        return self._reached

    def _sheet(self, offset: int) -> str:
        if self._marks is None or not self._sheet_starts:
            return ""
        return self._marks.sheets[max(0, bisect_right(self._sheet_starts, offset) - 1)][1]
