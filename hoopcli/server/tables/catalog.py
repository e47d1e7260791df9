"""The table of policy revisions. Rows are added and never changed; the newest is the one that holds."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Integer, MetaData, String, Table, Text

metadata = MetaData()

revisions = Table(
    "policy_revisions",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 ... without a gap
    Column("policy", Text, nullable=False),
    Column("connections", JSON, nullable=False),
    Column("author", String(500), nullable=False),
    Column("comment", Text, nullable=False),
    Column("at", Double, nullable=False),  # Unix seconds
)
