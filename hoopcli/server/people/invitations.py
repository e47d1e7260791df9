"""Invitations: a code that somebody signs in with, once. For a server's first hour, before it knows a provider.

Whoever makes one can write into the server's database: it gives nothing that they do not have.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert

from hoopcli.errors import NotSignedInError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.database import Database
from hoopcli.server.people.store import document, principal
from hoopcli.server.tables.invitations import invitations

PROVIDER: Final = "by invitation"
"""What stands in a session for the name of a provider; no provider of the settings can have it, for its space."""
LASTS: Final = timedelta(hours=24)


class Invitations:
    """The invitations in a database. Its methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, email: str, groups: Sequence[str], now: datetime, lasts: timedelta = LASTS) -> str:
        """Invite a person; the code, which is told once."""
        code = secrets.token_urlsafe(32)
        who = Principal(email, PrincipalKind.HUMAN, email=email, groups=frozenset(groups))
        row = {"digest": _digest(code), "principal": document(who), "expires": (now + lasts).timestamp()}
        with self._database.write() as db:
            db.execute(delete(invitations).where(invitations.c.expires <= now.timestamp()))
            db.execute(insert(invitations).values(row))
        return code

    def take(self, code: str, now: datetime) -> Principal:
        """Use a code up; who it was for. Raises NotSignedInError."""
        mine = invitations.c.digest == _digest(code)
        with self._database.write() as db:
            taken = delete(invitations).where(mine).returning(invitations.c.principal, invitations.c.expires)
            row = db.execute(taken).first()
        if row is None or row.expires <= now.timestamp():
            raise NotSignedInError(
                "the invitation is unknown, used or expired", "ask who runs the server: hoop server invite EMAIL"
            )
        return principal(row.principal)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
