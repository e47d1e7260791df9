"""The tokens that only answer a login, and those that only an extension brings ([MS-TDS] 2.2.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from connectors.sql.tds.buffer import Reader, b_varchar, decode_ucs2, encode_ucs2, l_varbyte, prefixed
from hoopcli.errors import ProtocolError

_TDS_74 = 0x74000004


@dataclass(frozen=True, slots=True)
class LoginAck:
    """LOGINACK (2.2.7.14): the server lets the client in. ``version`` is major, minor and the two build bytes."""

    program: str
    version: tuple[int, int, int, int]
    tds_version: int = _TDS_74
    interface: int = 1

    @classmethod
    def decode(cls, reader: Reader) -> LoginAck:
        """Read from the length on."""
        body = Reader(reader.us_varbyte())
        interface, tds_version = body.u8(), int.from_bytes(body.bytes(4), "big")
        program = body.b_varchar()
        version = (body.u8(), body.u8(), body.u8(), body.u8())
        body.expect_end("LOGINACK")
        return cls(program, version, tds_version, interface)

    def encode(self) -> bytes:
        """The whole token."""
        head = bytes((self.interface,)) + self.tds_version.to_bytes(4, "big") + b_varchar(self.program)
        return b"\xad" + prefixed(head + bytes(self.version), 2)


@dataclass(frozen=True, slots=True)
class FeatureExtAck:
    """FEATUREEXTACK (2.2.7.11): what the server agreed to, as (feature id, data)."""

    features: tuple[tuple[int, bytes], ...]

    @classmethod
    def decode(cls, reader: Reader) -> FeatureExtAck:
        """Read up to the terminator."""
        features = []
        while (feature := reader.u8()) != 0xFF:
            features.append((feature, reader.l_varbyte()))
        return cls(tuple(features))

    def encode(self) -> bytes:
        """The whole token."""
        return b"\xae" + b"".join(bytes((f,)) + l_varbyte(data) for f, data in self.features) + b"\xff"


@dataclass(frozen=True, slots=True)
class FedAuthInfo:
    """FEDAUTHINFO (2.2.7.12): where to get a token, and for whom."""

    sts_url: str = ""
    spn: str = ""

    @classmethod
    def decode(cls, reader: Reader) -> FedAuthInfo:
        """Read from the length on; offsets count from after it. Raises ProtocolError if one points outside."""
        body = reader.l_varbyte()
        entries = Reader(body)
        texts: dict[int, str] = {}
        for _ in range(entries.u32()):
            id_, size, offset = entries.u8(), entries.u32(), entries.u32()
            if offset + size > len(body):
                raise ProtocolError("FEDAUTHINFO points outside itself")
            texts[id_] = decode_ucs2(body[offset : offset + size])
        return cls(texts.get(1, ""), texts.get(2, ""))

    def encode(self) -> bytes:
        """The whole token."""
        url, spn = encode_ucs2(self.sts_url), encode_ucs2(self.spn)
        offset, head = 4 + 2 * 9, (2).to_bytes(4, "little")
        for id_, data in ((1, url), (2, spn)):
            head += bytes((id_,)) + len(data).to_bytes(4, "little") + offset.to_bytes(4, "little")
            offset += len(data)
        return b"\xee" + l_varbyte(head + url + spn)


@dataclass(frozen=True, slots=True)
class Sspi:
    """SSPI (2.2.7.22): a round of integrated authentication."""

    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Sspi:
        """Read from the length on."""
        return cls(reader.us_varbyte())

    def encode(self) -> bytes:
        """The whole token."""
        return b"\xed" + prefixed(self.data, 2)


@dataclass(frozen=True, slots=True)
class SessionState:
    """SESSIONSTATE (2.2.7.21): what a recovered session would need, as (state id, value)."""

    sequence: int
    status: int
    states: tuple[tuple[int, bytes], ...]

    @classmethod
    def decode(cls, reader: Reader) -> SessionState:
        """Read from the length on."""
        body = Reader(reader.l_varbyte())
        sequence, status, states = body.u32(), body.u8(), []
        while body.remaining:
            id_, size = body.u8(), body.u8()
            states.append((id_, body.bytes(body.u32() if size == 0xFF else size)))
        return cls(sequence, status, tuple(states))

    def encode(self) -> bytes:
        """The whole token."""
        body = self.sequence.to_bytes(4, "little") + bytes((self.status,))
        for id_, value in self.states:
            size = bytes((len(value),)) if len(value) < 0xFF else b"\xff" + len(value).to_bytes(4, "little")
            body += bytes((id_,)) + size + value
        return b"\xe4" + l_varbyte(body)


_NONE = 0xFFFF


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """One classification of a column: indexes into the labels and information types, and a rank (version 2)."""

    label: int | None
    information_type: int | None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the labels and information types of one column."""

    labels: tuple[str, ...] = ()
    information_types: tuple[str, ...] = ()


UNLABELLED = Labels()


@dataclass(frozen=True, slots=True)
class DataClassification:
    """DATACLASSIFICATION (2.2.7.5): the sensitivity of each column. Labels and types are (name, id).

    ``rank`` is that of the whole result; ``None`` in version 1 of the extension, which has no ranks.
    """

    labels: tuple[tuple[str, str], ...]
    information_types: tuple[tuple[str, str], ...]
    columns: tuple[tuple[Sensitivity, ...], ...]
    rank: int | None = None

    @classmethod
    def decode(cls, reader: Reader, version: int = 2) -> DataClassification:
        """Read all after the token, in the version that login agreed on."""
        ranked = version >= 2
        labels = tuple((reader.b_varchar(), reader.b_varchar()) for _ in range(reader.u16()))
        types = tuple((reader.b_varchar(), reader.b_varchar()) for _ in range(reader.u16()))
        rank = reader.i32() if ranked else None
        columns = tuple(
            tuple(_read_sensitivity(reader, len(labels), len(types), ranked=ranked) for _ in range(reader.u16()))
            for _ in range(reader.u16())
        )
        return cls(labels, types, columns, rank)

    def unranked(self) -> DataClassification:
        """The same in version 1 of the extension."""
        columns = tuple(tuple(replace(each, rank=None) for each in column) for column in self.columns)
        return replace(self, columns=columns, rank=None)

    def said_of(self, column: int) -> Labels:
        """The labels and information types of a column."""
        found = self.columns[column]
        return Labels(
            tuple(self.labels[each.label][0] for each in found if each.label is not None),
            tuple(
                self.information_types[each.information_type][0] for each in found if each.information_type is not None
            ),
        )

    def encode(self) -> bytes:
        """The whole token."""
        head = b"".join(
            len(names).to_bytes(2, "little") + b"".join(b_varchar(name) + b_varchar(id_) for name, id_ in names)
            for names in (self.labels, self.information_types)
        )
        columns = b"".join(
            len(column).to_bytes(2, "little") + b"".join(_write_sensitivity(s) for s in column)
            for column in self.columns
        )
        return b"\xa3" + head + _write_rank(self.rank) + len(self.columns).to_bytes(2, "little") + columns


def _read_sensitivity(reader: Reader, labels: int, types: int, *, ranked: bool) -> Sensitivity:
    label, type_ = _read_index(reader, labels), _read_index(reader, types)
    return Sensitivity(label, type_, reader.i32() if ranked else None)


def _read_index(reader: Reader, count: int) -> int | None:
    index = reader.u16()
    if index != _NONE and index >= count:
        raise ProtocolError(f"DATACLASSIFICATION refers to entry {index} of {count}")
    return None if index == _NONE else index


def _write_sensitivity(sensitivity: Sensitivity) -> bytes:
    indexes = (sensitivity.label, sensitivity.information_type)
    return b"".join((_NONE if i is None else i).to_bytes(2, "little") for i in indexes) + _write_rank(sensitivity.rank)


def _write_rank(rank: int | None) -> bytes:
    return b"" if rank is None else rank.to_bytes(4, "little", signed=True)
