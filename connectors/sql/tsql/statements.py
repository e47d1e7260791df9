"""Which reader reads which statement. T-SQL needs no semicolons: a statement ends where its grammar ends."""

from __future__ import annotations

from collections.abc import Callable

from connectors.sql.tsql import changes, control, ddl, dml, execute, grants, session
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.lexer import VARIABLE
from connectors.sql.tsql.words import SOFT_STARTS

_READERS: dict[str, Callable[[Context], None]] = {
    "ADD": ddl.add,
    "ALTER": ddl.alter,
    "BACKUP": grants.backup,
    "BEGIN": control.begin,
    "BREAK": control.word,
    "BULK": dml.bulk_insert,
    "CHECKPOINT": session.configure,
    "CLOSE": control.cursor_command,
    "COMMIT": control.commit,
    "CONTINUE": control.word,
    "CREATE": ddl.create,
    "DBCC": session.dbcc,
    "DEALLOCATE": control.cursor_command,
    "DECLARE": session.declare,
    "DELETE": changes.delete,
    "DENY": grants.permissions,
    "DISABLE": ddl.trigger_switch,
    "DROP": ddl.drop,
    "ENABLE": ddl.trigger_switch,
    "EXEC": execute.execute,
    "EXECUTE": execute.execute,
    "FETCH": control.cursor_command,
    "GOTO": control.word,
    "GRANT": grants.permissions,
    "IF": control.if_,
    "INSERT": dml.insert,
    "KILL": session.kill,
    "MERGE": changes.merge,
    "OPEN": control.cursor_command,
    "PRINT": session.message,
    "RAISERROR": session.message,
    "RECONFIGURE": session.configure,
    "RESTORE": grants.restore,
    "RETURN": control.word,
    "REVERT": session.revert,
    "REVOKE": grants.permissions,
    "ROLLBACK": control.commit,
    "SAVE": control.commit,
    "SELECT": dml.select,
    "SET": session.set_,
    "SETUSER": session.setuser,
    "SHUTDOWN": session.shutdown,
    "THROW": session.throw,
    "TRUNCATE": dml.truncate,
    "UPDATE": changes.update,
    "USE": session.use,
    "WAITFOR": control.waitfor,
    "WHILE": control.while_,
}

#: Words that begin a statement only where one before is ended by a semicolon, or none is before.
_AFTER_SEMICOLON: dict[str, Callable[[Context], None]] = {"WITH": dml.with_ctes, "(": dml.select}
#: Statements that use variables in ways of their own.
_UNFOLLOWED = frozenset(_READERS) - {
    *("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "SET", "DECLARE", "PRINT", "RAISERROR", "THROW", "RETURN"),
    *("IF", "WHILE", "BEGIN", "EXEC", "EXECUTE", "OPEN", "CLOSE", "DEALLOCATE", "FETCH"),
}
_OPENERS = frozenset({";", "BEGIN", "ELSE", "TRY", "CATCH", ":"})


def statement(ctx: Context) -> None:
    """Read one statement. Raises Doubt."""
    c = ctx.cursor
    c.enter()
    ctx.effects.statements += 1
    reader = _READERS.get(c.key)
    if reader is None and c.key in _AFTER_SEMICOLON and (ctx.first or c.tokens[c.at - 1].key in _OPENERS):
        reader = _AFTER_SEMICOLON[c.key]
    if reader is None and c.is_identifier():
        reader = _named(ctx)
    if reader is None:
        raise c.doubt("a statement")
    first = c.at
    key = c.key
    reader(ctx)
    if key in _UNFOLLOWED:
        for token in c.tokens[first : c.at]:
            if token.kind == VARIABLE:
                ctx.used(token.value)
    c.leave()


def _named(ctx: Context) -> Callable[[Context], None] | None:
    """A label; or a procedure, which its bare name calls when it is the first word of the batch."""
    if ctx.cursor.ahead().key == ":":
        return control.label
    if ctx.first and ctx.cursor.key not in SOFT_STARTS:
        return execute.bare_call
    return None
