"""The making of a masked whole: from the upstream's answer into the spool, step by step as a reader waits for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from connectors.blob.content.base import ContentMasker
from connectors.blob.content.kinds import Content
from connectors.blob.content.parquet import ParquetMasker
from connectors.blob.content.spool import SpoolReader
from connectors.http.exchange import Exchange
from hoopcli.masking.masker import Masking
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.spool import SpoolFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Making(Protocol):
    """Makes one file, until it is complete."""

    content: Content

    def step(self) -> Steps[None]:
        """Do a little more. Raises Unreadable, HoopError."""


class StreamMaking:
    """Masks a content as it streams by."""

    def __init__(self, exchange: Exchange, file: SpoolFile, masker: ContentMasker, content: Content) -> None:
        self.content = content
        self._exchange = exchange
        self._file = file
        self._masker = masker

    def step(self) -> Steps[None]:
        """Take the next piece of the upstream's answer."""
        data = yield from self._exchange.upstream_chunk()
        if data is not None:
            self._file.append(self._masker.feed(data))
            return
        self._file.append(self._masker.finish())
        self._file.finish(dict(self._masker.masked))


class ParquetMaking:
    """Holds a Parquet file as a whole, which is read from its end, and then masks it batch by batch."""

    def __init__(self, exchange: Exchange, file: SpoolFile, raw: SpoolFile, content: Content, masking: Masking) -> None:
        self.content = content
        self._exchange = exchange
        self._file = file
        self._raw = raw
        self._masker = ParquetMasker(masking)
        self._batches: Iterator[None] | None = None

    def step(self) -> Steps[None]:
        """Take the next piece of the upstream's answer, or mask the next batch of rows."""
        try:
            if self._batches is None:
                yield from self._take()
            elif next(self._batches, _END) is _END:
                self._file.finish(dict(self._masker.masked))
                self._raw.close()
            else:
                yield from self._exchange.rest()
        except BaseException:
            self._raw.close()
            raise

    def _take(self) -> Steps[None]:
        data = yield from self._exchange.upstream_chunk()
        if data is not None:
            self._raw.append(data)
            return
        self._raw.finish({})
        source, sink = io.BufferedReader(SpoolReader(self._raw)), _SpoolWriter(self._file)
        self._batches = self._masker.run(source, cast("BinaryIO", sink))


_END = object()


class _SpoolWriter(io.RawIOBase):
    """A file in the spool as one that a library writes to."""

    def __init__(self, file: SpoolFile) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.size

    def write(self, data: ReadableBuffer) -> int:
        self._file.append(bytes(data))
        return len(memoryview(data))
