from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.content.checksums import Crc64, crc64_header, md5_header


# The values are those of Microsoft's azure-storage-extensions 0.1.0; the first is the check value of CRC-64/NVME.
@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xAE8B14860A799888),
        (b"", 0),
        (b"Hello World!", 0x02E51CC85EFCE1A5),
        (bytes(range(256)) * 5, 0x20B2E6D20677D312),
        (bytes(32), 0xCF3473434D4ECF3B),
    ],
)
def test_published_values(data: bytes, crc: int) -> None:
    whole = Crc64()
    whole.update(data)
    assert whole.value() == crc
    assert base64.b64decode(crc64_header(data)) == crc.to_bytes(8, "little")


@given(st.lists(st.binary(max_size=9)))
def test_pieces_give_what_the_whole_gives(pieces: list[bytes]) -> None:
    crc = Crc64()
    for piece in pieces:
        crc.update(piece)
    assert crc.header() == crc64_header(b"".join(pieces))


def test_md5() -> None:
    assert base64.b64decode(md5_header(b"abc")).hex() == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321 A.5
