"""What becomes of one request on Blob Storage: proved, understood, decided, forwarded, masked, recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from connectors.blob import parts
from connectors.blob.address import parse
from connectors.blob.answers import LISTINGS, Listings, Terms, pass_on, pass_text
from connectors.blob.asked import Asked
from connectors.blob.batches import Batches
from connectors.blob.conditions import check_tag_conditions
from connectors.blob.errors import DENIED, StorageError, storage_error
from connectors.blob.operations import classify
from connectors.blob.proof import authenticate
from connectors.blob.reading import Reading, conditions_translated
from connectors.blob.reference import Answer, Body
from connectors.blob.signing import AUDIENCE, Endpoint, upstream_request, without_proof
from connectors.blob.uploads import Upload, known
from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.link import PeerGoneError
from connectors.http.message import Headers, Request, Response
from hoopcli.errors import HoopError
from hoopcli.masking.masker import about
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import Credential, Deny, Permit
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

#: How long a connection uses a credential before it asks again whether it is still good.
_CREDENTIAL_LIFE = timedelta(minutes=1)
_UNAUTHORIZED = 401


class BlobApplication:
    """Handles the requests of one session. ``account`` and ``endpoint`` are the upstream's."""

    def __init__(self, context: LayerContext, account: str, endpoint: Endpoint) -> None:
        self._context = context
        self._account = account
        self._endpoint = endpoint
        self._listings = Listings(context, self._own_endpoint)
        self._reading = Reading(context)
        self._batches = Batches(context, account, endpoint)
        self._credential: Credential | None = None
        self._credential_until = context.now()
        self._refused = False

    def handle(self, exchange: Exchange) -> Steps[None]:
        """Answer one request. Raises HoopError for what is refused before it is decided."""
        request = exchange.request
        address = parse(request, self._account)
        operation = classify(request, address)
        authenticate(
            request, address, operation, self._context.secret, self._context.now(), tls=exchange.client.encrypted
        )
        asked = Asked(*without_proof(request, address, operation), operation)
        if operation.body is Body.BATCH:
            yield from self._batches.handle(exchange, asked)
            return
        upload = yield from known(self._context, exchange, asked)
        try:
            reply = yield from exchange.authorize(upload.statement if upload else asked.statement())
            if isinstance(reply, Deny):
                raise StorageError(403, DENIED, reply.message, reply.hint)
            yield from self._recorded(exchange, asked, reply, upload)
        finally:
            if upload is not None:
                upload.body.close()

    def refusal(
        self, status: int, code: str, message: str, hint: str, request: Request | None
    ) -> tuple[Headers, bytes]:
        """An error as the service writes it."""
        query = request.target.partition("?")[2] if request is not None else ""
        api = "dfs" if "resource=" in query or "action=" in query else "blob"
        return storage_error(status, code, f"{message}; {hint}" if hint else message, api=api)

    def _recorded(self, exchange: Exchange, asked: Asked, permit: Permit, upload: Upload | None) -> Steps[None]:
        """Run a permitted request, and record how it ended, whatever that is."""
        delivery = Delivery(permit)
        try:
            status = yield from self._run(exchange, asked, permit, delivery, upload)
        except PeerGoneError:
            yield Record(delivery.outcome(Status.LOST))
            raise
        except HoopError as error:
            delivery.errors.append(error.message)
            yield Record(delivery.outcome(Status.BLOCKED))
            raise
        yield Record(delivery.outcome(status))

    def _run(
        self, exchange: Exchange, asked: Asked, permit: Permit, delivery: Delivery, upload: Upload | None
    ) -> Steps[Status]:
        operation = asked.operation
        if operation.name == "Get User Delegation Key":
            raise StorageError(403, DENIED, "a key of the upstream never leaves the broker", "sign with the session's")
        if operation.source is not None and operation.source.address is not None:
            self._check_masks_follow(asked, permit, operation.source.resource)
        parts.check_parts(asked, permit.decision.masks)
        terms = Terms.of(self._context, permit, asked.resource)
        if terms.masks:
            asked = conditions_translated(asked, terms)
        check_tag_conditions(asked, terms.all if operation.answer in LISTINGS else terms.masks)
        if operation.answer in LISTINGS:
            self._listings.check(asked)
            asked = replace(asked, address=self._listings.markers.opened(asked.address))
        sign = yield from self._signer(exchange)
        if terms.masks and operation.answer in {Answer.CONTENT, Answer.DERIVED, Answer.PROPERTIES}:
            return (yield from self._reading.run(exchange, asked, terms, delivery, sign))
        if terms.masks and parts.lists_blocks(asked):
            response = yield from self._put_together(exchange, asked, sign, upload)
        else:
            response = yield from self._forward(exchange, sign(asked), delivery, upload)
        return (yield from self._answer(exchange, asked, response, terms, delivery, sign))

    def _answer(
        self,
        exchange: Exchange,
        asked: Asked,
        response: Response,
        terms: Terms,
        delivery: Delivery,
        sign: Callable[[Asked], Request],
    ) -> Steps[Status]:
        delivery.facts["status"] = response.status
        if (etag := response.headers.get("etag")) is not None:
            delivery.facts["etag"] = etag
        if response.status == _UNAUTHORIZED:
            self._credential, self._refused = None, True
        if response.status >= 400:
            delivery.errors.append(f"{response.status} {response.headers.get('x-ms-error-code') or response.reason}")
            yield from pass_text(exchange, response, terms, delivery)
            return Status.FAILED
        if asked.operation.answer in LISTINGS:

            def ask(following: Asked) -> Steps[Response]:
                return exchange.forward(sign(following))

            yield from self._listings.pass_on(exchange, asked, response, terms, delivery, ask)
        elif asked.operation.answer is Answer.TAGS:
            yield from pass_text(exchange, response, terms, delivery)
        else:
            yield from pass_on(exchange, response, terms, delivery)
        return Status.COMPLETED

    def _forward(
        self, exchange: Exchange, request: Request, delivery: Delivery, upload: Upload | None
    ) -> Steps[Response]:
        """Send the request with its body; what was stored of it is noted."""
        digest, size = hashlib.sha256(), 0

        def tap(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += len(data)

        response = yield from exchange.forward(request, upload.body if upload else None, tap)
        if upload is not None and upload.body.size:
            delivery.facts["stored"] = {"sha256": upload.sha256, "size": upload.body.size}
        elif size:
            delivery.facts["stored"] = {"sha256": digest.hexdigest(), "size": size}
        return response

    def _put_together(
        self, exchange: Exchange, asked: Asked, sign: Callable[[Asked], Request], upload: Upload | None
    ) -> Steps[Response]:
        """Make a blob of new blocks only. Raises StorageError, ProtocolError."""
        if upload is None:
            document = yield from exchange.read(parts.LONGEST_LIST)
        else:
            document = upload.body.read(0, min(upload.body.size, parts.LONGEST_LIST + 1))
        listed = parts.only_new_blocks(document)
        return (
            yield from exchange.forward(
                sign(replace(asked, request=parts.with_document(asked.request, listed))), listed
            )
        )

    def _signer(self, exchange: Exchange) -> Steps[Callable[[Asked], Request]]:
        """What makes upstream requests, with a credential that is valid now."""
        now = self._context.now()
        if self._credential is None or now >= self._credential_until:
            self._credential = yield from exchange.credential(AUDIENCE, fresh=self._refused)
            self._credential_until = now + _CREDENTIAL_LIFE
            self._refused = False
        credential = self._credential

        def sign(asked: Asked) -> Request:
            return upstream_request(
                asked.request, asked.address, asked.operation, self._endpoint, credential, self._context.now()
            )

        return sign

    def _check_masks_follow(self, asked: Asked, permit: Permit, source: str) -> None:
        """A copy must not lead content away from under its masks. Raises StorageError."""
        masks = permit.decision.masks
        if not set(about(masks, source)) <= set(about(masks, asked.resource)):
            raise StorageError(
                403, DENIED, "the copy would be readable without the masks of its source", "copy to where they hold"
            )

    def _own_endpoint(self, exchange: Exchange) -> str:
        scheme = "https" if exchange.client.encrypted else "http"
        return f"{scheme}://{exchange.request.headers.get('host')}/{self._account}/"
