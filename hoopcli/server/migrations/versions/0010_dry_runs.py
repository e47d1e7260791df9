"""Dry runs of drafts of the policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "policy_dry_runs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("begun", sa.Double, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("spans", sa.JSON, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("policy_dry_runs")
