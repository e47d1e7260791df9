"""Approvals, and the sessions of browsers at the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_OPEN = sa.text("state IN ('waiting', 'approved')")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "approval_requests",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("asked_by", sa.String(500), nullable=False),
        sa.Column("session", sa.String(100), nullable=False),
        sa.Column("principal", sa.String(500), nullable=False),
        sa.Column("principal_kind", sa.String(20), nullable=False),
        sa.Column("on_behalf_of", sa.String(500), nullable=False),
        sa.Column("connection", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bound", sa.String(64), nullable=False),
        sa.Column("actions", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("asked", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("withdrawn", sa.Double),
        sa.CheckConstraint("uses >= 0", name="approval_uses_left"),
        sa.CheckConstraint("needed >= 1", name="approval_needs_someone"),
    )
    op.create_index(
        "approval_one_open",
        "approval_requests",
        ["bound"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("approval_by_state", "approval_requests", ["state", "asked"])
    op.create_index("approval_by_expiry", "approval_requests", ["expires"])
    op.create_index("approval_by_asker", "approval_requests", ["asked_by", "state"])
    op.create_index("approval_alike", "approval_requests", ["principal", "connection", "rule", "asked"])
    op.create_table(
        "approval_groups", _of_request(primary_key=True), sa.Column("name", sa.String(500), primary_key=True)
    )
    op.create_table(
        "approval_answers",
        _of_request(primary_key=True),
        sa.Column("approver", sa.String(500), primary_key=True),
        sa.Column("approve", sa.Boolean, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("uses", sa.Integer),
        sa.Column("until", sa.Double),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "approval_events",
        sa.Column("id", sa.Integer, primary_key=True),
        _of_request(),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("who", sa.String(500), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("approval_events_of", "approval_events", ["request", "id"])
    op.create_table(
        "approval_deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        _of_request(),
        sa.Column("channel", sa.String(100), nullable=False),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("due", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("approval_deliveries_due", "approval_deliveries", ["due"])
    op.create_table(
        "browser_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("session", sa.String(200), nullable=False),
        sa.Column("principal", sa.JSON, nullable=False),
        sa.Column("thumbprint", sa.String(200), nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("browser_sessions_by_expiry", "browser_sessions", ["expires"])


def downgrade() -> None:
    """Forget the approvals; the ledgers of the brokers still have every step."""
    for table in ("browser_sessions", "approval_deliveries", "approval_events", "approval_answers", "approval_groups"):
        op.drop_table(table)
    op.drop_table("approval_requests")


def _of_request(*, primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey("approval_requests.id", ondelete="CASCADE")
    return sa.Column("request", sa.String(32), key, primary_key=primary_key, nullable=False)
