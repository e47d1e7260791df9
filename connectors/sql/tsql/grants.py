"""GRANT, REVOKE and DENY; BACKUP and RESTORE."""

from __future__ import annotations

from connectors.sql.tsql.context import Context
from connectors.sql.tsql.ddl import securable_name, tail
from connectors.sql.tsql.lexer import NAME, WORD
from connectors.sql.tsql.names import securable

_VERBS = {"GRANT": "sql:grant", "REVOKE": "sql:revoke", "DENY": "sql:deny"}
_RESTORE_INFO = frozenset({"FILELISTONLY", "HEADERONLY", "LABELONLY", "VERIFYONLY", "REWINDONLY"})

#: A permission with one of these words may be one of the server (Transact-SQL reference, "GRANT Server Permissions").
_OF_SERVER = frozenset(
    {"AVAILABILITY", "BULK", "CONNECTION", "CREDENTIAL", "DATABASE", "DEFINITION", "ENDPOINT", "EVENT", "EXTERNAL",
     "LINKED", "LOGIN", "RESOURCES", "SECURABLES", "SERVER", "SETTINGS", "SHUTDOWN", "SQL", "TRACE", "UNSAFE"}
)  # fmt: skip


def permissions(ctx: Context) -> None:
    """Read GRANT, REVOKE or DENY: on what it is, or on the database, or the server, if it names nothing."""
    c = ctx.cursor
    word = c.expect("GRANT", "REVOKE", "DENY")
    if word == "REVOKE":
        c.accept_all("GRANT", "OPTION", "FOR")
    words = _permission(ctx)
    while c.accept(","):
        words |= _permission(ctx)
    if c.accept("ON"):
        ctx.effects.act(_VERBS[word], securable_name(ctx))
        if c.key == "(":
            c.names_in_parentheses()
    else:
        ctx.effects.act(_VERBS[word], securable("DATABASE", ctx.scope.database, ctx.scope))
        if words & _OF_SERVER:
            ctx.effects.act(_VERBS[word], "server")
    c.expect("TO", "FROM")
    _principal(ctx)
    while c.accept(","):
        _principal(ctx)
    c.accept_all("WITH", "GRANT", "OPTION")
    c.accept("CASCADE")
    if c.accept("AS"):
        c.identifier()


def _permission(ctx: Context) -> set[str]:
    """One permission, one or more words of any kind, with its columns: its words."""
    c = ctx.cursor
    if c.kind != WORD or c.key in ("ON", "TO", "FROM"):
        raise c.doubt("a permission")
    words: set[str] = set()
    while c.kind == WORD and c.key not in ("ON", "TO", "FROM"):
        words.add(c.take().key)
    if c.key == "(":
        c.names_in_parentheses()
    return words


def _principal(ctx: Context) -> None:
    if not ctx.cursor.accept("PUBLIC"):
        ctx.cursor.identifier()


def backup(ctx: Context) -> None:
    """Read BACKUP: a copy of a database leaves the server."""
    c = ctx.cursor
    c.expect("BACKUP")
    _copy(ctx, "sql:backup", c.expect("DATABASE", "LOG", "CERTIFICATE"))


def restore(ctx: Context) -> None:
    """Read RESTORE."""
    c = ctx.cursor
    c.expect("RESTORE")
    if c.key in _RESTORE_INFO:
        c.take()
        ctx.effects.act("sql:restore")
        tail(c)
        return
    _copy(ctx, "sql:restore", c.expect("DATABASE", "LOG"))


def _copy(ctx: Context, verb: str, what: str) -> None:
    c = ctx.cursor
    if c.kind not in (WORD, NAME):
        raise c.doubt("the name of a database")
    name = c.identifier()
    kind, scope = ("CERTIFICATE", ctx.scope) if what == "CERTIFICATE" else ("DATABASE", type(ctx.scope)(name))
    ctx.effects.act(verb, securable(kind, name, scope))
    ctx.effects.unknown()
    ctx.effects.store()
    tail(c)
