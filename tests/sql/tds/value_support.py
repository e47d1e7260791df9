# ruff: noqa: DTZ001 - the datetimes of SQL have no zone
"""Every type of TDS 7.4 with a strategy of the values that it can hold."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from hypothesis import strategies as st

from connectors.sql.tds.collation import LATIN1, UTF8, Collation
from connectors.sql.tds.temporal import TICKS_PER_DAY, DateTime2, DateTimeOffset, Time
from connectors.sql.tds.types import MAX, TypeId, TypeInfo, UdtInfo, XmlSchema, scaled
from connectors.sql.tds.values import Variant

T = TypeId
GREEK = Collation(b"\x08\x04\xd0\x00\x00")


def ints(size: int) -> st.SearchStrategy[int]:
    bits = size * 8
    return st.integers(0, 255) if size == 1 else st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda n: Decimal(f"{n}E-{scale}"))


def moneys(size: int) -> st.SearchStrategy[Decimal]:
    return ints(size).map(lambda n: Decimal(f"{n}E-4"))


def texts(count: int, codec: str = "ascii") -> st.SearchStrategy[str]:
    if codec == "utf-16-le":
        return st.text(max_size=count // 2).filter(lambda text: len(text.encode(codec)) <= count)
    return st.text(st.characters(codec=codec), max_size=count // 4 if codec == "utf-8" else count)


def times(scale: int) -> st.SearchStrategy[Time]:
    unit = 10 ** (7 - scale)
    return st.integers(0, TICKS_PER_DAY // unit - 1).map(lambda n: Time(n * unit))


def datetime2s(scale: int) -> st.SearchStrategy[DateTime2]:
    return st.builds(DateTime2, st.dates(), times(scale))


def offsets(scale: int) -> st.SearchStrategy[DateTimeOffset]:
    inner = st.builds(DateTime2, st.dates(date(2, 1, 1), date(9998, 1, 1)), times(scale))
    return st.builds(DateTimeOffset, inner, st.integers(-840, 840))


def datetimes() -> st.SearchStrategy[datetime]:
    last = datetime(9999, 12, 31, 23, 59, 59)
    whole = st.datetimes(datetime(1753, 1, 1), last).map(lambda d: d.replace(microsecond=0))
    ticks = st.integers(0, 299).map(lambda n: (n * 10 + 1) // 3 * 1000)
    return st.builds(lambda d, us: d.replace(microsecond=us), whole, ticks)


def smalldatetimes() -> st.SearchStrategy[datetime]:
    drawn = st.datetimes(datetime(1900, 1, 1), datetime(2079, 6, 6))
    return drawn.map(lambda d: d.replace(second=0, microsecond=0))


def padded(strategy: st.SearchStrategy[str], count: int) -> st.SearchStrategy[str]:
    return strategy.map(lambda text: text.ljust(count))


FLOATS = st.floats(allow_nan=False)
FLOATS32 = st.floats(width=32, allow_nan=False)
LONG_TEXT = st.text(max_size=300)

PLAIN = [
    (TypeInfo(T.INT1, 1), ints(1)),
    (TypeInfo(T.BIT, 1), st.booleans()),
    (TypeInfo(T.INT2, 2), ints(2)),
    (TypeInfo(T.INT4, 4), ints(4)),
    (TypeInfo(T.INT8, 8), ints(8)),
    (TypeInfo(T.FLT4, 4), FLOATS32),
    (TypeInfo(T.FLT8, 8), FLOATS),
    (TypeInfo(T.MONEY, 8), moneys(8)),
    (TypeInfo(T.MONEY4, 4), moneys(4)),
    (TypeInfo(T.DATETIME, 8), datetimes()),
    (TypeInfo(T.DATETIM4, 4), smalldatetimes()),
]
IN_VARIANT = [
    *PLAIN,
    (TypeInfo(T.GUID, 16), st.uuids()),
    (TypeInfo(T.DATEN, 3), st.dates()),
    (scaled(T.TIMEN, 2), times(2)),
    (scaled(T.DATETIME2N, 7), datetime2s(7)),
    (scaled(T.DATETIMEOFFSETN, 4), offsets(4)),
    (TypeInfo(T.DECIMALN, 5, 9, 2), decimals(9, 2)),
    (TypeInfo(T.NUMERICN, 17, 38, 38), decimals(38, 38)),
    (TypeInfo(T.BIGVARCHAR, 40, collation=LATIN1), texts(40, "cp1252")),
    (TypeInfo(T.NVARCHAR, 40, collation=LATIN1), texts(40, "utf-16-le")),
    (TypeInfo(T.BIGCHAR, 8, collation=GREEK), padded(texts(8, "cp1253"), 8)),
    (TypeInfo(T.NCHAR, 8, collation=GREEK), padded(st.text(st.characters(max_codepoint=0xD7FF), max_size=4), 4)),
    (TypeInfo(T.BIGVARBINARY, 20), st.binary(max_size=20)),
    (TypeInfo(T.BIGBINARY, 4), st.binary(min_size=4, max_size=4)),
]
VARIANTS = st.one_of(*(st.builds(Variant, st.just(info), values) for info, values in IN_VARIANT))

NULLABLE = [
    *IN_VARIANT[len(PLAIN) :],
    *((TypeInfo(T.INTN, size), ints(size)) for size in (1, 2, 4, 8)),
    (TypeInfo(T.BITN, 1), st.booleans()),
    (TypeInfo(T.FLTN, 4), FLOATS32),
    (TypeInfo(T.FLTN, 8), FLOATS),
    (TypeInfo(T.MONEYN, 4), moneys(4)),
    (TypeInfo(T.MONEYN, 8), moneys(8)),
    (TypeInfo(T.DATETIMN, 4), smalldatetimes()),
    (TypeInfo(T.DATETIMN, 8), datetimes()),
    (TypeInfo(T.DECIMAL, 9, 18, 0), decimals(18, 0)),
    (TypeInfo(T.NUMERIC, 13, 28, 10), decimals(28, 10)),
    *((scaled(T.TIMEN, scale), times(scale)) for scale in range(8)),
    *((scaled(T.DATETIME2N, scale), datetime2s(scale)) for scale in (0, 3, 6)),
    (scaled(T.DATETIMEOFFSETN, 0), offsets(0)),
    (TypeInfo(T.CHAR, 4), padded(texts(4), 4)),
    (TypeInfo(T.VARCHAR, 20), texts(20).filter(bool)),
    (TypeInfo(T.BINARY, 4), st.binary(min_size=4, max_size=4)),
    (TypeInfo(T.VARBINARY, 20), st.binary(min_size=1, max_size=20)),
    (TypeInfo(T.BIGVARCHAR, 600, collation=UTF8), texts(600, "utf-8")),
    (TypeInfo(T.NVARCHAR, 800, collation=UTF8), texts(800, "utf-16-le")),
    (TypeInfo(T.VECTOR, 20), st.binary(max_size=20)),
    (TypeInfo(T.TEXT, 0x7FFFFFFF, collation=LATIN1), texts(60, "cp1252")),
    (TypeInfo(T.NTEXT, 0x7FFFFFFE, collation=LATIN1), LONG_TEXT),
    (TypeInfo(T.IMAGE, 0x7FFFFFFF), st.binary(max_size=60)),
    (TypeInfo(T.SSVARIANT, 8009), VARIANTS),
    (TypeInfo(T.BIGVARCHAR, MAX, collation=LATIN1), texts(300, "cp1252")),
    (TypeInfo(T.NVARCHAR, MAX, collation=LATIN1), LONG_TEXT),
    (TypeInfo(T.BIGVARBINARY, MAX), st.binary(max_size=300)),
    (TypeInfo(T.XML, MAX), LONG_TEXT),
    (TypeInfo(T.XML, MAX, schema=XmlSchema("shop", "dbo", "orders")), LONG_TEXT),
    (TypeInfo(T.JSON, MAX), st.text(st.characters(codec="utf-8"), max_size=300)),
    (
        TypeInfo(T.UDT, 892, udt=UdtInfo("shop", "sys", "hierarchyid", "Microsoft.SqlServer.Types")),
        st.binary(max_size=30),
    ),
]
ALL = PLAIN + NULLABLE


def typed_values(types=None):
    """A strategy of (type, value), NULL among them where the type has it."""
    plain = [st.tuples(st.just(info), values) for info, values in (types or ALL)]
    nulls = [st.tuples(st.just(info), st.none()) for info, _ in (types or NULLABLE) if info.layout.value != "fixed"]
    return st.one_of(*plain, *nulls)
