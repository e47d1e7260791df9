"""One connection's catalog: read when a statement names what is not known, forgotten when it may have changed."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.sql.catalog import Catalog
from connectors.sql.catalog_wire import question, read_answer
from connectors.sql.expand import expand, tables_of
from connectors.sql.inquiry import ask, headers_of
from connectors.sql.tds.packet import Status
from connectors.sql.tds.request import Request
from connectors.sql.tsql.names import Scope, segment
from connectors.sql.understand import Understood
from connectors.sql.upstream import LoggedIn
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

FRESH = timedelta(seconds=60)
_MOST_DATABASES = 16
_DEFINING = frozenset({"sql:create", "sql:alter", "sql:drop"})


class CatalogReader:
    """Asks the upstream for its catalog over the connection that the client's statements take."""

    def __init__(self, context: LayerContext, upstream: LoggedIn) -> None:
        self._now = context.now
        self._upstream = upstream
        self._catalog = Catalog()
        self._read_at: datetime | None = None
        self._changed = False

    def prepare(self, understood: Understood, request: Request, resets: Status, scope: Scope) -> Steps[Understood]:
        """Say what a request reads in a session, having asked for what is not known of it."""
        tables = tables_of(understood)
        if not tables:
            return understood
        if self._read_at is None or self._now() - self._read_at > FRESH:
            self.forget()
            self._read_at = self._now()
        asked: set[str] = set()
        while (database := self._catalog.missing(tables, asked)) and len(asked) < _MOST_DATABASES:
            yield from self._ask(database, request, resets, here=database == segment(scope.database))
            asked.add(database)
        return expand(understood, self._catalog)

    def forget(self) -> None:
        """What is known may hold no longer."""
        self._catalog = Catalog()
        self._read_at = None

    def passed(self, understood: Understood) -> None:
        """A request ran. After a definition that may be rolled back, the end of a transaction changes them too."""
        verbs = {action.verb for action in understood.statement.actions}
        unseen = understood.statement.facts.get("reads_unknown", False) is not False
        self._changed |= unseen or not _DEFINING.isdisjoint(verbs)
        if unseen or not _DEFINING.isdisjoint(verbs) or (self._changed and "sql:transaction" in verbs):
            self.forget()

    def _ask(self, database: str, request: Request, resets: Status, *, here: bool) -> Steps[None]:
        answer = yield from ask(self._upstream, question(database, headers_of(request), here=here), resets)
        self._catalog.learn(database, read_answer(database, answer))
