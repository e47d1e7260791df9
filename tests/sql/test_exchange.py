"""The loop after the login as a dialogue: what the client says, what is asked, what goes where."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from connectors.sql.accept import Accepted
from connectors.sql.exchange import DENIED, Exchanges
from connectors.sql.link import Link, PeerGoneError
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.login import Login7
from connectors.sql.tds.packet import MessageReader, PacketType, PayloadStream, Status, packetize
from connectors.sql.tds.request import (
    BulkLoad,
    Parameter,
    ParameterFlags,
    ProcId,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    encode_request,
)
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import FeatureExtAck, FedAuthInfo, LoginAck, Sspi
from connectors.sql.tds.tokenstream import OutputValue, Row, Token, read_tokens, write_row
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from connectors.sql.tds.values import Value, encode_value
from connectors.sql.upstream import LoggedIn
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.masking.masker import Masking
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Decision, Effect, Limit, Mask, Method, Obligation, Statement
from hoopcli.model.outcome import Outcome
from hoopcli.model.outcome import Status as Ending
from hoopcli.model.session import Session
from hoopcli.sansio.commands import Authorize, CancelAuthorize, Command, Record
from hoopcli.sansio.events import DataReceived, Deny, Peer, PeerClosed, Permit
from hoopcli.spi import LayerContext, SessionSecret, Target
from tests.sql.test_login import IDENTITY, NOW
from tests.support.clock import Clock
from tests.support.playbook import Playbook, only, sent
from tests.support.tds import INT, NVARCHAR

CUSTOMERS = [Column("id", INT), Column("ssn", NVARCHAR), Column("city", NVARCHAR)]
SSN = "078-05-1120"
KEEP_LAST = Mask("ssn", fields=("*.dbo.customers.ssn",), method=Method("keep_last", 4))
SHAPES = Mask("shapes", detectors=("us_ssn",))


class Dialogue:
    """One connection past its login."""

    def __init__(self) -> None:
        session = Session("s1", Principal("omar"), Connection("azure-sql", "sql"), NOW, NOW)
        context = LayerContext(
            session=session,
            target=Target("db", 1433, "password", {"database": "shop"}),
            secret=SessionSecret("x"),
            tls_server=lambda newest: IDENTITY.server_context([], newest),
            tls_client=lambda newest: IDENTITY.server_context([], newest),
            masking=lambda masks: Masking(masks, b"k" * 32),
            now=Clock(),
        )
        client = Accepted(Link(Peer.CLIENT), Login7(), 4096, strict=False)
        upstream = LoggedIn(Link(Peer.UPSTREAM), 4096, "shop", LoginAck("SQL", (16, 0, 0, 0)), ())
        self.play = Playbook(Exchanges(context, client, upstream).serve())
        self.exchanges = 0

    def ask(self, request: Request, status: Status = Status.NORMAL) -> list[Command]:
        kind, payload = encode_request(request)
        return self.client(b"".join(packetize(kind, [payload], status=status)))

    def client(self, data: bytes) -> list[Command]:
        return self.play.hear(DataReceived(Peer.CLIENT, data))

    def permit(self, *obligations: Obligation, keep: int = 1 << 20) -> list[Command]:
        self.exchanges += 1
        return self.play.hear(
            Permit(f"x{self.exchanges}", Decision(Effect.ALLOW, "reads", obligations=obligations, keep=keep))
        )

    def deny(self, rule: str = "no-drops") -> list[Command]:
        return self.play.hear(Deny("x", rule, f"denied by rule '{rule}': never", "ask nadia"))

    def answer(self, *tokens: bytes, cut: int = 1 << 20) -> list[Command]:
        wire = b"".join(packetize(PacketType.TABULAR_RESULT, [b"".join(tokens)]))
        commands = []
        for at in range(0, len(wire), cut):
            commands += self.play.hear(DataReceived(Peer.UPSTREAM, wire[at : at + cut]))
        return commands

    def run(self, text: str, *tokens: bytes, masks: Sequence[Obligation] = (), cut: int = 1 << 20) -> Delivered:
        self.ask(SqlBatch(text))
        self.permit(*masks)
        return delivered(self.answer(*tokens, cut=cut))


@dataclass
class Delivered:
    payload: bytes
    tokens: list[Token]
    outcome: Outcome

    @property
    def rows(self) -> list[tuple[Value, ...]]:
        return [token.values for token in self.tokens if isinstance(token, Row)]


def tokens_of(commands: list[Command]) -> list[Token]:
    return list(read_tokens(payload_of(commands)))


def payload_of(commands: list[Command]) -> bytes:
    return b"".join(bytes(piece) for piece, _ in PayloadStream().feed(sent(commands, Peer.CLIENT)))


def delivered(commands: list[Command]) -> Delivered:
    payload = payload_of(commands)
    return Delivered(payload, list(read_tokens(payload)), only(commands, Record)[0].outcome)


def result(columns: Sequence[Column], *rows: Sequence[Value]) -> bytes:
    body = b"".join(write_row(columns, row) for row in rows)
    return write_columns(columns) + body + Done(DoneStatus.COUNT, 0xC1, len(rows)).encode()


def error_in(commands: list[Command]) -> ServerMessage:
    return next(t for t in tokens_of(commands) if isinstance(t, ServerMessage))


def test_nothing_goes_upstream_before_the_permit_and_then_the_very_bytes() -> None:
    dialogue = Dialogue()
    request = SqlBatch("SELECT id FROM orders")
    kind, payload = encode_request(request)
    asked = dialogue.ask(request)
    assert [type(c) for c in asked] == [Authorize]
    assert only(asked, Authorize)[0].statement.request == payload
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    [message] = list(MessageReader().feed(forwarded))
    assert (message.type, message.payload) == (kind, payload)


@pytest.mark.parametrize("cut", [1 << 20, 1, 13])
def test_a_result_is_delivered_masked_and_described_exactly(cut: int) -> None:
    got = Dialogue().run(
        "SELECT id, ssn, city FROM customers", result(CUSTOMERS, (1, SSN, "Oslo"), (2, None, "Lima")),
        masks=[KEEP_LAST], cut=cut,
    )  # fmt: skip
    assert got.rows[0][1] != SSN
    assert str(got.rows[0][1]).endswith("1120")
    assert got.rows[1] == (2, None, "Lima")
    outcome = got.outcome
    assert (outcome.status, outcome.rows, dict(outcome.masked)) == (Ending.COMPLETED, 2, {"ssn": 1})
    assert (outcome.size, outcome.digest) == (len(got.payload), hashlib.sha256(got.payload).hexdigest())
    assert (outcome.kept, outcome.kept_all) == (got.payload, True)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SELECT id, ssn, '' FROM customers", "*******1120"),
        ("SELECT id, c.ssn AS q, '' FROM customers c JOIN orders o ON o.id = c.id", "*******1120"),
        ("SELECT * FROM customers", "*******1120"),
        ("SELECT id, ssn, '' FROM customers UNION SELECT id, ssn, '' FROM old.dbo.customers", "*******1120"),
        ("SELECT id, REVERSE(ssn), '' FROM customers", "[redacted]"),
        ("SELECT id, SUBSTRING(ssn, 1, 8), '' FROM customers", "[redacted]"),
        ("SELECT id, x.ssn, '' FROM (SELECT id, REVERSE(ssn) AS ssn FROM customers) x", "[redacted]"),
        ("WITH x AS (SELECT id, LEFT(ssn, 9) AS s FROM customers) SELECT id, s, '' FROM x", "[redacted]"),
        ("SELECT id, ssn, '' FROM customers UNION SELECT id, REVERSE(ssn), '' FROM customers", "[redacted]"),
        ("SELECT x.* FROM (SELECT id, REVERSE(ssn) AS ssn, '' AS c FROM customers) x", "[redacted]"),
    ],
)
def test_a_part_is_kept_of_a_plain_column_only(text: str, kept: str) -> None:
    got = Dialogue().run(text, result(CUSTOMERS, (1, SSN, "")), masks=[KEEP_LAST])
    assert got.rows[0][1] == kept


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, ssn AS city, city AS ssn FROM customers",
        "SELECT id, x.s, 'a' FROM (SELECT id, ssn s FROM customers) x",
        "WITH c AS (SELECT ssn AS q, id FROM customers) SELECT id, q + '', 'x' FROM c",
        "SELECT id, REVERSE(c.ssn), 'x' FROM shop.dbo.customers AS c",
        "SELECT id, CASE WHEN 1 = 1 THEN ssn END, '' FROM customers",
        "SELECT 1, name, '' FROM employees UNION ALL SELECT 2, ssn, '' FROM customers",
        "SELECT * FROM customers",
        "SELECT c.* FROM customers c JOIN orders o ON o.id = c.id",
    ],
)
def test_a_masked_column_is_masked_however_it_is_spelled(text: str) -> None:
    columns = [Column("id", INT), Column("ssn" if "*" in text else "whatever", NVARCHAR), Column("city", NVARCHAR)]
    got = Dialogue().run(text, result(columns, (1, SSN, "Oslo")), masks=[KEEP_LAST])
    assert SSN.encode("utf-16-le") not in got.payload
    assert got.rows[0][2] == "Oslo"
    assert dict(got.outcome.masked) == {"ssn": 1}


def test_a_result_that_is_not_what_the_statement_said_is_blocked() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id, city FROM customers"))
    dialogue.permit(KEEP_LAST)
    wire = b"".join(packetize(PacketType.TABULAR_RESULT, [result(CUSTOMERS, (1, SSN, "Oslo"))]))
    with pytest.raises(HoopError, match="3 columns"):
        dialogue.play.hear(DataReceived(Peer.UPSTREAM, wire))
    assert SSN.encode("utf-16-le") not in sent(dialogue.play.log, Peer.CLIENT)
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.BLOCKED


def test_detectors_look_at_every_text_also_of_errors() -> None:
    got = Dialogue().run(
        "SELECT note FROM notes",
        result([Column("note", NVARCHAR)], (f"call {SSN} now",)),
        masks=[SHAPES],
    )
    assert SSN not in str(got.rows)
    said = Dialogue().run(
        "SELECT 1", ServerMessage(245, f"cannot convert '{SSN}'").encode(), Done(2).encode(), masks=[SHAPES]
    )
    assert SSN not in str(said.tokens)
    assert said.outcome.status is Ending.FAILED


def test_the_error_of_a_statement_that_reads_a_masked_column_says_nothing() -> None:
    got = Dialogue().run(
        "SELECT CAST(ssn AS int) FROM customers",
        ServerMessage(245, "Conversion failed when converting 'qwerty' to int").encode(),
        Done(2).encode(),
        masks=[KEEP_LAST],
    )
    assert "qwerty" not in str(got.tokens)
    assert "qwerty" not in str(got.outcome)


def test_a_denied_statement_is_answered_in_tds_and_never_forwarded() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("DROP TABLE customers"))
    commands = dialogue.deny()
    assert sent(dialogue.play.log, Peer.UPSTREAM) == b""
    error = error_in(commands)
    assert (error.number, error.server) == (DENIED, "hoop")
    assert "no-drops" in error.text
    assert error.text.endswith("ask nadia")
    last = tokens_of(commands)[-1]
    assert isinstance(last, Done)
    assert last.status == DoneStatus.ERROR
    dialogue.ask(SqlBatch("SELECT 1"))  # the connection lives on
    assert sent(dialogue.permit(), Peer.UPSTREAM)


def test_a_denied_procedure_ends_with_doneproc() -> None:
    dialogue = Dialogue()
    dialogue.ask(RpcRequest((RpcCall("xp_cmdshell"),)))
    last = tokens_of(dialogue.deny())[-1]
    assert isinstance(last, Done)
    assert last.token is TokenType.DONEPROC


def test_an_attention_while_it_waits_withdraws_the_ask_and_both_are_answered() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("DROP TABLE customers"))
    commands = dialogue.client(b"".join(packetize(PacketType.ATTENTION, [])))
    assert isinstance(commands[0], CancelAuthorize)
    answer, acknowledgement = MessageReader().feed(sent(commands, Peer.CLIENT))
    assert answer.payload.endswith(Done(DoneStatus.ERROR).encode())
    assert acknowledgement.payload == Done(DoneStatus.ATTENTION).encode()
    assert sent(dialogue.play.log, Peer.UPSTREAM) == b""


@pytest.mark.parametrize("peer", list(Peer))
def test_a_peer_that_leaves_while_it_waits_withdraws_the_ask(peer: Peer) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT 1"))
    with pytest.raises(PeerGoneError):
        dialogue.play.hear(PeerClosed(peer))
    assert len(only(dialogue.play.log, CancelAuthorize)) == 1


def test_an_attention_while_idle_is_acknowledged_at_once() -> None:
    dialogue = Dialogue()
    commands = dialogue.client(b"".join(packetize(PacketType.ATTENTION, [])))
    assert sent(commands, Peer.UPSTREAM) == b""
    [done] = tokens_of(commands)
    assert isinstance(done, Done)
    assert done.status & DoneStatus.ATTENTION


@pytest.mark.parametrize("separate", [False, True])
def test_an_attention_while_it_runs_is_passed_on_until_it_is_acknowledged(separate: bool) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    cancel = dialogue.client(b"".join(packetize(PacketType.ATTENTION, [])))
    [message] = list(MessageReader().feed(sent(cancel, Peer.UPSTREAM)))
    assert message.type is PacketType.ATTENTION
    again = dialogue.client(b"".join(packetize(PacketType.ATTENTION, [])))
    assert sent(again, Peer.UPSTREAM) == b""
    acknowledged = Done(DoneStatus.ATTENTION).encode()
    if separate:
        assert only(dialogue.answer(result([Column("id", INT)], (1,))), Record) == []
        outcome = delivered(dialogue.answer(acknowledged)).outcome
    else:
        outcome = delivered(dialogue.answer(acknowledged)).outcome
    assert outcome.status is Ending.CANCELLED
    dialogue.ask(SqlBatch("SELECT 1"))
    assert sent(dialogue.permit(), Peer.UPSTREAM)


ATTENTION = b"".join(packetize(PacketType.ATTENTION, []))
CANCELLED = Done(DoneStatus.ATTENTION).encode()
DROP = SqlBatch("DROP TABLE customers")


def wire(request: Request) -> bytes:
    kind, payload = encode_request(request)
    return b"".join(packetize(kind, [payload]))


@pytest.mark.parametrize("state", ["together", "waiting", "running", "cancelled"])
@pytest.mark.parametrize("more", [wire(DROP), b"\x53" * 16, b"GET / HTTP/1.1\r\n"], ids=["request", "mars", "garbage"])
def test_whatever_but_an_attention_before_the_answer_ends_the_connection(state: str, more: bytes) -> None:
    dialogue = Dialogue()
    together = state == "together"
    with pytest.raises(ProtocolError):
        dialogue.client(wire(SqlBatch("SELECT 1")) + (more if together else b""))
        if state in {"running", "cancelled"}:
            dialogue.permit()
        if state == "cancelled":
            dialogue.client(ATTENTION)
        dialogue.client(more)
    assert "DROP" not in sent(dialogue.play.log, Peer.UPSTREAM).decode("utf-16-le", "replace")
    assert all("DROP" not in s.text for s in _statements(dialogue.play.log))


def test_what_was_delivered_before_a_client_broke_the_protocol_is_recorded_exactly() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    part = write_columns([Column("id", INT)]) + write_row([Column("id", INT)], (1,))
    packet = bytearray(b"".join(packetize(PacketType.TABULAR_RESULT, [part])))
    packet[1] &= ~Status.EOM
    dialogue.play.hear(DataReceived(Peer.UPSTREAM, bytes(packet)))
    with pytest.raises(ProtocolError):
        dialogue.ask(DROP)
    outcome = only(dialogue.play.log, Record)[0].outcome
    assert (outcome.status, outcome.rows, outcome.kept) == (Ending.LOST, 1, payload_of(dialogue.play.log))


@pytest.mark.parametrize("times", [1, 3])
def test_a_request_given_up_in_the_same_breath_is_never_asked_about(times: int) -> None:
    dialogue = Dialogue()
    commands = dialogue.client(wire(DROP) + ATTENTION * times)
    assert only(commands, Authorize) == []
    answer, acknowledgement = MessageReader().feed(sent(commands, Peer.CLIENT))
    assert answer.payload.endswith(Done(DoneStatus.ERROR).encode())
    assert acknowledgement.payload == CANCELLED
    assert [s.text for s in _statements(dialogue.ask(SqlBatch("SELECT 1")))] == ["SELECT 1"]


def test_several_attentions_while_it_waits_are_one() -> None:
    dialogue = Dialogue()
    dialogue.ask(DROP)
    commands = dialogue.client(ATTENTION * 2)
    assert len(only(commands, CancelAuthorize)) == 1
    assert len(list(MessageReader().feed(sent(commands, Peer.CLIENT)))) == 2


def test_several_attentions_while_it_runs_go_upstream_once() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT 1"))
    dialogue.permit()
    for cut in (ATTENTION * 2 + ATTENTION[:3], ATTENTION[3:]):
        dialogue.client(cut)
    assert sent(dialogue.play.log, Peer.UPSTREAM).count(ATTENTION) == 1
    assert delivered(dialogue.answer(CANCELLED)).outcome.status is Ending.CANCELLED
    assert sent(dialogue.client(ATTENTION), Peer.UPSTREAM) == b""


def test_an_attention_that_meets_the_end_of_the_answer_on_its_way_is_acknowledged_once() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT 1"))
    dialogue.permit()
    dialogue.client(ATTENTION)
    assert only(dialogue.answer(Done().encode()), Record) == []
    commands = dialogue.answer(CANCELLED)
    assert delivered(commands).outcome.status is Ending.CANCELLED
    assert payload_of(commands) == CANCELLED


def test_an_attention_right_after_the_end_of_the_answer_never_reaches_the_upstream() -> None:
    dialogue = Dialogue()
    dialogue.run("SELECT 1", Done().encode())
    commands = dialogue.client(ATTENTION)
    assert sent(commands, Peer.UPSTREAM) == b""
    assert payload_of(commands) == CANCELLED


@pytest.mark.parametrize("cut", [1 << 20, 1, 9])
def test_the_next_request_may_come_in_pieces(cut: int) -> None:
    dialogue = Dialogue()
    dialogue.run("SELECT 1", Done().encode())
    data = wire(SqlBatch("SELECT 2"))
    asked = [c for at in range(0, len(data), cut) for c in dialogue.client(data[at : at + cut])]
    assert [s.text for s in _statements(asked)] == ["SELECT 2"]


def _statements(commands: list[Command]) -> list[Statement]:
    return [c.statement for c in only(commands, Authorize)]


def test_an_upstream_that_goes_midway_is_told_and_recorded_as_lost() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    with pytest.raises(PeerGoneError):
        dialogue.play.hear(PeerClosed(Peer.UPSTREAM))
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.LOST
    assert "closed the connection" in error_in(dialogue.play.log).text


def test_an_undecodable_answer_is_cut_off_with_an_error() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    with pytest.raises(ProtocolError):
        dialogue.answer(b"\x01\x02\x03\x04")
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.BLOCKED
    assert "cut off" in error_in(dialogue.play.log).text


def test_an_upstream_that_speaks_unasked_ends_it() -> None:
    with pytest.raises(ProtocolError, match="without being asked"):
        Dialogue().answer(Done().encode())


ANSWER = b"".join(packetize(PacketType.TABULAR_RESULT, [Done().encode()]))
STRAY = b"".join(packetize(PacketType.TABULAR_RESULT, [result(CUSTOMERS, (9, SSN, "Oslo"))]))


@pytest.mark.parametrize("answers", [ANSWER + STRAY, ANSWER + STRAY[:20], ANSWER + STRAY[:8], ANSWER + STRAY[:5]])
def test_an_answer_without_a_question_is_not_delivered(answers: bytes) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    with pytest.raises(ProtocolError, match="more than the answer"):
        dialogue.play.hear(DataReceived(Peer.UPSTREAM, answers))
    assert SSN.encode("utf-16-le") not in sent(dialogue.play.log, Peer.CLIENT)


def test_a_cancel_that_is_not_acknowledged_in_two_messages_ends_it() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    dialogue.client(ATTENTION)
    dialogue.answer(Done().encode())
    dialogue.answer(Done().encode())
    with pytest.raises(ProtocolError, match="more than the answer"):
        dialogue.answer(Done().encode())


@pytest.mark.parametrize(
    "token",
    [
        EnvChange(EnvType.ROUTING, Routing("evil.example.com", 1433)).encode(),
        LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode(),
        FeatureExtAck(((2, b""),)).encode(),
        FedAuthInfo("https://evil.example.com", "x").encode(),
        Sspi(b"challenge").encode(),
        b"\xe3\xff\xff" + b"\xff" * 0xFFFF,  # an environment change that no version has
        b"\xd1" + b"\x01" * 40,  # a row of nothing
        b"\x81\xfe\xff" + b"\x00" * 40,  # 65,534 columns
    ],
    ids=["routing", "login", "features", "fedauth", "sspi", "environment", "row", "columns"],
)
def test_a_token_that_no_answer_has_ends_it_and_is_not_delivered(token: bytes) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    with pytest.raises(ProtocolError):
        dialogue.answer(token)
    assert token not in sent(dialogue.play.log, Peer.CLIENT)
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.BLOCKED


def test_a_flood_of_tokens_is_passed_on_without_being_kept() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit(keep=1000)
    flood = (
        Done(DoneStatus.MORE).encode() + EnvChange(EnvType.LANGUAGE, "a" * 100, "b").encode() + handle_out(7)
    ) * 100
    packet = bytearray(b"".join(packetize(PacketType.TABULAR_RESULT, [flood], 32767)))
    packet[1] &= ~Status.EOM
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(50):
                dialogue.play.hear(DataReceived(Peer.UPSTREAM, bytes(packet)))
                dialogue.play.log.clear()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[2] - sizes[1] < len(packet)


def test_a_limit_ends_the_rows_and_says_so() -> None:
    got = Dialogue().run("SELECT id FROM orders", result([Column("id", INT)], (1,), (2,), (3,)), masks=[Limit(2)])
    assert got.rows == [(1,), (2,)]
    assert got.outcome.rows == 2


def test_what_is_kept_is_limited_and_says_so() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit(keep=10)
    got = delivered(dialogue.answer(result([Column("id", INT)], (1,))))
    assert (got.outcome.kept, got.outcome.kept_all) == (got.payload[:10], False)


def handle_out(value: int, kind: TypeInfo = INT) -> bytes:
    return ReturnValue(0, "", kind).encode() + encode_value(kind, value)


def prepare(text: str) -> RpcRequest:
    handle = Parameter(INT, None, flags=ParameterFlags.BY_REF_VALUE)
    parameters = (handle, Parameter(NVARCHAR, None), Parameter(NVARCHAR, text), Parameter(INT, 1))
    return RpcRequest((RpcCall(proc_id=ProcId.SP_PREPARE, parameters=parameters),))


def execute(handle: int) -> RpcRequest:
    return RpcRequest((RpcCall(proc_id=ProcId.SP_EXECUTE, parameters=(Parameter(INT, handle),)),))


def done_proc(status: int = 0) -> bytes:
    return Done(status, token=TokenType.DONEPROC).encode()


def test_a_prepared_handle_is_followed_to_its_text() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("DELETE FROM orders"))
    dialogue.permit()
    got = dialogue.answer(handle_out(7), done_proc())
    assert any(isinstance(t, OutputValue) and t.value == 7 for t in tokens_of(got))
    [statement] = _statements(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:delete"]


def test_a_handle_given_out_beside_an_error_stands_for_its_text_too() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1 DROP TABLE t"))
    dialogue.permit()
    dialogue.answer(handle_out(7), ServerMessage(8134, "Divide by zero").encode(), done_proc(2))
    [statement] = _statements(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:drop", "sql:select"]


def test_a_handle_that_comes_back_null_is_not_the_next_value() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(ReturnValue(0, "", INT).encode() + encode_value(INT, None), handle_out(7), done_proc())
    [statement] = _statements(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]


def test_a_handle_given_out_twice_for_different_texts_stands_for_neither() -> None:
    dialogue = Dialogue()
    for text in ("SELECT 1", "DELETE FROM orders", "SELECT 1"):
        dialogue.ask(prepare(text))
        dialogue.permit()
        dialogue.answer(handle_out(7), done_proc())
    [statement] = _statements(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]


def test_a_reset_that_was_denied_happens_with_the_next_request_that_is_forwarded() -> None:
    dialogue = Dialogue()
    dialogue.run("USE other", EnvChange(EnvType.DATABASE, "other", "shop").encode(), Done().encode())
    dialogue.ask(SqlBatch("DROP TABLE t"), Status.RESET_CONNECTION_SKIP_TRAN)
    dialogue.deny()
    dialogue.ask(SqlBatch("DROP TABLE t"), Status.RESET_CONNECTION)
    dialogue.deny()
    [statement] = _statements(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert statement.actions[0].resources == ("shop.dbo.t",)
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    assert forwarded[1] == Status.EOM | Status.RESET_CONNECTION
    dialogue.answer(Done().encode())
    dialogue.ask(SqlBatch("SELECT a FROM t"))
    assert sent(dialogue.permit(), Peer.UPSTREAM)[1] == Status.EOM


def test_a_long_value_keeps_no_part_because_textsize_can_cut_it_anywhere() -> None:
    dialogue = Dialogue()
    column = Column("ssn", TypeInfo(TypeId.NVARCHAR, MAX, collation=LATIN1))
    result = write_columns([column]) + write_row([column], [SSN[:6]])
    told = dialogue.run("SELECT ssn FROM customers", result, Done().encode(), masks=[KEEP_LAST])
    [(value,)] = told.rows
    assert value is None or not set(SSN) & set(str(value))


def test_a_reset_connection_forgets_handles_and_database() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(handle_out(7), done_proc())
    dialogue.run("USE other", EnvChange(EnvType.DATABASE, "other", "shop").encode(), Done().encode())
    [inside] = _statements(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert inside.actions[0].resources == ("other.dbo.t",)
    dialogue.permit()
    dialogue.answer(Done().encode())
    [statement] = _statements(dialogue.ask(execute(7), Status.RESET_CONNECTION))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    assert forwarded[1] & Status.RESET_CONNECTION
    dialogue.answer(Done().encode())
    [after] = _statements(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert after.actions[0].resources == ("shop.dbo.t",)


def test_rows_in_bulk_need_their_insert_bulk_right_before() -> None:
    dialogue = Dialogue()
    dialogue.run("INSERT BULK dbo.big (a int)", Done().encode())
    [bulk] = _statements(dialogue.ask(BulkLoad(b"\x81\x00\x00")))
    assert [(a.verb, a.resources) for a in bulk.actions] == [("sql:bulk-insert", ("shop.dbo.big",))]
    dialogue.permit()
    dialogue.answer(Done().encode())
    [again] = _statements(dialogue.ask(BulkLoad(b"\x81\x00\x00")))
    assert [a.verb for a in again.actions] == ["sql:unclassified"]


def test_a_message_given_up_midway_is_answered_and_not_forwarded() -> None:
    dialogue = Dialogue()
    kind, payload = encode_request(SqlBatch("DROP TABLE customers"))
    wire = bytearray(b"".join(packetize(kind, [payload])))
    wire[1] |= Status.IGNORE
    commands = dialogue.client(bytes(wire))
    assert only(commands, Authorize) == []
    assert sent(commands, Peer.UPSTREAM) == b""
    assert isinstance(tokens_of(commands)[-1], Done)


def test_garbage_of_a_client_ends_it_before_anything_is_asked() -> None:
    for garbage in (b"\x07" * 40, b"GET / HTTP/1.1\r\n", b"\x01\x01\x00\x04abcd"):
        dialogue = Dialogue()
        with pytest.raises(ProtocolError):
            dialogue.client(garbage)
        assert dialogue.play.log == []
