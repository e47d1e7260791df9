"""The upgrade of a request to a stream: WebSocket ([RFC 6455] 4) or SPDY/3.1 as Kubernetes uses it.

What is not exactly one well-formed upgrade is refused, and no extension is ever accepted: a peer that believes in
another protocol than the broker reads would have its bytes passed on unread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hoopcli.errors import ProtocolError

Pairs = Sequence[tuple[str, str]]

WEBSOCKET = "websocket"
SPDY = "SPDY/3.1"
#: Subprotocols of exec and attach over WebSocket, best first.
CHANNEL_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
#: Stream protocols of exec and attach over SPDY. Those before v4 report no exit code.
SPDY_CHANNEL_PROTOCOLS = ("v4.channel.k8s.io",)
#: Subprotocols of port-forward over WebSocket: SPDY inside of messages, or a pair of channels for each port.
PORT_FORWARD_PROTOCOLS = ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io")
#: Stream protocols of port-forward over SPDY.
SPDY_PORT_FORWARD_PROTOCOLS = ("portforward.k8s.io",)

_STREAM_PROTOCOL = "x-stream-protocol-version"
_BEARER = "base64url.bearer.authorization.k8s.io."
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,4096}")  # with "/", which SPDY/3.1+... has
_MOST_PROTOCOLS = 16


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client asks to upgrade to. ``bearer`` is the token that came as a subprotocol, as browsers send it.

    The token is for the broker alone: ``protocols`` does not hold it. ``key`` is empty for SPDY.
    """

    upgrade: str
    protocols: tuple[str, ...]
    key: str = ""
    bearer: str | None = field(default=None, repr=False)

    def choose(self, supported: Sequence[str]) -> str:
        """The first supported protocol that is offered. Raises ProtocolError if there is none."""
        for protocol in supported:
            if protocol in self.protocols:
                return protocol
        raise ProtocolError(
            f"no common stream protocol: offered {', '.join(self.protocols) or 'none'}",
            f"use a client that speaks {supported[0]}",
        )


def read_offer(method: str, headers: Pairs) -> Offer | None:
    """What a request asks to upgrade to, None if nothing. Raises ProtocolError if it asks in an unclear way."""
    upgrades = _all(headers, "upgrade")
    connection = _tokens(headers, "connection")
    wants = [token for token in connection if token.lower() == "upgrade"]
    if not upgrades and not wants:
        return None
    if len(upgrades) != 1 or len(wants) != 1:
        raise ProtocolError("a request upgrades with exactly one Upgrade header and one Connection: Upgrade")
    if _all(headers, "transfer-encoding") or any(length != "0" for length in _all(headers, "content-length")):
        raise ProtocolError("a request that upgrades has no body")
    if upgrades[0].lower() == WEBSOCKET:
        return _websocket_offer(method, headers)
    if upgrades[0].upper() == SPDY:
        return _spdy_offer(method, headers)
    raise ProtocolError(f"unknown protocol to upgrade to: {upgrades[0]!r}")


def _websocket_offer(method: str, headers: Pairs) -> Offer:
    """[RFC 6455] 4.2.1."""
    if method != "GET":
        raise ProtocolError("a WebSocket opens with GET")
    if _one(headers, "sec-websocket-version") != "13":
        raise ProtocolError("the WebSocket version is not 13")
    key = _one(headers, "sec-websocket-key")
    if not _is_key(key):
        raise ProtocolError("Sec-WebSocket-Key is not 16 bytes in base64")
    offered = _protocols(headers, "sec-websocket-protocol")
    bearers = [protocol for protocol in offered if protocol.startswith(_BEARER)]
    if len(bearers) > 1:
        raise ProtocolError("more than one bearer token among the subprotocols")
    bearer = _decode_bearer(bearers[0]) if bearers else None
    return Offer(WEBSOCKET, tuple(protocol for protocol in offered if protocol not in bearers), key, bearer)


def _spdy_offer(method: str, headers: Pairs) -> Offer:
    if method not in {"GET", "POST"}:
        raise ProtocolError("a SPDY stream opens with POST or GET")
    return Offer(SPDY, _protocols(headers, _STREAM_PROTOCOL))


def accept_headers(offer: Offer, protocol: str) -> Pairs:
    """The headers of the 101 that accepts an offer ([RFC 6455] 4.2.2)."""
    if offer.upgrade == SPDY:
        return [("Connection", "Upgrade"), ("Upgrade", SPDY), ("X-Stream-Protocol-Version", protocol)]
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", WEBSOCKET),
        ("Sec-WebSocket-Accept", accept_key(offer.key)),
        ("Sec-WebSocket-Protocol", protocol),
    ]


def request_headers(upgrade: str, protocol: str, nonce: bytes) -> Pairs:
    """The headers that ask an upstream to upgrade. ``nonce`` is 16 random bytes ([RFC 6455] 4.1)."""
    if upgrade == SPDY:
        return [("Connection", "Upgrade"), ("Upgrade", SPDY), ("X-Stream-Protocol-Version", protocol)]
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", WEBSOCKET),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", websocket_key(nonce)),
        ("Sec-WebSocket-Protocol", protocol),
    ]


def websocket_key(nonce: bytes) -> str:
    """A Sec-WebSocket-Key of 16 random bytes."""
    return base64.b64encode(nonce).decode()


def chosen(upgrade: str, offered: Sequence[str], headers: Pairs) -> str:
    """The protocol that an upstream chose of those that were offered. Raises ProtocolError if it is none of them."""
    protocol = _one(headers, _STREAM_PROTOCOL if upgrade == SPDY else "sec-websocket-protocol")
    if protocol not in offered:
        raise ProtocolError(f"the upstream chose {protocol[:100]!r}, which was not offered")
    return protocol


def check_accepted(upgrade: str, protocol: str, nonce: bytes, status: int, headers: Pairs) -> None:
    """Check that an upstream accepted exactly what was asked. Raises ProtocolError if not ([RFC 6455] 4.1)."""
    if status != 101:
        raise ProtocolError(f"the upstream did not upgrade: status {status}")
    if _one(headers, "upgrade").lower() != upgrade.lower():
        raise ProtocolError("the upstream upgraded to another protocol")
    if [token.lower() for token in _tokens(headers, "connection")] != ["upgrade"]:
        raise ProtocolError("the upstream's answer to an upgrade is no Connection: Upgrade")
    if upgrade == SPDY:
        accepted = _one(headers, _STREAM_PROTOCOL)
    else:
        accepted = _one(headers, "sec-websocket-protocol")
        expected = accept_key(websocket_key(nonce))
        if not hmac.compare_digest(_one(headers, "sec-websocket-accept").encode(), expected.encode()):
            raise ProtocolError("Sec-WebSocket-Accept does not answer the key")
        if _all(headers, "sec-websocket-extensions"):
            raise ProtocolError("the upstream accepted an extension that was not offered")
    if accepted != protocol:
        raise ProtocolError(f"the upstream chose {accepted!r}, not {protocol!r}")


def accept_key(key: str) -> str:
    """What answers a Sec-WebSocket-Key ([RFC 6455] 4.2.2)."""
    digest = hashlib.sha1(key.encode() + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _is_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _decode_bearer(protocol: str) -> str:
    """The token in a subprotocol: base64url without padding."""
    encoded = protocol.removeprefix(_BEARER)
    try:
        # altchars and validate: the urlsafe variant would skip what is not of the alphabet
        token = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("the bearer token among the subprotocols is not base64url") from error
    if not token:
        raise ProtocolError("the bearer token among the subprotocols is empty")
    return token


def _all(headers: Pairs, name: str) -> list[str]:
    return [value.strip(" \t") for key, value in headers if key.lower() == name]


def _one(headers: Pairs, name: str) -> str:
    values = _all(headers, name)
    if len(values) != 1:
        raise ProtocolError(f"{len(values)} headers {name}, not one")
    return values[0]


def _tokens(headers: Pairs, name: str) -> list[str]:
    """The elements of a list that may be spread over several headers ([RFC 9110] 5.6.1)."""
    elements: Iterable[str] = (element.strip(" \t") for value in _all(headers, name) for element in value.split(","))
    return [element for element in elements if element]


def _protocols(headers: Pairs, name: str) -> tuple[str, ...]:
    protocols = _tokens(headers, name)
    if len(protocols) > _MOST_PROTOCOLS or len(set(protocols)) != len(protocols):
        raise ProtocolError("too many stream protocols, or one of them twice")
    if not all(_TOKEN.fullmatch(protocol) for protocol in protocols):
        raise ProtocolError("a stream protocol is not a token")
    return tuple(protocols)
