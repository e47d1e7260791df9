"""A bare storage account: answers as fast as Python can, so that what is measured is the broker.

``python -m bench.storage`` prints its port. Reads of ``/ACCOUNT/box/SIZE-...`` give so many bytes (CSV if the name ends
so), writes are swallowed, a listing gives 20 pages of 5,000 names.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

PIECE = bytes(range(256)) * 1024
LINE = b"%07d,Person Number,person@mail.invalid,123-45-6789,Springfield,1999-01-01,active,%s\r\n"
HEADER = b"id,name,mail,ssn,city,born,state,note\r\n"
_HEAD_END = b"\r\n\r\n"
_RANGE = re.compile(rb"(?i)range: bytes=(\d+)-(\d+)")
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_PAGES, _NAMES = 20, 5000


def csv_of(size: int) -> bytes:
    """About so many bytes of CSV with a column that is to be masked."""
    line = LINE % (1, b"x" * 40)
    return HEADER + b"".join(LINE % (n, b"x" * 40) for n in range(size // len(line)))


class Storage(asyncio.Protocol):
    """One connection."""

    csv: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]
        self._buffer = bytearray()
        self._left = 0
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None

    _transport: asyncio.Transport

    def pause_writing(self) -> None:
        """Wait."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Swallow bodies, answer heads."""
        if self._left:
            used = min(self._left, len(data))
            self._left -= used
            data = data[used:]
            if not self._left:
                self._head(201, b"")
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end >= 0:
            head, rest = bytes(self._buffer[:end]), bytes(self._buffer[end + 4 :])
            self._buffer.clear()
            self._answer(head, rest)

    def _answer(self, head: bytes, rest: bytes) -> None:
        method, target = head.split(b" ", 2)[:2]
        if method == b"PUT":
            length = int(match[1]) if (match := _LENGTH.search(head)) else 0
            self._left = length - len(rest)
            if not self._left:
                self._head(201, b"")
            return
        parts = urlsplit(target.decode())
        query = parse_qs(parts.query)
        if query.get("comp") == ["list"]:
            body = listing(int(query.get("marker", ["0"])[0]))
            self._head(200, body, b"Content-Type: application/xml\r\n")
            return
        name = parts.path.rpartition("/")[2]
        size = len(self.csv) if name.endswith(".csv") else int(name.partition("-")[0])
        match = _RANGE.search(head)
        first, last = (int(match[1]), min(int(match[2]), size - 1)) if match else (0, size - 1)
        kind = b"text/csv" if name.endswith(".csv") else b"application/octet-stream"
        fields = b'Content-Type: %s\r\nETag: "0x1"\r\nx-ms-blob-type: BlockBlob\r\n' % kind
        if match:
            fields += b"Content-Range: bytes %d-%d/%d\r\n" % (first, last, size)
        length = last - first + 1
        self._transport.write(
            b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n%s\r\n" % (206 if match else 200, length, fields)
        )
        if method != b"HEAD":
            self._task = asyncio.ensure_future(self._pour(first, length, csv=name.endswith(".csv")))

    async def _pour(self, first: int, length: int, *, csv: bool) -> None:
        while length:
            await self._room.wait()
            piece = self.csv[first : first + min(length, len(PIECE))] if csv else PIECE[:length]
            self._transport.write(piece)
            first += len(piece)
            length -= len(piece)

    def _head(self, status: int, body: bytes, fields: bytes = b"") -> None:
        self._transport.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), fields, body))


def listing(page: int) -> bytes:
    """One page of names."""
    blobs = "".join(
        f"<Blob><Name>2026/{page:02d}/{n:06d}.csv</Name><Properties><Etag>0x1</Etag><Content-Length>4096</Content-Length>"
        "<Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for n in range(_NAMES)
    )
    marker = f"<NextMarker>{page + 1}</NextMarker>" if page + 1 < _PAGES else "<NextMarker />"
    return (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/" '
        f'ContainerName="box"><Blobs>{blobs}</Blobs>{marker}</EnumerationResults>'
    ).encode()


async def main() -> None:
    """Serve until killed."""
    Storage.csv = csv_of(200_000_000)
    server = await asyncio.get_running_loop().create_server(Storage, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    with suppress(KeyboardInterrupt):
        uvloop.run(main())
