"""The database: turns for writers, errors without secrets, and a schema that is what the tables say."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hoopcli.errors import UsageError
from hoopcli.server import migrations, tables
from hoopcli.server.database import Database, DatabaseGoneError, sqlite_url
from tests.support.postgres import postgres


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path_factory.mktemp("db") / "server.db")
        return
    with postgres() as made:
        yield made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database.open(url)) as made:
        yield made


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    with database.read() as connection:
        assert not migrations.is_current(connection)
    threads = [threading.Thread(target=migrations.upgrade, args=(database,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    modules = [import_module(f"hoopcli.server.tables.{module.name}") for module in iter_modules(tables.__path__)]
    with database.read() as connection:
        assert migrations.is_current(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        changes = compare_metadata(context, [module.metadata for module in modules])  # type: ignore[arg-type]
    assert [change for change in changes if not is_words(change)] == []


def is_words(change: Any) -> bool:
    """Whether this is of the full text, which each database has in a way of its own and no table describes."""
    name = str(getattr(change[-1], "name", ""))
    return change[0].startswith("remove_") and (
        name == "words" or name.startswith(("audit_words", "audit_statements_words"))
    )


def test_writers_take_turns_and_lose_nothing(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counts (n INTEGER)"))
        connection.execute(text("INSERT INTO counts VALUES (0)"))

    def count() -> None:
        for _ in range(20):
            with database.write() as connection:
                connection.execute(text("UPDATE counts SET n = n + 1"))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM counts")).scalar() == 80


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE things (n INTEGER UNIQUE)"))
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute(text("INSERT INTO things VALUES (1)"))
        raise ZeroDivisionError
    with pytest.raises(IntegrityError), database.write() as connection:  # a defect of ours, not a database that is away
        connection.execute(text("INSERT INTO things VALUES (2), (2)"))
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM things")).scalar() == 0


@pytest.mark.parametrize(
    "url", ["", "no url", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "oracle://u:s3cret@h/d"]
)
def test_a_wrong_url_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Database.open(url)
    assert "s3cret" not in str(caught.value)


def test_a_database_that_is_away(tmp_path: Path) -> None:
    for gone in (f"postgresql://u:s3cret@/d?host={tmp_path}", sqlite_url(tmp_path / "no" / "folder.db")):
        with closing(Database.open(gone)) as database:
            with pytest.raises(DatabaseGoneError) as caught, database.read():
                pass
            assert "s3cret" not in caught.value.message


def test_a_server_too_busy_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopcli.server.database.BUSY_SECONDS", 0.01)
    with (
        closing(Database.open(sqlite_url(tmp_path / "s.db"))) as database,
        database.write(),
        pytest.raises(DatabaseGoneError, match="too busy"),
        database.write(),
    ):
        pass


@pytest.mark.skipif(os.name == "nt", reason="the text of paths differs")
def test_the_url_of_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a b%20c?.db"
    with closing(Database.open(sqlite_url(path))) as database, database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    assert [p for p in tmp_path.iterdir() if p.suffix == ".db"] == [path] or (tmp_path / "a b%20c").exists()
