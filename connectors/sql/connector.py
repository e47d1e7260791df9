"""The SQL connector, as its entry point names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from connectors.sql.answer import MEDIA_TYPE, MEDIA_TYPE_1
from connectors.sql.hint import client_hint
from connectors.sql.layer import sql_layer
from connectors.sql.tsql.classify import VERBS, Scope
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.model.decision import Limit, Mask, Statement
from hoopcli.sansio.layer import Layer
from hoopcli.spi import ClientHint, Demo, Job, LayerContext, Listen, Table, Target

_AUTHS = ("entra", "password", "none")
_ENCRYPT = ("on", "strict", "off", "none")
_YES_NO = ("no", "yes")
_ON_OFF = ("on", "off")
_DEFAULT_PORT = 1433


class SqlConnector:
    """SQL Server, Azure SQL Database and Managed Instance, over TDS 7.4 and 8.0."""

    kind = "sql"
    verbs = VERBS
    discharges = frozenset({Mask.kind, Limit.kind, "labels"})
    alpn = ("tds/8.0",)

    def target(self, connection: Connection) -> Target:
        """Validate a connection's options. Raises UsageError naming the option."""
        options = connection.options
        if not options.get("server"):
            raise UsageError(f"the connection {connection.name} names no server", "add it with --server HOST")
        _choice(connection, "auth", _AUTHS)
        _choice(connection, "encrypt", _ENCRYPT)
        _choice(connection, "trust_server_certificate", _YES_NO)
        _choice(connection, "catalog", _ON_OFF)
        return Target(options["server"], _port(connection), options.get("auth", _AUTHS[0]), options)

    def layer(self, context: LayerContext) -> Layer:
        """A new layer for one accepted client connection."""
        return sql_layer(context)

    def client_hint(self, listen: Listen, connection: Connection) -> ClientHint:
        """How native clients reach the session."""
        return client_hint(listen, connection)

    def explain(self, text: str, connection: Connection) -> Statement:
        """Classify a batch as the layer would, but without the catalog; with its statements and columns as facts."""
        from connectors.sql.described import described  # noqa: PLC0415 - only the command line asks
        from connectors.sql.tds.request import SqlBatch  # noqa: PLC0415 - the command line asks before it connects
        from connectors.sql.understand import Handles, understand  # noqa: PLC0415

        scope = Scope(connection.options.get("database", "master"))
        understood = understand(SqlBatch(text), text.encode("utf-16-le"), scope, Handles())
        return replace(understood.statement, facts={**understood.statement.facts, **described(understood.batches[0])})

    def execute(self, listen: Listen, connection: Connection, job: Job) -> Iterator[Table]:
        """Run one batch through a session with a real client. Raises DeniedError, UpstreamError."""
        from connectors.sql.execute import execute  # noqa: PLC0415 - it loads a native driver

        return execute(listen, connection.options.get("database", "master"), job.text())

    def demo(self) -> AbstractContextManager[Demo]:
        """The shop, over DuckDB, with the tour through it."""
        from connectors.sql.demo.tour import demo  # noqa: PLC0415 - it loads a database

        return demo()

    def render(self, media_type: str, payload: bytes) -> Iterator[Table]:
        """Turn a recorded answer into tables, for replay."""
        from connectors.sql.render import render  # noqa: PLC0415 - only replay needs it

        if media_type == MEDIA_TYPE_1:
            return render(payload, classification=1)
        if media_type != MEDIA_TYPE:
            raise UsageError(f"the SQL connector cannot render {media_type}")
        return render(payload)


def _choice(connection: Connection, option: str, allowed: Sequence[str]) -> None:
    value = connection.options.get(option, allowed[0])
    if value not in allowed:
        raise UsageError(
            f"the connection {connection.name} has {option} = {value!r}", f"use one of: {', '.join(allowed)}"
        )


def _port(connection: Connection) -> int:
    text = connection.options.get("port", str(_DEFAULT_PORT))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(f"the connection {connection.name} has port = {text!r}", "use a number from 1 to 65535")
    return int(text)
