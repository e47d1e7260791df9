"""Keeping who looked at what else the server knows, and who ended or closed something, beside who read records."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert

from hoopcli.errors import DeniedError
from hoopcli.server.access import Caller, require
from hoopcli.server.services import Services
from hoopcli.server.tables.records import reads


def require_and_keep(
    caller: Caller, services: Services, verb: str, resource: str, what: str, asked: Mapping[str, object]
) -> None:
    """Ask the policy, and keep what it was asked about and whether that was allowed. Raises DeniedError."""
    try:
        require(caller, services, verb, resource)
    except DeniedError:
        keep(caller, services, what, asked, allowed=False)
        raise
    keep(caller, services, what, asked)


def keep(caller: Caller, services: Services, what: str, asked: Mapping[str, object], *, allowed: bool = True) -> None:
    """Keep one row of it, which nobody changes."""
    values = {"at": services.now().timestamp(), "subject": caller.principal.subject, "what": what, "asked": asked}
    with services.database.write() as connection:
        connection.execute(insert(reads).values(**values, allowed=allowed, found=0))
