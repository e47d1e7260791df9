"""Sessions, and the proofs that they have used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("thumbprint", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("principal", sa.JSON, nullable=False),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("client", sa.String(300), nullable=False),
        sa.Column("begun", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("ends", sa.Double, nullable=False),
    )
    op.create_index("sessions_by_subject", "sessions", ["subject"])
    op.create_index("sessions_by_end", "sessions", ["ends"])
    op.create_table(
        "session_proofs",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("session_proofs_by_expiry", "session_proofs", ["expires"])


def downgrade() -> None:
    """Sign everybody out."""
    op.drop_table("session_proofs")
    op.drop_table("sessions")
