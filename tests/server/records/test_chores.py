"""A long backlog is stored at once and indexed afterwards; what comes then waits its turn, and nothing is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopcli.server.records import chores, indexing
from tests.ledger.stage import filled, ledger, signer, whole_story
from tests.server.records.stage import find
from tests.support.server import running


def test_a_backlog_is_indexed_after_it_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_services: object) -> None:
        return

    monkeypatch.setattr(chores, "_watch", never)  # its turns are taken by hand
    path, key = filled(tmp_path, 3), signer(tmp_path)
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server") as server:
        monkeypatch.setattr(indexing, "AT_ONCE", 20)
        receipt = server.enrol(path, key).run()
        assert receipt is not None
        assert find(server.services).rows == []
        with ledger(tmp_path) as opened:
            opened.append(whole_story("later"))
            opened.sign()
        server.sync(path, key).run()
        assert find(server.services).rows == [], "few records, but those before them are still to come"
        while chores.catch_up(server.services, 10):
            pass
        assert len(find(server.services).rows) == 12
        with ledger(tmp_path) as opened:
            opened.append(whole_story("last"))
            opened.sign()
        server.sync(path, key).run()
        assert len(find(server.services).rows) == 15
