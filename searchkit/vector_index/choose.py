"""When a new snapshot is worth writing: a pure function."""

from __future__ import annotations

# Rows a query may scan beside the snapshot before a new one is written.
TAIL_ROWS = 1_000
TAIL_SHARE = 0.05


def snapshot_is_due(*, rows: int, in_snapshot: int | None, tail: int, removed: int) -> bool:
    """Whether to write a new snapshot now.

    rows: passages of the Collection; in_snapshot: rows of the current file, None where there is none;
    tail: passages the file lacks; removed: rows of the file that are gone.
    A late snapshot is never wrong: queries scan the tail exactly and mask what was removed.
    """
    if in_snapshot is None:
        return rows > 0
    return tail + removed > max(TAIL_ROWS, TAIL_SHARE * in_snapshot)
