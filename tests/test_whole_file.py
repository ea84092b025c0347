"""Files that a user names: written whole, or not at all."""

import os
import threading
from pathlib import Path

import pytest

from searchkit.errors import UsageError
from searchkit.whole_file import require_place, write_whole


def test_a_file_is_replaced_and_keeps_its_rights(tmp_path):
    path = tmp_path / "map.html"
    path.write_bytes(b"before")
    path.chmod(0o640)
    write_whole(path, b"after")
    assert path.read_bytes() == b"after" and path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "map.html")
    write_whole(tmp_path / "link.html", b"page")
    assert (tmp_path / "link.html").is_symlink() and (tmp_path / "map.html").read_bytes() == b"page"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    require_place(pipe)
    write_whole(pipe, b"page")
    reader.join(timeout=20)
    assert got == [b"page"] and pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_what_is_stopped_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, stop):
    path = tmp_path / "map.html"
    path.write_bytes(b"before")

    def stopped(self, to):
        raise stop

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(UsageError if stop is OSError else stop):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_a_place_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UsageError, match="folder that may not be written"):
        require_place(tmp_path / "map.html")
    (tmp_path / "map.html").write_bytes(b"")
    with pytest.raises(UsageError, match="may not be written"):
        require_place(tmp_path / "map.html")


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError):
        write_whole(tmp_path / "loop", b"page")


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write_whole(tmp_path / "missing" / "map.html", b"page")
