import random

import pytest

from searchkit.library import traces
from searchkit.library.traces import LONG, Traces, blocks_of, blocks_of_values, pieces_of

KEY = b"k" * 32
TEXT = b"Parental leave lasts fourteen weeks at full pay, said the woman at the counter. " * 3


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 1000, 1003])
def test_a_piece_is_found_at_any_place(offset):
    known = Traces.of(KEY, [TEXT])
    assert len(known.among([noise(offset) + TEXT[:60] + noise(500)])) >= 1
    assert len(known.among([noise(offset + 600)])) == 0


@pytest.mark.parametrize("value", [b"Ann Winterstein", b"Wintersx", b"a value of 23 bytes ok."])
def test_a_short_value_is_found_whole_only(value):
    known = Traces.of(KEY, [value])
    assert len(known) == 1
    assert len(known.among([b"xyz" + value])) == 1  # it may end the block
    assert len(known.among([b"xyz" + value[:-1] + b"?" + noise(64)])) == 0


@pytest.mark.parametrize("value", [b"", b"Ann Lee", b"--------------", bytes(4096), b"abc " * 50])
def test_what_says_nothing_is_not_looked_for(value):
    assert list(pieces_of(value)) == []


def test_half_of_a_text_has_pieces_in_either_half():
    text = noise(10_000)
    known = Traces.of(KEY, [text])
    assert len(known.among([text[:4000]])) > 10 and len(known.among([text[-4000:]])) > 10


def test_a_piece_across_two_blocks_of_a_file_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "BLOCK", 1000)
    piece = noise(LONG, seed=5)
    known = Traces.of(KEY, [piece])
    for before in range(1000 - LONG, 1001):
        (tmp_path / "file").write_bytes(noise(before) + piece + noise(1500, seed=2))
        assert len(known.among(blocks_of(tmp_path / "file"))) == 1, before


def test_values_do_not_run_into_each_other():
    known = Traces.of(KEY, [b"Wintersteiner"])
    assert len(known.among(blocks_of_values([b"Winters", b"teiner"]))) == 0
    assert len(known.among(blocks_of_values([b"a", b"Frau Wintersteiner"]))) == 1


def test_stored_fingerprints_find_the_same_and_hold_no_byte_of_the_text():
    known = Traces.of(KEY, [TEXT, b"Ann Winterstein"])
    again = Traces.stored(KEY, [known.as_bytes()])
    assert len(again.among([TEXT, b"Ann Winterstein"])) == len(known)
    stored = known.as_bytes()
    pieces = [*pieces_of(TEXT), b"Ann Winterstein"]
    assert not [piece for piece in pieces for i in range(len(piece) - 3) if piece[i : i + 4] in stored]


def test_another_key_finds_nothing():
    assert len(Traces.stored(b"x" * 32, [Traces.of(KEY, [TEXT]).as_bytes()]).among([TEXT])) == 0


def test_only_so_many_pieces_are_kept_of_very_much(monkeypatch):
    monkeypatch.setattr(traces, "MOST", 100)
    values = [noise(400, seed) for seed in range(200)]
    known = Traces.of(KEY, values)
    assert 50 <= len(known) <= 100
    assert len(known.among(values[:20])) > 0 and len(known.among(values[-20:])) > 0


def test_what_is_explained_is_taken_off():
    known = Traces.of(KEY, [TEXT, b"Ann Winterstein"])
    explained = known.among([b"by Ann Winterstein"])
    assert len(explained) == 1 and len(known.without(explained)) == len(known) - 1


def test_what_is_held_while_gathering_does_not_grow_with_what_is_gathered(monkeypatch):
    monkeypatch.setattr(traces, "MOST", 100)
    sample, most = traces.Sample(KEY), 0
    for seed in range(300):
        sample.add(noise(400, seed))
        most = max(most, len(sample._found))
    assert most < 300 and len(sample.traces()) == 100
