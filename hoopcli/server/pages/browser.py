"""Browsers that are signed in: a cookie that no script reads, for a session that somebody has at the server.

Whoever has signed in on the command line opens the pages by a ticket: an address that works once, for a minute. Others
sign in by a provider; theirs is a session without a key, which the browser's cookie alone is good for.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from fastapi import Request, Response
from sqlalchemy import Connection, RowMapping, delete, insert, select

from hoopcli.errors import NotSignedInError
from hoopcli.model.access import Principal
from hoopcli.server.access import Caller
from hoopcli.server.config import ServerSettings
from hoopcli.server.people.store import TOPIC, Sessions, document, principal
from hoopcli.server.services import Services, services_of
from hoopcli.server.tables.browsers import browsers

TICKET_LIFE: Final = timedelta(minutes=1)
SESSION_LIFE: Final = timedelta(hours=1)
NO_KEY: Final = ""
"""In place of a key's thumbprint, which no proof has."""
_NAME: Final = "hoop-session"
_ROW = browsers.c


def issue_ticket(services: Services, caller: Caller) -> str:
    """A secret that begins one browser session of this caller. It works once, within a minute."""
    return _issue(services, caller, "ticket", TICKET_LIFE)


def redeem(services: Services, ticket: str) -> tuple[Caller, str]:
    """The caller of a ticket, which is spent, and the cookie of a new session. Raises NotSignedInError."""
    with services.database.write() as connection:
        gone = delete(browsers).where(_ROW.digest == _digest(ticket), _ROW.kind == "ticket").returning(*_ROW)
        caller = _caller(connection.execute(gone).mappings().first(), services.now())
    return caller, _issue(services, caller, "session", SESSION_LIFE)


def begin(services: Services, who: Principal, provider: str, before: str) -> str:
    """The cookie of somebody who signed in by a provider. The browser's session ``before`` ends."""
    end(services, before)
    _token, held = Sessions(services.database, services.settings.sessions).begin(
        who, NO_KEY, provider, "browser", services.now()
    )
    return _issue(services, Caller(who, held.id, held.expires, NO_KEY), "session", SESSION_LIFE)


def browser_caller(request: Request) -> tuple[Caller, str]:
    """Who is signed in with this browser, and its cookie. Raises NotSignedInError."""
    services = services_of(request)
    cookie = request.cookies.get(cookie_name(services.settings), "")
    with services.database.read() as connection:
        row = select(browsers).where(_ROW.digest == _digest(cookie), _ROW.kind == "session")
        return _caller(connection.execute(row).mappings().first(), services.now()), cookie


def end(services: Services, cookie: str) -> None:
    """End a browser's session, and the sign-in by a provider that it began with."""
    with services.database.write() as connection:
        gone = delete(browsers).where(_ROW.digest == _digest(cookie), _ROW.kind == "session").returning(*_ROW)
        row = connection.execute(gone).mappings().first()
    if row is not None and row["thumbprint"] == NO_KEY:
        for each in Sessions(services.database, services.settings.sessions).end(identity=row["session"]):
            services.wake.notify(TOPIC, each)


def keep(response: Response, settings: ServerSettings, cookie: str) -> None:
    """Give a browser its cookie, or take it away with an empty one."""
    response.set_cookie(
        cookie_name(settings),
        cookie,
        max_age=int(SESSION_LIFE.total_seconds()) if cookie else 0,
        path="/",
        secure=_secure(settings),
        httponly=True,
        samesite="lax",  # a link in a message leads to a page that knows its visitor; nothing is changed by a link
    )


def cookie_name(settings: ServerSettings) -> str:
    """With ``__Host-`` no other host and no plain connection can set it (RFC 6265bis 4.1.3.2)."""
    return f"__Host-{_NAME}" if _secure(settings) else _NAME


def _secure(settings: ServerSettings) -> bool:
    return settings.public_url.startswith("https://")


def _issue(services: Services, caller: Caller, kind: Literal["ticket", "session"], life: timedelta) -> str:
    secret = secrets.token_urlsafe(32)
    now = services.now()
    with services.database.write() as connection:
        _forget(connection, now)
        connection.execute(
            insert(browsers).values(
                digest=_digest(secret),
                kind=kind,
                session=caller.session,
                principal=document(caller.principal),
                thumbprint=caller.thumbprint,
                expires=min(now + life, caller.expires).timestamp(),
            )
        )
    return secret


def _forget(connection: Connection, now: datetime) -> None:
    connection.execute(delete(browsers).where(_ROW.expires <= now.timestamp()))


def _caller(row: RowMapping | None, now: datetime) -> Caller:
    if row is None or row["expires"] <= now.timestamp():
        raise NotSignedInError("nobody is signed in with this browser", "run: hoop approvals open")
    expires = datetime.fromtimestamp(row["expires"], UTC)
    return Caller(principal(row["principal"]), row["session"], expires, row["thumbprint"])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
