from pathlib import Path

from searchkit.collection.plan import make_plan
from searchkit.errors import DocumentUnavailable
from searchkit.library.documents import FileState, StoredFile
from searchkit.records import SourceFile


def found(name, *, size=10, mtime_ns=1):
    return SourceFile(path=Path("/source") / name, name=name, size=size, mtime_ns=mtime_ns)


def stored(name, content, *, size=10, mtime_ns=1, file_id=1):
    state = FileState(name=name, size=size, mtime_ns=mtime_ns, sha256=content)
    return name, StoredFile(file_id=file_id, state=state)


def plan(sources, before, contents):
    def digest(source):
        return contents[source.name]

    return make_plan(sources, dict(before), digest)


def names(planned):
    return [file.source.name for file in planned.read]


def test_a_file_of_equal_size_and_time_is_not_even_opened():
    made = plan([found("a.md")], [stored("a.md", b"A")], {})
    assert made.unchanged == 1 and not made.read


def test_a_new_time_stamp_on_equal_content_is_only_noted():
    made = plan([found("a.md", mtime_ns=2)], [stored("a.md", b"A")], {"a.md": b"A"})
    assert made.unchanged == 1 and not made.read and made.touched[0][1].mtime_ns == 2


def test_an_edited_file_replaces_what_is_stored():
    made = plan([found("a.md", mtime_ns=2)], [stored("a.md", b"A")], {"a.md": b"B"})
    assert names(made) == ["a.md"] and made.read[0].replaces.file_id == 1


def test_a_file_that_is_gone_is_removed():
    made = plan([], [stored("a.md", b"A")], {})
    assert [file.state.name for file in made.removed] == ["a.md"]


def test_a_vanished_and_an_added_file_of_equal_content_are_a_move():
    made = plan([found("b.md")], [stored("a.md", b"A")], {"b.md": b"A"})
    assert not made.read and not made.removed
    assert [(before.file_id, state.name) for before, state in made.moved] == [(1, "b.md")]


def test_a_move_to_another_suffix_is_read_again():
    made = plan([found("a.txt")], [stored("a.md", b"A")], {"a.txt": b"A"})
    assert names(made) == ["a.txt"] and len(made.removed) == 1 and not made.moved


def test_a_copy_is_added_and_the_original_stays():
    made = plan([found("a.md"), found("b.md")], [stored("a.md", b"A")], {"b.md": b"A"})
    assert names(made) == ["b.md"] and made.unchanged == 1 and not made.moved


def test_two_equal_files_that_move_are_paired_one_to_one():
    before = [stored("a.md", b"A", file_id=1), stored("b.md", b"A", file_id=2)]
    made = plan([found("c.md"), found("d.md")], before, {"c.md": b"A", "d.md": b"A"})
    assert [(b.file_id, state.name) for b, state in made.moved] == [(1, "c.md"), (2, "d.md")]


def test_an_added_file_is_opened_only_if_it_may_be_one_that_vanished():
    """Of another size or suffix it cannot be; its content is hashed when it is read."""
    opened = []

    def digest(source):
        opened.append(source.name)
        return b"new"

    added = [found("b.md"), found("c.md", size=11), found("d.txt")]
    made = make_plan(added, dict([stored("a.md", b"A")]), digest)
    assert opened == ["b.md"] and names(made) == ["b.md", "c.md", "d.txt"]
    assert [file.sha256 for file in made.read] == [b"new", None, None]


def test_what_lies_in_a_folder_that_cannot_be_listed_stays():
    before = [stored("hr/a.md", b"A", file_id=1), stored("hrx.md", b"B", file_id=2)]
    made = make_plan([], dict(before), lambda source: b"", unseen={"hr"})
    assert [file.state.name for file in made.removed] == ["hrx.md"]


def test_a_file_that_cannot_be_read_now_keeps_what_is_stored():
    def refuse(source):
        raise DocumentUnavailable("it cannot be read: no permission")

    made = make_plan([found("a.md", mtime_ns=2)], dict([stored("a.md", b"A")]), refuse)
    assert made.failures[0].document == "a.md" and not made.removed and not made.read
