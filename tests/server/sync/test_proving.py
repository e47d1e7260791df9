"""What a server believes of a batch: nothing that is not signed, and no second history."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.ledger.batch import Batch
from hoopcli.ledger.note import Signer
from hoopcli.ledger.reader import PayloadRow
from hoopcli.ledger.record import compress
from hoopcli.server.sync.proving import AlteredError, ForkError, StaleError, UnsignedError, prove
from tests.server.sync.stage import MemoryTree, plain

SIGNER = Signer.generate("hoop.example/ledger/1")
KEY = SIGNER.verifier
SALT = bytes(range(32))


@settings(max_examples=150)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_any_honest_batch_is_taken_wherever_it_begins(stored: int, start: int, length: int, more: int) -> None:
    tree = MemoryTree(plain(max(stored, start + length) + more + 1))
    server = MemoryTree(tree.records[:stored])
    batch = tree.batch(SIGNER, start, start + length)
    if start > stored:
        with pytest.raises(StaleError) as caught:
            prove(batch, KEY, server)
        assert caught.value.size == stored
        return
    proved = prove(batch, KEY, server)
    server.grow([row.data for row in proved.rows])
    assert server.records == tree.records[: max(stored, start + length)]
    assert proved.tree.root() == tree.root(start + length)
    assert proved.whole == (start + length == tree.size)


@settings(max_examples=150)
@given(st.integers(1, 30), st.data())
def test_another_history_is_a_fork_wherever_it_differs(size: int, data: st.DataObject) -> None:
    honest = MemoryTree(plain(size))
    differs = data.draw(st.integers(0, size - 1))
    theirs = plain(size + data.draw(st.integers(0, 5)))
    theirs[differs] = b'{"other":1}'
    other = MemoryTree(theirs)
    start = data.draw(st.integers(0, size))
    batch = other.batch(SIGNER, start)
    with pytest.raises(ForkError):
        prove(batch, KEY, honest)


def test_a_smaller_checkpoint_of_another_history_is_a_fork_too() -> None:
    other = MemoryTree([*plain(5), b"{}"])
    with pytest.raises(ForkError):
        prove(other.batch(SIGNER, 2, 3, size=6), KEY, MemoryTree(plain(8)))


@settings(max_examples=150)
@given(st.data())
def test_what_is_altered_on_the_way_is_refused_and_is_no_fork(data: st.DataObject) -> None:
    tree = MemoryTree(plain(12))
    server = MemoryTree(tree.records[:4])
    batch = tree.batch(SIGNER, 4, data.draw(st.integers(5, 12)))
    records = list(batch.records)
    change: str = data.draw(st.sampled_from(["edit", "drop", "swap", "add", "root", "start_proof", "end_proof"]))
    if change == "edit":
        records[data.draw(st.integers(0, len(records) - 1))] += b" "
    elif change == "drop":
        records.pop()
    elif change == "swap":
        records = [*records[1:], b"{}"]
    elif change == "add":
        records.append(b"{}")
    elif change == "root":
        batch = replace(batch, root=sha256(b"x").digest())
    else:
        more: Any = {change: (*getattr(batch, change), sha256(b"y").digest())}
        batch = replace(batch, **more)
    with pytest.raises(AlteredError):
        prove(replace(batch, records=tuple(records)), KEY, server)


def test_only_the_ledgers_own_key_signs() -> None:
    tree = MemoryTree(plain(3))
    thief = Signer.generate(KEY.name)
    with pytest.raises(UnsignedError):
        prove(tree.batch(thief), KEY, MemoryTree())
    with pytest.raises(UnsignedError):
        prove(replace(tree.batch(SIGNER), checkpoint="not a note"), KEY, MemoryTree())
    named = Signer.generate("hoop.example/ledger/2")
    with pytest.raises(UnsignedError):
        prove(tree.batch(named), KEY, MemoryTree())


def test_a_batch_of_nothing_asks_for_the_cosignature() -> None:
    tree = MemoryTree(plain(3))
    proved = prove(tree.batch(SIGNER, 3), KEY, tree)
    assert (proved.rows, proved.whole) == ([], True)
    empty = prove(MemoryTree().batch(SIGNER), KEY, MemoryTree())
    assert empty.whole


def record(index: int, content: bytes, salt: bytes = SALT, member: str = "kept", **body: object) -> bytes:
    digest = sha256(salt + content).hexdigest()
    return (
        json.dumps({"n": index, member: {"digest": digest, "size": len(content)}, **body}).encode().replace(b": ", b":")
    )


def with_payload(row: PayloadRow | None, content: bytes = b"Nadia\n", member: str = "kept") -> Batch:
    tree = MemoryTree([record(0, content, member=member)])
    return tree.batch(SIGNER, payloads=[row] if row else [])


KEPT = 2


@pytest.mark.parametrize("content", [b"", b"Nadia\n", b"Omar\n" * 500_000])
def test_a_payload_is_what_its_record_says(content: bytes) -> None:
    row = PayloadRow(KEPT, SALT, compress(content))
    assert prove(with_payload(row, content), KEY, MemoryTree()).payloads == [row]
    other = PayloadRow(KEPT, SALT, compress(content[:-1] + b"x"))
    with pytest.raises(AlteredError):
        prove(with_payload(other, content or b"y"), KEY, MemoryTree())


BIG = b"Omar\n" * 500_000


@pytest.mark.parametrize(
    "row",
    [
        None,
        PayloadRow(KEPT, SALT, None),
        PayloadRow(KEPT, SALT, b"not zstd"),
        PayloadRow(KEPT, bytes(32), compress(b"Nadia\n")),
        PayloadRow(KEPT, SALT, compress(b"Nadia\n" * 2)),
        PayloadRow(KEPT + 1, SALT, compress(b"Nadia\n")),
        PayloadRow(KEPT + 4, SALT, compress(b"Nadia\n")),
    ],
)
def test_a_payload_that_is_not_is_refused(row: PayloadRow | None) -> None:
    with pytest.raises(AlteredError):
        prove(with_payload(row), KEY, MemoryTree())


@pytest.mark.parametrize("content", [b"not zstd", compress(BIG + b"x"), compress(BIG[:-1]), compress(BIG[:-1] + b"x")])
def test_a_large_payload_that_is_not_is_refused(content: bytes) -> None:
    with pytest.raises(AlteredError):
        prove(with_payload(PayloadRow(KEPT, SALT, content), BIG), KEY, MemoryTree())


def test_a_digest_is_all_there_is_of_a_request() -> None:
    digest_only = PayloadRow(0, SALT, None)
    assert prove(with_payload(digest_only, member="request"), KEY, MemoryTree()).payloads == [digest_only]
    with pytest.raises(AlteredError, match="digest"):
        prove(with_payload(PayloadRow(0, SALT, compress(b"Nadia\n")), member="request"), KEY, MemoryTree())


def test_an_expired_payload_is_taken_for_what_it_is() -> None:
    gone = PayloadRow(KEPT, None, None)
    assert prove(with_payload(gone), KEY, MemoryTree()).payloads == [gone]


def test_no_payload_comes_twice() -> None:
    row = PayloadRow(KEPT, SALT, compress(b"Nadia\n"))
    batch = with_payload(row)
    with pytest.raises(AlteredError, match="twice"):
        prove(replace(batch, payloads=(row, row)), KEY, MemoryTree())


@pytest.mark.parametrize(
    "data",
    [
        b'{"digest":',
        b'["digest":1]',
        b'["\\"digest\\":"] {"digest":1}',
        b'{"type":"session.open"}',
        b'{"kept":{"digest":1,"size":1}}',
        b'{"a":' * 3000 + b'{"digest":1}' + b"}" * 3000,
    ],
)
def test_what_is_signed_and_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(AlteredError):
        prove(MemoryTree([data]).batch(SIGNER), KEY, MemoryTree())
