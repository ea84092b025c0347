"""Which files a walk finds, and what it says of those it leaves out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.documents.discover import Discovery, discover
from searchkit.errors import UsageError
from searchkit.paths import escape_name


def put(root: Path, *names: str, text: str = "text") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(found: Discovery) -> list[str]:
    return [file.name for file in found.files]


def test_files_come_sorted_by_name_with_size_and_time(tmp_path):
    put(tmp_path, "b.md", "a/z.txt", "a/c.md", text="12345")
    found = discover(tmp_path)
    assert names(found) == ["a/c.md", "a/z.txt", "b.md"]
    status = (tmp_path / "b.md").stat()
    assert (found.files[2].size, found.files[2].mtime_ns) == (5, status.st_mtime_ns)
    assert found.files[2].path == tmp_path / "b.md"


def test_a_single_file_is_taken_whatever_its_kind(tmp_path):
    put(tmp_path, "plan.xyz")
    assert names(discover(tmp_path / "plan.xyz")) == ["plan.xyz"]


@pytest.mark.parametrize("name", ["map.html", "MAP.HTM"])
def test_pages_that_searchkit_wrote_are_left_out(tmp_path, name):
    """They hold texts of documents, which would be found twice; whoever names one wants it."""
    page = '<!doctype html>\n<meta charset="utf-8">\n<meta name="generator" content="searchkit map">\nText'
    put(tmp_path, name, text=page)
    put(tmp_path, "other.html", text="<p>made with searchkit map</p>")
    put(tmp_path, "notes.md", text=page)
    found = discover(tmp_path)
    assert names(found) == ["notes.md", "other.html"] and found.own == (name,)
    assert names(discover(tmp_path / name)) == [name]


def test_a_missing_root_is_the_callers_mistake(tmp_path):
    with pytest.raises(UsageError, match="cannot be found"):
        discover(tmp_path / "nowhere")


def test_an_empty_root_holds_nothing(tmp_path):
    assert discover(tmp_path) == Discovery(files=(), failures=())


def test_files_of_unread_kinds_are_counted_by_suffix(tmp_path):
    put(tmp_path, "a.md", "b.PNG", "c.png", "d.bin", "e")
    found = discover(tmp_path)
    assert names(found) == ["a.md"]
    assert dict(found.skipped) == {"": 1, ".bin": 1, ".png": 2}


def test_well_known_names_without_suffix_are_read(tmp_path):
    put(tmp_path, "README", "Makefile", "unknown")
    assert names(discover(tmp_path)) == ["Makefile", "README"]


def test_junk_of_tools_and_systems_is_left_out(tmp_path):
    put(tmp_path, ".git/a.md", "node_modules/a.md", "x/__pycache__/a.py", ".hidden/a.md", ".env.md", "ok.md")
    put(tmp_path, "~$plan.docx", "package-lock.json", "app.min.js", "notes.md~", ".DS_Store")
    assert names(discover(tmp_path)) == ["ok.md"]


def test_ignore_files_hold_in_their_folder_and_below(tmp_path):
    put(tmp_path, "a.log", "sub/b.log", "sub/keep.log", "sub/c.md", "drafts/d.md", "other/drafts.md")
    (tmp_path / ".gitignore").write_text("*.log\ndrafts/\n")
    (tmp_path / "sub" / ".gitignore").write_text("!keep.log\n/c.md\n")
    found = discover(tmp_path)
    assert names(found) == ["other/drafts.md", "sub/keep.log"]
    assert found.ignored == 6  # two of them are the ignore files, which are hidden


def test_searchkitignore_wins_over_gitignore_and_over_the_defaults(tmp_path):
    put(tmp_path, "generated.md", ".github/guide.md", "secret.md")
    (tmp_path / ".gitignore").write_text("generated.md\n")
    (tmp_path / ".searchkitignore").write_text("!generated.md\n!.github/\nsecret.md\n")
    assert names(discover(tmp_path)) == [".github/guide.md", "generated.md"]


def test_a_broken_line_in_an_ignore_file_leaves_the_others_in_force(tmp_path):
    put(tmp_path, "a.log", "b.md")
    (tmp_path / ".gitignore").write_bytes(b"!\n\xff\xfe\n*.log\n")
    assert names(discover(tmp_path)) == ["b.md"]


def test_excluded_folders_and_files_are_left_out(tmp_path):
    put(tmp_path, "index/a.md", "b.md", "c.md")
    assert names(discover(tmp_path, exclude=[tmp_path / "index", tmp_path / "c.md", tmp_path / "no"])) == [
        "b.md"
    ]


def test_a_library_is_never_a_source(tmp_path):
    put(tmp_path, "indexes/notes.md", "docs/library.db", "docs/a.md", "b.md")
    (tmp_path / "indexes/library.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    assert names(discover(tmp_path)) == ["b.md", "docs/a.md"]


def test_links_are_followed_within_the_root_and_count_once(tmp_path):
    put(tmp_path, "root/real/a.md", "root/.store/deep/b.md")
    root = tmp_path / "root"
    (root / "again").symlink_to(root / "real")
    (root / "a-link.md").symlink_to(root / "real" / "a.md")
    (root / "linked").symlink_to(root / ".store" / "deep")
    found = discover(root)
    assert names(found) == ["linked/b.md", "real/a.md"]
    assert found.failures == ()


def test_a_loop_of_links_ends(tmp_path):
    put(tmp_path, "a/b.md")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = discover(tmp_path)
    assert names(found) == ["a/b.md"]
    assert [failure.document for failure in found.failures] == ["self"]


def test_links_that_leave_the_root_or_lead_nowhere_are_reported(tmp_path):
    put(tmp_path, "outside/secret.md", "root-of-others/x.md", "root/a.md")
    root = tmp_path / "root"
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "sibling.md").symlink_to(tmp_path / "root-of-others" / "x.md")  # its path begins like the root's
    (root / "gone.md").symlink_to(tmp_path / "nothing")
    found = discover(root)
    assert names(found) == ["a.md"]
    reasons = {failure.document: failure.reason for failure in found.failures}
    assert list(reasons) == ["gone.md", "out", "sibling.md"]
    assert "leads nowhere" in reasons["gone.md"]
    assert "leads out of the source" in reasons["out"]


def test_a_folder_without_permission_is_reported_and_the_walk_goes_on(open_folder, unprivileged):
    put(open_folder, "closed/a.md", "open/b.md")
    (open_folder / "closed").chmod(0)
    with unprivileged():
        found = discover(open_folder)
    assert names(found) == ["open/b.md"]
    assert [(failure.document, "cannot be listed" in failure.reason) for failure in found.failures] == [
        ("closed", True)
    ]


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    put(tmp_path, "a.md")
    assert names(discover(tmp_path)) == ["a.md"]


def test_unusual_names_stay_as_they_are(tmp_path):
    unusual = ["a b.md", "line\nbreak.md", "50% off.md", "日本 🚀.md", "My%20File.md"]
    put(tmp_path, *unusual)
    assert names(discover(tmp_path)) == sorted(unusual)


def test_a_name_that_is_no_utf8_is_made_so_without_clashing(tmp_path):
    for raw in (b"caf\xe9.md", b"caf%E9.md"):
        (tmp_path / os.fsdecode(raw)).write_text("text")
    found = discover(tmp_path)
    assert names(found) == ["caf%25E9.md", "caf%E9.md"]


@given(st.binary(min_size=1, max_size=12))
def test_escaped_names_are_valid_utf8(raw: bytes):
    assert escape_name(os.fsdecode(raw)).encode("utf-8")


@given(st.text(alphabet="%25FE89a\udcff", max_size=8), st.text(alphabet="%25FE89a\udcff", max_size=8))
def test_different_names_stay_different(one: str, other: str):
    assert (escape_name(one) == escape_name(other)) == (one == other)
