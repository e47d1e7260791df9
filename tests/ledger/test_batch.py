"""A batch reads back as it was written, and garbage is a ProtocolError and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoopcli.errors import ProtocolError
from hoopcli.ledger.batch import Batch, decode, encode
from hoopcli.ledger.reader import PayloadRow

LIMIT = 1 << 20
HASHES = st.binary(min_size=32, max_size=32)
PAYLOADS = st.builds(
    PayloadRow,
    st.integers(0, 1 << 55),
    HASHES,
    st.none() | st.binary(max_size=50),
) | st.builds(PayloadRow, st.integers(0, 1 << 55), st.none(), st.none())
BATCHES = st.builds(
    Batch,
    checkpoint=st.text(max_size=50),
    start=st.integers(0, 1 << 53),
    root=HASHES,
    start_proof=st.lists(HASHES, max_size=5).map(tuple),
    end_proof=st.lists(HASHES, max_size=5).map(tuple),
    records=st.lists(st.binary(max_size=50).filter(lambda data: b"\n" not in data), max_size=5).map(tuple),
    payloads=st.lists(PAYLOADS, max_size=5).map(tuple),
)
BATCH = Batch("note", 3, bytes(32), (), (bytes(32),), (b"{}", b"[]"), (PayloadRow(12, bytes(32), b"abc"),))


@settings(max_examples=100)
@given(BATCHES)
def test_round_trip(batch: Batch) -> None:
    assert decode(encode(batch), LIMIT) == batch
    assert batch.end == batch.start + len(batch.records)


@settings(max_examples=100)
@given(st.binary(max_size=300))
@example(b"")
@example(b"{}")
@example(b"[]\n")
@example(b"[" * 100_000 + b"\n")
@example(b'{"v":1}\n')
def test_garbage_is_a_protocol_error(data: bytes) -> None:
    for sent in (data, zstandard.compress(data)):
        with pytest.raises(ProtocolError):
            decode(sent, LIMIT)


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_is_read_or_refused(data: st.DataObject) -> None:
    plain = bytearray(zstandard.decompress(encode(BATCH)))
    at = data.draw(st.integers(0, len(plain) - 1))
    plain[at] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        decode(zstandard.compress(bytes(plain)), LIMIT)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"start": -1},
        {"start": 1.5},
        {"start": True},
        {"records": 100_001},
        {"records": 3},
        {"checkpoint": None},
        {"root": "AAAA"},
        {"root": "!"},
        {"start_proof": "x"},
        {"start_proof": [None]},
        {"end_proof": ["A" * 44] * 64},
        {"payloads": [[12, 4]]},
        {"payloads": [[12, 2]]},
        {"payloads": [[-1, 3]]},
        {"payloads": [[12]]},
        {"payloads": [12]},
        {"payloads": [[12, -2]]},
        {"payloads": []},
    ],
    ids=str,
)
def test_a_wrong_header_is_refused(change: dict[str, object]) -> None:
    line, _, rest = zstandard.decompress(encode(BATCH)).partition(b"\n")
    header = json.dumps(json.loads(line) | change).encode()
    with pytest.raises(ProtocolError):
        decode(zstandard.compress(header + b"\n" + rest), LIMIT)


def test_nothing_large_is_unpacked() -> None:
    with pytest.raises(ProtocolError, match="larger"):
        decode(zstandard.compress(bytes(LIMIT + 1)), LIMIT)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(encode(BATCH))
    with pytest.raises(ProtocolError, match="larger"):
        decode(unsized, LIMIT)
    with pytest.raises(ProtocolError):
        decode(encode(BATCH) + b"more", LIMIT)
