"""Checksums of contents as the service sends them: Content-MD5 and x-ms-content-crc64."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

#: The service computes no checksum over a longer range (x-ms-range-get-content-md5, -crc64).
LONGEST_CHECKED = 4 << 20
_POLYNOMIAL = 0x9A6C9329AC4BC9B5  # reflected; CRC-64/NVME has the same
_ONES = (1 << 64) - 1


@cache
def _table() -> list[int]:
    """What each pair of bytes makes of the register."""
    single = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        single.append(crc)
    return [single[(single[low] ^ high) & 0xFF] ^ single[low] >> 8 for high in range(256) for low in range(256)]


class Crc64:
    """The CRC-64 of Azure Storage over bytes that come in pieces. About 15 MB/s: feed it in pieces."""

    def __init__(self) -> None:
        self._crc = _ONES
        self._odd = b""

    def update(self, data: bytes) -> None:
        """Take further bytes."""
        if self._odd or len(data) % 2:
            data = self._odd + data
            even = len(data) - len(data) % 2
            data, self._odd = data[:even], data[even:]
        self._crc = _shifted(self._crc, data)

    def value(self) -> int:
        """The checksum of all so far."""
        crc = self._crc
        for byte in self._odd:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        return crc ^ _ONES

    def header(self) -> str:
        """The value of x-ms-content-crc64: eight bytes little-endian, in base64."""
        return base64.b64encode(self.value().to_bytes(8, "little")).decode()


def _shifted(crc: int, data: bytes) -> int:
    table = _table()
    for low, high in zip(data[::2], data[1::2], strict=True):
        crc = table[(crc ^ (high << 8 | low)) & 0xFFFF] ^ crc >> 16
    return crc


def crc64_header(data: bytes) -> str:
    """The value of x-ms-content-crc64 for these bytes."""
    crc = Crc64()
    crc.update(data)
    return crc.header()


def md5_header(data: bytes) -> str:
    """The value of Content-MD5 for these bytes (RFC 1864)."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
