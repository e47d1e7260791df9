"""The server's database: SQLite in WAL mode for one process, PostgreSQL for any number of replicas.

``read`` and ``write`` give a SQLAlchemy connection within one transaction. On SQLite writers queue for a lock of the
process and take the file's write lock at once (``BEGIN IMMEDIATE``), so that no transaction fails half way because
another one wrote first. What commits is on the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hoopcli.errors import HoopError, UsageError

BUSY_SECONDS: Final = 30.0
POOL: Final = 10
OVERFLOW: Final = 30
_WRITES: Final = "hoop_writes"
_MIGRATION_LOCK: Final = 0x686F6F70
"""``hoop``: the advisory lock under which one replica migrates while the others wait."""


class DatabaseGoneError(HoopError):
    """The database does not answer, and trying again may work."""


class Database:
    """One database. Safe to share between threads; its methods block, so that handlers that use it run in threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writing = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Database:
        """Open ``sqlite:///PATH`` or ``postgresql://...``; nothing is read or made yet. Raises UsageError."""
        try:
            parsed = make_url(url)
        except ArgumentError as error:  # its text would repeat the URL, which may hold a password
            raise UsageError("the database's URL cannot be read", "use sqlite:///PATH or postgresql://...") from error
        if parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}:
            return cls(_sqlite(parsed))
        if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
            return cls(_postgresql(parsed.set(drivername="postgresql+psycopg")))
        raise UsageError("the database is neither a file of SQLite nor PostgreSQL", "use sqlite:///PATH")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises DatabaseGoneError."""
        with _explained(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, and rolls back on any exception.

        Raises:
            DatabaseGoneError: the database does not answer. If it was the commit that got no answer, nobody knows
                whether it happened: what is written must be safe to write again.
        """
        with _explained(), self._turn(), self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A ``write`` that no other replica begins at the same time."""
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            yield connection

    def close(self) -> None:
        """Close the idle connections."""
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time on SQLite, where they would poll for the file's lock otherwise."""
        if self.is_sqlite and not self._writing.acquire(timeout=BUSY_SECONDS):
            raise DatabaseGoneError("the server is too busy to write", "try again")
        try:
            yield
        finally:
            if self.is_sqlite:
                self._writing.release()


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=BUSY_SECONDS,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,  # a connection that died while the database was away is replaced before it is used
        connect_args={"connect_timeout": 5, "application_name": "hoop server"},
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what means that the database is away into one error, without its text: it may name hosts and users."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseGoneError("the database does not answer", "try again; then ask who runs the server") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseGoneError("the database does not answer", "try again; then ask who runs the server") from error
