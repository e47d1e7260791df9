"""A connection cut and a server killed at any byte, a database that goes away: everything arrives once all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from hoopcli.cli.transport import HttpTransport
from hoopcli.errors import UpstreamError
from hoopcli.ledger import sync as ledger_sync
from hoopcli.ledger.note import Note, Verifier
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.sync import LedgerSync
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.sync import store
from tests.ledger.stage import filled, signer
from tests.support.cutting import relay
from tests.support.postgres import postgres
from tests.support.server import running, served, services
from tests.support.waiting import eventually


def records(path: Path) -> list[bytes]:
    with Reader.open(path) as reader:
        return [row.data for row in reader.rows()]


@pytest.mark.parametrize("of_answers", [False, True])
def test_a_connection_cut_at_any_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_answers: bool) -> None:
    monkeypatch.setattr(ledger_sync, "BATCH_RECORDS", 6)
    with running(tmp_path) as server, relay(httpx.URL(server.url).port or 0) as between:
        whole = 3_500 if of_answers else 9_000  # about what one sync sends and receives
        for number, at in enumerate(range(1, whole, whole // 12)):
            folder = tmp_path / str(number)
            path, key = filled(folder), signer(folder)
            server.enrol(path, key)
            between.arm(at, of_answers=of_answers)
            with sender(path, between.port) as sync:
                try:
                    sync.run()
                except UpstreamError:
                    stored = server.records(key.name)
                    assert stored == records(path)[: len(stored)]
                    assert len(stored) in {0, 6, 12, 16}
                    between.disarm()
                    assert sync.run() is not None
            assert server.records(key.name) == records(path)
        assert server.alerts() == []


class Process:
    """``hoop server run`` over a folder, which may be killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        (folder / "server.toml").write_text('data_dir = "."\npolicy = "policy.yaml"\n')
        (folder / "policy.yaml").write_text("version: 1\nrules: []\n")
        environment = os.environ | {"HOOP_SERVER_CONFIG": str(folder / "server.toml")}
        command = [sys.executable, "-m", "hoopcli.cli.main", "server", "run", "--port", str(port)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "127.0.0.1" in line, "the server did not start"
        self.port = int(line.rsplit(":", 1)[1])
        eventually(self._answers, 30)

    def end(self) -> None:
        """Kill it, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False


def test_a_server_killed_at_any_byte_of_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_sync, "BATCH_RECORDS", 6)
    home = tmp_path / "server"
    home.mkdir()
    with ExitStack() as stack:
        process = Process(home, 0)
        stack.callback(lambda: process.end())  # noqa: PLW0108 - the one that runs then
        database = stack.enter_context(closing(Database.open(sqlite_url(home / "server.db"))))
        for number, (at, of_answers) in enumerate([(2_000, False), (5_500, False), (900, True)]):
            folder = tmp_path / str(number)
            path, key = filled(folder), signer(folder)
            with database.write() as connection:
                store.enrol(connection, key.verifier, "omar@example.com", 0)
            with relay(process.port) as between, sender(path, between.port) as sync:
                between.arm(at, process.end, of_answers=of_answers)
                with pytest.raises(UpstreamError):
                    sync.run()
                process.process.wait(30)
            stored = held(database, key.name)
            assert stored == records(path)[: len(stored)]
            process = Process(home, 0)
            with sender(path, process.port) as sync:
                assert sync.run() is not None
            assert held(database, key.name) == records(path)
        process.process.terminate()
        assert process.process.wait(30) == 0


@contextmanager
def sender(path: Path, port: int) -> Iterator[LedgerSync]:
    key = signer(path.parent)
    with closing(HttpTransport(f"http://127.0.0.1:{port}")) as transport:
        yield LedgerSync(path, key.verifier, transport, key)


def held(database: Database, origin: str) -> list[bytes]:
    with database.read() as connection:
        found = store.find(connection, origin)
        return [data for _, data in store.record_rows(connection, found.id, 0, found.size)]


@contextmanager
def leading_to(database_url: str, link: Path) -> Iterator[str]:
    """The URL of a database whose socket is reached through a link, which can be taken away."""
    url = make_url(database_url)
    link.symlink_to(str(url.query["host"]), target_is_directory=True)
    yield url.update_query_dict({"host": str(link)}).render_as_string(hide_password=False)


def test_a_database_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    link = Path("/tmp") / f"hoop-link-{os.getpid()}"
    with postgres() as direct, leading_to(direct, link) as url, services(url) as made, served(made) as server:
        sync = server.enrol(path, key)
        away = link.with_suffix(".away")
        link.rename(away)
        engine = create_engine(make_url(direct).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        engine.dispose()
        with pytest.raises(UpstreamError, match="503"):
            sync.run()
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200
        away.rename(link)
        assert server.get("/readyz").status_code == 200
        assert sync.run() is not None
        assert server.records(key.name) == records(path)
        link.unlink()


def test_a_witness_remembers_across_a_restart(tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    with running(tmp_path) as server:
        server.enrol(path, key).run()
    with running(tmp_path) as server:
        head = server.get(f"/v1/ledgers/head?origin={key.name}").json()
        assert head["size"] == 16
        Verifier.parse(head["witness"]).open(Note.parse(head["checkpoint"]))
        assert server.sync(path, key).run() is not None
