"""Texts that say the same, or nearly, and how they get into a Library."""

from tests.collection.conftest import write

LEAVE = "Staff may take 30 days of paid leave a year."
LEAVE_NOT = "Staff may not take 60 days of paid leave a year."
TUNNEL = "The tunnel to the office network needs a second factor."


def indexed(library, folder, profile=None, **texts):
    suffix = "txt" if profile is None else "md"
    for name, text in texts.items():
        write(folder / f"{name}.{suffix}", text)
    library.index([folder], collection=folder.name, profile=profile)
    return folder.name


def names(found):
    return [
        [group.representative.document, *(one.document for one in group.copies)] for group in found.groups
    ]


def titled(title, text):
    return f"---\ntitle: {title}\n---\n\n{text}\n"
