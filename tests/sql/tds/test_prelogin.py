from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.packet import MessageReader
from connectors.sql.tds.prelogin import (
    Agreement,
    Encrypted,
    Encryption,
    Prelogin,
    Version,
    decode_prelogin,
    encode_prelogin,
    negotiate,
    settle,
)
from hoopcli.errors import ProtocolError

# [MS-TDS] 4.1
SAMPLE = bytes.fromhex(
    "12 01 00 2F 00 00 01 00 00 00 1A 00 06 01 00 20 00 01 02 00 21 00 01 03 00 22 00 04 04 00 26 00 01 FF"
    "09 00 00 00 00 00 01 00 B8 0D 00 00 01"
)

ushort = st.integers(0, 0xFFFF)
prelogins = st.builds(
    Prelogin,
    version=st.builds(Version, st.integers(0, 255), st.integers(0, 255), ushort, ushort),
    encryption=st.sampled_from(Encryption),
    instance=st.none() | st.binary(max_size=20).map(lambda b: b.replace(b"\0", b"x")),
    thread_id=st.none() | st.integers(0, 0xFFFFFFFF),
    mars=st.none() | st.booleans(),
    trace_id=st.none() | st.binary(min_size=36, max_size=36),
    fedauth_required=st.none() | st.booleans(),
    nonce=st.none() | st.binary(min_size=32, max_size=32),
)


def table(*options: tuple[int, bytes]) -> bytes:
    head, data = b"", b""
    for option, value in options:
        head += struct.pack(">BHH", option, 5 * len(options) + 1 + len(data), len(value))
        data += value
    return head + b"\xff" + data


VERSION = (0, bytes(6))


def test_the_published_example() -> None:
    (message,) = MessageReader().feed(SAMPLE)
    expected = Prelogin(Version(9, 0, 0, 0), Encryption.ON, instance=b"", thread_id=0x0DB8, mars=True)
    assert decode_prelogin(message.payload) == expected
    assert encode_prelogin(expected) == message.payload


@given(prelogins)
def test_round_trip(prelogin: Prelogin) -> None:
    assert decode_prelogin(encode_prelogin(prelogin)) == prelogin


@given(prelogins, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0, 200))
def test_damage_raises_protocol_error_only(prelogin: Prelogin, damage: list[tuple[int, int]], end: int) -> None:
    wire = bytearray(encode_prelogin(prelogin))
    for at, value in damage:
        wire[at % len(wire)] = value
    for data in (bytes(wire), bytes(wire[:end])):
        try:
            decode_prelogin(data)
        except ProtocolError:
            continue


@given(st.binary(max_size=120))
def test_garbage_raises_protocol_error_only(data: bytes) -> None:
    try:
        decode_prelogin(data)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "no terminator"),
        (b"\xff", "no VERSION"),
        (b"\x00\x00\x06", "ends inside"),
        (table((1, b"\0"), VERSION), "does not begin with VERSION"),
        (table(VERSION)[:5], "lies outside"),
        (table(VERSION)[:-1], "lies outside"),
        (b"\x00\xff\xff\x00\x06\xff" + bytes(6), "lies outside"),
        (b"\x00\x00\x05\x00\x06" + bytes(6), "comes twice"),
        (table(VERSION, (1, b"\0"), (1, b"\1")), "comes twice"),
        (table((0, bytes(5))), "VERSION has 5 bytes"),
        (table(VERSION, (1, b"")), "ENCRYPTION has 0 bytes"),
        (table(VERSION, (1, b"\x81")), "0x81"),
        (table(VERSION, (1, b"\x04")), "0x04"),
        (table(VERSION, (4, b"\2")), "MARS is 2"),
        (table(VERSION, (6, b"\2")), "FEDAUTHREQUIRED is 2"),
        (table(VERSION, (3, b"\0")), "THREADID has 1 bytes"),
        (table(VERSION, (7, bytes(31))), "NONCEOPT has 31 bytes"),
    ],
)
def test_refused(payload: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_prelogin(payload)


def test_a_server_answers_some_options_empty() -> None:
    prelogin = decode_prelogin(table(VERSION, (1, b"\1"), (2, b"\0"), (3, b""), (5, b""), (7, b"")))
    assert prelogin == Prelogin(encryption=Encryption.ON, instance=b"")


def test_without_an_encryption_option_the_sender_cannot_encrypt() -> None:
    assert decode_prelogin(table(VERSION)).encryption is Encryption.NOT_SUP


def test_unknown_options_are_kept_but_never_sent_on() -> None:
    prelogin = decode_prelogin(table(VERSION, (1, b"\0"), (42, b"what")))
    assert prelogin.unknown == ((42, b"what"),)
    assert b"what" not in encode_prelogin(prelogin)


OFF, ON, NOT_SUP, REQ = Encryption


@pytest.mark.parametrize(
    ("client", "server", "reply", "encrypted"),
    [
        (OFF, OFF, OFF, Encrypted.LOGIN),
        (OFF, ON, REQ, Encrypted.ALL),
        (OFF, REQ, REQ, Encrypted.ALL),
        (OFF, NOT_SUP, NOT_SUP, Encrypted.NOTHING),
        (ON, OFF, ON, Encrypted.ALL),
        (ON, REQ, ON, Encrypted.ALL),
        (ON, NOT_SUP, NOT_SUP, None),
        (REQ, OFF, ON, Encrypted.ALL),
        (NOT_SUP, OFF, NOT_SUP, Encrypted.NOTHING),
        (NOT_SUP, NOT_SUP, NOT_SUP, Encrypted.NOTHING),
        (NOT_SUP, ON, REQ, None),
        (NOT_SUP, REQ, REQ, None),
    ],
)
def test_negotiate(client: Encryption, server: Encryption, reply: Encryption, encrypted: Encrypted | None) -> None:
    assert negotiate(client, server) == Agreement(reply, encrypted)


@pytest.mark.parametrize("client", Encryption)
@pytest.mark.parametrize("server", Encryption)
def test_both_roles_conclude_the_same(client: Encryption, server: Encryption) -> None:
    agreement = negotiate(client, server)
    if agreement.encrypted is None:
        with pytest.raises(ProtocolError):
            settle(client, agreement.reply)
    else:
        assert settle(client, agreement.reply) is agreement.encrypted


@pytest.mark.parametrize(("sent", "received"), [(ON, OFF), (ON, NOT_SUP), (REQ, OFF), (NOT_SUP, ON), (NOT_SUP, REQ)])
def test_a_client_accepts_no_downgrade(sent: Encryption, received: Encryption) -> None:
    with pytest.raises(ProtocolError):
        settle(sent, received)
