"""Fuzz the client's side of TDS: random and damaged packets, PRELOGIN, LOGIN7 and requests.

    python tests/fuzz/fuzz_tds.py --seconds 60 [--seed 1]

Stops at the first exception that is not a ProtocolError and prints the input that caused it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from connectors.sql.tds.features import decode_fedauth, decode_fedauth_token
from connectors.sql.tds.login import decode_login7
from connectors.sql.tds.packet import Message, MessageReader, PacketType, PayloadStream, packetize
from connectors.sql.tds.prelogin import decode_prelogin
from connectors.sql.tds.request import decode_request
from tests.fuzz import harness

CAPTURED = Path(__file__).parents[1] / "sql" / "tds" / "captured.txt"
INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xF3, 0xFE, 0xFF)


def seeds() -> list[tuple[PacketType, bytes]]:
    """The messages of real clients, as (type, payload)."""
    lines = (line.split(" | ") for line in CAPTURED.read_text("utf-8").splitlines() if not line.startswith("#"))
    return [(PacketType[kind], bytes.fromhex(payload)) for _, kind, _, payload in lines]


def decode_message(kind: PacketType, payload: bytes) -> None:
    """Decode a payload by its type, as the broker would."""
    match kind:
        case PacketType.PRELOGIN:
            decode_prelogin(payload)
        case PacketType.LOGIN7:
            _ = decode_login7(payload).fedauth
        case PacketType.FEDAUTH_TOKEN:
            decode_fedauth_token(payload)
        case _:
            decode_request(kind, payload)


def decode_wire(data: bytes) -> None:
    """Decode a stream of packets and every message in it."""
    for event in MessageReader(streamed=frozenset({PacketType.BULK_LOAD})).feed(data):
        if isinstance(event, Message):
            decode_message(event.type, event.payload)


def overwrite(rng: random.Random, data: bytearray) -> None:
    """Change a few bytes."""
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), rng.choice(INTERESTING)))


def lie(rng: random.Random, data: bytearray) -> None:
    """Put an unlikely number where a length may be."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), rng.getrandbits(8 * width)))
    at = rng.randrange(len(data) + 1)
    data[at : at + width] = value.to_bytes(width, "little")


def cut(rng: random.Random, data: bytearray) -> None:
    """Drop a stretch."""
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.randint(1, 16)]


def repeat(rng: random.Random, data: bytearray) -> None:
    """Copy a stretch elsewhere."""
    start = rng.randrange(len(data) + 1)
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[start : start + rng.randint(1, 64)]


def insert(rng: random.Random, data: bytearray) -> None:
    """Put random bytes in."""
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 16))


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (overwrite, overwrite, lie, cut, repeat, insert)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One to four mutations of good bytes."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(MUTATIONS)(rng, damaged)
    return bytes(damaged)


def one_run(rng: random.Random, corpus: list[tuple[PacketType, bytes]]) -> tuple[Callable[[bytes], object], bytes]:
    """Choose a decoder and an input for it."""
    kind, payload = rng.choice(corpus)
    match rng.randrange(8):
        case 0:
            return decode_wire, mutated(rng, b"".join(packetize(kind, [payload], 512)))
        case 1:
            return PayloadStream().feed, mutated(rng, b"".join(packetize(PacketType.TABULAR_RESULT, [payload], 512)))
        case 2:
            return decode_fedauth, rng.randbytes(rng.randrange(60))
        case 3:
            kind = rng.choice(list(PacketType))
    return lambda data: decode_message(kind, data), mutated(rng, payload)


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""
    corpus = seeds()

    def choose(rng: random.Random) -> tuple[str, Callable[[], object]]:
        decoder, data = one_run(rng, corpus)
        return data.hex(), lambda: decoder(data)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command("Fuzz the client's side of TDS.", fuzz)
