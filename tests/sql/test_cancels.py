"""ATTENTIONs at every moment, and clients that say anything else before they were answered."""

from __future__ import annotations

import pytest

from connectors.sql.link import PeerGoneError
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.packet import MessageReader, PacketType, Status, packetize
from connectors.sql.tds.request import SqlBatch
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.tokenstream import write_row
from hoopcli.errors import ProtocolError
from hoopcli.model.outcome import Status as Ending
from hoopcli.sansio.commands import Authorize, CancelAuthorize, Record
from hoopcli.sansio.events import DataReceived, Peer, PeerClosed
from tests.sql.dialogue import (
    ATTENTION,
    CANCELLED,
    DROP,
    Dialogue,
    delivered,
    payload_of,
    result,
    statements_of,
    tokens_of,
    wire,
)
from tests.support.playbook import only, sent
from tests.support.tds import INT


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
    assert all("DROP" not in s.text for s in statements_of(dialogue.play.log))


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
    assert [s.text for s in statements_of(dialogue.ask(SqlBatch("SELECT 1")))] == ["SELECT 1"]


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
    assert [s.text for s in statements_of(asked)] == ["SELECT 2"]
