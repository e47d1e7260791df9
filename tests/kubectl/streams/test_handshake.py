from __future__ import annotations

import base64

import pytest

from connectors.kubectl.streams.handshake import (
    CHANNEL_PROTOCOLS,
    SPDY,
    WEBSOCKET,
    Offer,
    Pairs,
    accept_headers,
    accept_key,
    check_accepted,
    read_offer,
    request_headers,
)
from hoopcli.errors import ProtocolError

NONCE = bytes(range(16))
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
KUBECTL = [
    ("Host", "127.0.0.1:6443"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
]
OLD_KUBECTL = [
    ("Connection", "Upgrade"),
    ("Content-Length", "0"),
    ("Upgrade", "SPDY/3.1"),
    ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
    ("X-Stream-Protocol-Version", "v3.channel.k8s.io"),
]


def but(pairs: Pairs, name: str, *values: str) -> list[tuple[str, str]]:
    """The headers with another value of one of them, or several, or none."""
    return [pair for pair in pairs if pair[0].lower() != name.lower()] + [(name, value) for value in values]


def test_the_example_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_kubectl_over_websocket() -> None:
    offer = read_offer("GET", KUBECTL)
    assert offer == Offer(WEBSOCKET, ("v5.channel.k8s.io",), KEY)
    assert dict(accept_headers(offer, offer.choose(CHANNEL_PROTOCOLS))) == {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
    }


def test_old_kubectl_over_spdy() -> None:
    offer = read_offer("POST", OLD_KUBECTL)
    assert offer == Offer(SPDY, ("v4.channel.k8s.io", "v3.channel.k8s.io"))
    assert accept_headers(offer, "v4.channel.k8s.io")[2] == ("X-Stream-Protocol-Version", "v4.channel.k8s.io")


def test_a_plain_request_offers_nothing() -> None:
    assert read_offer("GET", [("Host", "a"), ("Connection", "keep-alive")]) is None


def test_the_best_common_protocol_is_chosen_by_us() -> None:
    offer = Offer(WEBSOCKET, ("v4.channel.k8s.io", "v5.channel.k8s.io"))
    assert offer.choose(CHANNEL_PROTOCOLS) == "v5.channel.k8s.io"
    with pytest.raises(ProtocolError, match="no common stream protocol"):
        Offer(WEBSOCKET, ("channel.k8s.io",)).choose(CHANNEL_PROTOCOLS)


def test_a_bearer_among_the_subprotocols_is_taken_out_and_never_shown() -> None:
    encoded = base64.urlsafe_b64encode(b"s3cret?>").decode().rstrip("=")
    offer = read_offer(
        "GET",
        but(KUBECTL, "Sec-WebSocket-Protocol", f"base64url.bearer.authorization.k8s.io.{encoded}, v5.channel.k8s.io"),
    )
    assert offer is not None
    assert offer.bearer == "s3cret?>"
    assert offer.protocols == ("v5.channel.k8s.io",)
    assert "s3cret" not in repr(offer)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", but(KUBECTL, "Upgrade")),
        ("GET", but(KUBECTL, "Connection", "keep-alive")),
        ("GET", but(KUBECTL, "Upgrade", "websocket", "SPDY/3.1")),
        ("GET", but(KUBECTL, "Upgrade", "websocket", "websocket")),
        ("GET", but(KUBECTL, "Upgrade", "websocket, SPDY/3.1")),
        ("GET", but(KUBECTL, "Upgrade", "h2c")),
        ("GET", but(KUBECTL, "Connection", "Upgrade", "Upgrade")),
        ("GET", but(KUBECTL, "Connection", "Upgrade, upgrade")),
        ("POST", KUBECTL),
        ("GET", but(KUBECTL, "Sec-WebSocket-Version", "8")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Version", "13", "13")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Version")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Key")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Key", KEY, KEY)),
        ("GET", but(KUBECTL, "Sec-WebSocket-Key", "short")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Key", "!" * 24)),
        ("GET", but(KUBECTL, "Content-Length", "5")),
        ("GET", but(KUBECTL, "Transfer-Encoding", "chunked")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", "v5.channel.k8s.io, v5.channel.k8s.io")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", "a b")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", ",".join(f"p{n}" for n in range(17)))),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.*")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.")),
        ("GET", but(KUBECTL, "Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io._-8")),
        (
            "GET",
            but(
                KUBECTL,
                "Sec-WebSocket-Protocol",
                "base64url.bearer.authorization.k8s.io.YQ, base64url.bearer.authorization.k8s.io.Yg",
            ),
        ),
        ("DELETE", OLD_KUBECTL),
    ],
)
def test_an_unclear_upgrade_is_refused(method: str, headers: Pairs) -> None:
    with pytest.raises(ProtocolError):
        read_offer(method, headers)


@pytest.mark.parametrize(("upgrade", "protocol"), [(WEBSOCKET, "v5.channel.k8s.io"), (SPDY, "v4.channel.k8s.io")])
def test_what_one_end_asks_the_other_understands(upgrade: str, protocol: str) -> None:
    offer = read_offer("GET", request_headers(upgrade, protocol, NONCE))
    assert offer is not None
    assert (offer.upgrade, offer.protocols) == (upgrade, (protocol,))
    check_accepted(upgrade, protocol, NONCE, 101, accept_headers(offer, protocol))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Upgrade", ("SPDY/3.1",)),
        ("Upgrade", ()),
        ("Connection", ("close",)),
        ("Connection", ("Upgrade, keep-alive",)),
        ("Sec-WebSocket-Accept", ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",)),
        ("Sec-WebSocket-Accept", ("\u00e9",)),
        ("Sec-WebSocket-Protocol", ("v4.channel.k8s.io",)),
        ("Sec-WebSocket-Protocol", ()),
        ("Sec-WebSocket-Extensions", ("permessage-deflate",)),
    ],
)
def test_an_upstream_that_accepts_something_else_is_refused(name: str, values: tuple[str, ...]) -> None:
    offer = read_offer("GET", request_headers(WEBSOCKET, "v5.channel.k8s.io", NONCE))
    assert offer is not None
    with pytest.raises(ProtocolError):
        check_accepted(
            WEBSOCKET, "v5.channel.k8s.io", NONCE, 101, but(accept_headers(offer, "v5.channel.k8s.io"), name, *values)
        )


def test_an_upstream_that_does_not_upgrade_is_refused() -> None:
    with pytest.raises(ProtocolError, match="status 403"):
        check_accepted(SPDY, "v4.channel.k8s.io", NONCE, 403, [])
