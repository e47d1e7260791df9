"""Masked contents wait encrypted, within a limit, and vanish with whom they are of no use to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.proxy.spool import CHUNK, Spool, SpoolFile, SpoolFullError, SpoolLostError


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "state" / "spool", limit=4 * CHUNK)
    yield spool
    spool.close()


def filled(spool: Spool, key: str, data: bytes) -> None:
    file, make = spool.open(key)
    assert make
    file.append(data)
    file.finish({"m": 1})
    file.close()


def test_what_was_made_once_is_there_for_the_next(spool: Spool) -> None:
    filled(spool, "a", b"masked")
    file, make = spool.open("a")
    assert not make
    assert (file.complete, file.size, file.facts, file.read(0, 100), file.read(6, 1)) == (
        True,
        6,
        {"m": 1},
        b"masked",
        b"",
    )
    file.close()


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.integers(0, CHUNK * 2), max_size=5),
    spans=st.lists(st.tuples(st.integers(0, CHUNK * 6), st.integers(0, CHUNK * 3)), max_size=5),
)
def test_any_part_of_any_pieces(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int], spans: list[tuple[int, int]]
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"))
    file = spool.scratch()
    whole = b""
    for size in pieces:
        data = os.urandom(size)
        whole += data
        file.append(data)
        for offset, length in spans:
            assert file.read(offset, length) == whole[offset : offset + length]
    assert file.size == len(whole) == spool.used
    file.close()
    assert spool.used == 0


def test_others_read_as_far_as_it_has_come(spool: Spool) -> None:
    maker, _ = spool.open("a")
    reader, make = spool.open("a")
    assert not make
    woken: list[int] = []
    reader.grown.subscribe(lambda: woken.append(reader.size))
    maker.append(b"half")
    assert (woken, reader.read(0, 10), reader.complete) == ([4], b"half", False)
    reader.grown.subscribe(lambda: woken.append(reader.size))
    maker.append(b" and half")
    maker.finish({})
    maker.close()
    assert (woken, reader.read(0, 100), reader.complete) == ([4, 13], b"half and half", True)
    reader.close()


def test_an_abandoned_content_fails_and_the_next_starts_anew(spool: Spool) -> None:
    maker, _ = spool.open("a")
    reader, _ = spool.open("a")
    woken: list[bool] = []
    maker.append(b"half")
    reader.grown.subscribe(lambda: woken.append(reader.failed))
    maker.fail()
    maker.fail()
    maker.close()
    assert woken == [True]
    with pytest.raises(SpoolLostError):
        reader.read(0, 1)
    with pytest.raises(SpoolLostError):
        maker.append(b"more")
    again, make = spool.open("a")
    assert make
    reader.close()
    assert spool.open("a") == (again, False)
    again.close()
    again.close()
    assert spool.used == 0
    assert spool.open("a")[1]


def test_a_complete_content_does_not_fail(spool: Spool) -> None:
    filled(spool, "a", b"x")
    file, _ = spool.open("a")
    file.fail()
    assert file.read(0, 1) == b"x"
    with pytest.raises(SpoolLostError):
        file.append(b"more")
    file.close()


def test_room_is_made_by_what_was_used_longest_ago(spool: Spool) -> None:
    for key in "abc":
        filled(spool, key, b"x" * CHUNK)
    spool.open("a")[0].close()
    filled(spool, "d", b"x" * 2 * CHUNK)
    assert spool.used == 4 * CHUNK
    assert [spool.open(key)[1] for key in "adb"] == [False, False, True]


def test_what_is_in_use_stays_and_then_there_is_no_room(spool: Spool) -> None:
    filled(spool, "a", b"x" * 3 * CHUNK)
    used, _ = spool.open("a")
    file = spool.scratch()
    file.append(b"y" * CHUNK)
    with pytest.raises(SpoolFullError):
        file.append(b"y")
    assert used.read(0, 3) == b"xxx"
    used.close()
    file.append(b"y")
    file.close()
    assert spool.used == 0


def test_the_end_of_the_spool_ends_all_that_is_in_it(spool: Spool) -> None:
    filled(spool, "a", b"x")
    half, _ = spool.open("b")
    half.append(b"x")
    spool.close()
    assert (half.failed, spool.used) == (True, 0)
    half.close()


def on_disk(file: SpoolFile) -> bytes:
    file._file.seek(0)
    return file._file.read()


def test_nothing_readable_is_on_disk_and_no_name(spool: Spool, tmp_path: Path) -> None:
    file = spool.scratch()
    file.append(b"123-45-6789" * (2 * CHUNK // 11))
    stored = on_disk(file)
    assert len(stored) >= CHUNK
    assert b"123-45" not in stored
    assert list((tmp_path / "state" / "spool").iterdir()) == []
    assert (tmp_path / "state" / "spool").stat().st_mode & 0o077 == 0
    file.close()


def test_a_change_on_disk_is_noticed(spool: Spool) -> None:
    file = spool.scratch()
    file.append(b"x" * 2 * CHUNK)
    first = on_disk(file)[: CHUNK + 16]
    file._file.seek(CHUNK + 16)
    file._file.write(first)
    assert file.read(0, 3) == b"xxx"
    with pytest.raises(SpoolLostError):
        file.read(CHUNK, 1)
    file.close()
