"""What a connector implements. A connector imports this module and the layers below it, nothing else of hoop.

Connectors are found by the entry-point group ``hoop.connectors``; the entry point names a class whose instances
satisfy ``Connector``.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

from hoopcli.masking.masker import Masking
from hoopcli.model.access import Connection
from hoopcli.model.decision import Action, Decision, Effect, Json, Mask, Statement
from hoopcli.model.session import Session
from hoopcli.sansio.layer import Layer
from hoopcli.sansio.spool import Spool


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection leads. ``auth`` names how the broker proves itself there (``entra``, ``password``, ...)."""

    host: str
    port: int
    auth: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class SessionSecret:
    """The random secret of one session; compared in constant time."""

    value: str

    def matches(self, candidate: str) -> bool:
        """Whether a client presented this session's secret."""
        return hmac.compare_digest(self.value.encode(), candidate.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "SessionSecret(<hidden>)"


TlsContexts: TypeAlias = Callable[[ssl.TLSVersion], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class LayerContext:
    """All that a layer knows of the world.

    ``tls_server`` presents the loopback certificate of the session, ``tls_client`` verifies the upstream; each gives a
    context that speaks at most the version it is asked for.
    ``masking`` turns the masks of a decision into a ``Masking``; ``now`` is the clock. ``preview`` says what the
    policy makes of a statement, without recording the question: for what a listing may name, and for what must be known
    of a request before it is asked about in earnest; ``previewed`` is the whole of that decision; ``preview_each`` says
    it of one verb on many resources, for one answer: it is not to be kept. ``asks_about`` says whether a condition that
    sees a variable (``upload``) may decide some actions. ``spool`` holds contents that cannot pass as they come.
    """

    session: Session
    target: Target
    secret: SessionSecret
    tls_server: TlsContexts
    tls_client: TlsContexts
    masking: Callable[[Sequence[Mask]], Masking]
    now: Callable[[], datetime]
    preview: Callable[[Statement], Effect] = lambda _: Effect.DENY
    previewed: Callable[[Statement], Decision] = lambda _: Decision(Effect.DENY, "default-deny")
    preview_each: Callable[[Statement], Callable[[str], Effect]] = lambda _: lambda _resource: Effect.DENY
    asks_about: Callable[[str, Sequence[Action]], bool] = lambda _variable, _actions: True
    spool: Spool | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the session's listener is, and what a client needs to use it. ``ca_file`` is the PEM that signs it."""

    host: str
    port: int
    secret: str
    ca_file: str
    user: str = "hoop"


@dataclass(frozen=True, slots=True)
class ClientHint:
    """How native clients reach the session: ``environment`` for a child process, ``lines`` as (client, how)."""

    environment: Mapping[str, str]
    lines: Sequence[tuple[str, str]]


#: Shows how far work of so many bytes (None: nobody knows) has come: a context whose value takes the bytes just done.
Progress: TypeAlias = Callable[[str, "int | None"], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Job:
    """What ``hoop exec`` is to do: the ``words`` after the connection's name.

    ``text`` is the one word, or what a file or stdin holds; it raises UsageError where there is none, or several.
    ``out`` takes bytes for the user; it is None where they cannot be told apart from other output.
    """

    words: Sequence[str]
    text: Callable[[], str]
    progress: Progress
    out: BinaryIO | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One rendered result: ``rows`` of plain JSON values, and a ``note`` (``"3 rows"``, an error, where it was cut)."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Json]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a terminal showed ``time`` seconds after it began: text that steers no other terminal."""

    time: float
    text: str


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One step of a demo's tour: a hoop command, what it shows, and the exit code that it must end with."""

    title: str
    arguments: Sequence[str]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo upstream: ``options`` of the connection ``connection`` to it, its ``secret``, a policy, a tour.

    ``SESSION`` among the arguments of a step stands for the session recorded first.
    """

    connection: str
    options: Mapping[str, str]
    secret: str = field(repr=False)
    policy: str
    tour: Sequence[DemoStep]


@runtime_checkable
class Player(Protocol):
    """A connector some of whose payloads are recordings of terminals."""

    def frames(self, media_type: str, payload: bytes) -> Iterator[Frame] | None:
        """What the terminal showed, in order; None for another payload. Raises HoopError, also while iterating."""


class Connector(Protocol):
    """A kind of upstream that hoop can broker.

    ``verbs`` are all that its statements can have, ``discharges`` the kinds of obligation that it carries out, ``alpn``
    the application protocols that its loopback listener offers in TLS.
    """

    kind: str
    verbs: frozenset[str]
    discharges: frozenset[str]
    alpn: Sequence[str]

    def target(self, connection: Connection) -> Target:
        """Validate a connection's options. Raises UsageError naming the option."""

    def layer(self, context: LayerContext) -> Layer:
        """A new layer for one accepted client connection."""

    def client_hint(self, listen: Listen, connection: Connection) -> ClientHint:
        """How native clients reach the session."""

    def explain(self, text: str, connection: Connection) -> Statement:
        """Classify a text as the layer would, for ``hoop policy explain``."""

    def execute(self, listen: Listen, connection: Connection, job: Job) -> Iterator[Table]:
        """Do one job through a session with a real client. Raises UsageError, DeniedError, UpstreamError."""

    def demo(self) -> AbstractContextManager[Demo] | None:
        """An embedded upstream that lives as long as the context, where the connector has one."""

    def render(self, media_type: str, payload: bytes) -> Iterator[Table]:
        """Turn a recorded payload of this connector into tables, for replay."""
