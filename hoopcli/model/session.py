"""One principal's use of one connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hoopcli.model.access import Connection, Principal


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is recorded: it holds no secret. Times are aware, in UTC."""

    id: str
    principal: Principal
    connection: Connection
    opened_at: datetime
    expires_at: datetime
    reason: str = ""
