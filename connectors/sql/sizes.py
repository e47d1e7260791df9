"""How large the tables are that a statement would change: told to the people who are asked whether it may run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.sql.inquiry import ask, headers_of, inquiry
from connectors.sql.tds.headers import Headers
from connectors.sql.tds.packet import Status
from connectors.sql.tds.request import Request, RpcRequest
from connectors.sql.tds.tokens import ServerMessage, TokenType
from connectors.sql.tds.tokenstream import Row, read_tokens
from connectors.sql.tds.values import Value
from connectors.sql.tsql.names import Scope, segment
from connectors.sql.understand import Understood
from connectors.sql.upstream import LoggedIn
from hoopcli.errors import ProtocolError
from hoopcli.masking.patterns import segments
from hoopcli.model.approval import TOUCHES
from hoopcli.model.decision import Effect, Statement
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

_WHOLE = frozenset({"sql:truncate", "sql:drop"})
_SOME = frozenset({"sql:delete", "sql:update", "sql:merge"})
_MOST_TABLES = 16
_PARTS = 3
_QUESTION = """SELECT s.name, o.name, CAST(SUM(p.rows) AS nvarchar(20)) FROM {db}sys.partitions AS p
JOIN {db}sys.objects AS o ON o.object_id = p.object_id JOIN {db}sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type = 'U' AND p.index_id IN (0, 1) AND LOWER(CONCAT(s.name, N'.', o.name)) IN ({names})
GROUP BY s.name, o.name"""


class Sizes:
    """Asks the upstream how many rows tables hold, where people are to decide about changes to them."""

    def __init__(self, context: LayerContext, upstream: LoggedIn) -> None:
        self._preview = context.preview
        self._upstream = upstream

    def told(self, understood: Understood, request: Request, resets: Status, scope: Scope) -> Steps[Understood]:
        """The request with the fact ``touches``, if people are to be asked and it can be told without running it."""
        statement = understood.statement
        tables = _changed(statement)
        if not tables or self._preview(statement) is not Effect.REQUIRE_APPROVAL:
            return understood
        rows: dict[str, int] = {}
        for database in dict.fromkeys(segments(table)[0] for table in tables):
            here = database == segment(scope.database)
            asked = [table for table in tables if segments(table)[0] == database]
            answer = yield from ask(self._upstream, question(database, asked, headers_of(request), here=here), resets)
            rows |= read_answer(database, answer)
        touches = [_sentence(statement, table, rows[table]) for table in tables if table in rows]
        if not touches:
            return understood
        return replace(understood, statement=replace(statement, facts={**statement.facts, TOUCHES: touches}))


def question(database: str, tables: Sequence[str], headers: Headers, *, here: bool = False) -> RpcRequest:
    """The request that asks for the rows of tables of one database; ``here`` says that it is the session's own."""
    named = (".".join(map(_plain, segments(table)[1:])) for table in tables)
    names = ", ".join("N'" + name.replace("'", "''") + "'" for name in named)
    delimited = database if database.startswith("[") else f"[{database}]"
    return inquiry(_QUESTION.format(db="" if here else f"{delimited}.", names=names), headers)


def read_answer(database: str, payload: bytes) -> Mapping[str, int]:
    """The rows of each table. Nothing is told by an error, nor of two tables that only case tells apart."""
    found: list[Sequence[Value]] = []
    try:
        for token in read_tokens(payload):
            if isinstance(token, ServerMessage) and token.token is TokenType.ERROR:
                return {}
            if isinstance(token, Row):
                found.append(token.values)
        rows = [(f"{database}.{segment(str(schema))}.{segment(str(name))}", int(str(n))) for schema, name, n in found]
    except (ProtocolError, ValueError):
        return {}
    times = Counter(table for table, _ in rows)
    return {table: count for table, count in rows if times[table] == 1}


def _changed(statement: Statement) -> list[str]:
    """The tables whose rows a statement may change or lose."""
    found = {r for action in statement.actions if action.verb in _WHOLE | _SOME for r in action.resources}
    tables = [r for r in sorted(found) if len(segments(r)) == _PARTS and "*" not in r and not r.startswith("tempdb.")]
    return tables[:_MOST_TABLES]


def _sentence(statement: Statement, table: str, rows: int) -> str:
    """``rows`` is the server's own count of a table, which it keeps approximately."""
    whole = any(action.verb in _WHOLE and table in action.resources for action in statement.actions)
    everything = whole or statement.facts.get("filtered") is False
    held = "about 1 row" if rows == 1 else f"about {rows:,} rows"
    return f"{'up to all' if everything else 'some'} of the {held} of {table}"


def _plain(name: str) -> str:
    """The name that a segment of a resource stands for, in lower case."""
    return name[1:-1].replace("]]", "]") if name.startswith("[") else name
