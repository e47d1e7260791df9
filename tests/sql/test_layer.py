"""The whole layer from the first byte, as a dialogue: who gets in, and what those hear who do not."""

from __future__ import annotations

import pytest

from connectors.sql.layer import LOGIN_FAILED, sql_layer
from connectors.sql.tds.login import TDS_7_4, Login7, encode_login7
from connectors.sql.tds.packet import PacketType, PayloadStream, packetize
from connectors.sql.tds.prelogin import Encryption, Prelogin, encode_prelogin
from connectors.sql.tds.tokens import Done, ServerMessage
from connectors.sql.tds.tokens_login import LoginAck
from connectors.sql.tds.tokenstream import Token, read_tokens
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Command, GetCredential, OpenUpstream
from hoopcli.sansio.events import CredentialGranted, DataReceived, Peer, PeerClosed, UpstreamFailed, UpstreamOpened
from tests.sql.test_login import OURS, SECRET, context
from tests.support.playbook import Playbook, only, sent


class Visitor:
    """A client that speaks to the layer without TLS."""

    def __init__(self, **options: str) -> None:
        self.play = Playbook(sql_layer(context(encrypt="none", **options)))

    def say(self, kind: PacketType, payload: bytes) -> list[Command]:
        return self.play.hear(DataReceived(Peer.CLIENT, b"".join(packetize(kind, [payload]))))

    def knock(self, **fields: object) -> list[Command]:
        self.say(PacketType.PRELOGIN, encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP, mars=True)))
        login = Login7(**{"user_name": "anyone", "password": SECRET, **fields})  # type: ignore[arg-type]
        return self.say(PacketType.LOGIN7, encode_login7(login))


def tokens(commands: list[Command]) -> list[Token]:
    payload = b"".join(bytes(piece) for piece, _ in PayloadStream().feed(sent(commands, Peer.CLIENT)))
    return list(read_tokens(payload))


def error(commands: list[Command]) -> ServerMessage:
    return next(t for t in tokens(commands) if isinstance(t, ServerMessage))


def test_a_wrong_secret_is_refused_in_tds_and_nothing_upstream_is_touched() -> None:
    visitor = Visitor()
    with pytest.raises(ProtocolError, match="not this session's secret"):
        visitor.knock(password="guess")
    assert error(visitor.play.log[-1:]).number == LOGIN_FAILED
    assert only(visitor.play.log, OpenUpstream) + only(visitor.play.log, GetCredential) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tds_version": 0x73000000 + 0x0B0003}, "before 7.4"),
        ({"change_password": "new"}, "changes no password"),
        ({"attach_db_file": "c:/x.mdf"}, "attaches no database"),
    ],
)
def test_logins_that_ask_for_more_are_refused(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        Visitor().knock(**fields)


def test_another_database_is_refused_with_its_name() -> None:
    visitor = Visitor(database="shop")
    said = error(visitor.knock(database="payroll"))
    assert "leads to the database shop" in said.text
    assert "Database=shop" in said.text
    assert visitor.play.ended
    assert only(visitor.play.log, OpenUpstream) == []


def test_an_upstream_that_is_down_is_told_and_the_connection_ends() -> None:
    visitor = Visitor()
    visitor.knock()
    visitor.play.hear(CredentialGranted(OURS))
    said = error(visitor.play.hear(UpstreamFailed("db:1433 cannot be reached: refused")))
    assert "cannot be reached" in said.text
    assert "hoop doctor" in said.text
    assert visitor.play.ended


def test_an_upstreams_refusal_keeps_its_number() -> None:
    visitor = Visitor()
    visitor.knock()
    visitor.play.hear(CredentialGranted(OURS))
    visitor.play.hear(UpstreamOpened())
    visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    commands = visitor.play.hear(upstream(ServerMessage(4064, "no such database").encode() + Done(2).encode()))
    assert error(commands).number == 4064


def upstream(payload: bytes) -> DataReceived:
    return DataReceived(Peer.UPSTREAM, b"".join(packetize(PacketType.TABULAR_RESULT, [payload])))


def test_a_client_that_is_let_in_hears_its_own_packet_size_and_not_the_upstreams_name() -> None:
    visitor = Visitor()
    visitor.knock(packet_size=8000)
    visitor.play.hear(CredentialGranted(OURS))
    visitor.play.hear(UpstreamOpened())
    visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    ack = LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode()
    commands = visitor.play.hear(
        upstream(ServerMessage(5701, "hi", 0, server="SECRETHOST").encode() + ack + Done().encode())
    )
    said = tokens(commands)
    assert "SECRETHOST" not in str(said)
    assert "8000" in str(said)
    assert any(isinstance(t, LoginAck) and t.tds_version == TDS_7_4 for t in said)


def test_a_client_that_leaves_ends_it_quietly() -> None:
    visitor = Visitor()
    visitor.knock()
    visitor.play.hear(PeerClosed(Peer.CLIENT))
    assert visitor.play.ended
