"""Jupyter notebooks: Markdown cells as prose, code cells as fenced code, outputs left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from searchkit.documents.assemble import Assembly
from searchkit.documents.decode import decode, tidy_newlines
from searchkit.documents.prose import markdown_headings
from searchkit.documents.reading import LoadOptions, read_bytes, too_large
from searchkit.errors import DocumentError
from searchkit.records import Document, SourceFile


def load_notebook(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with the cells in order."""
    limits = options.limits
    if source.size > limits.tree_bytes:
        raise too_large(source.size, limits.tree_bytes)
    notebook = _parse(decode(read_bytes(source, limits))[0])
    language = _language(notebook)
    assembly = Assembly(limits.text_characters)
    for number, cell in enumerate(_cells(notebook), 1):
        text = cell.get("source", cell.get("input", ""))  # 'input' until notebook format 3
        text = "".join(map(str, text)) if isinstance(text, list) else str(text)
        text = tidy_newlines(text)
        assembly.mark(number)
        if cell.get("cell_type") == "code":
            if text.strip():
                assembly.block(f"```{language}\n{text.strip()}\n```")
        else:
            assembly.prose(text, markdown_headings(text)[0])
    headings = assembly.headings
    yield Document(
        name=source.name,
        kind="notebook",
        text=assembly.text,
        title=next((heading.text for heading in headings if heading.level == 1), ""),
        headings=headings,
        marks=assembly.marks("cell"),
        metadata={"language": language} if language else {},
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"is no notebook: line {error.lineno} is not JSON ({error.msg})",
            remedy="open it in Jupyter and save it again",
        ) from error
    except RecursionError:
        raise DocumentError("is nested too deeply to be a notebook", remedy="check the file") from None
    return notebook if isinstance(notebook, dict) else {}


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of format 4, or of all worksheets of format 3."""
    sheets = notebook.get("worksheets")
    holders = sheets if isinstance(sheets, list) else [notebook]
    lists = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    if not any(isinstance(cells, list) for cells in lists):
        raise DocumentError(
            "is no notebook: found no list of cells", remedy="open it in Jupyter and save it again"
        )
    return [cell for cells in lists if isinstance(cells, list) for cell in cells if isinstance(cell, dict)]


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name if isinstance(name, str) and name.isalnum() else ""
