from pathlib import Path

from searchkit.collection.plan import FileToRead
from searchkit.collection.reading import DocumentRead, FileRead, PassagesRead, read, weigh
from searchkit.errors import DocumentError, DocumentUnavailable
from searchkit.records import Document, Failure, Passage, SourceFile


def file(name):
    source = SourceFile(path=Path(name), name=name, size=1, mtime_ns=1)
    return FileToRead(source=source, sha256=b"as planned", replaces=None)


def words(document):
    start = 0
    for word in document.text.split():
        yield Passage(text=word, start=start, end=start + len(word))
        start += len(word) + 1


def loader(contents, digest):
    def load(source, on_failure, on_digest):
        on_digest(digest(source))
        for part in contents[source.name]:
            if isinstance(part, DocumentError):
                raise part
            if isinstance(part, Failure):
                on_failure(part)
            else:
                yield Document(name=source.name, kind="text", text=part)

    return load


def reading(contents, digest=lambda source: b"fresh"):
    return list(read(map(file, contents), loader(contents, digest), words))


def test_passages_come_before_their_document_and_documents_before_their_file():
    kinds = [type(one) for one in reading({"a": ["one two", "three"], "b": ["four"]})]
    assert kinds == [PassagesRead, DocumentRead] * 2 + [FileRead] + [PassagesRead, DocumentRead, FileRead]


def test_a_document_of_many_passages_comes_in_parts():
    found = reading({"a": ["word " * 1000]})
    sizes = [len(one.passages) for one in found if isinstance(one, PassagesRead)]
    assert sum(sizes) == 1000 and max(sizes) < 100
    assert max(map(weigh, found)) < 50_000


def test_a_file_that_breaks_in_its_middle_keeps_nothing():
    end = reading({"a": ["one", DocumentError("is damaged")]})[-1]
    assert not end.keep and not end.unavailable and end.failures[0].reason == "is damaged"


def test_rows_that_are_lost_do_not_lose_the_others():
    end = reading({"a": ["one", Failure(document="a#2", reason="broken")]})[-1]
    assert end.keep and [failure.document for failure in end.failures] == ["a#2"]


def test_a_file_of_which_nothing_is_left_says_so():
    (end,) = reading({"a": [" "]})
    assert not end.keep and "holds no text" in end.failures[0].reason


def test_what_cannot_be_hashed_now_is_not_loaded_and_stays():
    def refuse(source):
        raise DocumentUnavailable("vanished")

    (end,) = reading({"a": ["one"]}, refuse)
    assert end.unavailable and not end.keep and end.failures[0].reason == "vanished"


def test_a_file_that_broke_before_it_was_hashed_is_tried_again():
    def refuse(source):
        raise DocumentError("crashed the reader")

    (end,) = reading({"a": ["one"]}, refuse)
    assert end.unavailable and not end.keep


def test_the_hash_is_that_of_what_was_loaded_and_not_of_what_was_planned():
    ends = [one for one in reading({"a": ["one"], "b": ["two"]}) if isinstance(one, FileRead)]
    assert [end.sha256 for end in ends] == [b"fresh", b"fresh"]


def test_a_document_that_cannot_be_cut_closes_its_file():
    closed = []

    def load(source, on_failure, on_digest):
        on_digest(b"fresh")
        try:
            yield Document(name=source.name, kind="text", text="one")
            yield Document(name=source.name, kind="text", text="two")
        finally:
            closed.append(source.name)

    def cut(document):
        raise DocumentError("cannot be cut")
        yield

    found = []
    for one in read([file("a"), file("b")], load, cut):
        found.append((one.file.source.name, one.failures[0].reason, list(closed)))
    assert found == [("a", "cannot be cut", ["a"]), ("b", "cannot be cut", ["a", "b"])]
