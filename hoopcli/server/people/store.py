"""Sessions in the server's database. A token is kept as its digest only, and is good with the key it is bound to."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hoopcli.errors import NotSignedInError
from hoopcli.identity.dpop import Proved
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.database import Database
from hoopcli.server.people.settings import SessionSettings
from hoopcli.server.tables.browsers import browsers
from hoopcli.server.tables.people import proofs, sessions

TOPIC: Final = "sessions"
_ROW = sessions.c
_AGAIN = "run: hoop login"


@dataclass(frozen=True, slots=True)
class Held:
    """A session. ``expires`` is that of its token, ``ends`` that of the sign-in."""

    id: str
    thumbprint: str
    principal: Principal
    provider: str
    client: str
    begun: datetime
    expires: datetime
    ends: datetime


class Sessions:
    """The sessions in a database. Its methods block."""

    def __init__(self, database: Database, settings: SessionSettings) -> None:
        self._database = database
        self._settings = settings

    def begin(
        self, principal: Principal, thumbprint: str, provider: str, client: str, now: datetime
    ) -> tuple[str, Held]:
        """A new session and its token, which is told once."""
        token = secrets.token_urlsafe(32)
        ends = now + self._settings.whole
        held = Held(
            secrets.token_hex(8), thumbprint, principal, provider, client, now,
            min(now + self._settings.token, ends), ends,
        )  # fmt: skip
        with self._database.write() as db:
            db.execute(delete(sessions).where(_ROW.ends < now.timestamp()))
            db.execute(insert(sessions).values(_values(held, token)))
        return token, held

    def refresh(self, held: Held, now: datetime) -> tuple[str, Held]:
        """Another token in place of the session's own. Raises NotSignedInError once the sign-in has ended."""
        if now >= held.ends:
            raise NotSignedInError("the sign-in has ended", _AGAIN)
        token = secrets.token_urlsafe(32)
        expires = min(now + self._settings.token, held.ends)
        with self._database.write() as db:
            changed = update(sessions).where(_ROW.id == held.id, _ROW.expires == held.expires.timestamp())
            done = db.execute(changed.values(digest=_digest(token), expires=expires.timestamp()))
            if done.rowcount != 1:
                raise NotSignedInError("the session was ended, or refreshed by another process", "try again")
            row = db.execute(select(sessions).where(_ROW.id == held.id)).mappings().one()
        return token, _held(row)

    def of_token(self, token: str, proved: Proved, now: datetime) -> Held:
        """The session of a token, by a proof that is used up. Raises NotSignedInError."""
        with self._database.read() as db:
            row = db.execute(select(sessions).where(_ROW.digest == _digest(token))).mappings().first()
        if row is None or now.timestamp() >= row["expires"]:
            raise NotSignedInError("the session has ended", _AGAIN)
        if not secrets.compare_digest(row["thumbprint"], proved.thumbprint):
            raise NotSignedInError("the token belongs to another key", _AGAIN)
        self.use_up(proved, now)
        return _held(row)

    def use_up(self, proved: Proved, now: datetime) -> None:
        """Take note of a proof. Raises NotSignedInError if it was used before, at whichever replica."""
        if not self._first(f"{proved.thumbprint} {proved.id}", proved.expires, now):
            raise NotSignedInError("the proof of possession was used before", "send each request once")

    def use_up_nonce(self, issuer: str, nonce: str, expires: datetime, now: datetime) -> None:
        """Take note of a sign-in at a provider. Raises NotSignedInError if a session was begun by it before."""
        if not self._first(f"nonce {issuer} {nonce}", expires, now):
            raise NotSignedInError("the token was used before", _AGAIN)

    def _first(self, secret: str, expires: datetime, now: datetime) -> bool:
        """Whether nobody has used this before, at whichever replica. It is remembered until it is good for nothing."""
        try:
            with self._database.write() as db:
                db.execute(delete(proofs).where(proofs.c.expires < now.timestamp()))
                db.execute(insert(proofs).values(digest=_digest(secret), expires=expires.timestamp()))
        except IntegrityError:
            return False
        return True

    def get(self, identity: str, now: datetime) -> Held:
        """A session that goes on. Raises NotSignedInError."""
        with self._database.read() as db:
            row = db.execute(select(sessions).where(_ROW.id == identity)).mappings().first()
        if row is None or now.timestamp() >= row["expires"]:
            raise NotSignedInError("the session has ended", _AGAIN)
        return _held(row)

    def is_live(self, identity: str, now: datetime) -> bool:
        """Whether a session goes on."""
        with self._database.read() as db:
            row = db.execute(select(_ROW.expires).where(_ROW.id == identity)).first()
        return row is not None and now.timestamp() < row.expires

    def every(self, now: datetime) -> list[Held]:
        """All that go on, the newest first."""
        with self._database.read() as db:
            query = select(sessions).where(_ROW.expires > now.timestamp()).order_by(_ROW.begun.desc())
            return [_held(row) for row in db.execute(query).mappings()]

    def end(self, *, identity: str = "", subject: str = "") -> list[str]:
        """End one session, or all of a person and of those who act for them; those that were ended."""
        with self._database.write() as db:
            mine = _ROW.id == identity if identity else _ROW.subject == subject
            ended = [row.id for row in db.execute(delete(sessions).where(mine).returning(_ROW.id))]
            if ended:
                db.execute(delete(browsers).where(browsers.c.session.in_(ended)))
        return ended


def document(principal: Principal) -> dict[str, Any]:
    """A principal as plain values."""
    return {
        "subject": principal.subject,
        "kind": str(principal.kind),
        "name": principal.name,
        "email": principal.email,
        "groups": sorted(principal.groups),
        "on_behalf_of": principal.on_behalf_of,
    }


def principal(document: Mapping[str, Any]) -> Principal:
    """A principal from plain values."""
    return Principal(
        document["subject"],
        PrincipalKind(document["kind"]),
        document["name"],
        document["email"],
        frozenset(document["groups"]),
        document["on_behalf_of"],
    )


def _values(held: Held, token: str) -> dict[str, Any]:
    return {
        "id": held.id,
        "digest": _digest(token),
        "thumbprint": held.thumbprint,
        "subject": held.principal.on_behalf_of or held.principal.subject,
        "principal": document(held.principal),
        "provider": held.provider,
        "client": held.client,
        "begun": held.begun.timestamp(),
        "expires": held.expires.timestamp(),
        "ends": held.ends.timestamp(),
    }


def _held(row: RowMapping) -> Held:
    begun, expires, ends = (datetime.fromtimestamp(row[name], UTC) for name in ("begun", "expires", "ends"))
    return Held(
        row["id"], row["thumbprint"], principal(row["principal"]), row["provider"], row["client"], begun, expires, ends
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
