"""What happens on a stream of exec or attach, whatever protocol carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property

from hoopcli.model.decision import Json


class Side(Enum):
    """Which end of a connection a codec is: the server to a client, or the client of an upstream."""

    SERVER = "server"
    CLIENT = "client"


class Channel(IntEnum):
    """The channels of exec and attach, by their numbers over WebSocket."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4

    @property
    def from_client(self) -> bool:
        """Whether the client is the one that writes to it."""
        return self in {Channel.STDIN, Channel.RESIZE}


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opened a channel (SPDY; over WebSocket the request's query says which there are)."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of stdin, stdout or stderr, cut anywhere."""

    channel: Channel
    data: bytes


@dataclass(frozen=True)
class ErrorStatus:
    """How the command ended: ``raw`` is a Kubernetes ``Status`` as JSON."""

    raw: bytes

    @classmethod
    def refusal(cls, message: str) -> ErrorStatus:
        """The end of a command that was not let run, or not let go on. Clients show the message."""
        told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden"}
        # some clients look for an exit code and nothing else: that of a shell whose command must not run
        details = {"causes": [{"reason": "ExitCode", "message": "126"}]}
        return cls(json.dumps({**told, "message": message, "code": 403, "details": details}).encode())

    @cached_property
    def status(self) -> Mapping[str, Json] | None:
        """The ``Status``, None where the bytes are none."""
        try:
            status = json.loads(self.raw)
        except (ValueError, RecursionError):
            return None
        return status if isinstance(status, dict) else None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code; None where it did not run, or nobody says."""
        status = self.status or {}
        if status.get("status") == "Success":
            return 0
        details = status.get("details")
        causes = details.get("causes") if isinstance(details, Mapping) else None
        for cause in causes if isinstance(causes, list) else []:
            if isinstance(cause, Mapping) and cause.get("reason") == "ExitCode":
                code = str(cause.get("message"))
                return int(code) if code.isascii() and code.isdigit() and len(code) < 6 else None
        return None


@dataclass(frozen=True, slots=True)
class Resize:
    """The client's terminal has another size, in characters."""

    cols: int
    rows: int


@dataclass(frozen=True, slots=True)
class HalfClosed:
    """The peer will write no more to a channel."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Aborted:
    """The peer gave a channel up in both directions (SPDY's RST_STREAM)."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send back to the peer at once: a pong, an acknowledgement."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer ended the connection in the protocol's own way. ``code`` is WebSocket's, 1000 for a good end."""

    code: int = 1000
    reason: str = ""


ExecEvent = Opened | Data | ErrorStatus | Resize | HalfClosed | Aborted | Reply | Closed
