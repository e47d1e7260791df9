"""What is in a tar archive that streams by, as ``kubectl cp`` sends it: names, sizes, digests ([POSIX pax], GNU tar).

The archive itself is not touched. What cannot be read is said in the manifest rather than raised: the bytes have
passed, or will, whatever they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_BLOCK = 512
_END_BLOCKS = 2
_MOST_NAME = 64 * 1024
_MOST_ENTRIES = 10_000
_FILE_TYPES = frozenset(b"\x0007")
_TYPES = {
    ord("1"): "hard link",
    ord("2"): "symbolic link",
    ord("3"): "character device",
    ord("4"): "block device",
    ord("5"): "directory",
    ord("6"): "fifo",
}
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"LKxg"
_SPARSE = ord("S")


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. ``digest`` is the SHA-256 of its content, in hex; ``suspicious`` says why it may be an attack."""

    name: str
    kind: str
    size: int
    digest: str = ""
    target: str = ""
    suspicious: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive held. ``problem`` says where it could not be read further, or that it did not end."""

    entries: tuple[Entry, ...]
    omitted: int
    size: int
    digest: str
    problem: str


class TarList:
    """Lists an archive that is fed to it. Memory is bounded: names of up to 64 KiB, of the first 10,000 members."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._omitted = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._problem = ""
        self._buffer = bytearray()
        self._member: _Member | None = None
        self._extra: dict[str, str] = {}
        self._zeros = 0

    @property
    def readable(self) -> bool:
        """Whether what has come so far is an archive."""
        return not self._problem

    def feed(self, data: bytes) -> None:
        """Take a piece of the archive."""
        self._size += len(data)
        self._sha256.update(data)
        view = memoryview(data)
        while view and not self._problem:
            view = view[self._read(view) :]

    def manifest(self) -> Manifest:
        """What has been seen; an archive must have ended by now."""
        problem = self._problem
        if not problem and self._size and (self._zeros < _END_BLOCKS or self._buffer):
            problem = "the archive does not end"
        return Manifest(tuple(self._entries), self._omitted, self._size, self._sha256.hexdigest(), problem)

    def _read(self, data: memoryview) -> int:
        """Take what belongs to the member or header at hand; return how much."""
        if self._member:
            taken = self._member.feed(data)
            if self._member.complete:
                self._finish(self._member)
                self._member = None
            return taken
        taken = min(len(data), _BLOCK - len(self._buffer))
        self._buffer += data[:taken]
        if len(self._buffer) == _BLOCK:
            block = bytes(self._buffer)
            self._buffer.clear()
            self._header(block)
        return taken

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._zeros += 1
            return
        if self._zeros:  # some readers would go on, others not
            self._problem = "something follows the end of the archive"
            return
        try:
            member = _Member(block, self._extra)
        except ValueError as error:
            self._problem = str(error)
            return
        if member.complete:
            self._finish(member)
        else:
            self._member = member

    def _finish(self, member: _Member) -> None:
        try:
            extra = member.extra()
        except ValueError as error:
            self._problem = str(error)
            return
        if extra is not None:
            self._extra |= extra
            return
        self._extra = {}
        if len(self._entries) < _MOST_ENTRIES:
            self._entries.append(member.entry())
        else:
            self._omitted += 1


class _Member:
    """A header block and the content that follows it, with the padding. Raises ValueError for what cannot be read."""

    def __init__(self, block: bytes, extra: dict[str, str]) -> None:
        _check(block)
        self._type = block[156]
        self._is_extra = self._type in {_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL}
        given = {} if self._is_extra else extra
        self._name = given.get("path") or _name(block)
        self._target = given.get("linkpath") or _text(block[157:257])
        self._size = self._content_size(block, given)
        if self._is_extra and self._size > _MOST_NAME:
            raise ValueError("a name in the archive is too long")
        self._missing = self._size
        self._padding = -self._size % _BLOCK
        self._sha256 = hashlib.sha256()
        self._kept = bytearray()

    def _content_size(self, block: bytes, extra: dict[str, str]) -> int:
        size = extra.get("size")
        if size is not None and not (size.isascii() and size.isdigit() and len(size) < 20):
            raise ValueError("a size in the archive is no number")
        if self._type in _TYPES:  # links, devices and directories have no content, whatever their size says
            return 0
        return _number(block[124:136]) if size is None else int(size)

    @property
    def complete(self) -> bool:
        """Whether all of its content and padding has come."""
        return not self._missing and not self._padding

    def feed(self, data: memoryview) -> int:
        """Take content and padding; return how much."""
        content = data[: self._missing]
        self._missing -= len(content)
        if self._is_extra:
            self._kept += content
        else:
            self._sha256.update(content)
        padding = min(len(data) - len(content), self._padding) if not self._missing else 0
        self._padding -= padding
        return len(content) + padding

    def extra(self) -> dict[str, str] | None:
        """What it says of the member that follows; None for a member itself."""
        kept = bytes(self._kept)
        if self._type == _LONG_NAME:
            return {"path": _text(kept)}
        if self._type == _LONG_LINK:
            return {"linkpath": _text(kept)}
        if self._type == _PAX:
            return _pax(kept)
        return {} if self._type == _PAX_GLOBAL else None

    def entry(self) -> Entry:
        """The line of the manifest."""
        is_file = self._type in _FILE_TYPES or self._type == _SPARSE
        kind = "file" if is_file else _TYPES.get(self._type, f"type {self._type:#04x}")
        digest = self._sha256.hexdigest() if kind not in _TYPES.values() else ""
        target = self._target if self._type in b"12" else ""
        return Entry(self._name, kind, self._size, digest, target, _suspicion(self._name, kind, target))


def _check(block: bytes) -> None:
    """[POSIX ustar]: the sum of the header's bytes, with spaces for the sum itself. Old tars summed signed bytes."""
    expected = _number(block[148:156])
    plain = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(plain)
    signed = unsigned - 256 * sum(byte > 127 for byte in plain)
    if expected not in {unsigned, signed}:
        raise ValueError("this is no tar archive, or it is damaged")


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 for large numbers."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise ValueError("a number in the archive is none")
    return int(digits, 8)


def _name(block: bytes) -> str:
    """The name; ustar may put the directory apart."""
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(block[:100])}" if prefix else _text(block[:100])


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _pax(records: bytes) -> dict[str, str]:
    """Records of the form ``length key=value`` and a line feed."""
    found: dict[str, str] = {}
    while records:
        digits, space, _ = records[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = records[len(digits) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        if not (space and equals) or records[length - 1 : length] != b"\n":
            raise ValueError("a pax record of the archive is damaged")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        records = records[length:]
    return found


def _suspicion(name: str, kind: str, target: str) -> str:
    """Why a member could write elsewhere than where it is unpacked."""
    if name.startswith("/") or ".." in name.split("/"):
        return "its name leads out of the directory"
    if target and (target.startswith("/") or ".." in target.split("/")):
        return "its target leads out of the directory"
    if "\\" in name or any(char < " " or "\x7f" <= char < "\xa0" for char in name + target):
        return "its name has characters that hide where it leads"
    return "a device" if kind.endswith("device") else ""
