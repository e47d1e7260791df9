"""TLS without sockets: bytes from the wire in, bytes for the wire out."""

from __future__ import annotations

import ssl

from hoopcli.errors import ProtocolError

_READ = 262_144


class TlsChannel:
    """One TLS connection over memory buffers, in either role.

    Call ``handshake`` with what the peer sent until ``established``, sending on what it returns; then ``encrypt`` and
    ``decrypt``. Every failure is a ProtocolError; nothing of the plaintext is returned after one.
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.established = False
        self.closed = False

    def handshake(self, data: bytes = b"") -> bytes:
        """Take handshake bytes of the peer and return the bytes to send it. Raises ProtocolError if TLS fails."""
        if data:
            self._incoming.write(data)
        try:
            self._tls.do_handshake()
            self.established = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise ProtocolError(f"TLS handshake failed: {_reason(error)}", _hint(error)) from error
        return self._outgoing.read()

    def alpn(self) -> str | None:
        """The application protocol that both sides agreed on."""
        return self._tls.selected_alpn_protocol()

    def encrypt(self, data: bytes | bytearray | memoryview) -> bytes:
        """Turn plaintext into TLS records."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._tls.write(view) :]
        except ssl.SSLError as error:
            raise ProtocolError(f"TLS broke while sending: {_reason(error)}") from error
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Turn TLS records, cut anywhere, into the plaintext that is complete. Sets ``closed`` on close_notify."""
        self._incoming.write(data)
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_READ):
                pieces.append(piece)
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            raise ProtocolError(f"TLS broke while receiving: {_reason(error)}") from error
        return b"".join(pieces)

    def pending(self) -> bytes:
        """Bytes that TLS itself wants sent: a key update, a session ticket, an alert."""
        return self._outgoing.read()


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({error.verify_message})"
    return (error.reason or str(error)).lower().replace("_", " ")


def _hint(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "name the CA that signs the upstream's certificate: hoop connections add ... --ca-file FILE"
    return ""
