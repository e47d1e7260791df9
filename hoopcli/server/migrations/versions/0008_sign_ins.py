"""Sign-ins in browsers, by providers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sign_ins",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("stage", sa.String(10), nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("principal", sa.JSON),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("sign_ins_by_expiry", "sign_ins", ["expires"])


def downgrade() -> None:
    """Forget who is signing in."""
    op.drop_table("sign_ins")
