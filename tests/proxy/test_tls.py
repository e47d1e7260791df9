"""Who the broker trusts upstream, and what it presents there."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hoopcli.certificates import LoopbackIdentity, issue
from hoopcli.errors import ProtocolError, UsageError
from hoopcli.proxy.tls import upstream_context
from hoopcli.sansio.tls import TlsChannel
from hoopcli.spi import Target
from tests.support.kubeconfigs import written

NOW = datetime.now(UTC)
LONG = timedelta(days=36500)
SERVER = issue("server", NOW, LONG)
OTHER = issue("other", NOW, LONG)


def person() -> tuple[bytes, bytes]:
    """A certificate for clients, signed by itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ada")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), NOW, NOW + LONG)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


CERTIFICATE, KEY = person()


def target(auth: str = "none", ca: LoopbackIdentity = SERVER, **options: str) -> Target:
    return Target("localhost", 443, auth, {"ca_data": ca.ca.decode(), **options})


def handshake(upstream: Target, trusts: bytes = b"", name: str = "localhost") -> None:
    """Both ends of a handshake. Raises ProtocolError."""
    accepting = SERVER.server_context(["http/1.1"])
    if trusts:
        accepting.verify_mode = ssl.CERT_REQUIRED
        accepting.load_verify_locations(cadata=trusts.decode())
    dialling = upstream_context(upstream, ["http/1.1"], ssl.TLSVersion.TLSv1_2)
    server = TlsChannel(accepting, server_side=True)
    client = TlsChannel(dialling, server_side=False, server_hostname=name)
    data = b""
    while not (server.established and client.established):
        data = server.handshake(client.handshake(data))
    assert client.alpn() == "http/1.1"


def test_the_name_and_the_authority_are_verified() -> None:
    handshake(target())
    with pytest.raises(ProtocolError, match="not trusted"):
        handshake(target(ca=OTHER))
    with pytest.raises(ProtocolError, match="not trusted"):
        handshake(target(), name="cluster.example")
    handshake(target(ca=OTHER, trust_server_certificate="yes"))


def test_a_certificate_of_a_file(tmp_path: Path) -> None:
    pem = tmp_path / "client.pem"
    pem.write_bytes(CERTIFICATE + KEY)
    handshake(target("certificate", certificate=str(pem)), CERTIFICATE)
    with pytest.raises(ProtocolError):
        handshake(target("certificate", certificate=str(pem)), OTHER.ca)
    with pytest.raises(ProtocolError):
        handshake(target(certificate=str(pem)), CERTIFICATE)  # it is for something else


def test_a_certificate_of_a_kubeconfig(tmp_path: Path) -> None:
    user = {
        "client-certificate-data": base64.b64encode(CERTIFICATE).decode(),
        "client-key-data": base64.b64encode(KEY).decode(),
    }
    handshake(target("kubeconfig", kubeconfig=str(written(tmp_path, user))), CERTIFICATE)
    with pytest.raises(ProtocolError):
        handshake(target("kubeconfig", kubeconfig=str(written(tmp_path, {"token": "t"}))), CERTIFICATE)


def test_what_cannot_be_used_is_said_without_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("hunter2")
    for wrong in (
        target("certificate", certificate=str(tmp_path / "bad.pem")),
        target("certificate", certificate=str(tmp_path / "nowhere.pem")),
        target("certificate"),
        Target("localhost", 443, "none", {"ca_file": str(tmp_path / "nowhere.pem")}),
        Target("localhost", 443, "none", {"ca_data": "hunter2"}),
    ):
        with pytest.raises(UsageError) as caught:
            upstream_context(wrong, [], ssl.TLSVersion.TLSv1_3)
        assert "hunter2" not in str(caught.value)
