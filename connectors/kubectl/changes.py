"""What people who must agree are shown: the change that a request makes to the live object.

The broker reads the live object on the asker's own terms: only where policy lets the asker read it, recorded as any
reading, and masked as it would be for the asker. Otherwise the request itself is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.head import end_to_end
from connectors.http.link import PeerGoneError
from connectors.http.message import Request, Response
from connectors.kubectl.accept import is_json
from connectors.kubectl.asked import Asked, ask
from connectors.kubectl.body import Body
from connectors.kubectl.diff import diff
from connectors.kubectl.objects import ObjectMasker
from connectors.kubectl.request_info import request_info
from hoopcli.errors import HoopError
from hoopcli.model.decision import Effect, Json, Mask
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import Permit
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

_LONGEST = 3 << 20
_CHANGES = frozenset({"update", "patch"})
_OK = 200

Forward = Callable[[Exchange, Request, Asked, bytes | None], Steps[Response]]


class Changes:
    """Tells the changes of one client connection's requests. ``forward`` sends a request with the broker's proof."""

    def __init__(self, context: LayerContext, forward: Forward) -> None:
        self._context = context
        self._forward = forward

    def told(self, exchange: Exchange, asked: Asked) -> Steps[Asked]:
        """The request with its change in lines; against the live object where people are to agree to it."""
        if asked.body is None:
            return asked
        live: Json = None
        masks: tuple[Mask, ...] = ()
        if asked.info.verb in _CHANGES and self._context.preview(asked.statement()) is Effect.REQUIRE_APPROVAL:
            live, masks = yield from self._live(exchange, asked)
        return asked.with_change(self._lines(asked, asked.body, live, masks))

    def _lines(self, asked: Asked, body: Body, live: Json, masks: tuple[Mask, ...]) -> str:
        def hide(document: Any) -> Any:
            return ObjectMasker(asked.info, masks, self._context.masking).mask_object(document)

        return diff(body, live, hide)

    def _live(self, exchange: Exchange, asked: Asked) -> Steps[tuple[Json, tuple[Mask, ...]]]:
        """The object as it is, None where the asker may not read it or there is none."""
        path, _, _ = asked.request.target.partition("?")
        headers = (
            end_to_end(asked.request.headers).without("content-type", "accept").with_("Accept", "application/json")
        )
        request = Request("GET", path, headers)
        reading = ask(request, request_info(request.method, request.target), None)
        if self._context.preview(reading.statement()) is not Effect.ALLOW:
            return None, ()
        reply = yield from exchange.authorize(reading.statement())
        if not isinstance(reply, Permit):
            return None, ()
        delivery = Delivery(reply)
        delivery.facts["shown_to"] = "approvers"
        try:
            live = yield from self._read(exchange, request, reading)
        except PeerGoneError:
            yield Record(delivery.outcome(Status.LOST))
            raise
        except HoopError as error:
            delivery.errors.append(error.message)
            yield Record(delivery.outcome(Status.FAILED))
            return None, reply.decision.masks
        yield Record(delivery.outcome(Status.COMPLETED))
        return live, reply.decision.masks

    def _read(self, exchange: Exchange, request: Request, reading: Asked) -> Steps[Json]:
        response = yield from self._forward(exchange, request, reading, None)
        data = yield from exchange.upstream_read(_LONGEST)
        if response.status != _OK or not is_json(response.headers.get("content-type")):
            return None
        document: Json = json.loads(data)
        return document
