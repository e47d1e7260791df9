"""TLS over memory buffers, both roles joined without a socket."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.certificates import issue
from hoopcli.errors import ProtocolError
from hoopcli.sansio.tls import TlsChannel

IDENTITY = issue("test", datetime.now(UTC), timedelta(hours=1))
SERVER = IDENTITY.server_context(["tds/8.0"])


def client_context(*, trusting: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=IDENTITY.ca.decode() if trusting else None)
    context.set_alpn_protocols(["tds/8.0"])
    return context


def joined(*, trusting: bool = True, name: str = "localhost") -> tuple[TlsChannel, TlsChannel]:
    client = TlsChannel(client_context(trusting=trusting), server_side=False, server_hostname=name)
    server = TlsChannel(SERVER, server_side=True)
    to_server = client.handshake()
    while not (client.established and server.established):
        to_client = server.handshake(to_server)
        to_server = client.handshake(to_client)
    if to_server:
        server.handshake(to_server)
    return client, server


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_both_roles_agree_and_speak(name: str) -> None:
    client, server = joined(name=name)
    assert client.alpn() == server.alpn() == "tds/8.0"
    assert server.decrypt(client.encrypt(b"hello")) == b"hello"
    assert client.decrypt(server.pending() + server.encrypt(b"x" * 300_000)) == b"x" * 300_000


@given(st.binary(min_size=1, max_size=40_000), st.integers(1, 5000))
def test_any_cut_of_the_records_gives_the_same_plaintext(data: bytes, cut: int) -> None:
    client, server = joined()
    wire = client.encrypt(data)
    assert b"".join(server.decrypt(wire[i : i + cut]) for i in range(0, len(wire), cut)) == data


def test_an_untrusted_certificate_is_refused_with_a_hint() -> None:
    with pytest.raises(ProtocolError, match="not trusted") as caught:
        joined(trusting=False)
    assert "--ca-file" in caught.value.hint


def test_a_wrong_name_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not trusted"):
        joined(name="db.example.com")


@given(st.binary(min_size=5, max_size=200))
def test_garbage_raises_only_a_protocol_error(garbage: bytes) -> None:
    server = TlsChannel(SERVER, server_side=True)
    try:
        server.handshake(garbage)
    except ProtocolError as error:
        assert "TLS handshake failed" in error.message
    assert not server.established


def test_an_altered_record_breaks_the_channel() -> None:
    client, server = joined()
    wire = bytearray(client.encrypt(b"secret"))
    wire[-1] ^= 1
    with pytest.raises(ProtocolError, match="TLS broke"):
        server.decrypt(bytes(wire))
