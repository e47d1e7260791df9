"""Ledgers of brokers: records, payloads, sessions, witness, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ledgers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("origin", sa.String(500), nullable=False, unique=True),
        sa.Column("vkey", sa.String(1000), nullable=False),
        sa.Column("enrolled_by", sa.String(500), nullable=False),
        sa.Column("enrolled", sa.Double, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("witnessed_size", sa.BigInteger, nullable=False),
        sa.Column("witnessed_root", sa.LargeBinary(32), nullable=False),
        sa.Column("witnessed_note", sa.Text),
        sa.Column("heard", sa.Double, nullable=False),
        sa.CheckConstraint("size >= 0 AND witnessed_size >= 0", name="ledger_sizes"),
    )
    op.create_table(
        "ledger_records",
        sa.Column("ledger", sa.Integer, sa.ForeignKey("ledgers.id"), primary_key=True),
        sa.Column("idx", sa.BigInteger, primary_key=True),
        sa.Column("nodes", sa.LargeBinary, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_payloads",
        sa.Column("ledger", sa.Integer, sa.ForeignKey("ledgers.id"), primary_key=True),
        sa.Column("idx", sa.BigInteger, primary_key=True),
        sa.Column("slot", sa.SmallInteger, primary_key=True),
        sa.Column("salt", sa.LargeBinary(32)),
        sa.Column("content", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_sessions",
        sa.Column("ledger", sa.Integer, sa.ForeignKey("ledgers.id"), primary_key=True),
        sa.Column("session", sa.String(200), primary_key=True),
        sa.Column("principal", sa.String(500), nullable=False),
        sa.Column("connection", sa.String(200), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger),
        sa.Column("opened", sa.String(27), nullable=False),
        sa.Column("expires", sa.String(27), nullable=False),
        sa.Column("closed", sa.String(27)),
    )
    op.create_index("ledger_sessions_by_time", "ledger_sessions", ["opened"])
    op.create_index("ledger_sessions_by_principal", "ledger_sessions", ["principal", "opened"])
    op.create_table(
        "ledger_alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ledger", sa.Integer, sa.ForeignKey("ledgers.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("honest_note", sa.Text),
        sa.Column("other_note", sa.Text),
        sa.Column("resolved", sa.Double),
    )
    op.create_index("ledger_alerts_by_ledger", "ledger_alerts", ["ledger", "at"])


def downgrade() -> None:
    """There is no way back: records are never deleted."""
    raise NotImplementedError("records are never deleted; restore a backup instead")
