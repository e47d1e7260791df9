"""One request to an API server as it is asked about: its statement, and what an approval of it is bound to."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, replace
from urllib.parse import unquote

from connectors.http.message import Headers, Request
from connectors.kubectl.body import Body
from connectors.kubectl.facts import facts_of
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.verbs import actions_of
from hoopcli.model.decision import Action, Json, Statement
from hoopcli.model.visible import visible_line

#: Headers that change from one try of the same request to the next, and change nothing of what it does.
_PASSING = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "host",
        "kubectl-command",
        "kubectl-session",
        "sec-websocket-key",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "user-agent",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, what it asks for, and its body where that was read. ``change`` is shown to those who decide."""

    request: Request
    info: RequestInfo
    actions: tuple[Action, ...]
    facts: dict[str, Json]
    body: Body | None = None
    change: str = ""

    @property
    def resource(self) -> str:
        """What it is about, as policy names it."""
        return self.actions[0].resources[0]

    @property
    def verb(self) -> str:
        """What it does, as policy names it."""
        return self.actions[0].verb

    def statement(self, **facts: Json) -> Statement:
        """What is to be decided, with these facts in place of its own."""
        return Statement(self._text(), self._canonical(), self.actions, {**self.facts, **facts}, exact_case=True)

    def with_change(self, change: str) -> Asked:
        """The same, with the change that it makes told in lines."""
        return replace(self, change=change)

    def _text(self) -> str:
        """What a person reads: every action, the request's own line, the command of an exec, the change."""
        lines = [" and ".join(f"{action.verb} {', '.join(action.resources)}" for action in self.actions)]
        lines.append(visible_line(f"{self.request.method} {unquote(self.request.target)}"))
        if command := self.info.values("command"):
            lines.append(visible_line(f"$ {shlex.join(command)}"))
        if self.change:
            lines += ["", self.change]
        return "\n".join(lines)

    def _canonical(self) -> bytes:
        """The request as bytes that are the same for each try of it."""
        headers = sorted((name.lower(), value) for name, value in self.request.headers if name.lower() not in _PASSING)
        lines = [f"{self.request.method} {self.request.target}", *(f"{name}: {value}" for name, value in headers)]
        digest = hashlib.sha256(self.body.forwarded).hexdigest() if self.body else ""
        return "\n".join([*lines, "", digest]).encode()


def ask(request: Request, info: RequestInfo, body: Body | None) -> Asked:
    """Understand a request. Raises ProtocolError for a body that is not what its type says."""
    headers: Headers = request.headers
    return Asked(request, info, actions_of(info, headers, body), facts_of(info, headers, body), body)
