"""The invitations of people to a server that no provider of theirs is known to. Codes are kept as digests only."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, MetaData, String, Table

metadata = MetaData()

invitations = Table(
    "invitations",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("principal", JSON, nullable=False),
    Column("expires", Double, nullable=False),  # Unix seconds
)
