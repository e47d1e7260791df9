"""What a client asks for in its login beyond being let in: refused, or left out of the broker's own login."""

from __future__ import annotations

import struct

import pytest

from connectors.sql.layer import LOGIN_FAILED
from connectors.sql.tds.features import Feature, FeatureId, FedAuth, FedAuthLibrary
from connectors.sql.tds.login import (
    TDS_7_4,
    Login7,
    OptionFlags1,
    OptionFlags2,
    OptionFlags3,
    TypeFlags,
    decode_login7,
    encode_login7,
)
from connectors.sql.tds.packet import Message, MessageReader, PacketType, packetize
from connectors.sql.tds.prelogin import Encryption, Prelogin, decode_prelogin, encode_prelogin
from connectors.sql.tds.tokens import Done, ServerMessage, TokenType
from connectors.sql.tds.tokens_login import FeatureExtAck, LoginAck
from connectors.sql.tds.tokenstream import Token
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Command, GetCredential, OpenUpstream
from hoopcli.sansio.events import CredentialGranted, DataReceived, Peer, UpstreamOpened
from tests.sql.test_layer import Visitor, error, tokens, upstream
from tests.sql.test_login import OURS, SECRET
from tests.support.playbook import only, sent

ACK = LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode()
USER_TYPE = OptionFlags2(0x70)  # server, distributed query, replication: whoever claims to be one of them


def login(**fields: object) -> bytes:
    return encode_login7(Login7(**{"user_name": "anyone", "password": SECRET, **fields}))  # type: ignore[arg-type]


def patched(at: int, form: str, value: int) -> bytes:
    """A good login with one field changed to what no encoder writes."""
    payload = bytearray(login())
    struct.pack_into(form, payload, at, value)
    return bytes(payload)


def last_message(commands: list[Command], peer: Peer) -> Message:
    message = list(MessageReader(packet_size=32767).feed(sent(commands, peer)))[-1]
    assert isinstance(message, Message)
    return message


def greeted(**options: str) -> Visitor:
    visitor = Visitor(**options)
    visitor.say(PacketType.PRELOGIN, encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP)))
    return visitor


def sent_upstream(**fields: object) -> Login7:
    """The broker's own LOGIN7 for a client with this one."""
    visitor = greeted()
    visitor.say(PacketType.LOGIN7, login(**fields))
    visitor.play.hear(CredentialGranted(OURS))
    visitor.play.hear(UpstreamOpened())
    commands = visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    return decode_login7(last_message(commands, Peer.UPSTREAM).payload)


@pytest.mark.parametrize(
    "payload",
    [
        login(change_password="a-new-one"),
        login(attach_db_file="c:/somewhere.mdf"),
        login(tds_version=0x73000000),
        login(tds_version=0x72000000),
        patched(4, "<I", 0x71000001),
        patched(4, "<I", 0),
        patched(24, "<B", OptionFlags1.BYTE_ORDER_68000),
        patched(24, "<B", OptionFlags1.CHAR_EBCDIC),
        patched(24, "<B", OptionFlags1.FLOAT_VAX),
        patched(24, "<B", OptionFlags1.FLOAT_ND5000),
        patched(25, "<B", OptionFlags2.INTEGRATED_SECURITY),
        patched(80, "<H", 16),
        patched(90, "<I", 1 << 17),
        patched(58, "<H", 4),
        patched(46, "<H", 0xFFFF),
        patched(0, "<I", 0),
        login(features=(Feature(FeatureId.UTF8_SUPPORT), Feature(FeatureId.UTF8_SUPPORT))),
        login()[:90],
        b"",
    ],
    ids=[
        "a new password", "a database file", "TDS 7.3", "TDS 7.2", "TDS 7.1", "no version", "big-endian", "EBCDIC",
        "VAX floats", "ND5000 floats", "integrated security", "SSPI", "long SSPI", "an unannounced extension",
        "a long password", "a wrong length", "a feature twice", "cut off", "empty",
    ],
)  # fmt: skip
def test_a_login_that_asks_for_more_gets_nothing_and_nobody_upstream_hears_of_it(payload: bytes) -> None:
    visitor = greeted()
    with pytest.raises(ProtocolError):
        visitor.say(PacketType.LOGIN7, payload)
    assert only(visitor.play.log, GetCredential) + only(visitor.play.log, OpenUpstream) == []


@pytest.mark.parametrize("kind", [PacketType.SSPI, PacketType.FEDAUTH_TOKEN, PacketType.SQL_BATCH, PacketType.PRELOGIN])
def test_only_a_login_follows_prelogin(kind: PacketType) -> None:
    visitor = greeted()
    with pytest.raises(ProtocolError, match="no LOGIN7"):
        visitor.say(kind, b"\x00" * 40)
    assert only(visitor.play.log, OpenUpstream) == []


def test_a_token_of_the_clients_own_does_not_stand_for_the_secret() -> None:
    token = FedAuth(FedAuthLibrary.SECURITY_TOKEN, token="eyJ.of-the-client").encode()
    visitor = greeted()
    with pytest.raises(ProtocolError, match="not this session's secret"):
        visitor.say(PacketType.LOGIN7, login(password="", features=(token,)))
    assert error(visitor.play.log[-1:]).number == LOGIN_FAILED
    assert only(visitor.play.log, OpenUpstream) == []


def test_what_follows_a_login_before_its_answer_ends_it() -> None:
    visitor = greeted()
    with pytest.raises(ProtocolError, match="follows LOGIN7"):
        visitor.play.hear(together((PacketType.LOGIN7, login()), (PacketType.SQL_BATCH, b"\x00" * 40)))
    assert only(visitor.play.log, OpenUpstream) == []


def together(*messages: tuple[PacketType, bytes]) -> DataReceived:
    data = b"".join(b"".join(packetize(kind, [payload])) for kind, payload in messages)
    return DataReceived(Peer.CLIENT, data)


def test_mars_is_declined_to_the_client_and_not_asked_of_the_upstream() -> None:
    visitor = Visitor()
    asking = encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP, mars=True))
    answer = last_message(visitor.say(PacketType.PRELOGIN, asking), Peer.CLIENT)
    assert decode_prelogin(answer.payload).mars is False
    visitor.say(PacketType.LOGIN7, login())
    visitor.play.hear(CredentialGranted(OURS))
    hello = last_message(visitor.play.hear(UpstreamOpened()), Peer.UPSTREAM)
    assert decode_prelogin(hello.payload).mars is False


def test_flags_that_change_what_the_upstream_does_are_the_brokers_own() -> None:
    own = sent_upstream(
        option_flags1=OptionFlags1.DUMP_LOAD_OFF | OptionFlags1.DATABASE_FATAL | OptionFlags1.SET_LANG_NOTIFY,
        option_flags2=OptionFlags2.LANGUAGE_FATAL | OptionFlags2.ODBC | USER_TYPE | OptionFlags2(0x0C),
        type_flags=TypeFlags.OLEDB | TypeFlags.READ_ONLY_INTENT | TypeFlags(0x4F),
        option_flags3=OptionFlags3.SEND_YUKON_BINARY_XML
        | OptionFlags3.USER_INSTANCE
        | OptionFlags3.UNKNOWN_COLLATION_HANDLING
        | OptionFlags3(0xE0),
    )
    assert own.option_flags1 == (
        OptionFlags1.DUMP_LOAD_OFF
        | OptionFlags1.DATABASE_FATAL
        | OptionFlags1.SET_LANG_NOTIFY
        | OptionFlags1.USE_DB_NOTIFY
    )
    assert own.option_flags2 == OptionFlags2.LANGUAGE_FATAL | OptionFlags2.ODBC
    assert own.type_flags == TypeFlags.READ_ONLY_INTENT
    assert own.option_flags3 == OptionFlags3.UNKNOWN_COLLATION_HANDLING


def test_a_change_of_database_is_always_told_to_the_broker() -> None:
    assert sent_upstream().option_flags1 & OptionFlags1.USE_DB_NOTIFY


def test_who_the_client_says_it_is_stays_with_the_broker() -> None:
    own = sent_upstream(
        host_name="laptop", app_name="SQLAgent", client_interface_name="x", server_name="y", client_pid=7,
        connection_id=9, client_id=b"123456", client_prog_ver=5, packet_size=512,
    )  # fmt: skip
    assert (own.host_name, own.app_name, own.client_interface_name) == ("hoop", "hoop s1", "hoop")
    assert (own.client_pid, own.connection_id, own.client_id, own.client_prog_ver) == (0, 0, bytes(6), 0)
    assert (own.user_name, own.password, own.tds_version) == (OURS.user, OURS.secret, TDS_7_4)


SPOKEN = {FeatureId.UTF8_SUPPORT, FeatureId.DATACLASSIFICATION}


@pytest.mark.parametrize("feature", [f for f in FeatureId if f not in SPOKEN] + [0x77])
def test_a_feature_is_not_asked_of_the_upstream_and_not_granted_if_it_offers_it(feature: int) -> None:
    """Session recovery would replay state that nobody authorised; others change how answers are to be read."""
    visitor = greeted()
    asked = (Feature(feature, b"\x01\x02"), Feature(FeatureId.UTF8_SUPPORT))
    visitor.say(PacketType.LOGIN7, login(features=asked))
    visitor.play.hear(CredentialGranted(OURS))
    visitor.play.hear(UpstreamOpened())
    commands = visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    own = decode_login7(last_message(commands, Peer.UPSTREAM).payload)
    assert [f.id for f in own.features] == [FeatureId.UTF8_SUPPORT, FeatureId.DATACLASSIFICATION]
    offered = FeatureExtAck(((feature, b"\x01"), (int(FeatureId.UTF8_SUPPORT), b"\x01"))).encode()
    said = tokens(visitor.play.hear(upstream(ACK + offered + Done().encode())))
    [granted] = [t for t in said if isinstance(t, FeatureExtAck)]
    assert granted.features == ((FeatureId.UTF8_SUPPORT, b"\x01"),)


@pytest.mark.parametrize(
    ("asked", "answered", "granted"),
    [
        (b"", b"\x02\x01", None),
        (b"\x00", b"\x02\x01", None),
        (b"\x01", b"\x02\x01", b"\x01\x01"),
        (b"\x02", b"\x02\x01", b"\x02\x01"),
        (b"\x02", b"\x01\x01", b"\x01\x01"),
        (b"\x09", b"\x02\x01", b"\x02\x01"),
        (b"\x02", b"\x02\x00", None),
        (b"\x02", None, None),
        (None, b"\x02\x01", None),
        (b"\x02\x02", b"\x02\x01", None),
    ],
)
def test_the_sensitivity_of_results_is_asked_for_and_granted_to_who_asks(
    asked: bytes | None, answered: bytes | None, granted: bytes | None
) -> None:
    said = logged_in_with(asked, answered)
    extensions = [t.features for t in said if isinstance(t, FeatureExtAck)]
    assert extensions == ([] if granted is None else [((FeatureId.DATACLASSIFICATION, granted),)])


@pytest.mark.parametrize("answered", [b"", b"\x02", b"\x00\x01", b"\x03\x01", b"\x02\x02", b"\x02\x01\x00"])
def test_an_upstream_that_agrees_to_what_nobody_asked_for_is_left(answered: bytes) -> None:
    [error] = [t for t in logged_in_with(b"\x02", answered) if isinstance(t, ServerMessage)]
    assert "DATACLASSIFICATION" in error.text


def logged_in_with(asked: bytes | None, answered: bytes | None) -> list[Token]:
    """What a client hears that asks for the sensitivity of results in this way, of an upstream that answers so."""
    visitor = greeted()
    features = () if asked is None else (Feature(FeatureId.DATACLASSIFICATION, asked),)
    visitor.say(PacketType.LOGIN7, login(features=features))
    visitor.play.hear(CredentialGranted(OURS))
    visitor.play.hear(UpstreamOpened())
    commands = visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    own = decode_login7(last_message(commands, Peer.UPSTREAM).payload)
    assert own.features == (Feature(FeatureId.DATACLASSIFICATION, b"\x02"),)
    answer = b"" if answered is None else FeatureExtAck(((FeatureId.DATACLASSIFICATION, answered),)).encode()
    return tokens(visitor.play.hear(upstream(ACK + answer + Done().encode())))


@pytest.mark.parametrize("let_in", [True, False])
def test_an_upstream_that_repeats_the_password_does_not_tell_it_to_the_client(let_in: bool) -> None:
    visitor = greeted()
    visitor.say(PacketType.LOGIN7, login())
    credential = CredentialGranted(OURS)
    visitor.play.hear(credential)
    visitor.play.hear(UpstreamOpened())
    visitor.play.hear(upstream(encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP))))
    text = f"Login with {credential.credential.secret!r} was tried."
    kind = TokenType.INFO if let_in else TokenType.ERROR
    repeated = ServerMessage(18456, text, 14, token=kind).encode()
    commands = visitor.play.hear(upstream(repeated + (ACK if let_in else b"") + Done(0 if let_in else 2).encode()))
    assert "***" in str(tokens(commands))
    assert OURS.secret not in str(tokens(commands))
