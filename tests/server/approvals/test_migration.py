"""The migrated schema is the one that the tables say, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData

from hoopcli.server import migrations
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.tables import approvals, browsers, catalog
from tests.support.postgres import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        sqlite = request.param == "sqlite"
        url = sqlite_url(tmp_path / "server.db") if sqlite else stack.enter_context(postgres())
        yield stack.enter_context(closing(Database.open(url)))


@pytest.mark.parametrize("metadata", [approvals.metadata, browsers.metadata, catalog.metadata])
def test_the_schema_is_what_the_tables_say(database: Database, metadata: MetaData) -> None:
    migrations.upgrade(database)
    options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
