"""SET, DECLARE, USE and the other statements that keep house: messages, identities, administration."""

from __future__ import annotations

from dataclasses import replace

from connectors.sql.tsql import control, expressions
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import BINARY, NUMBER, STRING, VARIABLE, WORD, Doubt
from connectors.sql.tsql.names import segment
from connectors.sql.tsql.targets import ASSIGN
from connectors.sql.tsql.temps import declared_columns
from connectors.sql.tsql.tree import Column, Constant, Expr
from connectors.sql.tsql.words import ISOLATION_LEVELS, SETTINGS, SWITCHES


def set_(ctx: Context) -> None:
    """Read SET of a variable or of options of the session."""
    c = ctx.cursor
    c.expect("SET")
    ctx.effects.act("sql:set")
    if c.kind == VARIABLE:
        _set_variable(ctx)
    elif c.accept("TRANSACTION"):
        c.expect("ISOLATION")
        c.expect("LEVEL")
        if not any(c.accept_all(*level) for level in ISOLATION_LEVELS):
            raise c.doubt("an isolation level")
    elif c.accept("IDENTITY_INSERT"):
        ctx.effects.on("sql:set", c.name(limit=3), ctx.scope)
        _on_off(c)
    elif c.accept("STATISTICS"):
        c.expect("IO", "TIME", "XML", "PROFILE")
        while c.accept(","):
            c.expect("IO", "TIME", "XML", "PROFILE")
        _on_off(c)
    elif c.key in SETTINGS:
        c.take()
        _setting(ctx)
    else:
        _switches(ctx)


def declare(ctx: Context) -> None:
    """Read DECLARE of variables, table variables and cursors."""
    c = ctx.cursor
    c.expect("DECLARE")
    ctx.effects.act("sql:declare")
    if c.kind != VARIABLE:
        control.declare_cursor(ctx, c.identifier())
        return
    _variable(ctx)
    while c.accept(","):
        _variable(ctx)


def use(ctx: Context) -> None:
    """Read USE: names after it mean objects of the other database."""
    c = ctx.cursor
    c.expect("USE")
    database = c.identifier()
    ctx.effects.act("sql:use", segment(database))
    if ctx.conditional or ctx.jumps:
        raise Doubt("The batch changes its database under a condition or among jumps.")
    ctx.moved = True
    ctx.scope = replace(ctx.scope, database=database)


def message(ctx: Context) -> None:
    """Read PRINT or RAISERROR: their text is not a column, so no value of a table may be in it."""
    c = ctx.cursor
    word = c.expect("PRINT", "RAISERROR")
    ctx.effects.act("sql:print")
    if word == "PRINT":
        ctx.spoken(expressions.expression(c))
        return
    c.expect("(")
    _raised(ctx, *expressions.expressions(c))
    c.expect(")")
    if c.accept("WITH"):
        c.expect("LOG", "NOWAIT", "SETERROR")
        while c.accept(","):
            c.expect("LOG", "NOWAIT", "SETERROR")


def throw(ctx: Context) -> None:
    """Read ``THROW [number, text, state]``."""
    c = ctx.cursor
    c.expect("THROW")
    ctx.effects.act("sql:print")
    if c.kind in (NUMBER, VARIABLE):
        ctx.evaluate(expressions.operand(c))
        for place in range(2):
            c.expect(",")
            value = expressions.operand(c)
            (ctx.spoken if place == 0 else ctx.evaluate)(value)


def _raised(ctx: Context, text: Expr, *others: Expr) -> None:
    """The arguments of RAISERROR: a text, or the number of one, the severity and the state, then more of the text."""
    words = isinstance(text, Constant) and (text.kind == STRING or ctx.variables.fits(text.text))
    (ctx.spoken if words else ctx.evaluate)(text)
    ctx.evaluate(*others[:2])
    for other in others[2:]:
        ctx.spoken(other)


def revert(ctx: Context) -> None:
    """Read ``REVERT [WITH COOKIE = @v]``."""
    c = ctx.cursor
    c.expect("REVERT")
    ctx.effects.act("sql:impersonate")
    if c.accept("WITH"):
        c.expect("COOKIE")
        c.expect("=")
        c.variable()


def setuser(ctx: Context) -> None:
    """Read ``SETUSER ['name' [WITH NORESET]]``."""
    c = ctx.cursor
    c.expect("SETUSER")
    resource = f"user::{segment(c.take().value)}" if c.kind == STRING else "user::"
    ctx.effects.act("sql:impersonate", resource)
    if c.accept("WITH"):
        c.expect("NORESET")


def dbcc(ctx: Context) -> None:
    """Read DBCC: some of its commands show pages and histograms, so it may read anything."""
    c = ctx.cursor
    c.expect("DBCC")
    if c.kind != WORD:
        raise c.doubt("a DBCC command")
    ctx.effects.act("sql:dbcc", c.take().value.lower())
    ctx.effects.results.append(None)
    ctx.effects.unknown()
    if c.key == "(":
        c.balanced()
    if c.accept("WITH"):
        c.identifier()
        while c.accept(","):
            c.identifier()


def kill(ctx: Context) -> None:
    """Read KILL of a session, a unit of work, a job or a subscription."""
    c = ctx.cursor
    c.expect("KILL")
    ctx.effects.act("sql:kill")
    if c.accept_all("STATS", "JOB") or c.accept_all("QUERY", "NOTIFICATION", "SUBSCRIPTION"):
        if not c.accept("ALL"):
            c.number()
    elif c.kind in (NUMBER, STRING):
        c.take()
    else:
        c.number()
    if c.accept("WITH"):
        c.expect("STATUSONLY", "COMMIT", "ROLLBACK")


def shutdown(ctx: Context) -> None:
    """Read ``SHUTDOWN [WITH NOWAIT]``."""
    c = ctx.cursor
    c.expect("SHUTDOWN")
    ctx.effects.act("sql:shutdown")
    if c.accept("WITH"):
        c.expect("NOWAIT")


def configure(ctx: Context) -> None:
    """Read RECONFIGURE or CHECKPOINT."""
    c = ctx.cursor
    word = c.expect("RECONFIGURE", "CHECKPOINT")
    ctx.effects.act("sql:configure")
    if word == "RECONFIGURE" and c.accept("WITH"):
        c.expect("OVERRIDE")
    elif word == "CHECKPOINT" and c.kind == NUMBER:
        c.number()


def _set_variable(ctx: Context) -> None:
    c = ctx.cursor
    name = c.variable()
    c.expect(*ASSIGN)
    if c.key == "CURSOR":
        control.declare_cursor(ctx, name)
        return
    value = expressions.expression(c)
    if isinstance(value, Column) or (isinstance(value, Constant) and value.variable):
        ctx.variables.point(name, None)  # it may be another cursor
    ctx.assign(name, ctx.lineage().sources(value, ()))


def _on_off(c: Cursor) -> None:
    c.expect("ON", "OFF")


def _switches(ctx: Context) -> None:
    """Options that are on or off. NO_BROWSETABLE hides columns in every later result, so it may only be off."""
    c = ctx.cursor
    hidden = False
    while True:
        if c.key not in SWITCHES:
            raise c.doubt("an option of SET")
        hidden |= c.take().key == "NO_BROWSETABLE"
        if not c.accept(","):
            break
    if hidden:
        c.expect("OFF")
    else:
        _on_off(c)


def _setting(ctx: Context) -> None:
    """The value of a setting; that of a variable stays in the session, where later batches read it."""
    c = ctx.cursor
    if c.kind == VARIABLE:
        ctx.effects.store()
    if c.kind in (NUMBER, BINARY, STRING, VARIABLE) or c.is_identifier():
        c.take()
    else:
        c.number()


def _variable(ctx: Context) -> None:
    """``@v [AS] type [= value]``, ``@t TABLE (...)`` or ``@c CURSOR``."""
    c = ctx.cursor
    name = c.variable()
    c.accept("AS")
    if c.accept("TABLE"):
        ctx.variables.keep(name, declared_columns(c))
        c.balanced()
        return
    if c.accept("CURSOR"):
        return
    text = expressions.type_name(c)
    ctx.variables.declare(name, roomy=text and c.tokens[c.at - 1].key == ")")  # without a length it is one character
    if c.accept("="):
        ctx.assign(name, ctx.lineage().sources(expressions.expression(c), ()))
