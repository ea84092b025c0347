"""Which SQLite there is: it comes with Python, or with the system, and not with searchkit."""

from __future__ import annotations

import sqlite3


def sqlite_version() -> str:
    """The version of the SQLite that reads and writes Libraries."""
    return sqlite3.sqlite_version
