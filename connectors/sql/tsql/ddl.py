"""CREATE, ALTER and DROP of every kind of object.

The name is read exactly. What follows it is read as options: up to the next word that can only begin a statement. If
such a word was an option after all, the rest is taken for one more statement, never for less.
"""

from __future__ import annotations

from connectors.sql.tsql.constraints import constraints
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import END, STRING, Doubt
from connectors.sql.tsql.names import securable
from connectors.sql.tsql.temps import compared, declared_columns, made
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.words import SOFT_STARTS, STARTS

#: Kinds whose objects belong to a schema; the second set is of those whose definition runs to the end of the batch.
_SCHEMA_KINDS = frozenset(
    {"TABLE", "SEQUENCE", "SYNONYM", "TYPE", "RULE", "DEFAULT", "AGGREGATE", "QUEUE", "EXTERNAL TABLE",
     "XML SCHEMA COLLECTION", "SECURITY POLICY"}
)  # fmt: skip
_MODULES = frozenset({"VIEW", "PROCEDURE", "PROC", "FUNCTION", "TRIGGER", "MATERIALIZED VIEW"})
_DATABASE_KINDS = frozenset(
    {"USER", "ROLE", "SCHEMA", "APPLICATION ROLE", "ASSEMBLY", "CERTIFICATE", "SYMMETRIC KEY", "ASYMMETRIC KEY",
     "FULLTEXT CATALOG", "FULLTEXT STOPLIST", "PARTITION FUNCTION", "PARTITION SCHEME", "CONTRACT", "MESSAGE TYPE",
     "SERVICE", "ROUTE", "REMOTE SERVICE BINDING", "DATABASE SCOPED CREDENTIAL", "EXTERNAL DATA SOURCE",
     "EXTERNAL FILE FORMAT", "EXTERNAL LIBRARY", "EXTERNAL LANGUAGE", "EXTERNAL MODEL", "COLUMN MASTER KEY",
     "COLUMN ENCRYPTION KEY", "DATABASE AUDIT SPECIFICATION", "WORKLOAD GROUP", "WORKLOAD CLASSIFIER"}
)  # fmt: skip
_SERVER_KINDS = frozenset(
    {"LOGIN", "ENDPOINT", "CREDENTIAL", "SERVER ROLE", "SERVER AUDIT", "SERVER AUDIT SPECIFICATION", "EVENT SESSION",
     "AVAILABILITY GROUP", "RESOURCE POOL", "EXTERNAL RESOURCE POOL", "CRYPTOGRAPHIC PROVIDER", "EVENT NOTIFICATION"}
)  # fmt: skip
_CONFIGURATIONS = frozenset({"DATABASE SCOPED CONFIGURATION", "SERVER CONFIGURATION", "RESOURCE GOVERNOR"})
_NAMELESS = _CONFIGURATIONS | {"MASTER KEY", "SERVICE MASTER KEY", "DATABASE ENCRYPTION KEY"}
_OF_SERVER = frozenset({"SERVICE MASTER KEY", "SERVER CONFIGURATION", "RESOURCE GOVERNOR"})
_EVERY_KIND = (
    _SCHEMA_KINDS | _MODULES | _DATABASE_KINDS | _SERVER_KINDS | _NAMELESS
    | {"DATABASE", "INDEX", "STATISTICS", "FULLTEXT INDEX", "AUTHORIZATION"}
)  # fmt: skip
_LONGEST = max(len(kind.split()) for kind in _EVERY_KIND)

#: Definitions that hold no value of a table and open no other way to one.
_INERT = frozenset({"TABLE", "INDEX", "STATISTICS", "TYPE", "SEQUENCE", "SCHEMA", "ROLE", "USER", "LOGIN"})
_ADDED = frozenset({"SIGNATURE", "COUNTER", "SENSITIVITY"})  # what the statement ADD adds
_INDEX_WORDS = (
    "UNIQUE", "CLUSTERED", "NONCLUSTERED", "COLUMNSTORE", "PRIMARY", "XML", "SPATIAL", "JSON", "VECTOR",
    "SELECTIVE", "ORDERED",
)  # fmt: skip


def create(ctx: Context) -> None:
    """Read CREATE, and CREATE OR ALTER."""
    c = ctx.cursor
    first = ctx.first
    c.expect("CREATE")
    verbs = ("sql:create", "sql:alter") if c.accept_all("OR", "ALTER") else ("sql:create",)
    distance = 0
    while c.ahead(distance).key in _INDEX_WORDS:
        distance += 1
    if c.ahead(distance).key == "INDEX":
        c.at += distance
    _define(ctx, verbs, first=first)


def alter(ctx: Context) -> None:
    """Read ALTER."""
    first = ctx.first
    ctx.cursor.expect("ALTER")
    _define(ctx, ("sql:alter",), first=first)


def drop(ctx: Context) -> None:
    """Read DROP, of one object or several."""
    c = ctx.cursor
    c.expect("DROP")
    if c.accept_all("SENSITIVITY", "CLASSIFICATION", "FROM"):
        _classified(ctx)
        return
    kind = _kind(c)
    c.accept_all("IF", "EXISTS")
    if kind in _NAMELESS:
        _nameless(ctx, kind, ("sql:drop",))
    else:
        _named(ctx, kind, ("sql:drop",))
        while c.accept(","):
            _named(ctx, kind, ("sql:drop",))
    tail(c)


def add(ctx: Context) -> None:
    """Read ``ADD SENSITIVITY CLASSIFICATION TO column, ... WITH (...)``, by which masks may go."""
    c = ctx.cursor
    c.expect("ADD")
    c.expect("SENSITIVITY")
    c.expect("CLASSIFICATION")
    c.expect("TO")
    _classified(ctx)
    c.expect("WITH")
    c.balanced()


def _classified(ctx: Context) -> None:
    """Read the columns of a sensitivity classification; which masks hold is another thing from here on."""
    c = ctx.cursor
    while True:
        column = c.name(limit=4)
        if len(column) < 2:
            raise Doubt("A column is named without its table.")
        ctx.effects.on("sql:alter", column[:-1], ctx.scope)
        if not c.accept(","):
            break
    ctx.effects.unknown()
    ctx.effects.store()


def trigger_switch(ctx: Context) -> None:
    """Read ``ENABLE | DISABLE TRIGGER name ON table | DATABASE | ALL SERVER``."""
    c = ctx.cursor
    c.take()
    c.expect("TRIGGER")
    if not c.accept("ALL"):
        ctx.effects.on("sql:alter", c.name(limit=2), ctx.scope)
        while c.accept(","):
            ctx.effects.on("sql:alter", c.name(limit=2), ctx.scope)
    c.expect("ON")
    _trigger_place(ctx, ("sql:alter",))


def tail(c: Cursor) -> None:
    """Read options up to the end of the statement: a semicolon, or a word that can only begin the next one."""
    while c.kind != END and c.key not in (";", "END", "ELSE"):
        if c.key == "(":
            c.balanced(frozenset({"DELETE", "UPDATE", "SET", "EXECUTE"}))
        elif _referential(c) or c.accept_all("WITH", "ROLLBACK") or c.accept_all("WITH", "EXECUTE", "AS"):
            continue
        elif c.key == "MOVE" and c.ahead().kind == STRING:
            c.take()
        elif c.key in SOFT_STARTS or c.key in (":", ")") or (c.key == "ADD" and c.ahead().key in _ADDED):
            raise c.doubt("an option")
        elif c.key == "AS" and _query_opens(c):
            raise c.doubt("no query in a definition")
        elif c.key in STARTS:
            return
        else:
            c.take()


def _query_opens(c: Cursor) -> bool:
    """Whether a query comes behind AS, and not the value of a computed column."""
    distance = 1
    while c.ahead(distance).key == "(":
        distance += 1
    return c.ahead(distance).key in ("SELECT", "WITH", "VALUES")


def _referential(c: Cursor) -> bool:
    """``ON DELETE SET NULL`` and kin."""
    if c.key != "ON" or c.ahead().key not in ("DELETE", "UPDATE"):
        return False
    c.at += 2
    if c.accept("SET"):
        c.expect("NULL", "DEFAULT")
    elif not c.accept("CASCADE"):
        c.expect("NO")
        c.expect("ACTION")
    return True


def _define(ctx: Context, verbs: tuple[str, ...], *, first: bool) -> None:
    c = ctx.cursor
    kind = _kind(c)
    if kind in _MODULES:
        _module(ctx, verbs, first=first)
        return
    if kind in _NAMELESS:
        _nameless(ctx, kind, verbs)
    else:
        _named(ctx, kind, verbs)
    named = c.at
    if kind.startswith("EXTERNAL"):
        ctx.effects.act("sql:external", *ctx.effects.actions[verbs[0]])
    if verbs == ("sql:alter",):
        _alteration(ctx, kind)
    elif kind not in _INERT:
        ctx.effects.unknown()
        ctx.effects.store()
    if kind == "SCHEMA" and verbs == ("sql:create",):
        _schema_rest(c)
    else:
        tail(c)
    if kind == "TABLE":
        constraints(ctx, named)


def _schema_rest(c: Cursor) -> None:
    """CREATE SCHEMA can hold definitions of its own, whose names mean objects of the new schema."""
    if c.accept("AUTHORIZATION"):
        c.identifier()
    if c.key not in ("", ";"):
        raise Doubt("CREATE SCHEMA with definitions inside is not read.")


def _kind(c: Cursor) -> str:
    """Read the kind of object: the longest known sequence of words."""
    words = [c.ahead(distance).key for distance in range(_LONGEST)]
    for length in range(_LONGEST, 0, -1):
        kind = " ".join(words[:length])
        if kind in _EVERY_KIND:
            c.at += length
            return kind
    raise c.doubt("a kind of object")


def _nameless(ctx: Context, kind: str, verbs: tuple[str, ...]) -> None:
    resource = securable(kind, "", ctx.scope, of_server=kind in _OF_SERVER)
    for verb in (*verbs, "sql:configure") if kind in _CONFIGURATIONS else verbs:
        ctx.effects.act(verb, resource)


def _named(ctx: Context, kind: str, verbs: tuple[str, ...]) -> None:
    """Read the name of an object and note the action on what policy knows it by."""
    c = ctx.cursor
    if kind in ("INDEX", "FULLTEXT INDEX"):
        _index(ctx, kind, verbs)
    elif kind == "STATISTICS":
        _statistics(ctx, verbs)
    elif kind == "AUTHORIZATION":
        _authorization(ctx)
    elif kind in _SCHEMA_KINDS or kind in _MODULES:
        parts = c.name(limit=3)
        for verb in verbs:
            ctx.effects.on(verb, parts, ctx.scope)
        if kind == "TABLE" and verbs != ("sql:drop",):
            made(ctx, parts, declared_columns(c) if verbs == ("sql:create",) else None)
        if verbs == ("sql:drop",) and kind == "TRIGGER" and c.accept("ON"):
            _trigger_place(ctx, verbs)
    else:
        current = kind == "DATABASE" and c.accept("CURRENT")
        name = ctx.scope.database if current else c.identifier()
        of_server = kind in _SERVER_KINDS
        scope = ctx.scope.__class__(name) if kind == "DATABASE" else ctx.scope
        for verb in verbs:
            ctx.effects.act(verb, securable(kind, name, scope, of_server=of_server))


def _index(ctx: Context, kind: str, verbs: tuple[str, ...]) -> None:
    """``INDEX name ON table``; the older ``DROP INDEX table.name`` names the table first."""
    c = ctx.cursor
    parts: Parts = ()
    if kind == "INDEX" and not c.accept("ALL"):
        parts = c.name(limit=4)
    if len(parts) > 1:
        table = parts[:-1]
    else:
        c.expect("ON")
        table = c.name(limit=3)
    _over_table(ctx, table, verbs)


def _statistics(ctx: Context, verbs: tuple[str, ...]) -> None:
    c = ctx.cursor
    parts = c.name(limit=4)
    table = parts[:-1] if len(parts) > 1 else ()
    if not table:
        c.expect("ON")
        table = c.name(limit=3)
    _over_table(ctx, table, verbs)


def _over_table(ctx: Context, table: Parts, verbs: tuple[str, ...]) -> None:
    """Note what is done with an index or statistics; to make them, values are compared, and an error can quote one."""
    for verb in verbs:
        name = ctx.effects.on(verb, table, ctx.scope)
        if verb == "sql:drop":
            continue
        ctx.effects.seen(name)
        if name.temporary:
            compared(ctx, table)
        else:
            ctx.effects.tell(frozenset({f"{name.resource}.*"}))


def _authorization(ctx: Context) -> None:
    """``AUTHORIZATION ON [class ::] name TO principal``."""
    c = ctx.cursor
    c.expect("ON")
    resource = securable_name(ctx)
    c.expect("TO")
    ctx.effects.act("sql:alter", resource)
    if not c.accept_all("SCHEMA", "OWNER"):
        c.identifier()


def securable_name(ctx: Context) -> str:
    """Read ``[class ::] name`` as GRANT and ALTER AUTHORIZATION write it: its resource."""
    c = ctx.cursor
    distance = 0
    while c.ahead(distance).key not in ("::", "", "TO", "FROM") and distance < _LONGEST:
        distance += 1
    if c.ahead(distance).key != "::":
        return ctx.effects.resolve(c.name(), ctx.scope)
    kind = " ".join(c.take().key for _ in range(distance))
    c.expect("::")
    if kind in ("OBJECT", "TYPE") or kind in _SCHEMA_KINDS:
        return ctx.effects.resolve(c.name(), ctx.scope)
    name = c.identifier()
    scope = ctx.scope.__class__(name) if kind == "DATABASE" else ctx.scope
    return securable(kind, name, scope, of_server=kind in _SERVER_KINDS)


def _module(ctx: Context, verbs: tuple[str, ...], *, first: bool) -> None:
    """Views, procedures, functions and triggers: all that follows in the batch is their definition."""
    c = ctx.cursor
    if not first:
        raise Doubt("A module must be the only statement of its batch.")
    parts = c.name(limit=3)
    for verb in verbs:
        ctx.effects.on(verb, parts, ctx.scope)
    if c.accept("ON"):
        _trigger_place(ctx, verbs)
    ctx.effects.unknown()
    ctx.effects.store()
    c.at = len(c.tokens) - 1


def _trigger_place(ctx: Context, verbs: tuple[str, ...]) -> None:
    c = ctx.cursor
    for verb in verbs:
        if c.key == "DATABASE":
            ctx.effects.act(verb, securable("DATABASE", ctx.scope.database, ctx.scope))
        elif c.key == "ALL" and c.ahead().key == "SERVER":
            ctx.effects.act(verb, "server")
    if c.accept("DATABASE") or c.accept_all("ALL", "SERVER"):
        return
    parts = c.name(limit=3)
    for verb in verbs:
        ctx.effects.on(verb, parts, ctx.scope)


def _alteration(ctx: Context, kind: str) -> None:
    """The first words after the name of what is altered, which would else be taken for another statement."""
    c = ctx.cursor
    if kind == "TABLE":
        ctx.effects.store()
        ctx.effects.reads |= ctx.effects.actions["sql:alter"]
        ctx.effects.user_reads |= ctx.effects.actions["sql:alter"]
        ctx.effects.tell(frozenset(f"{table}.*" for table in ctx.effects.actions["sql:alter"]))
        _table_alteration(ctx)
    elif kind in ("ROLE", "SERVER ROLE"):
        if c.accept("ADD", "DROP"):
            c.expect("MEMBER")
    elif kind == "SCHEMA":
        c.expect("TRANSFER")
        ctx.effects.act("sql:alter", securable_name(ctx))
        ctx.effects.unknown()
        ctx.effects.store()
    elif kind not in ("INDEX", "STATISTICS", "USER", "LOGIN", "SEQUENCE"):
        ctx.effects.unknown()
    if kind in ("DATABASE", "DATABASE SCOPED CONFIGURATION", "SERVER CONFIGURATION"):
        c.accept("SET")
    elif kind in ("INDEX", "LOGIN"):
        c.accept("SET", "ENABLE", "DISABLE")


def _table_alteration(ctx: Context) -> None:
    c = ctx.cursor
    if c.accept("ALTER", "DROP"):
        c.accept_all("IF", "EXISTS")
        c.accept("COLUMN", "CONSTRAINT")
        c.accept_all("IF", "EXISTS")
    elif c.accept("SET"):
        c.balanced()
    elif c.accept("ENABLE", "DISABLE"):
        c.expect("TRIGGER", "CHANGE_TRACKING", "FILETABLE_NAMESPACE")
    elif c.accept("SWITCH"):
        if c.accept("PARTITION"):
            c.number()
        c.expect("TO")
        ctx.effects.on("sql:alter", c.name(limit=3), ctx.scope)
