"""One connection's catalog: read when a statement names what is not known, forgotten when it may have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.sql.catalog import Catalog
from connectors.sql.catalog_wire import definitions_question, question, read_answer, read_definitions
from connectors.sql.expand import called_by, expand, tables_of
from connectors.sql.inquiry import ask, headers_of
from connectors.sql.tds.packet import Status
from connectors.sql.tds.request import Request
from connectors.sql.triggers import fired, with_triggers
from connectors.sql.tsql.called import Called
from connectors.sql.tsql.names import Scope, segment
from connectors.sql.understand import Understood
from connectors.sql.upstream import LoggedIn
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

FRESH = timedelta(seconds=60)
_MOST_QUESTIONS = 32  # for one request
_OWN = "tempdb.dbo.#"
_DEFINING = frozenset({"sql:create", "sql:alter", "sql:drop"})


class CatalogReader:
    """Asks the upstream for its catalog over the connection that the client's statements take."""

    def __init__(self, context: LayerContext, upstream: LoggedIn) -> None:
        self._now = context.now
        self._upstream = upstream
        self._catalog = Catalog()
        self._read_at: datetime | None = None
        self._changed = False

    def prepare(
        self, read: Callable[[Scope], Understood], request: Request, resets: Status, scope: Scope
    ) -> Steps[Understood]:
        """Say what a request does in a session, having asked for what is not known of what it names.

        It is read again when more is known of the procedures and functions that it calls.
        """
        understood = read(scope)
        if not tables_of(understood) and not called_by(understood):
            return understood
        if self._read_at is None or self._now() - self._read_at > FRESH:
            self.forget()
            self._read_at = self._now()
        asked: set[str] = set()
        triggers: Sequence[Called | None] = ()
        for _ in range(_MOST_QUESTIONS):
            if called_by(understood):
                self._catalog.calls.renew()
                understood = read(replace(scope, modules=self._catalog.calls))
            triggers = fired(understood, self._catalog)
            if not (yield from self._asked(understood, request, resets, asked, scope)):
                break
        if triggers:
            understood = with_triggers(understood, triggers)
        if called_by(understood) and _defines(understood):  # what it calls may be another by then
            understood = _doubted(understood, read(scope))
        return expand(understood, self._catalog)

    def confirm(
        self, prepared: Understood, read: Callable[[Scope], Understood], request: Request, resets: Status, scope: Scope
    ) -> Steps[bool]:
        """Whether a request that was decided still means the same; asked anew where it waited long for that."""
        if self._read_at is None or self._now() - self._read_at <= FRESH or prepared.catalog is None:
            return True
        again = yield from self.prepare(read, request, resets, scope)
        return again.statement == prepared.statement and again.batches == prepared.batches

    def forget(self) -> None:
        """What is known may hold no longer."""
        self._catalog = Catalog()
        self._read_at = None

    def passed(self, understood: Understood) -> None:
        """A request ran. After a definition that may be rolled back, the end of a transaction changes them too."""
        changes = understood.statement.facts.get("reads_unknown", False) is not False or _defines(understood)
        self._changed |= changes
        ends = any(action.verb == "sql:transaction" for action in understood.statement.actions)
        if changes or (self._changed and ends):
            self.forget()

    def _asked(
        self, understood: Understood, request: Request, resets: Status, asked: set[str], scope: Scope
    ) -> Steps[bool]:
        """Ask for what is not known of one database, its objects or definitions of some: whether there was anything."""
        here, headers = segment(scope.database), headers_of(request)
        database = self._catalog.missing(tables_of(understood) | called_by(understood), asked)
        if database:
            asked.add(database)
            answer = yield from ask(self._upstream, question(database, headers, here=database == here), resets)
            self._catalog.learn(database, read_answer(database, answer))
            return True
        database, wanted = self._catalog.wanted()
        if wanted:
            those = definitions_question(database, wanted, headers, here=database == here)
            answer = yield from ask(self._upstream, those, resets)
            self._catalog.define(read_definitions(database, answer, wanted))
        return bool(wanted)


def _doubted(understood: Understood, unread: Understood) -> Understood:
    """A request with all that its calls are known to do, of whose results no more is known than without that."""
    facts = {**understood.statement.facts, "unresolved": True, "reads_unknown": True}
    return replace(unread, statement=replace(understood.statement, facts=facts))


def _defines(understood: Understood) -> bool:
    """Whether a request changes what names mean, but for those of the session's own temporary tables."""
    defined = [action.resources for action in understood.statement.actions if action.verb in _DEFINING]
    return any(not name.startswith(_OWN) for names in defined for name in names or ("",))
