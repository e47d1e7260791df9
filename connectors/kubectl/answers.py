"""Answers of the API server on their way to the client: objects, logs, what holds no objects, and refusals."""

from __future__ import annotations

import json
import re
from functools import partial

from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.message import Headers, Request, Response
from connectors.kubectl.accept import is_json
from connectors.kubectl.asked import Asked
from connectors.kubectl.objects import ObjectMasker
from connectors.kubectl.objects.status import withheld_warning
from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import about
from hoopcli.model.decision import Decision, Mask
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

_LONGEST_TEXT = 1 << 20
_DISCOVERY = re.compile(r"/(?:api|apis|openapi/v[23]|version)/?(?:\?|$)")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    503: "ServiceUnavailable",
}
#: Fields of an answer that are the API server's alone, or no longer true of what is delivered.
_NOT_PASSED = ("content-length", "content-md5", "etag", "set-cookie", "alt-svc", "strict-transport-security")
#: Fields that hold words of users.
_FREE = frozenset({"warning", "location"})
#: Verbs whose answers describe the API or the server, and hold no object.
PLAIN = frozenset({"k8s:discovery", "k8s:openapi", "k8s:version", "k8s:health"})
#: Verbs whose answers are bytes of a container, of another server, or a page of numbers.
TEXT = frozenset({"k8s:logs", "k8s:proxy", "k8s:metrics"})


def refusal(status: int, code: str, message: str, hint: str, request: Request | None) -> tuple[Headers, bytes]:
    """An error as the API server writes it, for ``kubectl`` to print."""
    said = f"{message}; {hint}" if hint else message
    if request is not None and _DISCOVERY.match(request.target):  # there, kubectl reads no Status but shows a text
        return Headers([("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]), said.encode()
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": said,
        "reason": _REASONS.get(status, "InternalError"),
        "details": {"causes": [{"reason": code, "message": message}]},
        "code": status,
    }
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    if request is not None and request.method == "HEAD":
        return Headers(headers), b""
    return Headers(headers), json.dumps(document).encode() + b"\n"


class Answers:
    """Delivers the answers of one session, masked as their decisions say."""

    def __init__(self, context: LayerContext) -> None:
        self._context = context

    def deliver(
        self, exchange: Exchange, asked: Asked, response: Response, decision: Decision, delivery: Delivery
    ) -> Steps[None]:
        """Pass an answer on as it comes. Raises ProtocolError, before anything is delivered, for what nobody reads."""
        if response.headers.get("content-encoding", "identity") not in {None, "identity"} and asked.verb not in PLAIN:
            raise ProtocolError("the API server compressed its answer, though nobody asked it to")
        delivery.media_type = response.headers.get("content-type") or delivery.media_type
        masks = decision.masks
        if exchange.request.method == "HEAD":
            yield from exchange.begin(Response(response.status, response.reason, self._headers(response, masks)))
            yield from exchange.end()
        elif asked.verb in PLAIN and response.status < 400:
            yield from self._plain(exchange, response, masks, delivery)
        elif asked.verb in TEXT and response.status < 400:
            yield from self._text(exchange, asked, response, masks, delivery)
        elif is_json(response.headers.get("content-type")):
            yield from self._objects(exchange, asked, response, decision, delivery)
        elif response.status >= 400:
            yield from self._error(exchange, response, masks, delivery)
        else:
            raise ProtocolError("the API server answered in a form that was not asked for, and that nobody can mask")

    def _headers(self, response: Response, masks: tuple[Mask, ...]) -> Headers:
        detect = self._context.masking(masks).detect
        kept = response.headers.without(*_NOT_PASSED)
        return Headers((name, detect(value)[0] if name.lower() in _FREE else value) for name, value in kept)

    def _plain(
        self, exchange: Exchange, response: Response, masks: tuple[Mask, ...], delivery: Delivery
    ) -> Steps[None]:
        headers = self._headers(response, masks)
        if (etag := response.headers.get("etag")) is not None:
            headers = headers.with_("ETag", etag)
        yield from exchange.begin(Response(response.status, response.reason, headers))
        while (data := (yield from exchange.upstream_chunk())) is not None:
            yield from exchange.send(delivery.note(data))
        yield from exchange.end()

    def _objects(
        self, exchange: Exchange, asked: Asked, response: Response, decision: Decision, delivery: Delivery
    ) -> Steps[None]:
        """Objects one by one, as they come: a list or a watch has no end that memory could hold."""
        events = asked.info.streams_events and response.status < 400
        masks, shown = decision.masks, decision.shown_secrets
        masker = ObjectMasker(asked.info, masks, self._context.masking, events=events, shown=shown)
        # a watch may have nothing to tell for long, and its client waits for the head
        first = b"" if events else (yield from self._fed(exchange, masker))
        headers = self._headers(response, masks)
        if masker.may_repeat:
            pairs = [
                (name, value) for name, value in headers if name.lower() != "warning" or not withheld_warning(value)
            ]
            headers = Headers(pairs)
        yield from exchange.begin(Response(response.status, response.reason, headers))
        try:
            while first is not None:
                if first:
                    yield from exchange.send(delivery.note(first))
                data = yield from exchange.upstream_chunk()
                first = None if data is None else masker.feed(data)
            yield from exchange.send(delivery.note(masker.finish()))
        finally:
            delivery.count(masker.masked)
            delivery.rows = masker.items
        yield from exchange.end()

    def _fed(self, exchange: Exchange, masker: ObjectMasker) -> Steps[bytes | None]:
        """What the first piece gives, so that an answer that is no object at all is refused as a whole."""
        data = yield from exchange.upstream_chunk()
        return None if data is None else masker.feed(data)

    def _text(
        self, exchange: Exchange, asked: Asked, response: Response, masks: tuple[Mask, ...], delivery: Delivery
    ) -> Steps[None]:
        """Bytes, with what detectors find in them masked. What is followed is shown as it comes, not when it ends."""
        masking = self._context.masking(about(masks, asked.resource))
        masker = MaskedBytes(masking.streamed_by(partial(EchoMasker))) if masking.detects else None
        live = asked.info.flag("follow") or asked.info.flag("watch") or asked.verb == "k8s:proxy"
        yield from exchange.begin(Response(response.status, response.reason, self._headers(response, masks)))
        try:
            while (data := (yield from exchange.upstream_chunk())) is not None:
                shown = data if masker is None else masker.feed(data) + (masker.show() if live else b"")
                if shown:
                    yield from exchange.send(delivery.note(shown))
            if masker is not None and (rest := masker.flush()):
                yield from exchange.send(delivery.note(rest))
        finally:
            if masker is not None:
                delivery.count(masker.counts)
        yield from exchange.end()

    def _error(
        self, exchange: Exchange, response: Response, masks: tuple[Mask, ...], delivery: Delivery
    ) -> Steps[None]:
        """An error that is no Status: a short text."""
        body = yield from exchange.upstream_read(_LONGEST_TEXT)
        text, found = self._context.masking(masks).detect(body.decode("utf-8", "replace"))
        delivery.count(found)
        yield from exchange.respond(response.status, self._headers(response, masks), delivery.note(text.encode()))
