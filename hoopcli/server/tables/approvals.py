"""The tables of approvals: requests, who may answer them, what was said, what became of each, and what is to be sent.

Times are Unix seconds. A request's state is stored as it was last changed; that it has expired is told by its time.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: The states in which a request may still let something run.
OPEN = ("waiting", "approved")

requests = Table(
    "approval_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("asked_by", String(500), nullable=False),  # who signed in, whatever principal it asks for
    Column("session", String(100), nullable=False),
    Column("principal", String(500), nullable=False),
    Column("principal_kind", String(20), nullable=False),
    Column("on_behalf_of", String(500), nullable=False),
    Column("connection", String(100), nullable=False),
    Column("kind", String(50), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("why", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("bound", String(64), nullable=False),  # digest of asker, binding and terms together
    Column("actions", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("asked", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("state", String(20), nullable=False),
    Column("withdrawn", Double),
    CheckConstraint("uses >= 0", name="approval_uses_left"),
    CheckConstraint("needed >= 1", name="approval_needs_someone"),
)
_OPEN_ONLY = text("state IN ('waiting', 'approved')")
Index("approval_one_open", requests.c.bound, unique=True, sqlite_where=_OPEN_ONLY, postgresql_where=_OPEN_ONLY)
Index("approval_by_state", requests.c.state, requests.c.asked)
Index("approval_by_expiry", requests.c.expires)
Index("approval_by_asker", requests.c.asked_by, requests.c.state)
Index("approval_alike", requests.c.principal, requests.c.connection, requests.c.rule, requests.c.asked)


def _of_request(*, primary_key: bool = False) -> Column[str]:
    key = ForeignKey("approval_requests.id", ondelete="CASCADE")
    return Column("request", String(32), key, primary_key=primary_key, nullable=False)


groups = Table(
    "approval_groups",
    metadata,
    _of_request(primary_key=True),
    Column("name", String(500), primary_key=True),
)

answers = Table(
    "approval_answers",
    metadata,
    _of_request(primary_key=True),
    Column("approver", String(500), primary_key=True),
    Column("approve", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("uses", Integer),
    Column("until", Double),
    Column("at", Double, nullable=False),
)

events = Table(
    "approval_events",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_request(),
    Column("what", String(20), nullable=False),
    Column("who", String(500), nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Double, nullable=False),
)
Index("approval_events_of", events.c.request, events.c.id)

deliveries = Table(
    "approval_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_request(),
    Column("channel", String(100), nullable=False),
    Column("what", String(20), nullable=False),
    Column("due", Double),  # null once it is delivered or given up
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
)
Index("approval_deliveries_due", deliveries.c.due)
