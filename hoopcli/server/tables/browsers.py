"""The sessions of browsers at the server's pages, and the tickets that begin them. Secrets are kept as digests only."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Index, MetaData, String, Table

metadata = MetaData()

browsers = Table(
    "browser_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(10), nullable=False),  # ticket or session
    Column("session", String(200), nullable=False),
    Column("principal", JSON, nullable=False),
    Column("thumbprint", String(200), nullable=False),
    Column("expires", Double, nullable=False),
)
Index("browser_sessions_by_expiry", browsers.c.expires)
