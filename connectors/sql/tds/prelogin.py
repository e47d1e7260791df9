"""PRELOGIN ([MS-TDS] 2.2.6.5): versions, encryption and what else is agreed before the login, in both roles."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from hoopcli.errors import ProtocolError

_ENTRY = struct.Struct(">BHH")  # PL_OPTION_TOKEN, PL_OFFSET, PL_OPTION_LENGTH; the only big-endian table of TDS
_VERSION = struct.Struct(">BBHH")
_THREAD_ID = struct.Struct("<I")
_TERMINATOR = 0xFF
_TRACE_SIZE = 36  # GUID_CONNID, GUID_ActivityID, ActivitySequence
_NONCE_SIZE = 32


class Option(IntEnum):
    """The options of PRELOGIN."""

    VERSION = 0
    ENCRYPTION = 1
    INSTOPT = 2
    THREADID = 3
    MARS = 4
    TRACEID = 5
    FEDAUTHREQUIRED = 6
    NONCEOPT = 7


class Encryption(IntEnum):
    """What a side says of encryption. Client certificates (0x80) are not spoken and refused."""

    OFF = 0
    ON = 1
    NOT_SUP = 2
    REQ = 3


class Version(NamedTuple):
    """UL_VERSION and US_SUBBUILD of the sender."""

    major: int = 0
    minor: int = 0
    build: int = 0
    sub_build: int = 0


_NO_VERSION = Version()


@dataclass(frozen=True, slots=True)
class Prelogin:
    """A PRELOGIN message of either side; ``None`` stands for an option that is absent.

    ``unknown`` keeps options of no known number, as (number, data), for the record; they are never encoded.
    """

    version: Version = _NO_VERSION
    encryption: Encryption = Encryption.NOT_SUP
    instance: bytes | None = None
    thread_id: int | None = None
    mars: bool | None = None
    trace_id: bytes | None = None
    fedauth_required: bool | None = None
    nonce: bytes | None = None
    unknown: tuple[tuple[int, bytes], ...] = ()


def decode_prelogin(payload: bytes) -> Prelogin:
    """Decode the payload of a PRELOGIN message, or of the server's answer. Raises ProtocolError."""
    options = dict(_options(payload))
    known = {option: options.pop(option) for option in Option if option in options}
    mars, fedauth = known.get(Option.MARS), known.get(Option.FEDAUTHREQUIRED)
    thread_id, instance = known.get(Option.THREADID), known.get(Option.INSTOPT)
    return Prelogin(
        version=Version(*_VERSION.unpack(_sized(Option.VERSION, known[Option.VERSION], 6))),
        encryption=_encryption(known.get(Option.ENCRYPTION, bytes([Encryption.NOT_SUP]))),
        instance=None if instance is None else instance.partition(b"\0")[0],
        thread_id=_THREAD_ID.unpack(_sized(Option.THREADID, thread_id, 4))[0] if thread_id else None,
        mars=None if mars is None else _flag(Option.MARS, mars),
        trace_id=_optional(Option.TRACEID, known, _TRACE_SIZE),
        fedauth_required=None if fedauth is None else _flag(Option.FEDAUTHREQUIRED, fedauth),
        nonce=_optional(Option.NONCEOPT, known, _NONCE_SIZE),
        unknown=tuple(options.items()),
    )


def encode_prelogin(prelogin: Prelogin) -> bytes:
    """Encode the payload of a PRELOGIN message."""
    options = list(_encoded(prelogin))
    table, data = bytearray(), bytearray()
    start = _ENTRY.size * len(options) + 1
    for option, value in options:
        table += _ENTRY.pack(option, start + len(data), len(value))
        data += value
    table.append(_TERMINATOR)
    return bytes(table + data)


def _encoded(prelogin: Prelogin) -> Iterator[tuple[Option, bytes]]:
    yield Option.VERSION, _VERSION.pack(*prelogin.version)
    yield Option.ENCRYPTION, bytes([prelogin.encryption])
    if prelogin.instance is not None:
        yield Option.INSTOPT, prelogin.instance + b"\0"
    if prelogin.thread_id is not None:
        yield Option.THREADID, _THREAD_ID.pack(prelogin.thread_id)
    if prelogin.mars is not None:
        yield Option.MARS, bytes([prelogin.mars])
    if prelogin.trace_id is not None:
        yield Option.TRACEID, prelogin.trace_id
    if prelogin.fedauth_required is not None:
        yield Option.FEDAUTHREQUIRED, bytes([prelogin.fedauth_required])
    if prelogin.nonce is not None:
        yield Option.NONCEOPT, prelogin.nonce


def _options(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the table of options, which VERSION must open and a terminator must close."""
    seen: set[int] = set()
    position = 0
    while (option := _byte(payload, position)) != _TERMINATOR:
        if position + _ENTRY.size > len(payload):
            raise ProtocolError("PRELOGIN ends inside its table of options")
        _, offset, length = _ENTRY.unpack_from(payload, position)
        if offset + length > len(payload):
            raise ProtocolError(f"PRELOGIN option {option} lies outside the message")
        if option in seen:
            raise ProtocolError(f"PRELOGIN option {option} comes twice")
        if not seen and option != Option.VERSION:
            raise ProtocolError("PRELOGIN does not begin with VERSION")
        seen.add(option)
        yield option, payload[offset : offset + length]
        position += _ENTRY.size
    if not seen:
        raise ProtocolError("PRELOGIN has no VERSION")


def _byte(payload: bytes, position: int) -> int:
    if position >= len(payload):
        raise ProtocolError("PRELOGIN has no terminator")
    return payload[position]


def _sized(option: Option, data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ProtocolError(f"PRELOGIN option {option.name} has {len(data)} bytes instead of {size}")
    return data


def _optional(option: Option, known: dict[Option, bytes], size: int) -> bytes | None:
    return _sized(option, known[option], size) if known.get(option) else None


def _flag(option: Option, data: bytes) -> bool:
    value = _sized(option, data, 1)[0]
    if value > 1:
        raise ProtocolError(f"PRELOGIN option {option.name} is {value}, neither 0 nor 1")
    return bool(value)


def _encryption(data: bytes) -> Encryption:
    value = _sized(Option.ENCRYPTION, data, 1)[0]
    if value > Encryption.REQ:
        raise ProtocolError(
            f"PRELOGIN asks for encryption of kind 0x{value:02x}",
            "sign in with the session's secret, not a certificate",
        )
    return Encryption(value)


class Encrypted(Enum):
    """Which part of a connection goes through TLS."""

    NOTHING = "nothing"
    LOGIN = "login"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a server answers, and what is then encrypted; ``None``: the two cannot agree, answer and close."""

    reply: Encryption
    encrypted: Encrypted | None


def negotiate(client: Encryption, server: Encryption) -> Agreement:
    """Answer a client's ENCRYPTION as a server of this policy does: the table of [MS-TDS] 2.2.6.5.

    ``server`` is OFF (may), ON or REQ (must) or NOT_SUP (cannot). A client that says REQ means ON.
    """
    wants, cannot = client in (Encryption.ON, Encryption.REQ), client is Encryption.NOT_SUP
    if server is Encryption.NOT_SUP:
        return Agreement(Encryption.NOT_SUP, None if wants else Encrypted.NOTHING)
    if wants:
        return Agreement(Encryption.ON, Encrypted.ALL)
    if server is Encryption.OFF:
        return Agreement(client, Encrypted.NOTHING if cannot else Encrypted.LOGIN)
    return Agreement(Encryption.REQ, None if cannot else Encrypted.ALL)


def settle(sent: Encryption, received: Encryption) -> Encrypted:
    """Read a server's answer as the client that sent ``sent``.

    Raises ProtocolError when the server offers less than was asked, or demands what was said to be impossible.
    """
    demanded = received in (Encryption.ON, Encryption.REQ)
    if sent in (Encryption.ON, Encryption.REQ) and not demanded:
        raise ProtocolError("the server does not encrypt this connection", "use a server with a certificate")
    if sent is Encryption.NOT_SUP and demanded:
        raise ProtocolError("the server demands encryption")
    if demanded:
        return Encrypted.ALL
    return Encrypted.LOGIN if sent is received is Encryption.OFF else Encrypted.NOTHING
