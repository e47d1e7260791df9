"""The tables of ledgers: who enrolled them, their records as brokers wrote them, and what is wrong with them.

``records.nodes`` are the hashes of the complete subtrees that a record's leaf ends, as in a broker's own file: node
(level, i) is found at byte ``32 * level`` of record ``(i + 1) * 2**level - 1``. Times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

ledgers = Table(
    "ledgers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("origin", String(500), nullable=False, unique=True),
    Column("vkey", String(1000), nullable=False),
    Column("enrolled_by", String(500), nullable=False),
    Column("enrolled", Double, nullable=False),
    Column("size", BigInteger, nullable=False),  # records stored
    Column("note", Text),  # the signed checkpoint over all records stored, if there is one
    Column("witnessed_size", BigInteger, nullable=False),
    Column("witnessed_root", LargeBinary(32), nullable=False),
    Column("witnessed_note", Text),  # the latest checkpoint cosigned, with the cosignature
    Column("heard", Double, nullable=False),  # when it last sent anything valid
    CheckConstraint("size >= 0 AND witnessed_size >= 0", name="ledger_sizes"),
)

records = Table(
    "ledger_records",
    metadata,
    Column("ledger", Integer, ForeignKey("ledgers.id"), primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("nodes", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

payloads = Table(
    "ledger_payloads",
    metadata,
    Column("ledger", Integer, ForeignKey("ledgers.id"), primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("slot", SmallInteger, primary_key=True),
    Column("salt", LargeBinary(32)),
    Column("content", LargeBinary),
    sqlite_with_rowid=False,
)

sessions = Table(
    "ledger_sessions",
    metadata,
    Column("ledger", Integer, ForeignKey("ledgers.id"), primary_key=True),
    Column("session", String(200), primary_key=True),
    Column("principal", String(500), nullable=False),
    Column("connection", String(200), nullable=False),
    Column("first", BigInteger, nullable=False),  # index of session.open
    Column("last", BigInteger),  # index of session.close; null while it is open
    Column("opened", String(27), nullable=False),
    Column("expires", String(27), nullable=False),
    Column("closed", String(27)),
)
Index("ledger_sessions_by_time", sessions.c.opened)
Index("ledger_sessions_by_principal", sessions.c.principal, sessions.c.opened)

alerts = Table(
    "ledger_alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("ledger", Integer, ForeignKey("ledgers.id"), nullable=False),
    Column("kind", String(20), nullable=False),  # fork, rollback, silent
    Column("at", Double, nullable=False),
    Column("detail", Text, nullable=False),
    Column("honest_note", Text),  # the last checkpoint that was accepted
    Column("other_note", Text),  # the one that contradicts it
    Column("resolved", Double),
    Column("resolved_by", String(500)),  # null if the ledger spoke again by itself
    Column("comment", Text),
)
Index("ledger_alerts_by_ledger", alerts.c.ledger, alerts.c.at)
