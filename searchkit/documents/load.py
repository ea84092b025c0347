"""The one door from a SourceFile to its Documents: which loader, within which limits, failing how."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from searchkit.documents.code import CODE_SUFFIXES, load_code
from searchkit.documents.decode import without_surrogates
from searchkit.documents.docx import load_docx
from searchkit.documents.extracted import load_extracted
from searchkit.documents.html import load_html
from searchkit.documents.mail import load_mail
from searchkit.documents.notebook import load_notebook
from searchkit.documents.pdf import load_pdf
from searchkit.documents.pptx import load_pptx
from searchkit.documents.prose import load_markdown, load_text
from searchkit.documents.reading import (
    TEMPLATE_SUFFIX,
    Limits,
    Loader,
    LoadOptions,
    is_panic,
    suffix_of,
    too_large,
    words,
)
from searchkit.documents.rows import load_csv, load_jsonl
from searchkit.documents.xlsx import load_xlsx
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, SourceFile

__all__ = ["Limits", "is_supported", "load", "sha256_of", "supported_suffixes"]

# A new format is a line here and a loader of its own.
_LOADERS: dict[str, tuple[str, Loader]] = {
    suffix: (kind, loader)
    for kind, loader, suffixes in (
        ("markdown", load_markdown, ".md .markdown .mdown .mkd .mdx .qmd .rmd"),
        ("text", load_text, ".txt .text .log .rst .adoc .asciidoc .org .tex .srt .vtt"),
        ("html", load_html, ".html .htm .xhtml .shtml"),
        ("pdf", load_pdf, ".pdf"),
        ("docx", load_docx, ".docx .docm .dotx"),
        ("pptx", load_pptx, ".pptx .pptm .ppsx"),
        ("xlsx", load_xlsx, ".xlsx .xlsm"),
        ("docx", load_extracted, ".rtf .odt"),
        ("html", load_extracted, ".epub"),
        ("mail", load_mail, ".eml"),
        ("notebook", load_notebook, ".ipynb"),
        ("row", load_csv, ".csv .tsv .tab"),
        ("row", load_jsonl, ".jsonl .ndjson"),
        ("code", load_code, " ".join(CODE_SUFFIXES)),
    )
    for suffix in suffixes.split()
}
_TEMPLATES = frozenset(("markdown", "text", "html", "code"))
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_PLAIN_NAMES = words("readme license licence copying changelog changes authors contributing notice todo")
_CODE_NAMES = words("makefile dockerfile jenkinsfile rakefile gemfile vagrantfile procfile")


def supported_suffixes() -> frozenset[str]:
    """The suffixes that have a loader, in lower case with their dot."""
    return frozenset((*_LOADERS, TEMPLATE_SUFFIX))


def is_supported(name: str) -> bool:
    """Whether a file of this name has a loader."""
    return _find_loader(name) is not None


def load(
    source: SourceFile, *, limits: Limits | None = None, on_failure: Callable[[Failure], None] | None = None
) -> Iterator[Document]:
    """Yield the Documents of one file: one, or for CSV and JSONL one per row, read as they are taken.

    Rows that are lost while others survive go to `on_failure`. The file is looked at again after the
    last Document: what was yielded counts only if the iterator ends without an error.

    Raises: DocumentUnavailable: it cannot be read this time, or changed while it was being read.
    DocumentError: it is not what its suffix says, holds no text, or exceeds the limits.
    """
    options = LoadOptions(limits=limits or Limits())
    if on_failure is not None:
        options = replace(options, on_failure=on_failure)
    try:
        yield from _load(source, options)
    except (DocumentError, GeneratorExit):
        raise
    except OSError as error:
        raise unreadable(error) from error
    except RecursionError as error:
        raise DocumentError("is nested too deeply to be read", remedy="check the file") from error
    except MemoryError as error:
        raise DocumentUnavailable("needs more memory than there is", remedy="split the file") from error
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise  # Ctrl-C and exit
        what = f"{type(error).__name__}: {error}".strip().rstrip(":")
        raise DocumentError(
            f"cannot be read as {source.path.suffix.lstrip('.') or 'text'}: {what[:300]}",
            remedy="open the file in its program and save it again; it may be damaged",
        ) from error


def _load(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    found = _find_loader(source.name)
    if found is None:
        suffix = PurePosixPath(source.name).suffix or "no suffix"
        raise DocumentError(
            f"is of a kind that is not read ({suffix})",
            remedy="convert it to text, Markdown, HTML, PDF or DOCX",
        )
    before = _status(source)
    if before.st_size > options.limits.file_bytes:
        raise too_large(before.st_size, options.limits.file_bytes)
    if before.st_size == 0:
        raise DocumentError("is empty (0 bytes), expected text", remedy="fill the file or delete it")
    try:
        for document in found(source, options):
            yield _checked(document, source)
    except Exception:
        _refuse_changed(source, before)  # a file cut while it is read looks damaged, and is not
        raise
    _refuse_changed(source, before)


def _find_loader(name: str) -> Loader | None:
    base = PurePosixPath(name).name.lower()
    stem, dot, _ = base.rpartition(".")
    if base.endswith(TEMPLATE_SUFFIX):
        # page.html.md.erb is Markdown, unit.yml.erb is code, page.html.erb and layout.erb are HTML.
        kind, loader = _LOADERS.get(suffix_of(base), ("", load_html))
        return loader if kind in _TEMPLATES else load_html
    if dot and stem:
        found = _LOADERS.get(f".{base.rpartition('.')[2]}")
        return found[1] if found else None
    return load_text if base in _PLAIN_NAMES else load_code if base in _CODE_NAMES else None


def _checked(document: Document, source: SourceFile) -> Document:
    """The Document as it may leave: with text, a title, and nothing that UTF-8 cannot hold."""
    text = without_surrogates(document.text)
    if _LETTER_OR_DIGIT.search(text) is None:
        found = "holds no text" if not text.strip() else "holds no letter and no digit"
        raise DocumentError(f"{found}, expected something to search for", remedy="fill the file or delete it")
    title = without_surrogates(document.title).strip()
    if text is document.text and title == document.title:
        return document
    return replace(document, text=text, title=title)


def _status(source: SourceFile) -> os.stat_result:
    status = os.stat(source.path)
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
        raise DocumentError("is no regular file", remedy="leave it out through .searchkitignore")
    return status


def _refuse_changed(source: SourceFile, before: os.stat_result) -> None:
    after = os.stat(source.path)
    if (after.st_size, after.st_mtime_ns, after.st_ino) != (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    ):
        raise DocumentUnavailable(
            "changed while it was being read", remedy="it will be read again on the next run"
        )


def sha256_of(source: SourceFile) -> bytes:
    """SHA-256 of a file's bytes.

    Raises: DocumentUnavailable: it cannot be read. DocumentError: it is a pipe or a device, which may
    have no end.
    """
    try:
        _status(source)
        with source.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> DocumentError:
    """What an error of the file system says of the file; one without a cause is about its content."""
    if isinstance(error, FileNotFoundError):
        return DocumentUnavailable("vanished", remedy="it will be looked for on the next run")
    if isinstance(error, PermissionError):
        return DocumentUnavailable(
            "may not be read: permission denied", remedy="give searchkit's user the right to read it"
        )
    said = error.strerror or str(error)
    if error.errno in (None, errno.EINVAL):
        return DocumentError(f"is damaged: {said}", remedy="open the file in its program and save it again")
    return DocumentUnavailable(f"cannot be read: {said}", remedy="check the disk or the network share")
