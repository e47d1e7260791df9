"""A record: canonical JSON whose digests name its payloads.

A ``Draft`` is what a caller wants recorded. Sealing it digests and compresses its payloads; encoding it, inside the
transaction that appends it, gives it its time. The digest of a payload is ``SHA-256(salt || content)`` with 32 random
bytes of salt that are stored beside the payload only: once both have expired, nobody can guess at the content.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

import zstandard

from hoopcli.errors import LedgerError
from hoopcli.ledger import canonical
from hoopcli.model.decision import Json

VERSION: Final = 1
SALT_SIZE: Final = 32
MAX_PAYLOAD: Final = 1 << 30
_MAX_WINDOW: Final = 1 << 27
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)


class _Codec(threading.local):
    """The contexts of zstd, which are slow to make and not for two threads at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor()
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)


_codec = _Codec()


class Slot(IntEnum):
    """Which of a record's payloads; a payload's id is ``index * SLOTS + slot``."""

    REQUEST = 0
    TEXT = 1
    KEPT = 2
    DELIVERED = 3


SLOTS: Final = len(Slot)
MEMBERS: Final = {Slot.REQUEST: "request", Slot.TEXT: "full_text", Slot.KEPT: "kept", Slot.DELIVERED: "delivered"}
"""The member of a record that holds the digest of each slot's payload."""
STORED: Final = frozenset({Slot.TEXT, Slot.KEPT})
"""The slots whose content is kept; of the others there is a salted digest only."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What to record: ``body`` is all but the members that every record has, ``payloads`` the bytes it refers to."""

    type: str
    body: Mapping[str, Json]
    session: str = ""
    payloads: Mapping[Slot, bytes] | None = None


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload as it is stored: its salt, and its content compressed with zstd if it is kept at all."""

    slot: Slot
    salt: bytes
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A draft whose payloads are digested; only its time is missing."""

    body: dict[str, Json]
    payloads: tuple[StoredPayload, ...]

    def encode(self, time: str) -> bytes:
        """The record's bytes. Raises LedgerError if it cannot be written as canonical JSON."""
        self.body["time"] = time
        return canonical.dumps(self.body)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read back: its index in the ledger and its members."""

    index: int
    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        """What it records, e.g. ``exchange.request``."""
        return str(self.body["type"])

    @property
    def session(self) -> str:
        """The session it belongs to, or the empty string."""
        return str(self.body.get("session", ""))

    @property
    def time(self) -> datetime:
        """When it was appended."""
        return parse_time(self.body["time"])


@dataclass(frozen=True, slots=True)
class Reference:
    """What a record says of one of its payloads: the hex digest and the size in bytes of what was digested."""

    slot: Slot
    digest: str
    size: int


def seal(draft: Draft) -> Sealed:
    """Digest and compress the payloads of a draft."""
    body: dict[str, Json] = {"v": VERSION, "type": draft.type}
    body.update(draft.body)
    if draft.session:
        body["session"] = draft.session
    if not draft.payloads:
        return Sealed(body, ())
    stored = []
    for slot, content in draft.payloads.items():
        salt = os.urandom(SALT_SIZE)
        member = body.get(MEMBERS[slot])
        body[MEMBERS[slot]] = {**(member if isinstance(member, dict) else {}), "digest": digest(salt, content)}
        stored.append(StoredPayload(slot, salt, compress(content) if slot in STORED else None))
    return Sealed(body, tuple(stored))


def parse(index: int, data: bytes) -> Record:
    """Read a record, insisting on its canonical form and on the members that every record has.

    Raises:
        LedgerError: it is not a record of this version.
    """
    body = canonical.loads(data)
    if not isinstance(body, dict) or body.get("v") != VERSION:
        raise LedgerError("not a record of version 1")
    if not isinstance(body.get("type"), str) or not isinstance(body.get("session", ""), str):
        raise LedgerError("a record without a type, or with a session that is not a string")
    parse_time(body.get("time"))
    return Record(index, body)


def references(body: Mapping[str, Any]) -> Iterator[Reference]:
    """The payloads that a record names. Raises LedgerError if it names one in a way that is not understood."""
    for slot, name in MEMBERS.items():
        member = body.get(name)
        if not isinstance(member, dict) or "digest" not in member:
            continue
        value, size = member["digest"], member.get("size")
        if not isinstance(value, str) or len(value) != 64 or type(size) is not int or size < 0:
            raise LedgerError(f"the digest or the size of {name!r} is malformed")
        yield Reference(slot, value, size)


def digest(salt: bytes, content: bytes) -> str:
    """The salted digest of a payload, in hex."""
    hasher = sha256(salt)
    hasher.update(content)
    return hasher.hexdigest()


def compress(content: bytes) -> bytes:
    """One zstd frame."""
    return _codec.compressor.compress(content)


def decompress(content: bytes, size: int) -> bytes:
    """Undo ``compress``. A frame that does not announce the expected size is not even begun.

    Raises:
        LedgerError: not zstd, or not of that size.
    """
    if not 0 <= size <= MAX_PAYLOAD:
        raise LedgerError("a payload larger than any that is stored")
    try:
        if zstandard.frame_content_size(content) == size:
            return _codec.decompressor.decompress(content, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise LedgerError(f"a payload that is not zstd: {error}") from error
    raise LedgerError("a payload of another size than its record says")


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always 27 characters, so that times compare as text."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(value: object) -> datetime:
    """Undo ``format_time``. Raises LedgerError if the text is in any other form."""
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise LedgerError("a record whose time is not RFC 3339 in UTC with microseconds")
