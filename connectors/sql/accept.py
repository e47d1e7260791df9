"""The client's side of the connection: PRELOGIN, TLS and LOGIN7 in the server's role.

Nothing is asked of the upstream until the client has shown the session's secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.sql.link import STRICT_TLS, WRAPPED_TLS, Link
from connectors.sql.tds.login import TDS_7_4, TDS_8_0, Login7, decode_login7
from connectors.sql.tds.packet import (
    DEFAULT_PACKET_SIZE,
    MAX_PACKET_SIZE,
    MIN_PACKET_SIZE,
    MessageReader,
    PacketType,
    packetize,
)
from connectors.sql.tds.prelogin import (
    Encrypted,
    Encryption,
    Prelogin,
    Version,
    decode_prelogin,
    encode_prelogin,
    negotiate,
)
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import SendData
from hoopcli.sansio.events import Peer
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.tls import TlsChannel
from hoopcli.spi import LayerContext, TlsContexts

SERVER_VERSION = Version(16, 0, 1000, 0)
LOGIN_LIMIT = 256 * 1024
MAX_TLS_PACKET_SIZE = 16_000  # one TLS record holds one packet
_TLS_HANDSHAKE = 0x16
_HTTP = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|PATCH|TRACE|PRI) ")
_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks TDS, the protocol of SQL Server. Connect with a SQL Server client.\n"
)


@dataclass(frozen=True, slots=True)
class Greeting:
    """A client that sent a LOGIN7, and how much of its connection is encrypted."""

    link: Link
    login: Login7
    encrypted: Encrypted
    strict: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """A client that showed the secret. ``packet_size`` is what it will be granted."""

    link: Link
    login: Login7
    packet_size: int
    strict: bool


def accept_client(context: LayerContext) -> Steps[Accepted]:
    """Bring a client up to a LOGIN7 with the session's secret in it.

    Raises ProtocolError for everything else; a LOGIN7 with a wrong secret raises WrongSecretError with its link, so
    that the client can be told in its own protocol.
    """
    greeting = yield from greet(context.tls_server)
    link, login = greeting.link, greeting.login
    _check(login)
    if not context.secret.matches(login.password):
        raise WrongSecretError(link)
    return Accepted(link, login, granted_packet_size(login, greeting.encrypted), greeting.strict)


def greet(tls: TlsContexts, policy: Encryption = Encryption.OFF, *, fedauth: bool = False) -> Steps[Greeting]:
    """PRELOGIN, TLS as ``policy`` and the client agree on it, and LOGIN7. ``fedauth`` invites a token.

    Raises ProtocolError.
    """
    link = Link(Peer.CLIENT)
    first = yield from link.receive()
    strict = first[0] == _TLS_HANDSHAKE
    if strict:
        yield from link.handshake(TlsChannel(tls(STRICT_TLS), server_side=True), first)
        first = link.opened(b"")
    elif _HTTP.match(first):
        yield SendData(Peer.CLIENT, [_HTTP_ANSWER])
        raise ProtocolError("an HTTP client connected to the port", "connect with a SQL Server client")
    reader = MessageReader(LOGIN_LIMIT, DEFAULT_PACKET_SIZE)
    encrypted, first = yield from _agree(link, tls, policy, reader, first, strict=strict, fedauth=fedauth)
    message = yield from link.message(reader, first)
    if not reader.idle:
        raise ProtocolError("something follows LOGIN7 before it was answered")
    if message.type is not PacketType.LOGIN7:
        raise ProtocolError("the login is no LOGIN7", "sign in with user and password, the password being the secret")
    if encrypted is Encrypted.LOGIN:
        link.tls = None
    return Greeting(link, decode_login7(message.payload), encrypted, strict)


class WrongSecretError(ProtocolError):
    """A client logged in without the session's secret."""

    def __init__(self, link: Link) -> None:
        super().__init__(
            "the password is not this session's secret", "use the one that hoop connect printed, or run it again"
        )
        self.link = link


def _agree(
    link: Link,
    tls: TlsContexts,
    policy: Encryption,
    reader: MessageReader,
    first: bytes,
    *,
    strict: bool,
    fedauth: bool,
) -> Steps[tuple[Encrypted, bytes]]:
    """Answer PRELOGIN and set TLS up. Returns what is encrypted, and plaintext that came early."""
    message = yield from link.message(reader, first)
    if message.type is not PacketType.PRELOGIN:
        raise ProtocolError("the first message is no PRELOGIN", "connect with a SQL Server client")
    asked = decode_prelogin(message.payload)
    agreement = negotiate(asked.encryption, policy)
    reply = Encryption.ON if strict else agreement.reply
    mars = None if asked.mars is None else False
    hello = Prelogin(
        SERVER_VERSION,
        reply,
        instance=b"",
        thread_id=0,
        mars=mars,
        fedauth_required=asked.fedauth_required if fedauth else None,
    )
    answer = encode_prelogin(hello)
    yield link.send(packetize(PacketType.TABULAR_RESULT, [answer]))
    if strict:
        return Encrypted.ALL, b""
    if agreement.encrypted is None:
        raise ProtocolError("client and broker cannot agree on encryption", "connect with Encrypt=yes")
    if agreement.encrypted is Encrypted.NOTHING:
        return Encrypted.NOTHING, b""
    rest = yield from link.wrapped_handshake(TlsChannel(tls(WRAPPED_TLS), server_side=True), reader)
    return agreement.encrypted, link.opened(rest)


def _check(login: Login7) -> None:
    if login.tds_version >> 24 != TDS_7_4 >> 24 and login.tds_version != TDS_8_0:
        raise ProtocolError("the client speaks a version of TDS before 7.4", "set its TDS version to 7.4")
    if login.change_password or login.attach_db_file:
        raise ProtocolError("a login through hoop changes no password and attaches no database file")


def granted_packet_size(login: Login7, encrypted: Encrypted) -> int:
    """What to grant: the client's wish within bounds, and large packets to one that leaves it to the server."""
    most = MAX_TLS_PACKET_SIZE if encrypted is Encrypted.ALL else MAX_PACKET_SIZE
    return min(max(login.packet_size or most, MIN_PACKET_SIZE), most)
