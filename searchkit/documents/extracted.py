"""RTF, OpenDocument text and e-books: what kreuzberg finds in them becomes a Document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from searchkit.documents.archive import open_archive
from searchkit.documents.assemble import Assembly, one_line, table_row
from searchkit.documents.reading import LoadOptions, read_bytes, too_large
from searchkit.records import Document, SourceFile

TIMEOUT_S = 120

_TYPES = {
    ".rtf": ("docx", "application/rtf"),
    ".odt": ("docx", "application/vnd.oasis.opendocument.text"),
    ".epub": ("html", "application/epub+zip"),
}
_ZIPPED = frozenset((".odt", ".epub"))


def load_extracted(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document with the headings and tables that kreuzberg finds."""
    import kreuzberg  # 80 ms that only these formats pay

    limits = options.limits
    if source.size > limits.tree_bytes:
        raise too_large(source.size, limits.tree_bytes)
    suffix = source.path.suffix.lower()
    kind, mime_type = _TYPES[suffix]
    if suffix in _ZIPPED:
        with open_archive(source, limits, allow_dtd=suffix == ".epub") as archive:
            archive.check()
    configuration: Any = kreuzberg.ExtractionConfig  # its published types lack the newer options
    result = kreuzberg.extract_bytes_sync(
        read_bytes(source, limits),
        mime_type,
        config=configuration(
            use_cache=False,  # it would leave a folder '.kreuzberg' where searchkit is started
            disable_ocr=True,
            enable_quality_processing=False,  # it alters the text
            include_document_structure=True,
            extraction_timeout_secs=TIMEOUT_S,
        ),
    )
    assembly = Assembly(limits.text_characters)
    document: Any = result.document or {}
    for node in document.get("nodes", ()):
        _append(node.get("content", {}), assembly)
    if not assembly.text:
        assembly.block(result.content)
    title = result.metadata.get("title")
    yield Document(
        name=source.name,
        kind=kind,
        text=assembly.text,
        title=one_line(title) if isinstance(title, str) else "",
        headings=assembly.headings,
    )


def _append(content: dict[str, Any], assembly: Assembly) -> None:
    """Append one block: heading, table, list item, or whatever else has text."""
    kind = content.get("node_type")
    if kind == "heading":
        assembly.heading(int(content.get("level", 1)), str(content.get("text", "")))
    elif kind == "table":
        rows: dict[int, list[str]] = {}
        for cell in content.get("grid", {}).get("cells", ()):
            rows.setdefault(int(cell["row"]), []).append(str(cell["content"]))
        for number, row in enumerate(rows.values()):
            assembly.block(table_row(row), gap="\n" if number else "\n\n")
    elif kind == "list_item":
        assembly.block(f"- {one_line(str(content.get('text', '')))}", gap="\n")
    elif kind not in ("group", "metadata_block"):
        assembly.block(str(content.get("text") or ""))
