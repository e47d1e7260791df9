"""A ledger goes to a server whole, once and in order; what is not proved is refused, and a fork is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hoopcli.ledger import receipt as receipts
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.sync import NotEnrolledError
from tests.ledger.stage import filled, ledger, signer, whole_story
from tests.support.server import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def records(path: Path) -> list[bytes]:
    with Reader.open(path) as reader:
        return [row.data for row in reader.rows()]


def test_everything_arrives_once_and_in_order(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path, 3), signer(tmp_path)
    sync = server.enrol(path, key)
    seen: list[tuple[int, int]] = []
    receipt = sync.run(lambda done, total: seen.append((done, total)))
    assert receipt is not None
    assert server.records(key.name) == records(path)
    assert receipt.size == len(records(path))
    assert seen[0] == (0, receipt.size)
    assert seen[-1] == (receipt.size, receipt.size)
    assert receipts.load(path, key.verifier) == receipt
    assert sync.run() == receipt
    with ledger(tmp_path) as opened:
        opened.append(whole_story("later"))
        opened.sign()
    later = sync.run()
    assert later is not None
    assert later.size == receipt.size + 9
    assert server.records(key.name) == records(path)


def test_a_ledger_must_be_enrolled(server: Running, tmp_path: Path) -> None:
    with pytest.raises(NotEnrolledError):
        server.sync(filled(tmp_path), signer(tmp_path)).run()
