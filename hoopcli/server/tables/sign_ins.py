"""The table of sign-ins that are under way in browsers. Secrets are kept as digests only."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Index, MetaData, String, Table

metadata = MetaData()

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("stage", String(10), nullable=False),  # asked, vouched or code
    Column("provider", String(50), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("wanted", JSON, nullable=False),  # where it leads to
    Column("principal", JSON(none_as_null=True)),  # who it is, once the provider has said so
    Column("expires", Double, nullable=False),
)
Index("sign_ins_by_expiry", sign_ins.c.expires)
