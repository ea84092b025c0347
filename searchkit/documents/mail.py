"""Mail: subject, people, date, the body as text; attachments by name only."""

from __future__ import annotations

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from searchkit.documents.assemble import Assembly, one_line
from searchkit.documents.decode import decode, tidy_newlines, without_surrogates
from searchkit.documents.html import read_html
from searchkit.documents.reading import LoadOptions, read_bytes, too_large
from searchkit.errors import DocumentError
from searchkit.records import Document, JsonValue, SourceFile

HEADER_CHARACTERS = 1000
_SHOWN = ("from", "to", "cc", "date", "message-id", "in-reply-to")


def load_mail(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document: the subject as heading, then the body."""
    limits = options.limits
    if source.size > limits.tree_bytes:
        raise too_large(source.size, limits.tree_bytes)
    message = BytesParser(policy=policy.default).parsebytes(read_bytes(source, limits))
    subject = _header(message, "subject")
    metadata: dict[str, JsonValue] = {name: value for name in _SHOWN if (value := _header(message, name))}
    if not (subject or metadata):
        raise DocumentError(
            "holds none of the headers of a mail (Subject, From, To, Date)",
            remedy="save the mail again from the mail program as .eml",
        )
    assembly = Assembly(limits.text_characters)
    assembly.heading(1, subject)
    attachments = _body(message, assembly)
    if attachments:
        metadata["attachments"] = attachments
    yield Document(
        name=source.name,
        kind="mail",
        text=assembly.text,
        title=subject,
        headings=assembly.headings,
        metadata=metadata,
    )


def _header(message: EmailMessage, name: str) -> str:
    """A header as text, '' if it is missing; one that breaks the header parser comes as it was sent."""
    try:
        value = str(message.get(name, ""))
    except Exception:  # the standard library's header parser raises IndexError, AttributeError and more
        value = next((str(raw) for key, raw in message.raw_items() if key.lower() == name), "")
    return one_line(without_surrogates(value))[:HEADER_CHARACTERS]


def _body(message: EmailMessage, assembly: Assembly) -> list[JsonValue]:
    """Append the body, plain text before HTML; return the names of the attachments."""
    plain: list[EmailMessage] = []
    pages: list[EmailMessage] = []
    attachments: list[JsonValue] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        try:
            name, disposition = part.get_filename(), part.get_content_disposition()
        except Exception:  # as in _header
            name, disposition = "", "attachment"
        if name or disposition == "attachment":
            attachments.append(one_line(without_surrogates(str(name or "without name"))))
        elif part.get_content_type() == "text/plain" or part.get_content_maintype() == "multipart":
            # A part that calls itself multipart and has no parts, for want of a boundary, is text.
            plain.append(part)
        elif part.get_content_type() == "text/html":
            pages.append(part)
    texts = [_text(part) for part in plain]
    if any(text.strip() for text in texts):
        for text in texts:
            assembly.block(text)
    else:
        for page in pages:
            read_html(_text(page), assembly)
    return attachments


def _text(part: EmailMessage) -> str:
    """The text of a part in the charset it names, else in the one its bytes look like."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset() or "utf-8"
    try:
        return tidy_newlines(data.decode(charset))
    except (LookupError, UnicodeError):
        return decode(data)[0] if data.strip() else ""
