"""The server on a real socket, with a client that speaks raw TDS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from hashlib import sha256

import pytest

from connectors.sql.demo.options import Options
from connectors.sql.demo.running import RunningServer, running
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.packet import PacketType, Status, packetize
from connectors.sql.tds.prelogin import Encryption
from connectors.sql.tds.request import (
    Attention,
    Begin,
    BulkLoad,
    Parameter,
    ParameterFlags,
    ProcId,
    RpcCall,
    RpcRequest,
    Separator,
    SqlBatch,
    TransactionRequest,
    TransactionType,
    encode_request,
)
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnStatus, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import FeatureExtAck, LoginAck
from connectors.sql.tds.tokenstream import OutputValue, Token
from hoopcli.errors import ProtocolError
from tests.sql.demo.stage import RawClient, errors, raw, rows
from tests.support.broker import eventually
from tests.support.tds import INT, NVARCHAR

SLOW = "SELECT COUNT(*) FROM dbo.big a CROSS JOIN dbo.big b WHERE a.id * b.id % 7 = 3"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running() as found:
        yield found


@pytest.fixture
def client(server: RunningServer) -> Iterator[RawClient]:
    with raw(server.port) as found:
        yield found


def kinds(tokens: list[Token]) -> list[EnvType]:
    return [t.type for t in tokens if isinstance(t, EnvChange)]


def dones(tokens: list[Token]) -> list[Done]:
    return [t for t in tokens if isinstance(t, Done)]


def test_a_login_is_welcomed(server: RunningServer) -> None:
    client = RawClient(server.port)
    with client.socket:
        tokens = client.login(app_name="test", packet_size=8192)
    assert client.prelogin.mars is False
    assert any(isinstance(t, LoginAck) for t in tokens)
    assert kinds(tokens) == [EnvType.DATABASE, EnvType.COLLATION, EnvType.LANGUAGE, EnvType.PACKET_SIZE]
    assert next(t.new for t in tokens if isinstance(t, EnvChange) and t.type is EnvType.PACKET_SIZE) == "8192"
    assert server.seen.logins[-1] == ("sa", "test", sha256(b"upstream-secret").hexdigest())


@pytest.mark.parametrize(("user", "secret"), [("sa", "wrong"), ("sb", "upstream-secret"), ("", "")])
def test_others_are_not_let_in(server: RunningServer, user: str, secret: str) -> None:
    client = RawClient(server.port)
    with client.socket:
        assert errors(client.login(user, secret)) == [18456]
        with pytest.raises(ConnectionError):
            client.tokens()


def test_a_database_that_is_not_there_is_refused(server: RunningServer) -> None:
    client = RawClient(server.port)
    with client.socket:
        assert errors(client.login(database="nope")) == [4060]


@pytest.mark.parametrize(
    ("configured", "asked", "answered"),
    [
        ("off", Encryption.NOT_SUP, Encryption.NOT_SUP),
        ("off", Encryption.OFF, Encryption.OFF),
        ("off", Encryption.ON, Encryption.ON),
        ("on", Encryption.OFF, Encryption.REQ),
        ("none", Encryption.OFF, Encryption.NOT_SUP),
    ],
)
def test_encryption_is_negotiated(configured: str, asked: Encryption, answered: Encryption) -> None:
    with running(Options(encrypt=configured)) as found:
        client = RawClient(found.port, asked)
        client.socket.close()
        assert client.prelogin.encryption is answered


def test_strict_takes_no_login_without_tls_first() -> None:
    with running(Options(encrypt="strict")) as found:
        client = RawClient(found.port)
        with client.socket, pytest.raises(ConnectionError):
            client.login()


def test_garbage_ends_only_its_own_connection(server: RunningServer, client: RawClient) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x12\x01\x00\x08\x00\x00\x01\x00", b"\x16\x03\x01\x00"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as stranger:
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(4096):
                pass
    client.send(PacketType.SQL_BATCH, b"\x01")
    with pytest.raises(ConnectionError):
        client.receive()
    with raw(server.port) as other:
        assert rows(other.ask(SqlBatch("SELECT 1"))) == [(1,)]


def test_all_but_the_last_done_say_that_more_follow(client: RawClient) -> None:
    tokens = client.ask(SqlBatch("SELECT 1 UPDATE products SET price = price DECLARE @a int SELECT 2"))
    found = dones(tokens)
    assert [(d.rows, bool(d.status & DoneStatus.MORE), d.command) for d in found] == [
        (1, True, 0xC1), (8, True, 0xC5), (1, False, 0xC1),
    ]  # fmt: skip


def test_an_error_follows_what_came_before_it(client: RawClient) -> None:
    tokens = client.ask(SqlBatch("SELECT 1 SELECT 1/0 SELECT 2"))
    assert (rows(tokens), errors(tokens)) == ([(1,)], [8134])
    assert [d.status for d in dones(tokens)] == [DoneStatus.COUNT | DoneStatus.MORE, DoneStatus.ERROR]


def test_an_empty_batch_is_answered(client: RawClient) -> None:
    assert client.ask(SqlBatch("")) == [Done()]


def test_a_value_too_long_for_its_column_is_an_error_of_the_server(client: RawClient) -> None:
    text = "SELECT CASE WHEN id = 1500 THEN REPLICATE('x', 5000) ELSE 'x' END FROM dbo.big"
    tokens = client.ask(SqlBatch(text))
    assert (errors(tokens), len(rows(tokens)) >= 1000) == ([8152], True)


def test_the_calls_of_one_message_are_answered_in_turn(client: RawClient) -> None:
    def call(text: str) -> RpcCall:
        return RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(Parameter(NVARCHAR, text),), separator=Separator.BATCH)

    tokens = client.ask(RpcRequest((call("SELECT 1"), call("SELECT 1/0"), call("SELECT 3"))))
    assert (rows(tokens), errors(tokens)) == ([(1,), (3,)], [8134])
    ends = [d for d in dones(tokens) if d.token is TokenType.DONEPROC]
    assert [bool(d.status & DoneStatus.MORE) for d in ends] == [True, True, False]
    assert [t.value for t in tokens if isinstance(t, ReturnStatus)] == [0, 0]


def test_a_procedure_ends_in_status_outputs_and_done(client: RawClient) -> None:
    client.ask(SqlBatch("CREATE OR ALTER PROC inc @n int OUTPUT AS SET @n = @n + 1 RETURN 7"))
    parameter = Parameter(INT, 4, "@n", ParameterFlags.BY_REF_VALUE)
    *_, status, output, done = client.ask(RpcRequest((RpcCall("inc", parameters=(parameter,)),)))
    assert (status, done) == (ReturnStatus(7), Done(token=TokenType.DONEPROC))
    assert isinstance(output, OutputValue)
    assert (output.header.name, output.value) == ("@n", 5)


def test_the_transaction_manager_gives_descriptors(client: RawClient) -> None:
    def ask(kind: TransactionType, begin: Begin | None = None) -> list[Token]:
        return client.ask(TransactionRequest(kind, begin=begin))

    [begun, done] = ask(TransactionType.BEGIN, Begin())
    assert isinstance(begun, EnvChange)
    assert (begun.type, len(begun.new)) == (EnvType.BEGIN_TRANSACTION, 8)  # type: ignore[arg-type]
    assert isinstance(done, Done)
    assert done.status & DoneStatus.INXACT
    assert kinds(ask(TransactionType.COMMIT, Begin())) == [EnvType.COMMIT_TRANSACTION, EnvType.BEGIN_TRANSACTION]
    [ended, done] = ask(TransactionType.ROLLBACK)
    assert isinstance(ended, EnvChange)
    assert (ended.type, done) == (EnvType.ROLLBACK_TRANSACTION, Done())
    assert errors(ask(TransactionType.ROLLBACK)) == [3903]
    assert errors(ask(TransactionType.PROMOTE)) == [50000]


def test_rows_are_loaded_in_bulk(client: RawClient) -> None:
    client.ask(SqlBatch("CREATE TABLE #load (a int, b nvarchar(20))"))
    columns = [Column("a", INT), Column("b", NVARCHAR)]
    assert client.ask(SqlBatch("INSERT BULK #load ([a] int, [b] nvarchar(20))")) == [Done()]
    tokens = write_columns(columns) + encode_rows(columns, [(1, "x"), (2, None)]) + Done().encode()
    [done] = client.ask(BulkLoad(tokens))
    assert isinstance(done, Done)
    assert done.rows == 2
    assert rows(client.ask(SqlBatch("SELECT * FROM #load ORDER BY a"))) == [(1, "x"), (2, None)]
    client.ask(SqlBatch("INSERT BULK dbo.nope ([a] int)"))
    assert errors(client.ask(BulkLoad(tokens))) == [208]


def test_a_reset_is_acknowledged_and_forgets(client: RawClient) -> None:
    client.ask(SqlBatch("CREATE TABLE #gone (a int) USE master"))
    tokens = client.ask(SqlBatch("SELECT DB_NAME()"), Status.RESET_CONNECTION)
    assert (kinds(tokens), rows(tokens)) == ([EnvType.RESET_ACK], [("shop",)])
    assert errors(client.ask(SqlBatch("SELECT * FROM #gone"))) == [208]


@pytest.mark.parametrize(
    "text",
    ["WAITFOR DELAY '01:00:00'", SLOW, "SELECT a.* FROM dbo.big a CROSS JOIN dbo.big b", "WHILE 1 = 1 SET NOCOUNT ON"],
)
def test_an_attention_ends_what_runs(server: RunningServer, client: RawClient, text: str) -> None:
    seen = server.seen.attentions
    client.send(*encode_request(SqlBatch(text)))
    eventually(lambda: text in server.seen.statements)
    client.send(*encode_request(Attention()))
    client.cancelled()
    assert server.seen.attentions == seen + 1
    assert rows(client.ask(SqlBatch("SELECT 1"))) == [(1,)]


def test_an_attention_with_nothing_running_is_acknowledged(client: RawClient) -> None:
    assert client.ask(Attention()) == [Done(DoneStatus.ATTENTION)]


def test_a_message_given_up_midway_is_answered_with_a_done(client: RawClient) -> None:
    kind, payload = encode_request(SqlBatch("SELECT 1" + " " * 5000))
    first, *_ = packetize(kind, [payload])
    client.socket.sendall(first + bytes([kind, Status.EOM | Status.IGNORE, 0, 8, 0, 0, 2, 0]))
    assert client.tokens() == [Done()]


def test_a_client_that_leaves_takes_its_statement_along(server: RunningServer) -> None:
    for text in (SLOW + " -- left", "WAITFOR DELAY '01:00:00' -- left"):
        with raw(server.port) as leaving:
            leaving.send(*encode_request(SqlBatch(text)))
            eventually(lambda text=text: text in server.seen.statements)
    # the server stops at the end of the module, which waits for what still runs


def test_requests_that_come_early_wait_their_turn(client: RawClient) -> None:
    client.send(*encode_request(SqlBatch("WAITFOR DELAY '00:00:00.05' SELECT 1")))
    client.send(*encode_request(SqlBatch("SELECT 2")))
    assert [rows(client.tokens()), rows(client.tokens())] == [[(1,)], [(2,)]]


def test_a_token_is_demanded() -> None:
    with running(Options(token="the-token")) as found:
        for token, refused in (("other", [18456]), ("", [18456]), ("the-token", [])):
            client = RawClient(found.port)
            with client.socket:
                tokens = client.login(token=token)
                assert errors(tokens) == refused
        assert any(isinstance(t, FeatureExtAck) for t in tokens)
        assert found.seen.logins[-1][2] == sha256(b"the-token").hexdigest()


def test_transient_errors_come_first_and_then_no_more() -> None:
    with running(Options(transient=[40613, 40197])) as found:
        numbers = []
        for _ in range(3):
            client = RawClient(found.port)
            with client.socket:
                numbers.append(errors(client.login()))
        assert numbers == [[40613], [40197], []]


def test_a_route_is_given_and_the_connection_closed() -> None:
    with running(Options(route=("db.example", 1444))) as found:
        client = RawClient(found.port)
        with client.socket:
            tokens = client.login()
            assert EnvChange(EnvType.ROUTING, Routing("db.example", 1444)) in tokens
            with pytest.raises(ConnectionError):
                client.tokens()


def test_a_login_is_cut() -> None:
    with running(Options(cut_login=1)) as found:
        client = RawClient(found.port)
        with client.socket, pytest.raises(ConnectionError):
            client.login()
        with raw(found.port) as second:
            assert rows(second.ask(SqlBatch("SELECT 1"))) == [(1,)]


def test_an_answer_is_cut_after_so_many_bytes() -> None:
    with running() as found, raw(found.port) as client:
        found.options.cut_after = 100
        client.send(*encode_request(SqlBatch("SELECT * FROM dbo.customers")))
        received = b""
        while data := client.socket.recv(4096):
            received += data
        assert len(received) == 108  # with the header of the packet


def test_tokens_are_spoiled() -> None:
    with running(Options(malformed=True)) as found, raw(found.port) as client, pytest.raises(ProtocolError):
        client.ask(SqlBatch("SELECT 1"))
    with running(Options(overlong=True)) as found, raw(found.port) as client, pytest.raises(ProtocolError):
        client.ask(SqlBatch("SELECT 1"))


def test_an_error_comes_in_the_middle_of_a_result() -> None:
    with running(Options(error_after=3)) as found, raw(found.port) as client:
        tokens = client.ask(SqlBatch("SELECT * FROM dbo.orders"))
        at = next(i for i, t in enumerate(tokens) if isinstance(t, ServerMessage))
        assert (len(rows(tokens[:at])), len(rows(tokens))) == (512, 1000)


def test_a_slow_server_hears_a_cancel() -> None:
    with running() as found, raw(found.port) as client:
        found.options.delay = 3600
        client.send(*encode_request(SqlBatch("SELECT 1")))
        client.send(*encode_request(Attention()))
        client.cancelled()
        found.options.delay = 0.001
        assert rows(client.ask(SqlBatch("SELECT 1"))) == [(1,)]


def test_canned_answers_are_whole(server: RunningServer) -> None:
    with running(Options(canned=True, big_rows=5000)) as found, raw(found.port) as client:
        tokens = client.ask(SqlBatch("select * from dbo.big;"))
        assert [len(rows(tokens)), dones(tokens)[0].rows] == [5000, 5000]
        assert rows(client.ask(SqlBatch("SELECT 1"))) == [(1,)]
        assert rows(client.ask(SqlBatch("SELECT 2"))) == [(2,)]
        client.send(*encode_request(SqlBatch("SELECT * FROM dbo.huge")))
        client.send(*encode_request(Attention()))
        client.cancelled()
        assert rows(client.ask(SqlBatch("SELECT 3"))) == [(3,)]
