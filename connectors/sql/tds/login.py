"""LOGIN7 ([MS-TDS] 2.2.6.4) in both roles.

What would make the rest of the connection undecodable (another byte order, EBCDIC, VAX floats, TDS before 7.2) is
refused here, and so is integrated security: its credential is the client's own, not the session's secret.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntFlag

from connectors.sql.tds.features import Feature, FeatureId, FedAuth, decode_features, decode_fedauth, encode_features
from hoopcli.errors import ProtocolError

TDS_7_4 = 0x74000004
TDS_8_0 = 0x08000000
_SPOKEN = frozenset({0x72, 0x73, 0x74, 0x08})  # the first byte of TDSVersion
_MAX_SIZE = 128 * 1024 - 1
_FIXED = struct.Struct("<6I4BiI")
_DWORD = struct.Struct("<I")
_SPAN = struct.Struct("<HH")  # where a field is from the start of the message, and how many units it has

# Where each span stands, in the order of the wire; texts count UTF-16 units, the other two bytes.
_SPANS = {
    "host_name": 36,
    "user_name": 40,
    "password": 44,
    "app_name": 48,
    "server_name": 52,
    "extension": 56,
    "client_interface_name": 60,
    "language": 64,
    "database": 68,
    "sspi": 78,
    "attach_db_file": 82,
    "change_password": 86,
}
_EXTENSION, _CLIENT_ID, _SSPI, _SSPI_LONG, _HEAD_SIZE = 56, 72, 78, 90, 94
_IN_BYTES = frozenset({_EXTENSION, _SSPI})
_TEXTS = {name: at for name, at in _SPANS.items() if at not in _IN_BYTES}
_OBFUSCATED = frozenset({"password", "change_password"})
_SWAP = bytes((b << 4 | b >> 4) & 0xFF for b in range(256))
_OBFUSCATE = bytes(b ^ 0xA5 for b in _SWAP)  # swap the halves of each byte, then XOR; hides nothing
_REVEAL = bytes(_SWAP[b ^ 0xA5] for b in range(256))


class OptionFlags1(IntFlag):
    """How the client's machine writes data, and what it wants to hear of."""

    NONE = 0x00
    BYTE_ORDER_68000 = 0x01
    CHAR_EBCDIC = 0x02
    FLOAT_VAX = 0x04
    FLOAT_ND5000 = 0x08
    DUMP_LOAD_OFF = 0x10
    USE_DB_NOTIFY = 0x20
    DATABASE_FATAL = 0x40
    SET_LANG_NOTIFY = 0x80


class OptionFlags2(IntFlag):
    """What kind of client this is; bits 4 to 6 are its user type."""

    NONE = 0x00
    LANGUAGE_FATAL = 0x01
    ODBC = 0x02
    INTEGRATED_SECURITY = 0x80


class TypeFlags(IntFlag):
    """What the client will send; bits 0 to 3 are its SQL type."""

    NONE = 0x00
    OLEDB = 0x10
    READ_ONLY_INTENT = 0x20


class OptionFlags3(IntFlag):
    """Later additions."""

    NONE = 0x00
    CHANGE_PASSWORD = 0x01
    SEND_YUKON_BINARY_XML = 0x02
    USER_INSTANCE = 0x04
    UNKNOWN_COLLATION_HANDLING = 0x08
    EXTENSION = 0x10


_FOREIGN_DATA = (
    OptionFlags1.BYTE_ORDER_68000 | OptionFlags1.CHAR_EBCDIC | OptionFlags1.FLOAT_VAX | OptionFlags1.FLOAT_ND5000
)
_DERIVED = OptionFlags3.CHANGE_PASSWORD | OptionFlags3.EXTENSION


@dataclass(frozen=True, slots=True)
class Login7:
    """A login. ``client_id`` is 6 bytes, ``client_time_zone`` minutes; ``repr`` shows no secret.

    The bits CHANGE_PASSWORD and EXTENSION of ``option_flags3`` follow from ``change_password`` and ``features``: they
    are set by encoding and cleared by decoding.
    """

    host_name: str = ""
    user_name: str = ""
    password: str = field(default="", repr=False)
    app_name: str = ""
    server_name: str = ""
    client_interface_name: str = ""
    language: str = ""
    database: str = ""
    attach_db_file: str = ""
    change_password: str = field(default="", repr=False)
    features: tuple[Feature, ...] = ()
    tds_version: int = TDS_7_4
    packet_size: int = 0
    client_prog_ver: int = 0
    client_pid: int = 0
    connection_id: int = 0
    option_flags1: OptionFlags1 = OptionFlags1.NONE
    option_flags2: OptionFlags2 = OptionFlags2.NONE
    type_flags: TypeFlags = TypeFlags.NONE
    option_flags3: OptionFlags3 = OptionFlags3.NONE
    client_time_zone: int = 0
    client_lcid: int = 0
    client_id: bytes = bytes(6)

    def feature(self, feature_id: FeatureId) -> bytes | None:
        """The data of a feature, ``None`` if it was not asked for."""
        return next((feature.data for feature in self.features if feature.id == feature_id), None)

    @property
    def fedauth(self) -> FedAuth | None:
        """The FEDAUTH feature, decoded. Raises ProtocolError."""
        data = self.feature(FeatureId.FEDAUTH)
        return None if data is None else decode_fedauth(data)


def decode_login7(payload: bytes) -> Login7:
    """Decode the payload of a LOGIN7 message. Raises ProtocolError."""
    if not _HEAD_SIZE <= len(payload) <= _MAX_SIZE:
        raise ProtocolError(f"a LOGIN7 of {len(payload)} bytes is outside {_HEAD_SIZE}..{_MAX_SIZE}")
    size, version, packet_size, program, pid, connection, flags1, flags2, types, flags3, zone, lcid = (
        _FIXED.unpack_from(payload)
    )
    if size != len(payload):
        raise ProtocolError(f"LOGIN7 says it has {size} bytes but has {len(payload)}")
    _refuse_what_is_not_spoken(payload, version, flags1, flags2)
    return Login7(
        **{name: _read_text(payload, name, at) for name, at in _TEXTS.items()},
        features=_read_features(payload, bool(flags3 & OptionFlags3.EXTENSION)),
        tds_version=version,
        packet_size=packet_size,
        client_prog_ver=program,
        client_pid=pid,
        connection_id=connection,
        option_flags1=OptionFlags1(flags1),
        option_flags2=OptionFlags2(flags2),
        type_flags=TypeFlags(types),
        option_flags3=OptionFlags3(flags3) & ~_DERIVED,
        client_time_zone=zone,
        client_lcid=lcid,
        client_id=payload[_CLIENT_ID : _CLIENT_ID + 6],
    )


def _refuse_what_is_not_spoken(payload: bytes, version: int, flags1: int, flags2: int) -> None:
    if version >> 24 not in _SPOKEN:
        raise ProtocolError(
            f"the client speaks TDS version 0x{version:08x}", "use a client of SQL Server 2005 or later"
        )
    if flags1 & _FOREIGN_DATA:
        raise ProtocolError(f"the client writes data in another form than ASCII and little-endian (0x{flags1:02x})")
    sspi_size = _SPAN.unpack_from(payload, _SSPI)[1] or _DWORD.unpack_from(payload, _SSPI_LONG)[0]
    if flags2 & OptionFlags2.INTEGRATED_SECURITY or sspi_size:
        raise ProtocolError(
            "the client signs in with integrated security (SSPI)",
            "sign in with the user and password that hoop connect printed",
        )


def _read_text(payload: bytes, name: str, at: int) -> str:
    offset, count = _SPAN.unpack_from(payload, at)
    if count > _max_text(name) or (count and offset + 2 * count > len(payload)):
        raise ProtocolError(f"LOGIN7 field {name} is too long or lies outside the message")
    data = payload[offset : offset + 2 * count]
    try:
        return (data.translate(_REVEAL) if name in _OBFUSCATED else data).decode("utf-16-le")
    except UnicodeDecodeError:
        raise ProtocolError(f"LOGIN7 field {name} is not UTF-16") from None


def _read_features(payload: bytes, announced: bool) -> tuple[Feature, ...]:
    offset, size = _SPAN.unpack_from(payload, _EXTENSION)
    if not announced:
        if size:
            raise ProtocolError("LOGIN7 has an extension that its flags do not announce")
        return ()
    if size < _DWORD.size or offset + _DWORD.size > len(payload):
        raise ProtocolError("the extension of LOGIN7 lies outside the message")
    return decode_features(payload[_DWORD.unpack_from(payload, offset)[0] :])


def encode_login7(login: Login7) -> bytes:
    """Encode the payload of a LOGIN7 message. Raises ValueError for a text longer than its field may be."""
    head, data = bytearray(_HEAD_SIZE), bytearray()
    for name, at in _SPANS.items():
        value = _encode_field(login, name)
        units = len(value) if at in _IN_BYTES else len(value) // 2
        _SPAN.pack_into(head, at, _HEAD_SIZE + len(data), units)
        data += value
    if login.features:
        extension = _SPAN.unpack_from(head, _EXTENSION)[0] - _HEAD_SIZE
        _DWORD.pack_into(data, extension, _HEAD_SIZE + len(data))
        data += encode_features(login.features)
    head[_CLIENT_ID : _CLIENT_ID + 6] = login.client_id
    _pack_fixed(head, login, len(head) + len(data))
    return bytes(head + data)


def _encode_field(login: Login7, name: str) -> bytes:
    if name == "extension":
        return bytes(_DWORD.size) if login.features else b""
    if name == "sspi":
        return b""
    data = str(getattr(login, name)).encode("utf-16-le")
    if len(data) > 2 * _max_text(name):
        raise ValueError(f"LOGIN7 field {name} holds at most {_max_text(name)} characters")
    return data.translate(_OBFUSCATE) if name in _OBFUSCATED else data


def _max_text(name: str) -> int:
    return 260 if name == "attach_db_file" else 128


def _pack_fixed(head: bytearray, login: Login7, size: int) -> None:
    changes = OptionFlags3.CHANGE_PASSWORD if login.change_password else OptionFlags3.NONE
    extends = OptionFlags3.EXTENSION if login.features else OptionFlags3.NONE
    _FIXED.pack_into(
        head,
        0,
        size,
        login.tds_version,
        login.packet_size,
        login.client_prog_ver,
        login.client_pid,
        login.connection_id,
        login.option_flags1,
        login.option_flags2,
        login.type_flags,
        login.option_flags3 & ~_DERIVED | changes | extends,
        login.client_time_zone,
        login.client_lcid,
    )
