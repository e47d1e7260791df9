"""Ways around the policy and the masks, tried by a real client and by bare TDS against the whole broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.sql.exchange import DENIED
from connectors.sql.tds.packet import PacketType, Status, packetize
from connectors.sql.tds.request import (
    BulkLoad,
    Parameter,
    ParameterFlags,
    ProcId,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TransactionRequest,
    TransactionType,
    encode_request,
)
from connectors.sql.tds.rpc import Separator
from tests.sql.demo.stage import RawClient, errors, raw, rows
from tests.support.broker import RunningBroker, broker
from tests.support.clients import fetch, odbc
from tests.support.tds import INT, NVARCHAR
from tests.support.upstream import RunningUpstream, upstream

POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["*"]}
  - {id: never-drop, effect: deny, verbs: ["sql:drop"]}
masks:
  - {id: national-id, fields: ["*.dbo.customers.ssn"], method: {keep_last: 4}}
  - {id: salary, fields: ["*.dbo.employees.salary"], method: "null"}
"""
PROBE = "(SELECT CAST(CAST(salary AS varchar(20)) + 'x' AS int) FROM dbo.employees WHERE id = 1)"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def session(server: RunningUpstream, tmp_path: Path) -> Iterator[RunningBroker]:
    with broker(tmp_path, server.target(), POLICY) as running:
        yield running


@pytest.fixture
def client(session: RunningBroker) -> Iterator[Any]:
    with odbc(session.listen.port, session.listen.user, session.listen.secret) as connection:
        yield connection


@pytest.mark.parametrize(
    "text",
    [
        f"BEGIN TRY IF {PROBE} = 1 PRINT 'x' END TRY BEGIN CATCH SELECT ERROR_MESSAGE() AS m END CATCH",
        f"BEGIN TRY IF {PROBE} = 1 PRINT 'x' END TRY BEGIN CATCH DECLARE @m nvarchar(400) = ERROR_MESSAGE() "
        "SELECT @m AS m END CATCH",
        "DECLARE @n int = (SELECT salary FROM dbo.employees WHERE id = 1) SET TEXTSIZE @n",
        "DECLARE @b varbinary(128) = (SELECT CAST(ssn AS varbinary(128)) FROM dbo.customers WHERE id = 1) "
        "SET CONTEXT_INFO @b",
        "DECLARE @n varchar(32) = (SELECT ssn FROM dbo.customers WHERE id = 1) BEGIN TRAN @n",
    ],
    ids=["error text", "error text in a variable", "a setting", "context info", "the name of a transaction"],
)
def test_a_value_does_not_leave_by_the_session(client: Any, text: str) -> None:
    with pytest.raises(Exception, match="lineage"):
        client.cursor().execute(text)
    assert fetch(client, "SELECT 1") == [(1,)]


def test_hidden_columns_cannot_be_asked_for(client: Any) -> None:
    with pytest.raises(Exception, match="50403"):
        client.cursor().execute("SET NO_BROWSETABLE ON")


DROP = "DROP TABLE dbo.products"


@pytest.fixture
def bare(session: RunningBroker) -> Iterator[RawClient]:
    with raw(session.listen.port, secret=session.listen.secret) as client:
        yield client


def run(text: str, then: Separator = Separator.BATCH) -> RpcCall:
    return RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(Parameter(NVARCHAR, text),), separator=then)


def prepexec(text: str, *more: Parameter) -> RpcCall:
    handle = Parameter(INT, None, flags=ParameterFlags.BY_REF_VALUE)
    return RpcCall(
        proc_id=ProcId.SP_PREPEXEC, parameters=(handle, Parameter(NVARCHAR, None), Parameter(NVARCHAR, text), *more)
    )


def by_handle(number: int) -> RpcRequest:
    return RpcRequest((RpcCall(proc_id=ProcId.SP_EXECUTE, parameters=(Parameter(INT, number),)),))


@pytest.mark.parametrize(
    "request_",
    [
        SqlBatch(DROP),
        SqlBatch(f"SELECT 1 {DROP}"),
        RpcRequest((run("SELECT 1"), run(DROP))),
        RpcRequest((run(DROP), run("SELECT 1"))),
        RpcRequest((run("SELECT 1", Separator.NO_EXEC), run(DROP, Separator.NO_EXEC))),
        RpcRequest((prepexec(DROP),)),
        RpcRequest((RpcCall("sp_executesql", parameters=(Parameter(NVARCHAR, DROP),)),)),
        RpcRequest((RpcCall("[sys].[sp_ExecuteSQL] ", parameters=(Parameter(NVARCHAR, DROP),)),)),
        RpcRequest((RpcCall("sp_executesql;1", parameters=(Parameter(NVARCHAR, DROP, "@stmt"),)),)),
        by_handle(1),
        by_handle(-1),
        BulkLoad(b"\x81\x00\x00"),
        TransactionRequest(TransactionType.GET_DTC_ADDRESS),
    ],
    ids=[
        "a batch", "a second statement", "the second call of a message", "the first call of a message",
        "calls not to be executed", "sp_prepexec",
        "sp_executesql by name", "sp_executesql spelled oddly", "sp_executesql with a number", "a handle never given",
        "a negative handle", "rows in bulk without INSERT BULK", "the address of a transaction coordinator",
    ],
)  # fmt: skip
def test_a_message_that_is_not_permitted_as_a_whole_does_not_run(
    bare: RawClient, server: RunningUpstream, request_: Request
) -> None:
    before = len(server.seen.statements)
    assert errors(bare.ask(request_))[:1] == [DENIED]
    assert server.seen.statements[before:] == []
    assert rows(bare.ask(SqlBatch("SELECT 1"))) == [(1,)]


def test_a_number_of_ones_own_does_not_pass_for_a_handle(bare: RawClient) -> None:
    mine = Parameter(INT, 1, flags=ParameterFlags.BY_REF_VALUE)
    bare.ask(RpcRequest((prepexec("SELECT 1", mine),)))
    assert errors(bare.ask(by_handle(1)))[:1] == [DENIED]


def frame(kind: int, payload: bytes, status: int = Status.EOM, length: int | None = None) -> bytes:
    """A packet as no encoder writes it."""
    size = len(payload) + 8 if length is None else length
    return bytes((kind, status)) + size.to_bytes(2, "big") + bytes(4) + payload


KIND, PAYLOAD = encode_request(SqlBatch(DROP))


@pytest.mark.parametrize(
    "wire",
    [
        b"\x53\x08\x00\x00" + (16 + len(PAYLOAD)).to_bytes(4, "little") + bytes(8) + PAYLOAD,
        frame(0x02, PAYLOAD),
        frame(0x05, PAYLOAD),
        frame(PacketType.FEDAUTH_TOKEN, PAYLOAD),
        frame(PacketType.LOGIN7, PAYLOAD),
        frame(PacketType.PRELOGIN, PAYLOAD),
        frame(KIND, PAYLOAD, length=7),
        frame(KIND, PAYLOAD[:40], status=0) + frame(PacketType.RPC, PAYLOAD[40:]),
        frame(KIND, PAYLOAD, status=Status.EOM | 0x04),
        frame(KIND, PAYLOAD, status=Status.EOM | Status.RESET_CONNECTION | Status.RESET_CONNECTION_SKIP_TRAN),
        frame(KIND, PAYLOAD[:-1]),
        frame(KIND, b"\x16\x00\x00\x00"),
        frame(KIND, encode_request(SqlBatch("SELECT 1"))[1]) + frame(KIND, PAYLOAD),
        frame(PacketType.ATTENTION, b"") + frame(0x02, PAYLOAD),
    ],
    ids=[
        "a MARS frame", "the login of old versions", "an RPC of old versions", "a token", "a second login",
        "a second PRELOGIN", "a packet shorter than its header", "a type that changes midway", "an unknown status",
        "two resets", "half a character", "headers and nothing else", "two requests at once", "behind an attention",
    ],
)  # fmt: skip
def test_what_is_no_request_ends_the_connection_and_nothing_of_it_goes_upstream(
    bare: RawClient, server: RunningUpstream, wire: bytes
) -> None:
    before, seen = len(server.seen.statements), len(server.seen.wire)
    bare.socket.sendall(wire)
    with pytest.raises(ConnectionError):
        while True:
            bare.receive()
    assert server.seen.statements[before:] == []
    assert "DROP".encode("utf-16-le") not in server.seen.wire[seen:]


def test_a_reset_that_was_denied_is_not_lost(bare: RawClient) -> None:
    bare.ask(SqlBatch("USE tempdb"))
    assert errors(bare.ask(SqlBatch(DROP), Status.RESET_CONNECTION))[:1] == [DENIED]
    assert rows(bare.ask(SqlBatch("SELECT db_name()"))) == [("shop",)]


def test_a_request_and_its_cancel_in_one_segment(bare: RawClient, server: RunningUpstream) -> None:
    before = len(server.seen.statements)
    bare.socket.sendall(b"".join(packetize(KIND, [PAYLOAD])) + frame(PacketType.ATTENTION, b""))
    assert errors(bare.tokens())[:1] == [DENIED]
    bare.cancelled()
    assert rows(bare.ask(SqlBatch("SELECT 1"))) == [(1,)]
    assert not [text for text in server.seen.statements[before:] if "DROP" in text]
