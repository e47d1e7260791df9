"""Dry runs of drafts of the policy, as far as they have come."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Integer, MetaData, String, Table, Text

metadata = MetaData()

runs = Table(
    "policy_dry_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject", String(500), nullable=False),  # who began it; nobody else sees it
    Column("begun", Double, nullable=False),  # Unix seconds
    Column("serial", Integer, nullable=False),  # the revision that it is compared with
    Column("policy", Text, nullable=False),  # the draft
    Column("turn", Integer, nullable=False),  # counts the steps, so that none is taken twice
    Column("total", BigInteger, nullable=False),  # records to read
    Column("done", BigInteger, nullable=False),
    Column("spans", JSON, nullable=False),  # what is yet to be read
    Column("found", JSON, nullable=False),
)
