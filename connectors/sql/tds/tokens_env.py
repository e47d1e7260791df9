"""ENVCHANGE: what changed in the session's environment ([MS-TDS] 2.2.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from connectors.sql.tds.buffer import Reader, b_varbyte, b_varchar, l_varbyte, prefixed, us_varbyte, us_varchar
from hoopcli.errors import ProtocolError

_TOKEN = b"\xe3"


class EnvType(IntEnum):
    """What changed."""

    DATABASE = 1
    LANGUAGE = 2
    CHARACTER_SET = 3
    PACKET_SIZE = 4
    LOCALE_ID = 5
    COMPARISON_FLAGS = 6
    COLLATION = 7
    BEGIN_TRANSACTION = 8
    COMMIT_TRANSACTION = 9
    ROLLBACK_TRANSACTION = 10
    ENLIST_DTC = 11
    DEFECT_TRANSACTION = 12
    MIRRORING_PARTNER = 13
    PROMOTE_TRANSACTION = 15
    TRANSACTION_MANAGER = 16
    TRANSACTION_ENDED = 17
    RESET_ACK = 18
    USER_INSTANCE = 19
    ROUTING = 20


_TEXTS = frozenset((1, 2, 3, 4, 5, 6, 13, 19))


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the client should connect instead. ``protocol`` 0 is TCP."""

    host: str
    port: int
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class EnvChange:
    """One change: names and numbers are text, collations and transaction descriptors bytes, a route ``Routing``."""

    type: EnvType
    new: str | bytes | Routing = b""
    old: str | bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> EnvChange:
        """Read from the length on. Raises ProtocolError for a change that TDS 7.4 does not have."""
        body = Reader(reader.us_varbyte())
        number = body.u8()
        try:
            type_ = EnvType(number)
        except ValueError:
            raise ProtocolError(f"unknown environment change {number}") from None
        change = cls(type_, *_read_values(body, type_))
        body.expect_end("ENVCHANGE")
        return change

    def encode(self) -> bytes:
        """The whole token."""
        return _TOKEN + prefixed(bytes((self.type,)) + _write_new(self) + _write_old(self), 2)


def _read_values(body: Reader, type_: EnvType) -> tuple[str | bytes | Routing, str | bytes]:
    if type_ in _TEXTS:
        return body.b_varchar(), body.b_varchar()
    if type_ is EnvType.PROMOTE_TRANSACTION:
        return body.l_varbyte(), body.b_varbyte()
    if type_ is EnvType.ROUTING:
        return _read_routing(Reader(body.us_varbyte())), body.us_varbyte()
    return body.b_varbyte(), body.b_varbyte()


def _read_routing(value: Reader) -> Routing:
    protocol, port, host = value.u8(), value.u16(), value.us_varchar()
    value.expect_end("the route")
    return Routing(host, port, protocol)


def _write_new(change: EnvChange) -> bytes:
    new = change.new
    if isinstance(new, Routing):
        return us_varbyte(bytes((new.protocol,)) + new.port.to_bytes(2, "little") + us_varchar(new.host))
    if isinstance(new, str):
        return b_varchar(new)
    return l_varbyte(new) if change.type is EnvType.PROMOTE_TRANSACTION else b_varbyte(new)


def _write_old(change: EnvChange) -> bytes:
    if change.type is EnvType.ROUTING:
        return b"\x00\x00"
    return b_varchar(change.old) if isinstance(change.old, str) else b_varbyte(change.old)
