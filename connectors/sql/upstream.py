"""The upstream's side of the connection: the broker's own PRELOGIN, TLS and LOGIN7 in the client's role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.sql.accept import Accepted
from connectors.sql.link import STRICT_TLS, WRAPPED_TLS, Link, PeerGoneError
from connectors.sql.tds.features import (
    Feature,
    FeatureId,
    FedAuth,
    FedAuthLibrary,
    decode_classification_ack,
    encode_classification,
)
from connectors.sql.tds.login import (
    TDS_7_4,
    TDS_8_0,
    Login7,
    OptionFlags1,
    OptionFlags2,
    OptionFlags3,
    TypeFlags,
    encode_login7,
)
from connectors.sql.tds.packet import (
    DEFAULT_PACKET_SIZE,
    MAX_PACKET_SIZE,
    MIN_PACKET_SIZE,
    MessageReader,
    PacketType,
    packetize,
)
from connectors.sql.tds.prelogin import Encrypted, Encryption, Prelogin, decode_prelogin, encode_prelogin, settle
from connectors.sql.tds.tokens import ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import FeatureExtAck, LoginAck
from connectors.sql.tds.tokenstream import Token, read_tokens
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import GetCredential, OpenUpstream, SetTimer
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    CredentialRefused,
    Event,
    Peer,
    PeerClosed,
    UpstreamFailed,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.sansio.layer import NOBODY, Steps, receive
from hoopcli.sansio.tls import TlsChannel
from hoopcli.spi import LayerContext

AUDIENCE = "https://database.windows.net/"
LOGIN_SECONDS = 30.0
ANSWER_LIMIT = 1 << 20
MAX_ROUTES = 3
_BACKOFF = (0.5, 1.0, 2.0, 4.0)
#: Errors that a login to Azure SQL may meet while a database moves or wakes: worth another try.
TRANSIENT = frozenset({4060, 4221, 10928, 10929, 40143, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920})
_ENCRYPTION = {"on": Encryption.ON, "off": Encryption.OFF, "none": Encryption.NOT_SUP}
#: What of a client's login is carried over: what decides how its statements and values are understood, and no more.
PASSED_ON = frozenset({FeatureId.UTF8_SUPPORT})
_FLAGS1 = OptionFlags1.DUMP_LOAD_OFF | OptionFlags1.DATABASE_FATAL | OptionFlags1.SET_LANG_NOTIFY
_FLAGS2 = OptionFlags2.LANGUAGE_FATAL | OptionFlags2.ODBC


class UpstreamRefusedError(ProtocolError):
    """The upstream cannot be reached or refused the login. ``errors`` are its own words, if it had any."""

    def __init__(self, message: str, hint: str = "", errors: Sequence[ServerMessage] = ()) -> None:
        super().__init__(message, hint)
        self.errors = tuple(errors)

    @property
    def transient(self) -> bool:
        """Whether another try may succeed."""
        return any(error.number in TRANSIENT for error in self.errors)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An upstream that let the broker in, and what it said: ``database``, its acknowledgement, the features it has.

    ``classification`` is the version in which it sends the sensitivity of results, 0 if it does not.
    """

    link: Link
    packet_size: int
    database: str
    ack: LoginAck
    tokens: tuple[Token, ...]
    classification: int = 0


def log_in(context: LayerContext, client: Accepted) -> Steps[LoggedIn]:
    """Log in upstream, following routes and waiting out transient errors. Raises UpstreamRefusedError."""
    for attempt, seconds in enumerate((*_BACKOFF, None)):
        try:
            return (yield from _follow_routes(context, client, fresh=attempt > 0))
        except UpstreamRefusedError as refusal:
            if seconds is None or not refusal.transient:
                raise
        yield SetTimer(seconds)
        yield from _reply(Wakeup)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _follow_routes(context: LayerContext, client: Accepted, *, fresh: bool) -> Steps[LoggedIn]:
    host, port = context.target.host, context.target.port
    for _ in range(MAX_ROUTES + 1):
        credential = yield from _credential(context, fresh=fresh)
        yield SetTimer(LOGIN_SECONDS)
        yield from _open(host, port)
        answer = yield from _attempt(context, client, credential, host)
        yield SetTimer(None)
        if isinstance(answer, LoggedIn):
            return answer
        host, port = answer
    raise UpstreamRefusedError(f"the upstream routed the login {MAX_ROUTES + 1} times without letting it in")


def _credential(context: LayerContext, *, fresh: bool) -> Steps[Credential]:
    if context.target.auth == "none":
        return Credential("none", "")
    yield GetCredential(AUDIENCE if context.target.auth == "entra" else "", fresh)
    reply = yield from _reply(CredentialGranted, CredentialRefused)
    if isinstance(reply, CredentialRefused):
        raise UpstreamRefusedError(f"hoop has no credential for the upstream: {reply.message}", reply.hint)
    assert isinstance(reply, CredentialGranted)
    return reply.credential


def _open(host: str, port: int) -> Steps[None]:
    yield OpenUpstream(host, port)
    reply = yield from _reply(UpstreamOpened, UpstreamFailed)
    if isinstance(reply, UpstreamFailed):
        raise UpstreamRefusedError(f"the upstream cannot be reached: {reply.message}", "run: hoop doctor")


def _reply(*kinds: type) -> Steps[Event]:
    """Wait for a reply, hearing a client that goes away meanwhile."""
    while True:
        event = yield from receive(NOBODY)
        if isinstance(event, kinds):
            return event
        if isinstance(event, PeerClosed) and event.peer is Peer.CLIENT:
            raise PeerGoneError(Peer.CLIENT)
        if isinstance(event, Wakeup):
            raise UpstreamRefusedError("the upstream did not answer the login in time", "run: hoop doctor")


def _attempt(
    context: LayerContext, client: Accepted, credential: Credential, host: str
) -> Steps[LoggedIn | tuple[str, int]]:
    """One login at one server: in, or the host and port that it routes to."""
    link = Link(Peer.UPSTREAM)
    try:
        encrypted, answered = yield from _agree(context, link, credential, host)
        login = encode_login7(_login7(context, client, credential, host, answered))
        packets = packetize(PacketType.LOGIN7, [login], DEFAULT_PACKET_SIZE)
        yield link.send(packets)
        if encrypted is Encrypted.LOGIN:
            link.tls = None
        reader = MessageReader(ANSWER_LIMIT, MAX_PACKET_SIZE)
        message = yield from link.message(reader)
    except PeerGoneError as gone:
        if gone.peer is Peer.CLIENT:
            raise
        raise UpstreamRefusedError("the upstream closed the connection during the login", "run: hoop doctor") from gone
    except UpstreamRefusedError:
        raise
    except ProtocolError as error:
        raise UpstreamRefusedError(f"the login upstream failed: {error.message}", error.hint) from error
    if message.type is not PacketType.TABULAR_RESULT or not reader.idle:
        raise UpstreamRefusedError("the upstream's answer to the login is not TDS")
    return _judge(link, _tokens(message.payload), credential)


def _agree(context: LayerContext, link: Link, credential: Credential, host: str) -> Steps[tuple[Encrypted, Prelogin]]:
    mode = context.target.options.get("encrypt", "on")
    name = context.target.options.get("host_name_in_certificate", host)
    tls = context.tls_client(STRICT_TLS if mode == "strict" else WRAPPED_TLS)
    channel = TlsChannel(tls, server_side=False, server_hostname=name)
    if mode == "strict":
        yield from link.handshake(channel)
    sent = _ENCRYPTION.get(mode, Encryption.ON)
    fedauth = True if credential.kind == "token" else None
    hello = Prelogin(encryption=sent, instance=b"", thread_id=0, mars=False, fedauth_required=fedauth)
    yield link.send(packetize(PacketType.PRELOGIN, [encode_prelogin(hello)]))
    reader = MessageReader(ANSWER_LIMIT, DEFAULT_PACKET_SIZE)
    message = yield from link.message(reader)
    if message.type is not PacketType.TABULAR_RESULT:
        raise ProtocolError("the upstream's answer to PRELOGIN is not TDS")
    answered = decode_prelogin(message.payload)
    if mode == "strict":
        return Encrypted.ALL, answered
    encrypted = settle(sent, answered.encryption)
    if encrypted is not Encrypted.NOTHING:
        yield from link.wrapped_handshake(channel, reader)
    return encrypted, answered


def _login7(context: LayerContext, client: Accepted, credential: Credential, host: str, answered: Prelogin) -> Login7:
    """The broker's own login. It carries over what decides how the client's statements are understood."""
    asked = client.login
    features = [Feature(f.id, f.data) for f in asked.features if f.id in PASSED_ON]
    features.append(encode_classification())
    if credential.kind == "token":
        fedauth = FedAuth(
            FedAuthLibrary.SECURITY_TOKEN,
            echo=bool(answered.fedauth_required),
            token=credential.secret,
            nonce=answered.nonce,
        )
        features.insert(0, fedauth.encode())
    by_password = credential.kind == "password"
    return Login7(
        host_name="hoop",
        user_name=credential.user if by_password else "",
        password=credential.secret if by_password else "",
        app_name=f"hoop {context.session.id}",
        server_name=host,
        client_interface_name="hoop",
        language=asked.language,
        database=asked.database or context.target.options.get("database", ""),
        features=tuple(features),
        tds_version=TDS_8_0 if context.target.options.get("encrypt") == "strict" else TDS_7_4,
        packet_size=MAX_PACKET_SIZE,
        option_flags1=asked.option_flags1 & _FLAGS1 | OptionFlags1.USE_DB_NOTIFY,
        option_flags2=asked.option_flags2 & _FLAGS2,
        type_flags=asked.type_flags & TypeFlags.READ_ONLY_INTENT,
        option_flags3=asked.option_flags3 & OptionFlags3.UNKNOWN_COLLATION_HANDLING,
        client_time_zone=asked.client_time_zone,
        client_lcid=asked.client_lcid,
    )


def _tokens(payload: bytes) -> tuple[Token, ...]:
    try:
        return tuple(read_tokens(payload))
    except ProtocolError as error:
        raise UpstreamRefusedError(f"the upstream's answer to the login cannot be read: {error.message}") from error


def _judge(link: Link, tokens: tuple[Token, ...], credential: Credential) -> LoggedIn | tuple[str, int]:
    tokens = tuple(_without(credential.secret, token) for token in tokens)
    changes = {t.type: t.new for t in tokens if isinstance(t, EnvChange)}
    route = changes.get(EnvType.ROUTING)
    if isinstance(route, Routing):
        return route.host, route.port
    ack = next((t for t in tokens if isinstance(t, LoginAck)), None)
    if ack is None:
        errors = [t for t in tokens if isinstance(t, ServerMessage) and t.token is TokenType.ERROR]
        said = "; ".join(f"{e.number}: {e.text}" for e in errors) or "it gave no reason"
        raise UpstreamRefusedError(f"the upstream refused the login ({said})", "run: hoop doctor", errors)
    return LoggedIn(
        link,
        _packet_size(str(changes.get(EnvType.PACKET_SIZE, DEFAULT_PACKET_SIZE))),
        str(changes.get(EnvType.DATABASE, "")),
        ack,
        tokens,
        _classification(tokens),
    )


def _classification(tokens: Sequence[Token]) -> int:
    granted = dict(pair for token in tokens if isinstance(token, FeatureExtAck) for pair in token.features)
    data = granted.get(FeatureId.DATACLASSIFICATION)
    try:
        return 0 if data is None else decode_classification_ack(data)
    except ProtocolError as error:
        raise UpstreamRefusedError(f"the upstream's answer to the login cannot be read: {error.message}") from error


def _without(secret: str, token: Token) -> Token:
    """The token as it may be shown: a careless server repeats what it was sent."""
    if isinstance(token, ServerMessage) and secret and secret in token.text:
        return replace(token, text=token.text.replace(secret, "***"))
    return token


def _packet_size(text: str) -> int:
    if not text.isdecimal() or not MIN_PACKET_SIZE <= int(text) <= MAX_PACKET_SIZE:
        raise UpstreamRefusedError(f"the upstream set a packet size of {text}")
    return int(text)
