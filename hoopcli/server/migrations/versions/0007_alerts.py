"""Who resolved an alert, and what they said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the columns."""
    op.add_column("ledger_alerts", sa.Column("resolved_by", sa.String(500)))
    op.add_column("ledger_alerts", sa.Column("comment", sa.Text))


def downgrade() -> None:
    """Forget who resolved alerts."""
    op.drop_column("ledger_alerts", "comment")
    op.drop_column("ledger_alerts", "resolved_by")
