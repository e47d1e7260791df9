"""What can happen to a layer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hoopcli.model.decision import Decision


class Peer(Enum):
    """The two ends of a brokered connection."""

    CLIENT = "client"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes from a peer, in order, cut anywhere."""

    peer: Peer
    data: bytes


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """A peer sent its end of stream or was lost. It is heard whatever the layer waits for."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Wakeup:
    """The timer that ``SetTimer`` started ran out."""


@dataclass(frozen=True, slots=True)
class UpstreamOpened:
    """Reply to ``OpenUpstream``: the transport is connected."""


@dataclass(frozen=True, slots=True)
class UpstreamFailed:
    """Reply to ``OpenUpstream``: why not."""

    message: str


@dataclass(frozen=True, slots=True)
class CredentialGranted:
    """Reply to ``GetCredential``. ``repr`` hides the secret."""

    credential: Credential


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What proves the broker upstream: a bearer ``token``, or ``user`` and ``secret``. Never shown, never recorded."""

    kind: str
    secret: str
    user: str = ""

    def __repr__(self) -> str:
        return f"Credential(kind={self.kind!r}, secret=<hidden>)"


@dataclass(frozen=True, slots=True)
class CredentialRefused:
    """Reply to ``GetCredential``: why not, and the next command."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Permit:
    """Reply to ``Authorize``: request and decision are durable; forward it, under the decision's obligations."""

    exchange: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Deny:
    """Reply to ``Authorize``: not to be forwarded. ``message`` names the rule, ``hint`` the next step."""

    exchange: str
    rule: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Reply to ``Await``: the notice was given."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Reply to ``Drain``: there is room again."""


Event = (
    DataReceived
    | PeerClosed
    | Wakeup
    | UpstreamOpened
    | UpstreamFailed
    | CredentialGranted
    | CredentialRefused
    | Permit
    | Deny
    | Noticed
    | Drained
)
