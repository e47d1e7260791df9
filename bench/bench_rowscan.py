"""How fast rows pass the filter of responses: rows per second on one core, by what is asked of it.

Run: python bench/bench_rowscan.py [--rows 100000]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.masks import CellMask, TextStream
from connectors.sql.tds.response import ResponseFilter
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.types import TypeId, TypeInfo, scaled
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method

_CHUNK = 262_144
_ROUNDS = 5


def _nvarchar(chars: int) -> TypeInfo:
    return TypeInfo(TypeId.NVARCHAR, chars * 2, collation=LATIN1)


COLUMNS = (
    Column("id", TypeInfo(TypeId.INTN, 4)),
    Column("name", _nvarchar(60)),
    Column("email", _nvarchar(120)),
    Column("address", _nvarchar(200)),
    Column("balance", TypeInfo(TypeId.DECIMALN, 9, 18, 2)),
    Column("created", scaled(TypeId.DATETIME2N, 7)),
    Column("active", TypeInfo(TypeId.BITN, 1)),
    Column("code", TypeInfo(TypeId.BIGVARCHAR, 40, collation=LATIN1)),
    Column("orders", TypeInfo(TypeId.INTN, 8)),
)


def rows(count: int, *, sensitive: bool) -> list[tuple[object, ...]]:
    """Rows of about 280 bytes; with ``sensitive`` two columns hold e-mail addresses and card numbers."""
    start = datetime(2024, 1, 1)  # noqa: DTZ001 - SQL's datetime2 has no zone
    return [
        (
            i,
            f"Given Family {i}",
            f"person{i}.family@example.org" if sensitive else f"person{i} family at example",
            f"Some Street {i % 977}, a place with a longer name, region {i % 13}",
            Decimal(i * 37) / 100,
            start + timedelta(seconds=i),
            bool(i & 1),
            "4111111111111111" if sensitive else f"code-{i % 5000}",
            i * 7,
        )
        for i in range(count)
    ]


class Plan:
    """The masks of one run: the real masking under the interface that the filter wants."""

    def __init__(self, masks: Sequence[Mask] = (), masked: str = "") -> None:
        self._masking = Masking(masks, b"k" * 32)
        self._masks = masks
        self._masked = masked
        self.detects = self._masking.detects
        self.text = self._masking.detect
        self.texts = self._masking.detect_all
        self.message = self._masking.detect
        self.suspect = self._masking.suspect

    def columns(self, columns: Sequence[Column]) -> Sequence[CellMask | None]:
        """A mask for the one column named."""
        return [_Field(self._masking, self._masks[0]) if c.name == self._masked else None for c in columns]

    def return_value(self, name: str) -> CellMask | None:
        """None is masked."""
        return None

    def stream(self) -> TextStream:
        """The detectors on a long value."""
        return self._masking.stream()


class _Field:
    def __init__(self, masking: Masking, mask: Mask) -> None:
        self.id = mask.id
        self._masking = masking
        self._mask = mask

    def apply(self, value: str, max_chars: int | None) -> str | None:
        """The masked form."""
        return self._masking.apply(self._mask, value, max_chars)

    def apply_all(self, values: Sequence[str], max_chars: int | None) -> Sequence[str | None]:
        """The masked form of each of many."""
        return self._masking.apply_all(self._mask, values, max_chars)


def measure(plan: Plan, response: bytes, count: int) -> tuple[float, Mapping[str, int]]:
    """The best rate of some rounds, in rows per second, and what was masked."""
    best, masked = float("inf"), {}
    for _ in range(_ROUNDS):
        response_filter = ResponseFilter(plan=plan)
        start = time.process_time()
        for at in range(0, len(response), _CHUNK):
            response_filter.feed(response[at : at + _CHUNK])
        best = min(best, time.process_time() - start)
        response_filter.finish()
        masked = response_filter.masked
        if response_filter.rows != count:
            raise SystemExit(f"{response_filter.rows} rows passed instead of {count}")
    return count / best, masked


def encoding(values: Sequence[Sequence[object]]) -> float:
    """Rows per second of the encoder, which the demo's upstream uses."""
    start = time.process_time()
    encode_rows(COLUMNS, values)
    return len(values) / (time.process_time() - start)


def _response(values: Sequence[Sequence[object]]) -> bytes:
    done = Done(DoneStatus.COUNT, 0xC1, len(values))
    return write_columns(COLUMNS) + encode_rows(COLUMNS, values) + done.encode()


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    plain, sensitive = rows(count, sensitive=False), rows(count, sensitive=True)
    mask = Mask("field", fields=("*",), method=Method("keep_last", 4))
    detectors = Mask("shapes", detectors=("credit_card", "email", "us_ssn", "jwt", "private_key"))
    response, matching = _response(plain), _response(sensitive)
    write(f"{len(response) / count:.0f} bytes a row\n")
    for name, plan, data in (
        ("no masks", Plan(), response),
        ("one masked column", Plan([mask], "name"), response),
        ("detectors, no match", Plan([detectors]), response),
        ("detectors, two matching columns", Plan([detectors]), matching),
    ):
        rate, masked = measure(plan, data, count)
        write(f"{name:32} {rate:12,.0f} rows/s  {dict(masked)}\n")
    write(f"{'encoding':32} {encoding(plain):12,.0f} rows/s\n")


if __name__ == "__main__":
    main()
