"""Blocks, branches, loops, transactions and cursors."""

from __future__ import annotations

from connectors.sql.tsql import expressions, queries, statements
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import END, NUMBER, STRING, VARIABLE, Doubt
from connectors.sql.tsql.outputs import everything, resolved

_TRANSACTION = ("TRAN", "TRANSACTION")


def if_(ctx: Context) -> None:
    """Read ``IF condition statement [ELSE statement]``."""
    c = ctx.cursor
    c.expect("IF")
    ctx.effects.act("sql:control")
    ctx.test(expressions.expression(c))
    _branch(ctx)
    at = c.at
    while c.accept(";"):
        pass
    if c.accept("ELSE"):
        _branch(ctx)
    else:
        c.at = at


def while_(ctx: Context) -> None:
    """Read ``WHILE condition statement``."""
    c = ctx.cursor
    c.expect("WHILE")
    ctx.effects.act("sql:control")
    ctx.test(expressions.expression(c))
    _branch(ctx)


def begin(ctx: Context) -> None:
    """Read what BEGIN begins: a transaction, a TRY with its CATCH, or a block."""
    c = ctx.cursor
    if c.ahead().key in (*_TRANSACTION, "DISTRIBUTED"):
        _begin_transaction(ctx)
        return
    c.expect("BEGIN")
    ctx.effects.act("sql:control")
    if c.accept("TRY"):
        ctx.conditional += 1
        _block(ctx, "TRY")
        c.accept(";")
        c.expect("BEGIN")
        c.expect("CATCH")
        _block(ctx, "CATCH")
        ctx.conditional -= 1
    else:
        _block(ctx, "")


def word(ctx: Context) -> None:
    """Read BREAK, CONTINUE, RETURN or GOTO."""
    c = ctx.cursor
    key = c.expect("BREAK", "CONTINUE", "RETURN", "GOTO")
    ctx.effects.act("sql:control")
    if key == "GOTO":
        c.identifier()
        _jump(ctx)
    elif key == "RETURN" and _value_follows(c):
        ctx.leave(expressions.expression(c))


def label(ctx: Context) -> None:
    """Read ``label:``."""
    ctx.cursor.identifier()
    ctx.cursor.expect(":")
    ctx.effects.act("sql:control")
    _jump(ctx)


def waitfor(ctx: Context) -> None:
    """Read ``WAITFOR DELAY | TIME value``; waiting for a queue or a statement is not read."""
    c = ctx.cursor
    c.expect("WAITFOR")
    ctx.effects.act("sql:control")
    c.expect("DELAY", "TIME")
    if c.kind not in (STRING, VARIABLE):
        raise c.doubt("a time")
    c.take()


def commit(ctx: Context) -> None:
    """Read COMMIT, ROLLBACK or SAVE of a transaction."""
    c = ctx.cursor
    c.expect("COMMIT", "ROLLBACK", "SAVE")
    ctx.effects.act("sql:transaction")
    if c.accept(*_TRANSACTION):
        _transaction_name(ctx)
    else:
        c.accept("WORK")
    if c.accept("WITH"):
        c.balanced()


def cursor_command(ctx: Context) -> None:
    """Read OPEN, CLOSE, DEALLOCATE or FETCH of a cursor; the rows of FETCH are of any table."""
    c = ctx.cursor
    key = c.expect("OPEN", "CLOSE", "DEALLOCATE", "FETCH")
    if c.key in ("SYMMETRIC", "MASTER", "ALL"):
        raise Doubt(f"{key} {c.key} is not read.")
    ctx.effects.act("sql:control")
    if key != "FETCH":
        _cursor_name(c)
        return
    if c.accept("ABSOLUTE", "RELATIVE"):
        ctx.test(expressions.operand(c))
        c.expect("FROM")
    elif c.ahead().key == "FROM":
        c.expect("NEXT", "PRIOR", "FIRST", "LAST")
        c.expect("FROM")
    else:
        c.accept("FROM")
    outputs = ctx.variables.fetched(_cursor_name(c))
    if outputs is None:
        ctx.effects.unknown()
    if not c.accept("INTO"):
        ctx.effects.results.append(outputs)
        return
    for name in _into(c):
        ctx.assign(name, everything(outputs))


def _into(c: Cursor) -> list[str]:
    found = [c.variable()]
    while c.accept(","):
        found.append(c.variable())
    return found


def declare_cursor(ctx: Context, name: str) -> None:
    """Read ``[options] CURSOR [options] FOR query [FOR UPDATE [OF columns]]``, after the name.

    Only a cursor that no other batch can see, and that surely is declared here, is followed.
    """
    c = ctx.cursor
    c.accept("INSENSITIVE")
    c.accept("SCROLL")
    c.expect("CURSOR")
    local = name.startswith("@")
    while c.is_identifier():
        local |= c.take().key == "LOCAL"
    c.expect("FOR")
    ctes = queries.ctes(c) if c.accept("WITH") else ()
    query = ctx.query()
    ctx.effects.act("sql:select")
    outputs = ctx.lineage(ctes).outputs(query)
    ctx.effects.limited &= query.limited
    if local and not ctx.repeated and resolved(outputs):
        ctx.variables.point(name, outputs)
    else:
        ctx.variables.point(name, None)
        ctx.effects.copied = True
    if not c.accept("FOR"):
        return
    if c.accept("READ"):
        c.expect("ONLY")
        return
    c.expect("UPDATE")
    if c.accept("OF"):
        c.identifier()
        while c.accept(","):
            c.identifier()


def _branch(ctx: Context) -> None:
    ctx.conditional += 1
    statements.statement(ctx)
    ctx.conditional -= 1


def _block(ctx: Context, kind: str) -> None:
    """Read the statements of a block and its END."""
    c = ctx.cursor
    while True:
        while c.accept(";"):
            pass
        if c.accept("END"):
            break
        if c.kind == END:
            raise c.doubt("END")
        statements.statement(ctx)
    if kind:
        c.expect(kind)


def _begin_transaction(ctx: Context) -> None:
    c = ctx.cursor
    c.expect("BEGIN")
    c.accept("DISTRIBUTED")
    c.expect(*_TRANSACTION)
    ctx.effects.act("sql:transaction")
    _transaction_name(ctx)
    if c.accept("WITH"):
        c.expect("MARK")
        if c.kind == STRING:
            c.take()


def _transaction_name(ctx: Context) -> None:
    """A name, which the server's views show to later batches, also where a variable held it."""
    c = ctx.cursor
    if c.kind == VARIABLE:
        ctx.effects.store()
    if c.kind == VARIABLE or (c.is_identifier() and c.ahead().key != ":"):
        c.take()


def _cursor_name(c: Cursor) -> str:
    """Read the name of a cursor; empty for one that other batches see."""
    shared = c.accept("GLOBAL")
    name = c.variable() if c.kind == VARIABLE else c.identifier()
    return "" if shared else name


def _value_follows(c: Cursor) -> bool:
    if c.kind in (NUMBER, STRING, VARIABLE) or c.key in ("(", "-", "+", "CASE", "NULL"):
        return True
    return c.is_identifier() and c.ahead().key in ("(", ".")


def _jump(ctx: Context) -> None:
    """With a jump, which statements follow a USE is no longer a matter of their order."""
    ctx.jumps = True
    if ctx.moved:
        raise Doubt("The batch changes its database and jumps.")
