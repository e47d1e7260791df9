"""How the demo's server behaves, and how it can be made to misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field

USER = "sa"
SECRET = "upstream-secret"  # noqa: S105 - the demo's own, for a server with invented data on loopback


@dataclass(slots=True)
class Options:
    """Counters go down as they are used; all else stays.

    ``encrypt`` is ``off`` (may), ``on`` (must), ``none`` (cannot), ``strict`` (TDS 8.0 only). ``token`` is the only
    FEDAUTH token let in, instead of user and secret. ``route`` answers the login with another server. ``transient``
    login errors come first; ``cut_login`` logins lose their connection. ``delay`` seconds pass before each answer.
    ``cut_after`` bytes of an answer the connection is lost; ``malformed`` puts an unknown token into it, ``overlong``
    one that claims more bytes than follow, ``inject`` these tokens before it, ``error_after`` an ERROR after that many
    pieces. ``canned`` answers reads of
    ``dbo.big`` (``big_rows``) and ``dbo.huge`` from memory. ``classification`` is the newest version of that feature,
    0 for none; without ``classified_catalog`` nobody may look at ``sys.sensitivity_classifications``.
    """

    encrypt: str = "off"
    user: str = USER
    secret: str = SECRET
    token: str = ""
    route: tuple[str, int] | None = None
    transient: list[int] = field(default_factory=list)
    delay: float = 0.0
    cut_login: int = 0
    cut_after: int | None = None
    malformed: bool = False
    overlong: bool = False
    inject: bytes = b""
    error_after: int = 0
    canned: bool = False
    big_rows: int = 200_000
    classification: int = 2
    classified_catalog: bool = True


@dataclass(slots=True)
class Seen:
    """What reached the server, for tests to look at: connections, logins, the texts of requests, attentions.

    ``questions`` are a broker's own, for the catalog; they are not among the ``statements``.
    """

    connections: int = 0
    logins: list[tuple[str, str, str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    questions: int = 0
    attentions: int = 0
    wire: bytearray = field(default_factory=bytearray)
