"""The ledger's file: an SQLite database in WAL mode whose tables only grow.

The triggers keep honest programs honest; what keeps the ledger is its tree. A record's ``nodes`` are the 32-byte
hashes of the complete subtrees that its leaf ends, upwards from the leaf hash itself, so that appending a record
writes one row, and node (level, i) is found at byte ``32 * level`` of record ``(i + 1) * 2**level - 1``.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from hoopcli.errors import LedgerError

APPLICATION_ID: Final = 0x686F6F70
"""``hoop``, in SQLite's header."""
SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 5.0

_TRIGGERS: Final = """
CREATE TRIGGER records_in_order BEFORE INSERT ON records
  WHEN NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM records)
  BEGIN SELECT RAISE(ABORT, 'records are appended in order'); END;
CREATE TRIGGER checkpoints_are_not_replaced BEFORE INSERT ON checkpoints
  WHEN EXISTS (SELECT 1 FROM checkpoints WHERE size >= NEW.size)
  BEGIN SELECT RAISE(ABORT, 'checkpoints only grow'); END;
CREATE TRIGGER payloads_are_not_replaced BEFORE INSERT ON payloads
  WHEN EXISTS (SELECT 1 FROM payloads WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'payloads are never replaced'); END;
CREATE TRIGGER records_never_change BEFORE UPDATE ON records
  BEGIN SELECT RAISE(ABORT, 'records never change'); END;
CREATE TRIGGER records_stay BEFORE DELETE ON records
  BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;
CREATE TRIGGER checkpoints_never_change BEFORE UPDATE ON checkpoints
  BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
CREATE TRIGGER checkpoints_stay BEFORE DELETE ON checkpoints
  BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
CREATE TRIGGER payloads_expire BEFORE UPDATE ON payloads
  WHEN NEW.id <> OLD.id OR NEW.salt IS NOT NULL OR NEW.content IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'payloads only expire'); END;
CREATE TRIGGER payloads_stay BEFORE DELETE ON payloads
  BEGIN SELECT RAISE(ABORT, 'payloads are never deleted'); END;
CREATE TRIGGER origin_never_changes BEFORE UPDATE ON ledger
  BEGIN SELECT RAISE(ABORT, 'a ledger keeps its origin'); END;
"""


def create(path: Path, origin: str) -> None:
    """Make an empty ledger, whole or not at all; another process may be doing the same."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(draft)) as connection:
            _define(connection, origin)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()


def _define(connection: sqlite3.Connection, origin: str) -> None:
    import sqlite_utils  # noqa: PLC0415 - slow to import, and needed once

    database = sqlite_utils.Database(connection, strict=True)
    database.table("ledger").create({"origin": str}, not_null={"origin"})
    database.table("records").create({"idx": int, "nodes": bytes, "record": bytes}, "idx", not_null={"nodes", "record"})
    database.table("payloads").create({"id": int, "salt": bytes, "content": bytes}, "id")
    database.table("checkpoints").create({"size": int, "note": str}, "size", not_null={"note"})
    database.table("ledger").insert({"origin": origin})
    connection.executescript(_TRIGGERS)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("PRAGMA journal_mode = WAL")


def connect(path: Path, *, read_only: bool, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a ledger's file, which must exist.

    Raises:
        LedgerError: it is not a ledger, or of a newer version of hoop.
        sqlite3.Error: SQLite cannot open it.
    """
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in ("synchronous = FULL", "wal_autocheckpoint = 0", "trusted_schema = OFF", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        connection.close()
        raise LedgerError(f"{path} is not a ledger that this version of hoop knows", "check the path, or upgrade hoop")
    return connection
