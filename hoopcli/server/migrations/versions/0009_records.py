"""The index over records, and who read what of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

_WORDS = """CREATE VIRTUAL TABLE audit_words
USING fts5(words, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_='")"""
_REFUSE = """CREATE FUNCTION audit_reads_stay() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'audit_reads is append-only'; END $$"""


def upgrade() -> None:
    """Make the tables; a chore fills them."""
    op.create_table(
        "audit_progress",
        sa.Column("ledger", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit_scopes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("connection", sa.String(200), nullable=False),
        sa.Column("principal", sa.String(500), nullable=False),
        sa.UniqueConstraint("connection", "principal", name="audit_scope"),
    )
    op.create_table(
        "audit_sessions",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ledger", sa.Integer, nullable=False),
        sa.Column("session", sa.String(200), nullable=False),
        sa.Column("scope", sa.Integer, sa.ForeignKey("audit_scopes.id"), nullable=False),
        sa.Column("connection", sa.String(200), nullable=False),
        sa.Column("connector", sa.String(50), nullable=False),
        sa.Column("principal", sa.String(500), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("on_behalf_of", sa.String(500), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("opened", sa.String(27), nullable=False),
        sa.Column("expires", sa.String(27), nullable=False),
        sa.Column("heard", sa.String(27), nullable=False),
        sa.Column("closed", sa.String(27), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("statements", sa.BigInteger, nullable=False),
        sa.Column("denied", sa.BigInteger, nullable=False),
        sa.Column("waits", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("masked", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("ledger", "session", name="audit_session"),
    )
    op.create_table(
        "audit_statements",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("session", sa.BigInteger, sa.ForeignKey("audit_sessions.key"), nullable=False),
        sa.Column("scope", sa.Integer, nullable=False),
        sa.Column("ledger", sa.Integer, nullable=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("exchange", sa.String(200), nullable=False),
        sa.Column("time", sa.String(27), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("verbs", sa.Text, nullable=False),
        sa.Column("resources", sa.Text, nullable=False),
        sa.Column("effect", sa.String(20), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("masked", sa.BigInteger, nullable=False),
        sa.Column("waited", sa.Boolean, nullable=False),
    )
    op.create_table(
        "audit_members",
        sa.Column("session", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_reads",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("asked", sa.JSON, nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
    )
    op.create_index("audit_sessions_by_person", "audit_sessions", ["principal", "key"])
    op.create_index("audit_sessions_by_connection", "audit_sessions", ["connection", "key"])
    op.create_index("audit_sessions_by_behalf", "audit_sessions", ["on_behalf_of", "key"])
    op.create_index("audit_sessions_by_scope", "audit_sessions", ["scope", "key"])
    op.create_index("audit_sessions_open", "audit_sessions", ["closed", "key"])
    op.create_index("audit_statements_by_session", "audit_statements", ["session", "key"])
    op.create_index("audit_reads_by_subject", "audit_reads", ["subject", "id"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_WORDS)
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_reads_{change.lower()} BEFORE {change} ON audit_reads"
                " BEGIN SELECT RAISE(ABORT, 'audit_reads is append-only'); END"
            )
    else:
        op.add_column("audit_statements", sa.Column("words", postgresql.TSVECTOR))
        op.create_index("audit_statements_words", "audit_statements", ["words"], postgresql_using="gin")
        op.execute(_REFUSE)
        op.execute(
            "CREATE TRIGGER audit_reads_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_reads"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_reads_stay()"
        )


def downgrade() -> None:
    """Forget the index and who read what."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("audit_words")
    op.drop_table("audit_reads")
    op.drop_table("audit_members")
    op.drop_table("audit_statements")
    op.drop_table("audit_sessions")
    op.drop_table("audit_scopes")
    op.drop_table("audit_progress")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_reads_stay()")
