"""What can go wrong between a real client and its upstream, end to end with Microsoft's ODBC driver."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from connectors.sql.demo.options import Options
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import LoginAck
from hoopcli.ledger.record import Record
from hoopcli.sansio.events import Credential
from tests.support import clients
from tests.support.broker import SA, RunningBroker, broker
from tests.support.ledger import records_of
from tests.support.upstream import RunningUpstream, upstream

POLICY = Path("connectors/sql/demo/policy.yaml").read_text()


@contextmanager
def stage(
    folder: Path, options: Options | None = None, credential: Credential = SA, **target: str
) -> Iterator[tuple[RunningUpstream, RunningBroker]]:
    with upstream(options) as up, broker(folder, up.target(**target), POLICY, credential=credential) as between:
        yield up, between


def connect(between: RunningBroker, **more: Any) -> Any:
    return clients.odbc(between.listen.port, "hoop", between.listen.secret, **more)


def outcomes(folder: Path) -> list[Record]:
    return [r for r in records_of(folder / "ledger.db") if r.type == "exchange.outcome"]


def test_an_entra_token_takes_the_place_of_a_password(tmp_path: Path) -> None:
    token = Credential("token", "eyJ.an-entra-token")
    with stage(tmp_path, Options(token=token.secret), token, auth="entra") as (up, between):
        with connect(between) as connection:
            assert clients.fetch(connection, "SELECT 1 AS one") == [(1,)]
        assert [audience for audience, _ in between.services.credentials.asked] == ["https://database.windows.net/"]  # type: ignore[attr-defined]
        assert between.listen.secret.encode("utf-16-le") not in bytes(up.seen.wire)
    assert token.secret.encode() not in (tmp_path / "ledger.db").read_bytes()


def test_a_refused_token_is_told_without_showing_it(tmp_path: Path) -> None:
    wrong = Credential("token", "eyJ.expired-token")
    with stage(tmp_path, Options(token="another"), wrong, auth="entra") as (_, between):
        with pytest.raises(pyodbc.Error) as caught, connect(between):
            pass
        assert "refused the login" in str(caught.value)
        assert wrong.secret not in str(caught.value)


def test_a_route_is_followed_and_never_shown(tmp_path: Path) -> None:
    with upstream() as worker, stage(tmp_path, Options(route=("127.0.0.1", worker.port))) as (gateway, between):
        with connect(between) as connection:
            assert clients.fetch(connection, "SELECT 2 AS two") == [(2,)]
        assert gateway.seen.statements == []
        assert any("two" in text for text in worker.seen.statements)


def test_transient_login_errors_are_waited_out(tmp_path: Path) -> None:
    with stage(tmp_path, Options(transient=[40613])) as (up, between):
        with connect(between) as connection:
            assert clients.fetch(connection, "SELECT 1 AS one") == [(1,)]
        assert len(up.seen.logins) == 2


def test_an_upstream_that_is_down_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with stage(tmp_path, port=port) as (_, between), pytest.raises(pyodbc.Error, match="cannot be reached"):
        connect(between).__enter__()


def test_an_upstream_that_closes_during_the_login_is_a_clear_error(tmp_path: Path) -> None:
    with (
        stage(tmp_path, Options(cut_login=1)) as (_, between),
        pytest.raises(pyodbc.Error, match="during the login"),
    ):
        connect(between).__enter__()


def test_an_upstream_that_is_cut_midway_is_told_and_recorded_as_lost(tmp_path: Path) -> None:
    with stage(tmp_path) as (up, between), connect(between) as connection:
        up.options.cut_after = 3000
        with pytest.raises(pyodbc.Error):
            clients.fetch(connection, "SELECT * FROM orders")
    assert outcomes(tmp_path)[-1].body["status"] == "lost"


def test_a_malformed_answer_is_cut_off_and_recorded_as_blocked(tmp_path: Path) -> None:
    with stage(tmp_path) as (up, between), connect(between) as connection:
        clients.fetch(connection, "SELECT TOP 1 id FROM orders")  # its catalog is read before
        up.options.malformed = True
        with pytest.raises(pyodbc.Error, match="cut off"):
            clients.fetch(connection, "SELECT * FROM orders")
    assert outcomes(tmp_path)[-1].body["status"] == "blocked"


@pytest.mark.parametrize(
    "token",
    [
        EnvChange(EnvType.ROUTING, Routing("127.0.0.1", 14331)).encode(),
        LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode(),
        b"\xd1" + b"\x04" * 60,
        b"\xe4\xff\xff\xff\x7f",
        b"\x81\xff\xfe" + b"\x00" * 60,
    ],
    ids=["a route", "a login", "a row of nothing", "two gigabytes of session state", "65,279 columns"],
)
def test_an_upstream_that_lies_is_cut_off_and_the_client_told(tmp_path: Path, token: bytes) -> None:
    with stage(tmp_path) as (up, between):
        with connect(between) as connection:
            up.options.inject = token
            with pytest.raises(pyodbc.Error, match="cut off"):
                clients.fetch(connection, "SELECT 1 AS one")
        up.options.inject = b""
        with connect(between) as another:
            assert clients.fetch(another, "SELECT 1 AS one") == [(1,)]
    assert [o.body["status"] for o in outcomes(tmp_path)].count("blocked") == 1


def test_a_server_that_routes_to_itself_is_given_up(tmp_path: Path) -> None:
    options = Options()
    with stage(tmp_path, options) as (up, between):
        options.route = ("127.0.0.1", up.port)
        with pytest.raises(pyodbc.Error, match="routed the login"):
            connect(between).__enter__()
        assert len(up.seen.logins) == 4


def test_a_slow_statement_is_cancelled_upstream_and_the_connection_lives(tmp_path: Path) -> None:
    with stage(tmp_path) as (up, between), connect(between) as connection:
        connection.timeout = 1
        with pytest.raises(pyodbc.Error):
            clients.fetch(connection, "SELECT 1 AS a WAITFOR DELAY '00:00:30'")
        assert up.seen.attentions == 1
        connection.timeout = 0
        assert clients.fetch(connection, "SELECT 1 AS one") == [(1,)]
    assert "cancelled" in [o.body["status"] for o in outcomes(tmp_path)]


def test_a_session_that_ends_cuts_its_clients(tmp_path: Path) -> None:
    with stage(tmp_path) as (_, between), connect(between) as connection:
        clients.fetch(connection, "SELECT 1 AS one")
        between.call(lambda: between.live.end("told to"))


def test_the_secret_of_one_session_is_worth_nothing_at_another(tmp_path: Path) -> None:
    with (
        stage(tmp_path / "a") as (_, first),
        stage(tmp_path / "b") as (up, second),
        pytest.raises(pyodbc.Error, match="not this session's secret"),
    ):
        clients.odbc(second.listen.port, "hoop", first.listen.secret).__enter__()
        assert up.seen.logins == []


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 600, b"\x12\x01\x00\x08\x00\x00\x00\x00"]
)
def test_strangers_get_nothing_and_disturb_nobody(tmp_path: Path, said: bytes) -> None:
    with stage(tmp_path) as (up, between):
        with socket.create_connection(("127.0.0.1", between.listen.port), timeout=10) as stranger:
            stranger.sendall(said)
            heard = b""
            while piece := stranger.recv(4096):
                heard += piece
        assert heard == b"" or heard.startswith(b"HTTP/1.1 400")
        assert up.seen.logins == []
        with connect(between) as connection:
            assert clients.fetch(connection, "SELECT 1 AS one") == [(1,)]
