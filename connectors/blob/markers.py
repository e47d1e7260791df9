"""Continuation markers of listings, sealed: the service's may name the next entry, which may be one that is hidden.

A sealed marker opens in its own session only, and only for the container that it was given for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.blob.address import Address
from connectors.blob.errors import StorageError
from hoopcli.spi import SessionSecret

_NONCE = 12
_PADDED = 1536
_PARAMETERS = frozenset({"marker", "continuation"})


class Markers:
    """Seals and opens the markers of one session."""

    def __init__(self, secret: SessionSecret) -> None:
        self._cipher = AESGCM(hmac.digest(b"hoop listing markers", secret.value.encode(), hashlib.sha256))

    def seal(self, marker: str, resource: str) -> str:
        """A marker as a client may have it; an empty one stays empty."""
        if not marker:
            return marker
        nonce, plain = secrets.token_bytes(_NONCE), marker.encode()
        padded = plain + bytes(-len(plain) % _PADDED)  # its length would tell that of a name
        sealed = nonce + self._cipher.encrypt(nonce, padded, resource.encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def opened(self, address: Address) -> Address:
        """The address of a listing with the service's own marker. Raises StorageError for what is no marker of ours."""
        query = tuple(
            (name, self._open(value, address.resource) if name in _PARAMETERS and value else value)
            for name, value in address.query
        )
        return replace(address, query=query)

    def _open(self, sealed: str, resource: str) -> str:
        try:
            data = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], resource.encode()).rstrip(b"\0").decode()
        except (binascii.Error, ValueError, InvalidTag):
            hint = "begin the listing anew"
            raise StorageError(
                400, "InvalidQueryParameterValue", "the marker is not one of this session and container", hint
            ) from None


def continued(address: Address, marker: str) -> Address:
    """The address of the next page of a listing, by the service's own marker."""
    name = "continuation" if address.value("resource") else "marker"
    return replace(address, query=(*(pair for pair in address.query if pair[0] != name), (name, marker)))
