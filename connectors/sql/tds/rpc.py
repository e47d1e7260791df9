"""RPC requests ([MS-TDS] 2.2.6.6): one or more procedure calls in one message, with their parameters."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from connectors.sql.tds.buffer import Reader, b_varchar, us_varchar
from connectors.sql.tds.headers import AUTOCOMMIT, Headers, read_headers, write_headers
from connectors.sql.tds.procedures import ProcId, spelled_plainly, well_known
from connectors.sql.tds.tvp import (
    TVP_TYPE,
    TableType,
    TableValue,
    encode_parameter,
    encode_table,
    read_parameter,
    read_table,
)
from connectors.sql.tds.types import TypeInfo, read_type_info, write_type_info
from connectors.sql.tds.values import Value
from hoopcli.errors import ProtocolError

_U16 = struct.Struct("<H")
_PROC_ID_SWITCH = 0xFFFF
_MAX_NAME = 127  # 128 is also the separator of TDS before 7.2: what two readers take differently is refused
_MAX_VALUES = 500_000  # calls, parameters, columns and cells that one message may decode into


class RpcOptions(IntFlag):
    """The option flags of a call."""

    NONE = 0x0000
    WITH_RECOMPILE = 0x0001
    NO_METADATA = 0x0002
    REUSE_METADATA = 0x0004


class ParameterFlags(IntFlag):
    """The status flags of a parameter."""

    NONE = 0x00
    BY_REF_VALUE = 0x01
    DEFAULT_VALUE = 0x02
    ENCRYPTED = 0x08


class Separator(IntEnum):
    """What stands after a call: another call, or NO_EXEC; what that does is left to the server."""

    NO_EXEC = 0xFE
    BATCH = 0xFF


_KNOWN_OPTIONS = int(RpcOptions.WITH_RECOMPILE | RpcOptions.NO_METADATA | RpcOptions.REUSE_METADATA)
_KNOWN_FLAGS = int(ParameterFlags.BY_REF_VALUE | ParameterFlags.DEFAULT_VALUE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; ``name`` has its ``@`` or is empty. A ``TableType`` goes with a ``TableValue`` or NULL."""

    info: TypeInfo | TableType
    value: Value | TableValue = None
    name: str = ""
    flags: ParameterFlags = ParameterFlags.NONE


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One call, by ``proc_id`` or else by ``name``; ``separator`` is what follows it.

    Whatever the separator says, policy sees every call as one that runs.
    """

    name: str = ""
    proc_id: ProcId | None = None
    parameters: tuple[Parameter, ...] = ()
    options: RpcOptions = RpcOptions.NONE
    separator: Separator | None = None

    @property
    def well_known(self) -> ProcId | None:
        """The well-known procedure that is called, or that the name may reach however it is spelled."""
        return self.proc_id or well_known(self.name)

    @property
    def plain(self) -> bool:
        """Whether ``well_known`` is sure: called by number, or by a name that no user's procedure can have taken."""
        return self.proc_id is not None or spelled_plainly(self.name)


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """All calls of one message."""

    calls: tuple[RpcCall, ...]
    headers: Headers = AUTOCOMMIT


def decode_rpc(payload: bytes) -> RpcRequest:
    """Decode the payload of an RPC request, to its last byte. Raises ProtocolError."""
    return _Decoder(payload).request()


class _Decoder:
    """Reads one message, within a budget of values: their Python objects are far larger than their bytes."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._reader = Reader(payload)
        self._budget = _MAX_VALUES

    def request(self) -> RpcRequest:
        headers = read_headers(self._reader)
        calls = [self._call()]
        while self._reader.remaining:
            calls.append(self._call())
        return RpcRequest(tuple(calls), headers)

    def _spend(self, values: int) -> None:
        self._budget -= values
        if self._budget < 0:
            raise ProtocolError(
                f"a request holds more than {_MAX_VALUES} values", "send it in smaller parts, or as a bulk load"
            )

    def _call(self) -> RpcCall:
        self._spend(1)
        call = self._procedure()
        options = self._reader.u16()
        if options & ~_KNOWN_OPTIONS:
            raise ProtocolError(f"an RPC has the option flags 0x{options:04x}")
        parameters = []
        while (separator := self._separator()) is None and self._reader.remaining:
            parameters.append(self._parameter())
        return replace(call, parameters=tuple(parameters), options=RpcOptions(options), separator=separator)

    def _procedure(self) -> RpcCall:
        length = self._reader.u16()
        if length == _PROC_ID_SWITCH:
            number = self._reader.u16()
            if not ProcId.SP_CURSOR <= number <= ProcId.SP_UNPREPARE:
                raise ProtocolError(f"there is no procedure number {number}")
            return RpcCall(proc_id=ProcId(number))
        if not length:
            raise ProtocolError("an RPC names no procedure")
        return RpcCall(self._reader.chars(length))

    def _separator(self) -> Separator | None:
        following = self._payload[self._reader.position : self._reader.position + 1]
        if not following or following[0] <= _MAX_NAME:
            return None
        if following[0] < Separator.NO_EXEC:
            raise ProtocolError(f"0x{following[0]:02x} stands where a parameter or the next call should begin")
        return Separator(self._reader.u8())

    def _parameter(self) -> Parameter:
        self._spend(1)
        reader = self._reader
        name, flags = reader.b_varchar(), reader.u8()
        if flags & ParameterFlags.ENCRYPTED:
            raise ProtocolError("an encrypted parameter was sent; column encryption was not agreed")
        if flags & ~_KNOWN_FLAGS:
            raise ProtocolError(f"a parameter has the status flags 0x{flags:02x}")
        if self._payload[reader.position : reader.position + 1] == bytes([TVP_TYPE]):
            reader.u8()
            kind, table = read_table(reader, self._spend)
            return Parameter(kind, table, name, ParameterFlags(flags))
        info = read_type_info(reader, parameter=True)
        return Parameter(info, read_parameter(reader, info), name, ParameterFlags(flags))


def encode_rpc(request: RpcRequest) -> bytes:
    """Encode the payload of an RPC request."""
    return write_headers(request.headers) + b"".join(map(_encode_call, request.calls))


def _encode_call(call: RpcCall) -> bytes:
    by_number = b"" if call.proc_id is None else _U16.pack(_PROC_ID_SWITCH) + _U16.pack(call.proc_id)
    head = (by_number or us_varchar(call.name)) + _U16.pack(call.options)
    end = b"" if call.separator is None else bytes([call.separator])
    return head + b"".join(map(_encode_parameter, call.parameters)) + end


def _encode_parameter(parameter: Parameter) -> bytes:
    head = b_varchar(parameter.name) + bytes([parameter.flags])
    info, value = parameter.info, parameter.value
    if isinstance(info, TableType):
        return head + encode_table(info, value if isinstance(value, TableValue) else None)
    assert not isinstance(value, TableValue), "a table needs a table type"
    return head + write_type_info(info, parameter=True) + encode_parameter(info, value)
