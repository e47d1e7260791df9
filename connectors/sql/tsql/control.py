"""Blocks, branches, loops, transactions and cursors."""

from __future__ import annotations

from connectors.sql.tsql import expressions, queries, statements
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import END, NUMBER, STRING, VARIABLE, Doubt

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
        ctx.evaluate(expressions.expression(c))


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
    ctx.effects.unknown()
    if c.accept("ABSOLUTE", "RELATIVE"):
        expressions.operand(c)
        c.expect("FROM")
    elif c.ahead().key == "FROM":
        c.expect("NEXT", "PRIOR", "FIRST", "LAST")
        c.expect("FROM")
    else:
        c.accept("FROM")
    _cursor_name(c)
    if c.accept("INTO"):
        ctx.effects.hold()
        c.variable()
        while c.accept(","):
            c.variable()
    else:
        ctx.effects.results.append(None)


def declare_cursor(ctx: Context) -> None:
    """Read ``[options] CURSOR [options] FOR query [FOR UPDATE [OF columns]]``, after the name."""
    c = ctx.cursor
    c.accept("INSENSITIVE")
    c.accept("SCROLL")
    c.expect("CURSOR")
    while c.is_identifier():
        c.take()
    c.expect("FOR")
    ctes = queries.ctes(c) if c.accept("WITH") else ()
    query = ctx.query()
    ctx.effects.act("sql:select")
    ctx.lineage(ctes).outputs(query)
    ctx.effects.limited &= query.limited
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


def _cursor_name(c: Cursor) -> None:
    c.accept("GLOBAL")
    if c.kind == VARIABLE:
        c.take()
    else:
        c.identifier()


def _value_follows(c: Cursor) -> bool:
    if c.kind in (NUMBER, STRING, VARIABLE) or c.key in ("(", "-", "+", "CASE", "NULL"):
        return True
    return c.is_identifier() and c.ahead().key in ("(", ".")


def _jump(ctx: Context) -> None:
    """With a jump, which statements follow a USE is no longer a matter of their order."""
    ctx.jumps = True
    if ctx.moved:
        raise Doubt("The batch changes its database and jumps.")
