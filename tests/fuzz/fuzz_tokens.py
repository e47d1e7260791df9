"""Fuzz the decoding of responses: mutated token streams through the filter, the reader and the renderer.

Run: python tests/fuzz/fuzz_tokens.py --seconds 60 [--seed N]. Ends with an error on anything but ProtocolError, on a
delivered secret, or where the cuts of the input change what is delivered.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from connectors.sql.render import render
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.response import Classification, ResponseFilter
from connectors.sql.tds.tokens import Done, DoneStatus, Order, ReturnValue, ServerMessage
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokens_login import DataClassification, Sensitivity
from connectors.sql.tds.tokenstream import read_tokens, write_nbcrow, write_row
from connectors.sql.tds.types import MAX, TypeId, TypeInfo, scaled
from connectors.sql.tds.values import Variant, encode_value
from hoopcli.errors import ProtocolError
from tests.fuzz import harness
from tests.sql.tds.masks_support import FakePlan, Stars

_T = TypeId
_WIDE = TypeInfo(_T.NVARCHAR, 60, collation=LATIN1)
_COLUMNS = (
    Column("id", TypeInfo(_T.INT4, 4), flags=0),
    Column("name", _WIDE),
    Column("code", TypeInfo(_T.BIGVARCHAR, 900, collation=LATIN1)),
    Column("sum", TypeInfo(_T.DECIMALN, 9, 18, 2)),
    Column("at", scaled(_T.DATETIME2N, 7)),
    Column("note", TypeInfo(_T.NVARCHAR, MAX, collation=LATIN1)),
    Column("old", TypeInfo(_T.TEXT, 1 << 30, collation=LATIN1), table=("dbo", "t")),
    Column("any", TypeInfo(_T.SSVARIANT, 8009)),
)
_BOTH = Classification(2, 2)
_PLANS = (
    FakePlan(),
    FakePlan(detects=True),
    FakePlan({"id": Stars("i"), "name": Stars("n"), "note": Stars("t")}, detects=True),
)


def seeds() -> list[bytes]:
    """Good responses to start from."""
    row = (7, "SECRET0001", "SECRET0002", 1, None, "n" * 90, "SECRET0003", Variant(_WIDE, "SECRET0004"))
    rows = [row, (8, None, "", 2, None, None, None, None)] * 9
    done = Done(DoneStatus.COUNT, 0xC1, len(rows)).encode()
    results = [
        write_columns(_COLUMNS) + b"".join(write(_COLUMNS, values) for values in rows) + done
        for write in (write_row, write_nbcrow)
    ]
    long = write_columns(_COLUMNS[5:6]) + write_row(_COLUMNS[5:6], ("x" * 40_000 + "SECRET0005",)) + done
    others = b"".join(
        (
            ServerMessage(208, "no SECRET0006").encode(),
            EnvChange(EnvType.DATABASE, "shop", "master").encode(),
            Order((1, 2)).encode(),
            ReturnValue(1, "@out", _WIDE).encode() + encode_value(_WIDE, "SECRET0007"),
            Done().encode(),
        )
    )
    head, rows_after = results[0][: len(write_columns(_COLUMNS))], results[0][len(write_columns(_COLUMNS)) :]
    said = tuple((Sensitivity(at % 2, None, at),) if at % 3 else () for at in range(len(_COLUMNS)))
    labelled = head + DataClassification((("Secret", "1"), ("Public", "")), (), said, 7).encode() + rows_after
    return [*results, others, results[0] + others, long, labelled, labelled + results[1]]


def mutated(rng: random.Random, seed: bytes) -> bytes:
    """The seed with a few bytes changed, removed, doubled or put elsewhere."""
    data = bytearray(seed)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at, size = rng.randrange(len(data)), rng.choice((1, 1, 2, 4, 30))
        match rng.randrange(4):
            case 0:
                data[at] = rng.choice((0, 1, 0x7F, 0xFE, 0xFF, rng.randrange(256)))
            case 1 if len(data) > size + 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size]
            case _:
                data[at : at + size] = rng.randbytes(size)
        data = data or bytearray(b"\xfd")
    return bytes(data)


def filtered(payload: bytes, plan: FakePlan, cuts: list[int]) -> tuple[bytes, bool, dict[str, int]]:
    """What is delivered of a payload cut at these places, whether it all was sound, and what was masked."""
    found, out = ResponseFilter(plan=plan, classification=_BOTH, row_limit=12), []
    try:
        for start, end in pairwise([0, *sorted(cuts), len(payload)]):
            out += [bytes(piece) for piece in found.feed(payload[start:end])]
        found.finish()
    except ProtocolError:
        return b"".join(out), False, found.masked
    return b"".join(out), True, found.masked


def check(rng: random.Random, payload: bytes) -> None:
    """One payload through everything. Raises AssertionError."""
    plan = rng.choice(_PLANS)
    whole, sound, masked = filtered(payload, plan, [])
    parts, sound_too, masked_too = filtered(payload, plan, [rng.randrange(len(payload)) for _ in range(5)])
    assert sound == sound_too, "the cuts decide whether it is sound"
    assert not sound or (whole, masked) == (parts, masked_too), "the cuts decide what is delivered"
    with suppress(ProtocolError):
        list(read_tokens(payload))
    list(render(whole))


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""
    good = seeds()

    def choose(rng: random.Random) -> tuple[str, Callable[[], object]]:
        payload = mutated(rng, rng.choice(good))
        return payload.hex(), lambda: check(rng, payload)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command(__doc__, fuzz)
