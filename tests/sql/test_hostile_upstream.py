"""Upstreams that go, or that answer what they were not asked, as a dialogue."""

from __future__ import annotations

import tracemalloc

import pytest

from connectors.sql.link import PeerGoneError
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.packet import PacketType, Status, packetize
from connectors.sql.tds.request import SqlBatch
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import FeatureExtAck, FedAuthInfo, LoginAck, Sspi
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from hoopcli.errors import ProtocolError
from hoopcli.model.outcome import Status as Ending
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import DataReceived, Peer, PeerClosed
from tests.sql.dialogue import ATTENTION, CUSTOMERS, SSN, Dialogue, error_in, handle_out, result
from tests.support.playbook import only, sent


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


@pytest.mark.parametrize("kind", [PacketType.SQL_BATCH, PacketType.LOGIN7, PacketType.PRELOGIN])
def test_a_packet_that_no_answer_has_ends_it(kind: PacketType) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit()
    with pytest.raises(ProtocolError, match="sent a packet of type"):
        dialogue.play.hear(DataReceived(Peer.UPSTREAM, b"".join(packetize(kind, [Done().encode()]))))
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.BLOCKED
    assert "cut off" in error_in(dialogue.play.log).text


def test_an_upstream_that_goes_inside_a_value_leaves_no_room_for_an_error() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT note FROM notes"))
    dialogue.permit()
    column = Column("note", TypeInfo(TypeId.NVARCHAR, MAX, collation=LATIN1))
    answer = write_columns([column]) + write_row([column], ["x" * 9000])
    packet = bytearray(b"".join(packetize(PacketType.TABULAR_RESULT, [answer[:-2000]], 32767)))
    packet[1] &= ~Status.EOM
    dialogue.play.hear(DataReceived(Peer.UPSTREAM, bytes(packet)))
    before = len(dialogue.play.log)
    with pytest.raises(PeerGoneError):
        dialogue.play.hear(PeerClosed(Peer.UPSTREAM))
    assert sent(dialogue.play.log[before:], Peer.CLIENT) == b""


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
            for _ in range(15):
                dialogue.play.hear(DataReceived(Peer.UPSTREAM, bytes(packet)))
                dialogue.play.log.clear()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[2] - sizes[1] < len(packet)
