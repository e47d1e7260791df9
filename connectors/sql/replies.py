"""What the broker itself says to a client, in tokens."""

from __future__ import annotations

from dataclasses import replace

from connectors.sql.accept import Accepted
from connectors.sql.tds.features import FeatureId, decode_classification, encode_classification_ack
from connectors.sql.tds.tokens import Done, DoneStatus, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokens_login import FeatureExtAck, LoginAck
from connectors.sql.tds.tokenstream import Token
from connectors.sql.upstream import PASSED_ON, LoggedIn

SERVER_NAME = "hoop"
_SEVERITY = 14  # the class of permission errors
_MAX_TEXT = 2000
_SHOWN = frozenset({EnvType.DATABASE, EnvType.LANGUAGE, EnvType.COLLATION})


def error_message(number: int, message: str, hint: str = "", *, procedure: bool = False) -> bytes:
    """An error that ends a request, for a person: what happened, and after a semicolon what to do."""
    text = f"{message}; {hint}" if hint else message
    error = ServerMessage(number, text[:_MAX_TEXT], _SEVERITY, server=SERVER_NAME)
    done = Done(DoneStatus.ERROR, token=TokenType.DONEPROC if procedure else TokenType.DONE)
    return error.encode() + done.encode()


def attention_acknowledged() -> bytes:
    """The DONE that a cancelling client waits for."""
    return Done(DoneStatus.ATTENTION).encode()


def login_answer(client: Accepted, upstream: LoggedIn) -> bytes:
    """The answer to the client's LOGIN7: the upstream's, less what names it, with the client's own packet size."""
    asked = {feature.id for feature in client.login.features} & PASSED_ON
    shown = [token for token in map(_shown, upstream.tokens) if token is not None]
    size = EnvChange(EnvType.PACKET_SIZE, str(client.packet_size), str(client.login.packet_size or client.packet_size))
    ack = LoginAck(upstream.ack.program, upstream.ack.version, client.login.tds_version)
    granted: tuple[tuple[int, bytes], ...] = tuple(
        feature
        for token in upstream.tokens
        if isinstance(token, FeatureExtAck)
        for feature in token.features
        if feature[0] in asked
    )
    if version := classification_for(client, upstream):
        granted += ((FeatureId.DATACLASSIFICATION, encode_classification_ack(version)),)
    extension = [FeatureExtAck(granted)] if granted else []
    return b"".join(token.encode() for token in (*shown, size, ack, *extension, Done()))


def classification_for(client: Accepted, upstream: LoggedIn) -> int:
    """The version in which a client is told of the sensitivity of results; 0 if it did not ask, or nobody knows."""
    asked = [decode_classification(f) for f in client.login.features if f.id == FeatureId.DATACLASSIFICATION]
    return min(*asked, upstream.classification) if asked else 0


def _shown(token: Token) -> EnvChange | ServerMessage | None:
    match token:
        case EnvChange(type=kind) if kind in _SHOWN:
            return token
        case ServerMessage(token=TokenType.INFO):
            return replace(token, server=SERVER_NAME, procedure="")
        case _:
            return None
