"""Every error a user can meet, in one tree.

    SearchkitError
    ├── UsageError              the request itself is wrong (exit code 2)
    │   ├── ProfileNotFound     ├── ProfileInvalid
    │   ├── ModelNotFound       ├── CollectionNotFound
    │   ├── QueryInvalid        ├── FilterInvalid
    │   ├── DataInvalid         a set of texts to measure or train with breaks its layout
    │   └── TrainingInvalid
    ├── DocumentError           one file could not become Documents; the run goes on
    │   └── DocumentUnavailable  it could not be read this time: what is stored of it stays
    ├── TrainingFailed          a training cannot go on, or not from where it stopped
    ├── ModelError              a model folder cannot be loaded or does not hold what it says
    ├── LibraryError            the folder that holds the truth cannot be used
    │   ├── LibraryBusy         another process is writing
    │   ├── LibraryTooNew       written by a newer searchkit
    │   ├── LibraryDamaged      not a database, or pages that do not add up
    │   └── LibraryNotWritable  read-only, or the disk is full
    └── RecipeMismatch          a query would land in another vector space than the stored passages

A message says what was found and what was expected; `remedy` is the command or the act that helps.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SearchkitError(Exception):
    """Base of everything searchkit raises for a reason that the user can mend."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def in_one_line(self) -> str:
        """Message and remedy, for lists."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(SearchkitError):
    """The request cannot be carried out as it was put."""

    exit_code = 2


class ProfileNotFound(UsageError):
    """No shipped or user profile has this name and no file this path."""


class ProfileInvalid(UsageError):
    """A profile file does not follow the profile grammar."""


class ModelNotFound(UsageError):
    """The model is neither a folder, nor shipped, nor in the hub's cache, nor to be had from the hub."""


class CollectionNotFound(UsageError):
    """The Library has no Collection of this name, or no name was given where several exist."""


class QueryInvalid(UsageError):
    """The query text cannot be embedded: empty, or longer than allowed."""


class FilterInvalid(UsageError):
    """A filter does not follow the grammar, or names a field that no Document has."""


class DataInvalid(UsageError):
    """A file of texts to measure or train with breaks its layout; the message names the line."""


class TrainingInvalid(UsageError):
    """A training recipe, or a row of its data, does not follow the grammar."""


class DocumentError(SearchkitError):
    """A source file could not become Documents. Reported in the run's `failed`, never fatal."""


class DocumentUnavailable(DocumentError):
    """The file could not be read this time: no permission, vanished, being written."""


class TrainingFailed(SearchkitError):
    """A training cannot go on: its loss is no number, or its checkpoint is damaged."""


class ModelError(SearchkitError):
    """A checkpoint is incomplete, damaged, or of a kind that searchkit does not load."""


class LibraryError(SearchkitError):
    """The Library cannot be used as asked."""


class LibraryBusy(LibraryError):
    """Another process holds the Library's writer lock."""


class LibraryTooNew(LibraryError):
    """The Library's schema is newer than this searchkit."""


class LibraryDamaged(LibraryError):
    """The database file is not a searchkit database or fails SQLite's own checks."""


class LibraryNotWritable(LibraryError):
    """The Library's folder is read-only or its disk is full."""


class RecipeMismatch(SearchkitError):
    """Vectors asked for and vectors stored belong to different spaces."""


def near_names(name: str, known: Iterable[str]) -> str:
    """Return ' (did you mean: a, b?)' for known names close to `name`, or '' if none is."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean: {', '.join(close)}?)" if close else ""
