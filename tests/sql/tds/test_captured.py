"""What real clients sent: captured.txt holds, for each message, the client, its type, what it says and its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.sql.tds.login import Login7, decode_login7, encode_login7
from connectors.sql.tds.packet import PacketType
from connectors.sql.tds.prelogin import Prelogin, decode_prelogin, encode_prelogin
from connectors.sql.tds.request import (
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TableValue,
    TransactionRequest,
    decode_request,
    encode_request,
)

MESSAGES = [
    line.split(" | ")
    for line in Path(__file__).with_name("captured.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def decode(kind: PacketType, payload: bytes) -> Prelogin | Login7 | Request:
    if kind is PacketType.PRELOGIN:
        return decode_prelogin(payload)
    return decode_login7(payload) if kind is PacketType.LOGIN7 else decode_request(kind, payload)


def encode(message: Prelogin | Login7 | Request) -> bytes:
    match message:
        case Prelogin():
            return encode_prelogin(message)
        case Login7():
            return encode_login7(message)
        case _:
            return encode_request(message)[1]


def says(message: Prelogin | Login7 | Request) -> str:
    match message:
        case Prelogin(encryption=encryption, mars=mars):
            return f"encryption {encryption.name}, mars {mars}"
        case Login7(user_name=user, password=password, database=database, features=features):
            return f"{user}:{password}@{database}, features {[feature.id for feature in features]}"
        case SqlBatch(text=text):
            return repr(text)
        case RpcRequest(calls=calls):
            return "; ".join(map(says_call, calls))
        case TransactionRequest(type=kind, name=name, begin=begin):
            return f"{kind.name} {name or '-'} {begin.isolation.name if begin else '-'}"
        case _:
            return type(message).__name__


def says_call(call: RpcCall) -> str:
    name = call.well_known.procedure if call.well_known else call.name
    return f"{name}({', '.join(says_value(parameter.value) for parameter in call.parameters)})"


def says_value(value: object) -> str:
    return f"table of {list(value.rows)}" if isinstance(value, TableValue) else repr(value)


@pytest.mark.parametrize(("client", "kind", "expected", "wire"), MESSAGES)
def test_is_understood(client: str, kind: str, expected: str, wire: str) -> None:
    message = decode(PacketType[kind], bytes.fromhex(wire))
    assert says(message) == expected, client
    assert decode(PacketType[kind], encode(message)) == message
