"""A connection past its login, as a dialogue with the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.sql.accept import Accepted
from connectors.sql.exchange import Exchanges
from connectors.sql.link import Link
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.login import Login7
from connectors.sql.tds.packet import PacketType, PayloadStream, Status, packetize
from connectors.sql.tds.request import (
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
from connectors.sql.tds.tokens_login import LoginAck
from connectors.sql.tds.tokenstream import Row, Token, read_tokens, write_row
from connectors.sql.tds.types import TypeInfo
from connectors.sql.tds.values import Value, encode_value
from connectors.sql.upstream import LoggedIn
from hoopcli.masking.masker import Masking
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Decision, Effect, Mask, Method, Obligation, Statement
from hoopcli.model.outcome import Outcome
from hoopcli.model.session import Session
from hoopcli.sansio.commands import Authorize, Command, Record
from hoopcli.sansio.events import DataReceived, Deny, Peer, Permit
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


ATTENTION = b"".join(packetize(PacketType.ATTENTION, []))
CANCELLED = Done(DoneStatus.ATTENTION).encode()
DROP = SqlBatch("DROP TABLE customers")


def wire(request: Request) -> bytes:
    kind, payload = encode_request(request)
    return b"".join(packetize(kind, [payload]))


def statements_of(commands: list[Command]) -> list[Statement]:
    return [c.statement for c in only(commands, Authorize)]


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
