"""The index over the records of all ledgers, and who read what of them.

The index is derived: it can be made again from the records. Its keys are times (see ``records.keys``), so that the
newest are found without sorting. SQLite has the words of statements in a table of FTS5, ``audit_words``, PostgreSQL in
a column ``words`` of ``audit_statements``; both are made by the migration and known to ``records.words`` alone.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

progress = Table(
    "audit_progress",
    metadata,
    Column("ledger", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),  # records that are in the index
)

scopes = Table(
    "audit_scopes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connection", String(200), nullable=False),
    Column("principal", String(500), nullable=False),
    UniqueConstraint("connection", "principal", name="audit_scope"),
)
"""What reading is allowed by: the sessions of a person on a connection."""

sessions = Table(
    "audit_sessions",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("ledger", Integer, nullable=False),
    Column("session", String(200), nullable=False),
    Column("scope", Integer, ForeignKey("audit_scopes.id"), nullable=False),
    Column("connection", String(200), nullable=False),
    Column("connector", String(50), nullable=False),
    Column("principal", String(500), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("on_behalf_of", String(500), nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened", String(27), nullable=False),
    Column("expires", String(27), nullable=False),
    Column("heard", String(27), nullable=False),  # the time of its last record
    Column("closed", String(27), nullable=False),  # empty while it is open
    Column("why", String(200), nullable=False),
    Column("statements", BigInteger, nullable=False),
    Column("denied", BigInteger, nullable=False),
    Column("waits", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("masked", BigInteger, nullable=False),
    UniqueConstraint("ledger", "session", name="audit_session"),
)
Index("audit_sessions_by_person", sessions.c.principal, sessions.c.key)
Index("audit_sessions_by_connection", sessions.c.connection, sessions.c.key)
Index("audit_sessions_by_behalf", sessions.c.on_behalf_of, sessions.c.key)
Index("audit_sessions_by_scope", sessions.c.scope, sessions.c.key)
Index("audit_sessions_open", sessions.c.closed, sessions.c.key)

statements = Table(
    "audit_statements",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("session", BigInteger, ForeignKey("audit_sessions.key"), nullable=False),
    Column("scope", Integer, nullable=False),
    Column("ledger", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),  # of its exchange.request
    Column("exchange", String(200), nullable=False),
    Column("time", String(27), nullable=False),
    Column("text", Text, nullable=False),  # the beginning
    Column("verbs", Text, nullable=False),  # set apart by spaces
    Column("resources", Text, nullable=False),  # set apart by line feeds
    Column("effect", String(20), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("status", String(40), nullable=False),  # empty until it has ended
    Column("rows", BigInteger, nullable=False),
    Column("masked", BigInteger, nullable=False),
    Column("waited", Boolean, nullable=False),  # for people's answers
)
Index("audit_statements_by_session", statements.c.session, statements.c.key)

members = Table(
    "audit_members",
    metadata,
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Which records a session has."""

reads = Table(
    "audit_reads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("subject", String(500), nullable=False),
    Column("what", String(40), nullable=False),  # sessions, statements, evidence, policy, revoke ...
    Column("asked", JSON, nullable=False),  # the search, or the session
    Column("allowed", Boolean, nullable=False),
    Column("found", Integer, nullable=False),  # how many rows or records were given
)
"""Who read what. Triggers refuse to change or remove a row."""
Index("audit_reads_by_subject", reads.c.subject, reads.c.id)
