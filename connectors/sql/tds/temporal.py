"""Times of SQL Server: to 100 ns, which Python's own types cannot hold ([MS-TDS] 2.2.5.5.1.8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from hoopcli.errors import ProtocolError

TICKS_PER_DAY = 864_000_000_000
TICKS_PER_SECOND = 10_000_000
UNITS = tuple(int(10 ** (7 - scale)) for scale in range(8))  # ticks of a unit, by scale
_LAST_DAY = date.max.toordinal() - 1
_EPOCH_1900 = datetime(1900, 1, 1)  # noqa: DTZ001 - SQL's datetime has no zone
_OFFSET_LIMIT = 14 * 60


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """A time of day in ticks of 100 ns."""

    ticks: int

    @classmethod
    def of(cls, value: time) -> Time:
        """From Python's time."""
        return cls(((value.hour * 60 + value.minute) * 60 + value.second) * TICKS_PER_SECOND + value.microsecond * 10)

    def isoformat(self, scale: int = 7) -> str:
        """``hh:mm:ss`` and so many digits of the second."""
        seconds, fraction = divmod(self.ticks, TICKS_PER_SECOND)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{text}.{fraction:07}"[: len(text) + 1 + scale] if scale else text


@dataclass(frozen=True, slots=True, order=True)
class DateTime2:
    """A date and a time of day."""

    date: date
    time: Time

    @classmethod
    def of(cls, value: datetime) -> DateTime2:
        """From Python's datetime; its zone is dropped."""
        return cls(value.date(), Time.of(value.time()))

    def isoformat(self, scale: int = 7) -> str:
        """``yyyy-mm-dd hh:mm:ss`` and so many digits of the second."""
        return f"{self.date.isoformat()} {self.time.isoformat(scale)}"


@dataclass(frozen=True, slots=True, order=True)
class DateTimeOffset:
    """An instant as UTC, and the minutes that its zone is ahead."""

    utc: DateTime2
    offset: int

    @classmethod
    def of(cls, value: datetime) -> DateTimeOffset:
        """From an aware datetime; a naive one is taken as UTC."""
        offset = value.utcoffset() or timedelta()
        return cls(DateTime2.of(value.replace(tzinfo=None) - offset), offset // timedelta(minutes=1))

    def isoformat(self, scale: int = 7) -> str:
        """Local time and offset, as SQL Server prints it."""
        days, ticks = divmod(self.utc.time.ticks + self.offset * 60 * TICKS_PER_SECOND, TICKS_PER_DAY)
        local = DateTime2(date_of(day_of(self.utc.date) + days), Time(ticks))
        sign = "-" if self.offset < 0 else "+"
        return f"{local.isoformat(scale)} {sign}{abs(self.offset) // 60:02}:{abs(self.offset) % 60:02}"

    def to_datetime(self) -> datetime:
        """Python's aware datetime, cut to microseconds."""
        zone = timezone(timedelta(minutes=self.offset))
        utc = datetime.combine(self.utc.date, time(), UTC)
        return (utc + timedelta(microseconds=self.utc.time.ticks // 10)).astimezone(zone)


def date_of(day: int) -> date:
    """The date so many days after 0001-01-01. Raises ProtocolError outside the calendar."""
    if not 0 <= day <= _LAST_DAY:
        raise ProtocolError(f"day {day} is outside the calendar")
    return date.fromordinal(day + 1)


def day_of(value: date) -> int:
    """Days since 0001-01-01."""
    return value.toordinal() - 1


def decode_date(raw: bytes) -> date:
    """DATE: three bytes of days."""
    return date_of(int.from_bytes(raw, "little"))


def encode_date(value: date) -> bytes:
    """The opposite of ``decode_date``."""
    return day_of(value).to_bytes(3, "little")


def decode_time(raw: bytes, scale: int) -> Time:
    """TIME: units of 10^-scale seconds since midnight."""
    ticks = int.from_bytes(raw, "little") * UNITS[scale]
    if ticks >= TICKS_PER_DAY:
        raise ProtocolError("a time is past midnight")
    return Time(ticks)


def encode_time(value: Time, scale: int, size: int) -> bytes:
    """The opposite of ``decode_time``; digits beyond ``scale`` are cut."""
    return (value.ticks // UNITS[scale]).to_bytes(size, "little")


def decode_datetime2(raw: bytes, scale: int) -> DateTime2:
    """DATETIME2: a time, then a date."""
    return DateTime2(decode_date(raw[-3:]), decode_time(raw[:-3], scale))


def encode_datetime2(value: DateTime2, scale: int, size: int) -> bytes:
    """The opposite of ``decode_datetime2``."""
    return encode_time(value.time, scale, size - 3) + encode_date(value.date)


def decode_datetimeoffset(raw: bytes, scale: int) -> DateTimeOffset:
    """DATETIMEOFFSET: UTC, then minutes of offset."""
    offset = int.from_bytes(raw[-2:], "little", signed=True)
    if abs(offset) > _OFFSET_LIMIT:
        raise ProtocolError(f"an offset of {offset} minutes does not exist")
    return DateTimeOffset(decode_datetime2(raw[:-2], scale), offset)


def encode_datetimeoffset(value: DateTimeOffset, scale: int, size: int) -> bytes:
    """The opposite of ``decode_datetimeoffset``."""
    return encode_datetime2(value.utc, scale, size - 2) + value.offset.to_bytes(2, "little", signed=True)


def decode_datetime(raw: bytes) -> datetime:
    """DATETIME (days since 1900 and 1/300 s, to the ms that SQL prints) or SMALLDATETIME (days and minutes)."""
    half = len(raw) // 2
    days = int.from_bytes(raw[:half], "little", signed=half == 4)
    units = int.from_bytes(raw[half:], "little")
    past = timedelta(milliseconds=(units * 10 + 1) // 3) if half == 4 else timedelta(minutes=units)
    if past >= timedelta(days=1):
        raise ProtocolError("a time is past midnight")
    try:
        return _EPOCH_1900 + timedelta(days=days) + past
    except OverflowError:
        raise ProtocolError(f"day {days} is outside the calendar") from None


def encode_datetime(value: datetime, size: int) -> bytes:
    """The opposite of ``decode_datetime``, rounded to 1/300 s (``size`` 8) or cut to minutes (4)."""
    since = value.replace(tzinfo=None) - _EPOCH_1900
    if size == 4:
        return since.days.to_bytes(2, "little") + (since.seconds // 60).to_bytes(2, "little")
    units = ((since.seconds * 1_000_000 + since.microseconds) * 6 + 10_000) // 20_000
    carry, units = divmod(units, 300 * 86_400)
    return (since.days + carry).to_bytes(4, "little", signed=True) + units.to_bytes(4, "little")
