"""One line, a few counters and a span for each request: an id, the route and the status; never a query or a body."""

from __future__ import annotations

import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hoopcli import tracing
from hoopcli.server.metrics import Metrics

_log = structlog.get_logger("hoop.server")


class Observing:
    """Counts and logs what the app inside answers, and gives each answer the id of its line."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        identity, status, start = secrets.token_hex(8), 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity.encode())]
            await send(message)

        with tracing.span("request", "server", _carrier(scope)) as traced:
            try:
                await self._app(scope, receive, noting)
            finally:
                seconds = time.perf_counter() - start
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                self._metrics.requests.labels(method, route, status).inc()
                self._metrics.seconds.labels(method, route).observe(seconds)
                facts = {"http.route": route, "http.request.method": method, "http.response.status_code": status}
                traced.tell({**facts, "hoop.request": identity}, name=f"{method} {route}", failed=status >= 500)
                told = {"trace": traced.trace} if traced.trace else {}
                _log.info(
                    "request",
                    id=identity,
                    method=scope["method"],
                    route=route,
                    status=status,
                    seconds=round(seconds, 4),
                    **told,
                )
        return None


def _carrier(scope: Scope) -> dict[str, str]:
    """The trace that the client is in, if it says so."""
    found = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    return {"traceparent": found.decode("latin-1")}
