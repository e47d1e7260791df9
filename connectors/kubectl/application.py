"""What becomes of one request to an API server: proved, understood, decided, forwarded, masked, recorded."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import timedelta

from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange, RefusedError
from connectors.http.head import end_to_end
from connectors.http.link import PeerGoneError
from connectors.http.message import Headers, Request, Response
from connectors.kubectl import answers, streaming
from connectors.kubectl.accept import narrowed
from connectors.kubectl.answers import Answers
from connectors.kubectl.asked import Asked, ask
from connectors.kubectl.body import BODY_LIMIT, Body, MediaTypeError, read_body
from connectors.kubectl.changes import Changes
from connectors.kubectl.compared import check_compared
from connectors.kubectl.request_info import RequestInfo, request_info
from connectors.kubectl.selected import check_selected
from connectors.kubectl.upstream import AUDIENCE, upstream_headers, upstream_target
from connectors.kubectl.writeback import check_written
from hoopcli.errors import DeniedError, HoopError, NotSignedInError, UpstreamError
from hoopcli.masking.masker import about
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Record
from hoopcli.sansio.events import Credential, Deny, Permit
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

#: How long a connection uses a credential before it asks again whether it is still good.
_CREDENTIAL_LIFE = timedelta(minutes=1)
_UNAUTHORIZED = 401
_READS = frozenset({"GET", "HEAD"})


class KubectlApplication:
    """Handles the requests of one client connection."""

    def __init__(self, context: LayerContext) -> None:
        self._context = context
        self._answers = Answers(context)
        self._changes = Changes(context, self._forward)
        self._credential: Credential | None = None
        self._credential_until = context.now()
        self._refused = False

    def handle(self, exchange: Exchange) -> Steps[None]:
        """Answer one request. Raises HoopError for what is refused before it is decided."""
        request = self._proved(exchange.request)
        info = request_info(request.method, request.target)
        if info.subresource in streaming.STREAMED:
            yield from streaming.serve(self._context, exchange, ask(request, info, None))
            return
        if "upgrade" in request.headers:
            raise RefusedError(400, "UpgradeRefused", "only exec, attach and portforward may leave HTTP")
        body = yield from self._body(exchange, info)
        asked = ask(request, info, body)
        if body is not None:
            check_written(info, body)
            asked = yield from self._changes.told(exchange, asked)
        reply = yield from exchange.authorize(asked.statement(opaque=info.subresource == "proxy"))
        if isinstance(reply, Deny):
            raise DeniedError(reply.message, reply.hint)
        yield from self._recorded(exchange, asked, reply)

    def refusal(
        self, status: int, code: str, message: str, hint: str, request: Request | None
    ) -> tuple[Headers, bytes]:
        """An error as the API server writes it."""
        return answers.refusal(status, code, message, hint, request)

    def _proved(self, request: Request) -> Request:
        """The request without the session's secret, which it must have. Raises RefusedError."""
        given = request.headers.all("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        secret = self._context.secret.value
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), secret.encode()):
            raise RefusedError(
                _UNAUTHORIZED, "Unauthorized", "this port serves one session, and the request does not prove it",
                "use the kubeconfig that hoop connect prints",
            )  # fmt: skip
        return Request(request.method, request.target, request.headers.without("authorization"))

    def _body(self, exchange: Exchange, info: RequestInfo) -> Steps[Body | None]:
        """The body of a request, read. What is for another server goes through as it is.

        Raises DeniedError, RefusedError, ProtocolError.
        """
        if info.subresource == "proxy" or exchange.request.method in _READS:
            return None
        if not info.is_resource:
            raise DeniedError(f"hoop does not forward {info.method} {info.path}", "use the resources of the API")
        data = yield from exchange.read(BODY_LIMIT)
        if not data:
            return None
        try:
            return read_body(exchange.request.headers.get("content-type") or "", data)
        except MediaTypeError as error:
            raise RefusedError(415, "UnsupportedMediaType", error.message, error.hint) from error

    def _recorded(self, exchange: Exchange, asked: Asked, permit: Permit) -> Steps[None]:
        """Run a permitted request, and record how it ended, whatever that is."""
        keep = 0 if permit.decision.shown_secrets else permit.decision.keep
        delivery = Delivery(replace(permit, decision=replace(permit.decision, keep=keep)))
        try:
            status = yield from self._run(exchange, asked, permit, delivery)
        except PeerGoneError as gone:
            delivery.facts["left"] = gone.peer.name.lower()
            yield Record(delivery.outcome(Status.LOST))
            raise
        except HoopError as error:
            delivery.errors.append(error.message)
            yield Record(delivery.outcome(Status.BLOCKED))
            raise
        yield Record(delivery.outcome(status))

    def _run(self, exchange: Exchange, asked: Asked, permit: Permit, delivery: Delivery) -> Steps[Status]:
        check_selected(permit.decision.masks, asked.resource, asked.info, self._context.masking)
        check_compared(about(permit.decision.masks, asked.resource), asked.body)
        body = asked.body.forwarded if asked.body else None
        response = yield from self._forward(exchange, asked.request, asked, body)
        if response.status == _UNAUTHORIZED and asked.info.subresource != "proxy":
            self._credential, self._refused = None, True  # revoked, maybe; the cluster did nothing yet
            response = yield from self._forward(exchange, asked.request, asked, body)
        delivery.facts["status"] = response.status
        if response.status == _UNAUTHORIZED:
            self._credential, self._refused = None, True
            raise UpstreamError("the cluster refused the broker's own credential", "run: hoop doctor")
        if response.status >= 400:
            delivery.errors.append(f"{response.status} {response.reason}")
        yield from self._answers.deliver(exchange, asked, response, permit.decision, delivery)
        return Status.FAILED if response.status >= 400 else Status.COMPLETED

    def _forward(self, exchange: Exchange, request: Request, asked: Asked, body: bytes | None) -> Steps[Response]:
        """Send a request with the broker's own proof and in a form whose answer can be read."""
        now = self._context.now()
        if self._credential is None or now >= self._credential_until:
            try:
                self._credential = yield from exchange.credential(AUDIENCE, fresh=self._refused)
            except NotSignedInError as error:  # a 401 would have kubectl ask for the client's own credentials
                raise UpstreamError(error.message, error.hint) from error
            self._credential_until = now + _CREDENTIAL_LIFE
            self._refused = False
        headers = narrowed(asked.info, end_to_end(request.headers))
        if body is not None and asked.body is not None:
            headers = headers.with_("Content-Type", asked.body.content_type)
        headers = upstream_headers(headers, self._credential, self._context.target, self._context.session)
        target = upstream_target(self._context.target, request.target)
        return (yield from exchange.forward(Request(request.method, target, headers), body))
