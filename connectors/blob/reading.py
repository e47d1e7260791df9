"""Reading blobs that masks are about: their properties, whole contents and ranges of them.

A text keeps its length under masks, so its properties stay true and a whole content streams through its masker. A
range is cut out of the masked whole, which is made once for each version and set of masks and kept in the spool; the
reader who comes first makes it and is served on the way, others read as far as it has come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from connectors.blob.answers import OF_STORED, Terms, headers_for, pass_on, pass_text
from connectors.blob.asked import Asked
from connectors.blob.content.base import Unreadable
from connectors.blob.content.checksums import LONGEST_CHECKED, crc64_header, md5_header
from connectors.blob.content.etag import masked_etag, masks_digest, unmasked_condition
from connectors.blob.content.kinds import HEAD, Content, Kind, decide
from connectors.blob.content.masker import open_masker
from connectors.blob.content.ranges import ByteRange, NotSatisfiable, asked_range, content_range
from connectors.blob.content.spool import SpoolKey
from connectors.blob.errors import DENIED, StorageError, storage_error
from connectors.blob.making import Making, ParquetMaking, StreamMaking
from connectors.blob.reference import Answer
from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.head import content_length
from connectors.http.link import PeerGoneError
from connectors.http.message import Headers, Request, Response
from hoopcli.errors import HoopError, UpstreamError
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import Deny
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.spool import Spool, SpoolFile
from hoopcli.spi import LayerContext

Sign = Callable[[Asked], Request]
_MD5, _CRC64 = _CHECKSUMS = ("x-ms-range-get-content-md5", "x-ms-range-get-content-crc64")
_RANGES = ("range", "x-ms-range", *_CHECKSUMS)
_CONDITIONS = ("if-match", "if-none-match")
_PIECE = 1 << 18
_OK = 200
_MOST_KNOWN = 1024


class Reading:
    """Reads blobs under masks, for one session."""

    def __init__(self, context: LayerContext) -> None:
        self._spool = context.spool
        self._known = Known()

    def run(self, exchange: Exchange, asked: Asked, terms: Terms, delivery: Delivery, sign: Sign) -> Steps[Status]:
        """Answer a request for content or properties of a blob that masks are about. Raises HoopError."""
        read = _Read(self._spool, self._known, exchange, asked, terms, delivery, sign)
        match asked.operation.answer:
            case Answer.PROPERTIES:
                return (yield from read.properties())
            case Answer.CONTENT:
                span = asked_range(asked.request.headers.get)
                return (yield from (read.whole() if span is None else read.part(span)))
        return (yield from read.opaque())


def conditions_translated(asked: Asked, terms: Terms) -> Asked:
    """The request with conditions about the masked blob as conditions about the one upstream. Raises ProtocolError."""
    digest = masks_digest(terms.masks, terms.masking)
    headers = asked.request.headers
    for name in _CONDITIONS:
        if (value := headers.get(name)) is not None:
            headers = headers.with_(name, unmasked_condition(value, digest))
    return replace(asked, request=replace(asked.request, headers=headers))


class Known:
    """How contents are read that were looked into before; each is one version of a blob, so that never changes."""

    def __init__(self) -> None:
        self._contents: OrderedDict[SpoolKey, Content] = OrderedDict()

    def get(self, key: SpoolKey) -> Content | None:
        """How a content is read, if that is known."""
        return self._contents.get(key)

    def put(self, key: SpoolKey, content: Content) -> None:
        """Remember how a content is read; the oldest of many are forgotten."""
        self._contents[key] = content
        if len(self._contents) > _MOST_KNOWN:
            self._contents.popitem(last=False)


class _Read:
    """One read under masks."""

    def __init__(
        self,
        spool: Spool | None,
        known: Known,
        exchange: Exchange,
        asked: Asked,
        terms: Terms,
        delivery: Delivery,
        sign: Sign,
    ) -> None:
        self._spool = spool
        self._known = known
        self._exchange = exchange
        self._asked = asked
        self._terms = terms
        self._delivery = delivery
        self._sign = sign
        self._digest = masks_digest(terms.masks, terms.masking)

    def properties(self) -> Steps[Status]:
        """Answer with headers that agree with the masked content."""
        response = yield from self._forward(self._asked)
        if response.status != _OK or not self._asked.address.path:
            return (yield from self._other(response, self._delivery))
        yield from self._exchange.upstream_read(0)
        content = self._known.get(self._key(response)) or (yield from self._probed(response))
        headed = self._headed(response, content)
        if not content.keeps_length and not content.opaque and self._exchange.request.method == "HEAD":
            file, making = yield from self._opened(response)
            try:
                yield from self._completed(file, making)
                headed = replace(headed, headers=headed.headers.with_("Content-Length", str(file.size)))
            finally:
                file.close()
        yield from self._exchange.begin(headed)
        yield from self._exchange.end()
        return Status.COMPLETED

    def whole(self) -> Steps[Status]:
        """Answer with the whole content, masked as it streams where its length stays."""
        response = yield from self._forward(self._asked)
        if response.status != _OK:
            return (yield from self._other(response, self._delivery))
        first, content = yield from self._looked_into(response)
        if content.opaque:
            return (yield from self.opaque())
        if not content.keeps_length:
            yield from self._exchange.upstream.drop()
            return (yield from self._from_spool(response, ByteRange()))
        masker = open_masker(content, self._terms.masking)
        try:
            shown = masker.feed(first)
        except Unreadable:
            return (yield from self.opaque())
        yield from self._exchange.begin(self._headed(response, content))
        data: bytes | None = first
        while data is not None:
            yield from self._exchange.send(self._delivery.note(shown))
            data = yield from self._exchange.upstream_chunk()
            shown = masker.feed(data) if data is not None else masker.finish()
        yield from self._exchange.send(self._delivery.note(shown))
        self._delivery.count(masker.masked)
        yield from self._exchange.end()
        return Status.COMPLETED

    def part(self, span: ByteRange) -> Steps[Status]:
        """Answer with a range, cut out of the masked whole."""
        response = yield from self._forward(self._about_the_whole("HEAD"))
        yield from self._exchange.upstream_read(0)
        if response.status >= 400:
            return (yield from self._failed(response))
        if response.status != _OK:
            return (yield from self._other(response, self._delivery))
        content = self._known.get(self._key(response))
        if content is not None and content.opaque:
            return (yield from self.opaque())
        return (yield from self._from_spool(response, span))

    def opaque(self) -> Steps[Status]:
        """Ask again about content that cannot be read; what is permitted then goes as it is."""
        yield from self._exchange.upstream.drop()
        reply = yield from self._exchange.authorize(self._asked.statement(opaque=True))
        if isinstance(reply, Deny):
            raise StorageError(403, DENIED, reply.message, reply.hint)
        self._delivery.facts["continued_in"] = reply.exchange
        second = Delivery(reply)
        try:
            response = yield from self._forward(self._asked)
            status = yield from self._other(response, second)
        except HoopError as error:
            second.errors.append(error.message)
            yield Record(second.outcome(Status.LOST if isinstance(error, PeerGoneError) else Status.BLOCKED))
            raise
        yield Record(second.outcome(status))
        return Status.COMPLETED

    # -- the masked whole

    def _from_spool(self, response: Response, span: ByteRange) -> Steps[Status]:
        """Serve a part of the masked whole, making it on the way if nobody has."""
        try:
            file, making = yield from self._opened(response)
        except Unreadable:
            return (yield from self.opaque())
        try:
            yield from self._serve(response, file, making, span)
        except Unreadable:
            if self._exchange.begun:
                raise
            return (yield from self.opaque())
        finally:
            file.close()
        return Status.COMPLETED

    def _opened(self, response: Response) -> Steps[tuple[SpoolFile, Making | None]]:
        """The masked whole of the version that a response is about; and its making, if that is ours to do."""
        key = self._key(response)
        file, to_make = self._spool_of().open(key)
        if not to_make:
            return file, None
        try:
            return file, (yield from self._begun(file, key.etag))
        except BaseException:
            file.close()
            raise

    def _begun(self, file: SpoolFile, etag: str) -> Steps[Making]:
        """Begin to make a masked whole. Raises Unreadable for what is opaque, HoopError."""
        whole = yield from self._forward(self._about_the_whole("GET", etag))
        if whole.status != _OK:
            raise UpstreamError("the blob changed while it was read", "read it again")
        first, content = yield from self._looked_into(whole)
        if content.opaque:
            raise Unreadable("the content cannot be read")
        if content.kind is Kind.PARQUET:
            scratch = self._spool_of().scratch()
            scratch.append(first)
            return ParquetMaking(self._exchange, file, scratch, content, self._terms.masking)
        masker = open_masker(content, self._terms.masking)
        file.append(masker.feed(first))
        return StreamMaking(self._exchange, file, masker, content)

    def _spool_of(self) -> Spool:
        if self._spool is None:
            raise StorageError(403, DENIED, "there is no spool to make masked contents in")
        return self._spool

    def _looked_into(self, response: Response) -> Steps[tuple[bytes, Content]]:
        """The begin of an answer's body, and how all of it is to be read."""
        head = bytearray()
        data: bytes | None = b""
        while len(head) < HEAD and (data := (yield from self._exchange.upstream_chunk())) is not None:
            head += data
        return bytes(head), self._decided(response, bytes(head), whole=data is None and len(head) <= HEAD)

    def _probed(self, response: Response) -> Steps[Content]:
        """How a content is to be read, by a look at its begin."""
        if not content_length(response.headers):
            return self._decided(response, b"", whole=True)
        about_the_whole = self._about_the_whole("GET", response.headers.get("etag") or "")
        headers = about_the_whole.request.headers.with_("Range", f"bytes=0-{HEAD - 1}")
        probe = replace(about_the_whole, request=replace(about_the_whole.request, headers=headers))
        begin = yield from self._forward(probe)
        if begin.status not in {200, 206}:
            raise UpstreamError("the blob changed while it was read", "read it again")
        head = yield from self._exchange.upstream_read(2 * HEAD)
        return self._decided(response, head, whole=len(head) < HEAD)

    def _decided(self, response: Response, head: bytes, *, whole: bool) -> Content:
        headers = response.headers
        kind, coding = headers.get("content-type") or "", headers.get("content-encoding") or ""
        content = decide(kind, coding, self._asked.address.path, head[:HEAD], self._terms.masking, whole=whole)
        self._known.put(self._key(response), content)
        return content

    def _key(self, response: Response) -> SpoolKey:
        """What tells this version of the blob under these masks from every other content."""
        address = self._asked.address
        version = f"{address.value('snapshot')} {address.value('versionid')}"
        return SpoolKey(self._asked.resource, version, response.headers.get("etag") or "", self._digest)

    def _completed(self, file: SpoolFile, making: Making | None) -> Steps[None]:
        """Wait until a file is complete, or complete it. Raises UpstreamError if whoever makes it gives up."""
        while not file.complete:
            if making is not None:
                yield from making.step()
            elif file.failed:
                raise UpstreamError("the masked content was given up by the reader who made it", "read it again")
            else:
                yield from self._exchange.noticed(file.grown)

    def _serve(self, response: Response, file: SpoolFile, making: Making | None, span: ByteRange) -> Steps[None]:
        content = making.content if making else self._known.get(self._key(response))
        if content is None or not content.keeps_length:
            yield from self._completed(file, making)
        size = file.size if file.complete else content_length(response.headers) or 0
        partial = span != ByteRange()
        try:
            offset, length = span.of(size)
        except NotSatisfiable as error:
            raise StorageError(416, "InvalidRange", error.message) from error
        headers = self._headed(response, content).headers.with_("Content-Length", str(length))
        if partial:
            headers = headers.with_("Content-Range", content_range(offset, length, size))
        wanted = [name for name in _CHECKSUMS if (self._asked.request.headers.get(name) or "").lower() == "true"]
        if wanted:
            if length > LONGEST_CHECKED:
                raise StorageError(400, "InvalidHeaderValue", "a checksum is made of at most 4 MiB")
            yield from self._until(file, making, offset + length)
            headers = _checked(headers, wanted, file.read(offset, length))
        yield from self._exchange.begin(Response(206 if partial else 200, "", headers))
        yield from self._copy(file, making, offset, offset + length)
        yield from self._exchange.end()
        yield from self._completed(file, making) if making else ()
        self._delivery.facts["masked_in_whole"] = sum(file.facts.values())

    def _until(self, file: SpoolFile, making: Making | None, end: int) -> Steps[None]:
        """Wait until a file has so many bytes, or make them."""
        while file.size < end and not file.complete:
            if making is not None:
                yield from making.step()
            elif file.failed:
                raise UpstreamError("the masked content was given up by the reader who made it", "read it again")
            else:
                yield from self._exchange.noticed(file.grown)

    def _copy(self, file: SpoolFile, making: Making | None, position: int, end: int) -> Steps[None]:
        while position < end:
            data = file.read(position, min(_PIECE, end - position))
            if data:
                yield from self._exchange.send(self._delivery.note(data))
                yield from self._exchange.drained()
                position += len(data)
            elif file.complete:
                raise UpstreamError("the masked content is shorter than was announced", "read it again")
            else:
                yield from self._until(file, making, position + 1)

    # -- requests and heads

    def _forward(self, asked: Asked) -> Steps[Response]:
        response = yield from self._exchange.forward(self._sign(asked))
        self._delivery.facts["status"] = response.status
        return response

    def _about_the_whole(self, method: str, etag: str = "") -> Asked:
        """The same request without a range, as HEAD or GET; with an ETag for exactly that version."""
        headers = self._asked.request.headers.without(*_RANGES)
        if etag:
            headers = headers.without("if-none-match", "if-modified-since").with_("If-Match", etag)
        return replace(self._asked, request=Request(method, self._asked.request.target, headers))

    def _headed(self, response: Response, content: Content | None) -> Response:
        """The head of the masked form: with its own ETag, and no digest of what is stored."""
        headers = headers_for(response, self._terms.masking, self._delivery)
        self._delivery.media_type = headers.get("content-type") or self._delivery.media_type
        if (etag := headers.get("etag")) is not None:
            headers = headers.with_("ETag", masked_etag(etag, self._digest))
            self._delivery.facts["etag"] = headers.get("etag")
        stored = content is not None and content.opaque
        return replace(response, headers=headers if stored else headers.without(*OF_STORED))

    def _failed(self, response: Response) -> Steps[Status]:
        """The error that a GET would have had, made of one to a HEAD, which has no body."""
        code = response.headers.get("x-ms-error-code") or "Unknown"
        self._delivery.errors.append(f"{response.status} {code}")
        headers, body = storage_error(response.status, code, response.reason or code)
        yield from self._exchange.respond(response.status, headers, self._delivery.note(body))
        return Status.FAILED

    def _other(self, response: Response, delivery: Delivery) -> Steps[Status]:
        """Answers that carry no content to be masked: conditions, errors, and what may go as it is."""
        delivery.facts["status"] = response.status
        if (etag := response.headers.get("etag")) is not None and self._asked.address.path:
            response = replace(response, headers=response.headers.with_("ETag", masked_etag(etag, self._digest)))
        if response.status >= 400:
            delivery.errors.append(f"{response.status} {response.headers.get('x-ms-error-code') or response.reason}")
            yield from pass_text(self._exchange, response, self._terms, delivery)
            return Status.FAILED
        yield from pass_on(self._exchange, response, self._terms, delivery)
        return Status.COMPLETED


def _checked(headers: Headers, wanted: list[str], data: bytes) -> Headers:
    """The headers with the checksums that were asked for, of the bytes that are delivered."""
    if _MD5 in wanted:
        headers = headers.with_("Content-MD5", md5_header(data))
    if _CRC64 in wanted:
        headers = headers.with_("x-ms-content-crc64", crc64_header(data))
    return headers
