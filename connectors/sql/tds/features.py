"""FeatureExt of LOGIN7 ([MS-TDS] 2.2.6.4) and what federated authentication puts there and after it (2.2.6.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from hoopcli.errors import ProtocolError

_DWORD = struct.Struct("<I")
_TERMINATOR = 0xFF
_NONCE_SIZE = 32


class FeatureId(IntEnum):
    """The features that this codec names; others are kept by their number."""

    SESSIONRECOVERY = 0x01
    FEDAUTH = 0x02
    COLUMNENCRYPTION = 0x04
    GLOBALTRANSACTIONS = 0x05
    AZURESQLSUPPORT = 0x08
    DATACLASSIFICATION = 0x09
    UTF8_SUPPORT = 0x0A
    AZURESQLDNSCACHING = 0x0B
    JSONSUPPORT = 0x0D
    VECTORSUPPORT = 0x0E
    USERAGENT = 0x10


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature that a client asks for. ``data`` may hold a token, so ``repr`` leaves it out."""

    id: int
    data: bytes = field(default=b"", repr=False)


#: The newest version of DATACLASSIFICATION that this codec reads (2.2.7.5).
CLASSIFICATION_VERSION = 2


def decode_classification(feature: Feature) -> int:
    """The version of DATACLASSIFICATION that a client asks for, at most ours; 0 where it makes no sense."""
    return min(feature.data[0], CLASSIFICATION_VERSION) if len(feature.data) == 1 else 0


def encode_classification() -> Feature:
    """The feature as the broker asks for it."""
    return Feature(FeatureId.DATACLASSIFICATION, bytes((CLASSIFICATION_VERSION,)))


def decode_classification_ack(data: bytes) -> int:
    """The version that a server agreed to, 0 where it has it turned off (2.2.7.11). Raises ProtocolError."""
    if len(data) != 2 or not 1 <= data[0] <= CLASSIFICATION_VERSION or data[1] > 1:
        raise ProtocolError("the server's answer to DATACLASSIFICATION makes no sense")
    return data[0] if data[1] else 0


def encode_classification_ack(version: int) -> bytes:
    """The data of the acknowledgement of a version."""
    return bytes((version, 1))


def decode_features(block: bytes) -> tuple[Feature, ...]:
    """Decode FeatureExt up to its terminator; what follows belongs to other fields. Raises ProtocolError."""
    features: list[Feature] = []
    position = 0
    while (feature_id := _slice(block, position, 1)[0]) != _TERMINATOR:
        if any(feature.id == feature_id for feature in features):
            raise ProtocolError(f"LOGIN7 asks twice for feature {feature_id}")
        size = _dword(block, position + 1)
        features.append(Feature(feature_id, _slice(block, position + 5, size)))
        position += 5 + size
    return tuple(features)


def encode_features(features: Iterable[Feature]) -> bytes:
    """Encode FeatureExt with its terminator."""
    parts = (bytes([feature.id]) + _DWORD.pack(len(feature.data)) + feature.data for feature in features)
    return b"".join(parts) + bytes([_TERMINATOR])


class FedAuthLibrary(IntEnum):
    """Who made the token: the client beforehand, or a library that first asks the server where to get it."""

    SECURITY_TOKEN = 1
    ADAL = 2


class Workflow(IntEnum):
    """How an ADAL client means to sign in."""

    PASSWORD = 1
    INTEGRATED = 2
    INTERACTIVE = 3


@dataclass(frozen=True, slots=True)
class FedAuth:
    """The FEDAUTH feature: a SecurityToken client sends ``token`` at once, an ADAL client its ``workflow``.

    ``echo`` repeats the server's FEDAUTHREQUIRED, ``nonce`` (32 bytes) its NONCEOPT.
    """

    library: FedAuthLibrary
    echo: bool = False
    token: str = field(default="", repr=False)
    workflow: int = Workflow.PASSWORD
    nonce: bytes | None = None

    def encode(self) -> Feature:
        """Encode the feature."""
        options = bytes([self.library << 1 | self.echo])
        if self.library is FedAuthLibrary.ADAL:
            return Feature(FeatureId.FEDAUTH, options + bytes([self.workflow]))
        return Feature(FeatureId.FEDAUTH, options + _long(self.token) + (self.nonce or b""))


def decode_fedauth(data: bytes) -> FedAuth:
    """Decode the data of the FEDAUTH feature. Raises ProtocolError, also for Live ID and reserved libraries."""
    options = _slice(data, 0, 1)[0]
    echo = bool(options & 1)
    match options >> 1:
        case FedAuthLibrary.SECURITY_TOKEN:
            token, nonce = _token_and_nonce(data[1:])
            return FedAuth(FedAuthLibrary.SECURITY_TOKEN, echo, token, nonce=nonce)
        case FedAuthLibrary.ADAL if len(data) == 2:
            return FedAuth(FedAuthLibrary.ADAL, echo, workflow=data[1])
        case FedAuthLibrary.ADAL:
            raise ProtocolError(f"the FEDAUTH feature for ADAL has {len(data)} bytes instead of 2")
        case library:
            raise ProtocolError(
                f"federated authentication by library {library} is not spoken", "sign in with an Entra access token"
            )


@dataclass(frozen=True, slots=True)
class FedAuthToken:
    """The Federated Authentication Token message (packet type 8) with which an ADAL client ends its login."""

    token: str = field(repr=False)
    nonce: bytes | None = None

    def encode(self) -> bytes:
        """Encode the payload of the message."""
        body = _long(self.token) + (self.nonce or b"")
        return _DWORD.pack(len(body)) + body


def decode_fedauth_token(payload: bytes) -> FedAuthToken:
    """Decode the payload of a Federated Authentication Token message. Raises ProtocolError."""
    if _dword(payload, 0) != len(payload) - _DWORD.size:
        raise ProtocolError("the length of the Federated Authentication Token message is not what it says")
    return FedAuthToken(*_token_and_nonce(payload[_DWORD.size :]))


def _long(text: str) -> bytes:
    """L_VARBYTE of UTF-16."""
    data = text.encode("utf-16-le")
    return _DWORD.pack(len(data)) + data


def _token_and_nonce(data: bytes) -> tuple[str, bytes | None]:
    size = _dword(data, 0)
    token, nonce = _slice(data, 4, size), data[4 + size :]
    if len(nonce) not in {0, _NONCE_SIZE}:
        raise ProtocolError(f"{len(nonce)} bytes follow the access token; a nonce has {_NONCE_SIZE}")
    try:
        return token.decode("utf-16-le"), nonce or None
    except UnicodeDecodeError:
        raise ProtocolError("the access token is not UTF-16") from None


def _dword(data: bytes, position: int) -> int:
    return int(_DWORD.unpack(_slice(data, position, 4))[0])


def _slice(data: bytes, position: int, size: int) -> bytes:
    if position + size > len(data):
        raise ProtocolError("a length in the login lies outside it")
    return data[position : position + size]
