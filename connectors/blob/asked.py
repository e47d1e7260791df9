"""One request on Blob Storage as it is asked about: its statement, and what an approval of it is bound to."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.blob.address import Address
from connectors.blob.operations import Operation
from connectors.http.message import Request
from hoopcli.model.decision import Json, Statement

#: Headers that change from one try of the same request to the next, and change nothing of what it does.
_PASSING = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "date",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-ms-client-request-id",
        "x-ms-date",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without all that proves the client, where it leads, and what it does."""

    request: Request
    address: Address
    operation: Operation

    @property
    def resource(self) -> str:
        """What it is about, as policy names it."""
        return self.address.resource

    def statement(self, *, digest: str = "", **facts: Json) -> Statement:
        """What is to be decided. ``digest`` is that of the body, where an approval must be bound to it."""
        operation = self.operation
        return Statement(
            self._text(), self._canonical(digest), operation.actions, {**operation.facts, **facts}, exact_case=True
        )

    def _text(self) -> str:
        span = self.request.headers.get("x-ms-range") or self.request.headers.get("range")
        source = self.operation.source
        words = [self.operation.name, self.resource, span, f"from {source.resource}" if source else None]
        return " ".join(word for word in words if word)

    def _canonical(self, digest: str) -> bytes:
        """The request as bytes that are the same for each try of it."""
        headers = sorted((name.lower(), value) for name, value in self.request.headers if name.lower() not in _PASSING)
        lines = [f"{self.request.method} {self.request.target}", *(f"{name}: {value}" for name, value in headers)]
        return "\n".join([*lines, "", digest]).encode()
