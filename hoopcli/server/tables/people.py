"""The sessions of people, agents and workloads at a server, and the proofs that they have used."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Index, MetaData, String, Table

metadata = MetaData()

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # of the token, which is kept nowhere
    Column("thumbprint", String(64), nullable=False),
    Column("subject", String(500), nullable=False),
    Column("principal", JSON, nullable=False),
    Column("provider", String(100), nullable=False),
    Column("client", String(300), nullable=False),
    Column("begun", Double, nullable=False),  # Unix seconds, as the others
    Column("expires", Double, nullable=False),
    Column("ends", Double, nullable=False),  # however often it is refreshed
)
Index("sessions_by_subject", sessions.c.subject)
Index("sessions_by_end", sessions.c.ends)

proofs = Table(
    "session_proofs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("expires", Double, nullable=False),
)
Index("session_proofs_by_expiry", proofs.c.expires)
