"""Blob batches: every part is proved, decided and recorded as a request of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.blob import batch
from connectors.blob.address import parse
from connectors.blob.asked import Asked
from connectors.blob.errors import DENIED, StorageError, storage_error
from connectors.blob.operations import classify
from connectors.blob.proof import authenticate
from connectors.blob.signing import AUDIENCE, Endpoint, upstream_request, without_proof
from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.link import PeerGoneError
from connectors.http.message import Headers, Request
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import Credential, Deny
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext


@dataclass(frozen=True, slots=True)
class _Permitted:
    """A part that may go, by its index among the client's."""

    asked: Asked
    delivery: Delivery


class Batches:
    """Handles batches of one session."""

    def __init__(self, context: LayerContext, account: str, endpoint: Endpoint) -> None:
        self._context = context
        self._account = account
        self._endpoint = endpoint

    def handle(self, exchange: Exchange, asked: Asked) -> Steps[None]:
        """Take a batch apart, send what may go, and answer each part in the client's order."""
        body = yield from exchange.read(batch.LONGEST)
        parts = batch.parse_batch(asked.request.headers.get("content-type") or "", body)
        reply = yield from exchange.authorize(asked.statement(parts=len(parts)))
        if isinstance(reply, Deny):
            raise StorageError(403, DENIED, reply.message, reply.hint)
        delivery = Delivery(reply)
        permitted: dict[int, _Permitted] = {}
        answers: dict[int, bytes] = {}
        try:
            for index, part in enumerate(parts):
                try:
                    understood = self._understood(exchange, asked, part)
                except ProtocolError as error:
                    answers[index] = _refused(error)
                    _note(delivery, index, error)
                    continue
                yield from self._decide(exchange, index, understood, permitted, answers)
            yield from self._send(exchange, asked, permitted, answers)
        except HoopError as error:
            status = Status.LOST if isinstance(error, PeerGoneError) else Status.BLOCKED
            for waiting in [each.delivery for each in permitted.values()] + [delivery]:
                waiting.errors.append(error.message)
                yield Record(waiting.outcome(status))
            raise
        for each in permitted.values():
            yield Record(each.delivery.outcome(Status.FAILED if each.delivery.errors else Status.COMPLETED))
        yield from self._answer(exchange, parts, answers, delivery)

    def _understood(self, exchange: Exchange, whole: Asked, part: batch.Part) -> Asked:
        """One part, proved. Raises StorageError, ProtocolError."""
        address = parse(part.request, self._account)
        operation = classify(part.request, address)
        batch.check_part(whole.address, address, operation)
        encrypted = exchange.client.encrypted
        authenticate(part.request, address, operation, self._context.secret, self._context.now(), tls=encrypted)
        return Asked(*without_proof(part.request, address, operation), operation)

    def _decide(
        self,
        exchange: Exchange,
        index: int,
        asked: Asked,
        permitted: dict[int, _Permitted],
        answers: dict[int, bytes],
    ) -> Steps[None]:
        """Decide one part: it may go, or has its answer."""
        reply = yield from exchange.authorize(asked.statement())
        if isinstance(reply, Deny):
            answers[index] = _refused(StorageError(403, DENIED, reply.message, reply.hint))
        else:
            permitted[index] = _Permitted(asked, Delivery(reply))

    def _send(
        self, exchange: Exchange, whole: Asked, permitted: Mapping[int, _Permitted], answers: dict[int, bytes]
    ) -> Steps[None]:
        """Send the parts that may go as one batch, and note their answers."""
        if not permitted:
            return
        credential = yield from exchange.credential(AUDIENCE)
        boundary = f"batch_{secrets.token_hex(16)}"
        body = batch.build_batch([self._signed(each.asked, credential) for each in permitted.values()], boundary)
        head = whole.request
        typed = Request(head.method, head.target, head.headers.with_("Content-Type", batch.content_type(boundary)))
        request = upstream_request(
            typed, whole.address, whole.operation, self._endpoint, credential, self._context.now(), length=len(body)
        )
        response = yield from exchange.forward(request, body)
        got = yield from exchange.upstream_read(batch.LONGEST)
        if response.status != 202:
            raise StorageError(response.status, "BatchFailed", "the upstream did not take the batch")
        found = batch.parse_answers(response.headers.get("content-type") or "", got, len(permitted))
        for (index, each), answer in zip(permitted.items(), found, strict=True):
            answers[index] = answer
            each.delivery.note(answer)
            if not answer.startswith(b"HTTP/1.1 2"):
                each.delivery.errors.append(answer.partition(b"\r\n")[0].decode("ascii", "replace"))

    def _signed(self, asked: Asked, credential: Credential) -> Request:
        return upstream_request(
            asked.request, asked.address, asked.operation, self._endpoint, credential, self._context.now()
        )

    def _answer(
        self, exchange: Exchange, parts: list[batch.Part], answers: Mapping[int, bytes], delivery: Delivery
    ) -> Steps[None]:
        boundary = f"batchresponse_{secrets.token_hex(16)}"
        body = delivery.note(batch.merge(parts, answers, boundary))
        delivery.media_type = "multipart/mixed"
        yield Record(delivery.outcome(Status.COMPLETED))
        yield from exchange.respond(202, Headers([("Content-Type", batch.content_type(boundary))]), body)


def _note(delivery: Delivery, index: int, error: HoopError) -> None:
    """Note in the batch's own outcome a part that was refused before anyone could be asked about it."""
    before = delivery.facts.get("refused", ())
    assert isinstance(before, tuple)
    delivery.facts["refused"] = (*before, {"part": index, "error": error.message})


def _refused(error: HoopError) -> bytes:
    status, code = (error.status, error.code) if isinstance(error, StorageError) else (400, "InvalidInput")
    message = f"hoop: {error.message}; {error.hint}" if error.hint else f"hoop: {error.message}"
    headers, body = storage_error(status, code, message)
    return batch.answer_bytes(status, "Refused", headers, body)
