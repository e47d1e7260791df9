"""Header blocks of SPDY/3.1 (2.6.10): name and value pairs, compressed with zlib over the whole connection.

A block is small by limit before and after decompression, so that none can be a bomb.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from hoopcli.errors import ProtocolError

#: The most bytes of a block, compressed or not.
MOST_BLOCK = 16 * 1024
_MOST_HEADERS = 64
_LENGTH = struct.Struct(">I")

# What both ends prime zlib with ([SPDY/3.1] 2.6.10.1): words with their lengths, then plain text.
_WORDS = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-ranges,age,"
    "allow,authorization,cache-control,connection,content-base,content-encoding,content-language,content-length,"
    "content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,"
    "if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,"
    "proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,"
    "upgrade,user-agent,vary,via,warning,www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,"
    "set-cookie,keep-alive,origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(_LENGTH.pack(len(word)) + word.encode() for word in _WORDS.split(",")) + _TEXT.encode()


class HeaderEncoder:
    """Compresses the blocks that one end sends."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, headers: Mapping[str, str]) -> bytes:
        """The next block."""
        plain = [_LENGTH.pack(len(headers))]
        for name, value in headers.items():
            plain += (_counted(name.lower()), _counted(value))
        return self._zlib.compress(b"".join(plain)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


def _counted(text: str) -> bytes:
    data = text.encode("latin-1")
    return _LENGTH.pack(len(data)) + data


class HeaderDecoder:
    """Decompresses the blocks that one end receives."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def decode(self, block: bytes) -> Mapping[str, str]:
        """The headers of the next block; values of several lines are joined by NUL, as they come.

        Raises ProtocolError for what does not decompress, is too long or ill-formed, or names a header twice.
        """
        if len(block) > MOST_BLOCK:
            raise ProtocolError("SPDY: a header block is too long")
        try:
            plain = self._zlib.decompress(block, MOST_BLOCK + 1)
        except zlib.error as error:
            raise ProtocolError("SPDY: a header block does not decompress") from error
        if self._zlib.eof or len(plain) > MOST_BLOCK or self._zlib.unconsumed_tail:
            raise ProtocolError("SPDY: a header block is too long, or ends the compression")
        return _parse(plain)


def _parse(plain: bytes) -> Mapping[str, str]:
    if len(plain) < _LENGTH.size:
        raise ProtocolError("SPDY: a header block is cut short")
    count = _LENGTH.unpack_from(plain)[0]
    if count > _MOST_HEADERS:
        raise ProtocolError(f"SPDY: {count} headers in a block")
    texts, at = _texts(plain, _LENGTH.size, 2 * count)
    if at != len(plain):
        raise ProtocolError("SPDY: a header block goes on after its headers")
    names = texts[::2]
    if len(set(names)) != count or not all(name and name == name.lower() for name in names):
        raise ProtocolError("SPDY: a header is without name, not in lower case or there twice")
    return dict(zip(names, texts[1::2], strict=True))


def _texts(plain: bytes, at: int, count: int) -> tuple[list[str], int]:
    texts: list[str] = []
    for _ in range(count):
        if at + _LENGTH.size > len(plain):
            raise ProtocolError("SPDY: a header block is cut short")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(plain, at)[0]
        if at > len(plain):
            raise ProtocolError("SPDY: a header is longer than its block")
        texts.append(plain[start:at].decode("latin-1"))
    return texts, at


def field(headers: Mapping[str, str], name: str) -> str:
    """A header that must be there, with one value. Raises ProtocolError."""
    value = headers.get(name, "")
    if not value or "\0" in value:
        raise ProtocolError(f"SPDY: a stream without one {name}")
    return value
