"""Mail: subject, people, date, the body as text; attachments by name only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from searchkit.documents.assemble import Assembly, one_line
from searchkit.documents.decode import declared_codec, decode, tidy_newlines, without_surrogates
from searchkit.documents.html import read_html
from searchkit.documents.reading import LoadOptions, read_bytes, too_large
from searchkit.errors import DocumentError
from searchkit.records import Document, JsonValue, SourceFile

HEADER_CHARACTERS = 1000
STUB = 0.25  # of the letters of the fullest form; plain text with fewer says 'see the HTML part'
DEEPEST_PART = 50
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
    attachments = _body(message, assembly, limits.text_characters)
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


def _body(message: EmailMessage, assembly: Assembly, limit: int, depth: int = 0) -> list[JsonValue]:
    """Append what a part of a mail says, its parts in order; return the names of the attachments."""
    if depth > DEEPEST_PART:
        raise DocumentError("is nested too deeply to be read", remedy="save its attachments on their own")
    kind = message.get_content_type()
    if message.is_multipart():
        parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
        if kind == "multipart/alternative":
            return _alternative(parts, assembly, limit, depth + 1)
        if kind == "message/rfc822" and parts:
            assembly.heading(2, _header(parts[0], "subject"))
        return [name for part in parts for name in _body(part, assembly, limit, depth + 1)]
    try:
        name, disposition = message.get_filename(), message.get_content_disposition()
    except Exception:  # as in _header
        name, disposition = "", "attachment"
    if name or disposition == "attachment":
        return [one_line(without_surrogates(str(name or "without name")))]
    # A part that calls itself multipart and has no parts, for want of a boundary, is text.
    if kind == "text/plain" or message.get_content_maintype() == "multipart":
        assembly.block(_text(message))
    elif kind == "text/html":
        read_html(_text(message), assembly)
    return []


def _alternative(parts: list[EmailMessage], assembly: Assembly, limit: int, depth: int) -> list[JsonValue]:
    """Append one of several forms of the same: the plain one, unless it is a stub beside another."""
    attachments: list[JsonValue] = []
    forms: list[Assembly] = []
    for part in parts:
        forms.append(Assembly(limit))
        attachments += _body(part, forms[-1], limit, depth)
    if forms:
        fullest = max(forms, key=lambda form: _letters(form.text))
        chosen = forms[0] if _letters(forms[0].text) >= STUB * _letters(fullest.text) else fullest
        assembly.prose(chosen.text, chosen.headings)
    return attachments


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)


def _text(part: EmailMessage) -> str:
    """The text of a part in the charset it names, else in the one its bytes look like."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = declared_codec(part.get_content_charset() or "") or "utf-8"
    # Programs that declare ASCII or Latin-1 by default send UTF-8 all the same.
    for codec in ("utf-8", charset) if charset == "cp1252" else (charset,):
        with suppress(UnicodeError):
            return tidy_newlines(data.decode(codec))
    return decode(data)[0] if data.strip() else ""
