"""Of one path, the same is said as a walk over the whole folder would find."""

import pytest

from searchkit.documents.discover import discover, leaves_out
from tests.collection.conftest import write


@pytest.fixture
def root(tmp_path):
    """A folder with everything that is left out, and some that is not."""
    root = tmp_path / "docs"
    for name in (
        *("a.md", "hr/b.md", "hr/deep/c.txt", ".hidden/d.md", ".e.md", "node_modules/f.md", "g.tmp", "h.md~"),
        *("build/i.md", "build/kept.md", "hr/secret.md", "j.exe", "library/k.md", "other/l.md", "LICENSE"),
    ):
        write(root / name, "some text")
    write(root / ".gitignore", "build/*\n!build/kept.md\n")
    write(root / "hr" / ".searchkitignore", "secret.md\n")
    (root / "other" / "library.db").write_bytes(b"SQLite format 3\0")
    return root


def test_files_are_left_out_just_where_a_walk_leaves_them_out(root):
    exclude = [root / "library"]
    read = {file.path for file in discover(root, exclude=exclude).files}
    paths = [path for path in root.rglob("*") if path.is_file() and path.name not in ("library.db",)]
    paths = [path for path in paths if not path.name.endswith("ignore")]
    assert {path for path in paths if not leaves_out(root, path, exclude=exclude)} == read
    assert 5 <= len(read) < len(paths) - 5


@pytest.mark.parametrize("name", [".gitignore", "hr/.searchkitignore", "hr/new/.gitignore"])
def test_ignore_files_are_not_left_out(root, name):
    assert not leaves_out(root, root / name)


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("gone.md", False),
        ("gone-folder", False),
        ("build/gone.md", True),
        (".gone", True),
        ("gone/g.md", False),
    ],
)
def test_what_is_gone_is_judged_by_its_name(root, name, left_out):
    assert leaves_out(root, root / name) is left_out


def test_the_root_itself_is_never_left_out(root):
    assert not leaves_out(root, root)


def test_a_library_is_left_out_when_it_is_named_itself(root):
    """Watchers that poll, and Windows, tell of the folder whose content changed."""
    assert leaves_out(root, root / "other") and not leaves_out(root, root / "library")
    assert leaves_out(root, root / "library", exclude=[root / "library"])
    assert not leaves_out(root, root / "hr", exclude=[root / "library"])
