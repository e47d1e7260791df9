"""EXECUTE: procedures, texts, other servers, other identities ("EXECUTE (Transact-SQL)")."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import BINARY, NUMBER, STRING, VARIABLE, Doubt, Token
from connectors.sql.tsql.lineage import union
from connectors.sql.tsql.names import Scope, procedures, segment
from connectors.sql.tsql.temps import lost
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.variables import Sources, Variables
from connectors.sql.tsql.words import CONFIGURING, METADATA_PROCEDURES, SOFT_STARTS, TEXT_PROCEDURES

_STATEMENT_PARAMETERS = frozenset({"@stmt", "@statement"})


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a procedure: the token of its value, and whether it comes back (``OUTPUT``)."""

    value: Token
    name: str = ""
    output: bool = False


def execute(ctx: Context) -> None:
    """Read EXECUTE in any of its forms."""
    c = ctx.cursor
    c.expect("EXEC", "EXECUTE")
    if c.key == "AS":
        execute_as(ctx)
    elif c.key == "(":
        _text(ctx)
    else:
        if c.kind == VARIABLE and c.ahead().key == "=":
            c.at += 2
        if c.kind == VARIABLE:
            c.take()
            _arguments(c)
            _options(ctx)
            _computed(ctx)
        else:
            bare_call(ctx)


def execute_as(ctx: Context) -> None:
    """Read ``AS LOGIN = 'x'`` and kin, after EXECUTE."""
    c = ctx.cursor
    c.expect("AS")
    resource = _identity(c)
    if c.accept("WITH"):
        if c.accept("COOKIE"):
            c.expect("INTO")
            c.variable()
        else:
            c.expect("NO")
            c.expect("REVERT")
    ctx.effects.act("sql:impersonate", resource)


def bare_call(ctx: Context) -> None:
    """Read a call of a procedure from its name on: after EXECUTE, or as the first words of a batch."""
    c = ctx.cursor
    parts = c.name()
    if c.key == ";" and c.ahead().kind == NUMBER:
        c.at += 2
    arguments = _arguments(c)
    reshaped = _options(ctx)
    if parts[-1].lower() == "sp_executesql" and len(parts) < 4:
        _sp_executesql(ctx, parts, arguments)
        if reshaped:
            ctx.effects.unknown()
    else:
        call(ctx, parts)
        for argument in arguments:
            if argument.value.kind == VARIABLE:
                ctx.used(argument.value.value)
        if any(argument.output for argument in arguments):
            ctx.effects.hold()


def call(ctx: Context, parts: Parts) -> None:
    """Note a call of a procedure."""
    name = parts[-1].lower()
    names = procedures(parts, ctx.scope)
    for each in names:
        ctx.effects.note("sql:execute", each)
    if name in CONFIGURING:
        ctx.effects.act("sql:configure", names[0].resource)
    if name in TEXT_PROCEDURES:
        _computed(ctx)
    elif name in METADATA_PROCEDURES and len(names) == 1 and names[0].system:
        ctx.effects.reads_system = True
        ctx.effects.results.append(None)
    else:
        ctx.effects.unknown()
        if any(each.system for each in names):
            ctx.effects.store()


def _computed(ctx: Context) -> None:
    """What runs is known only when it runs; it may copy values as well as return them."""
    ctx.effects.act("sql:dynamic")
    ctx.effects.dynamic = True
    ctx.effects.unknown()
    ctx.effects.store()


def _sp_executesql(ctx: Context, parts: Parts, arguments: list[Argument]) -> None:
    """A system procedure runs in the database that its name is written with, and so does its text."""
    if not arguments:
        raise Doubt("sp_executesql is called without a statement.")
    first, others = arguments[0], arguments[1:]
    misnamed = first.name and first.name not in _STATEMENT_PARAMETERS
    if misnamed or first.value.kind != STRING or any(other.name in _STATEMENT_PARAMETERS for other in others):
        _computed(ctx)
        ctx.effects.act("sql:execute", "master.sys.sp_executesql")
        return
    variables = Variables(given=_given(ctx, others))
    _run(ctx, [first.value], Scope(parts[0], "dbo") if len(parts) == 3 else ctx.scope, variables)
    for other in others:
        if other.output and other.value.kind == VARIABLE:
            ctx.variables.point(other.value.value, None)
            ctx.assign(other.value.value, variables.all)


def _given(ctx: Context, arguments: list[Argument]) -> Sources:
    """What the values of arguments may derive from."""
    return union(*(ctx.variables.of(each.value.value) for each in arguments if each.value.kind == VARIABLE))


def _run(ctx: Context, pieces: list[Token], scope: Scope, variables: Variables) -> None:
    """Read the text that string literals make together, as the server will."""
    if any(not piece.quoted and not piece.value.isascii() for piece in pieces):
        raise Doubt("An executed string without N may change characters when it is converted to the code page.")
    nested = ctx.nested("".join(piece.value for piece in pieces), scope, variables)
    if ctx.repeated:
        nested.told.update(nested.equated)
    ctx.scope = lost(ctx.scope, nested.touched)
    nested.elsewhere |= scope.database.lower() != ctx.scope.database.lower()
    ctx.effects.merge(nested)


def _text(ctx: Context) -> None:
    """``('text' + @variable ... [, argument]) [AS USER = 'x'] [AT server]``."""
    c = ctx.cursor
    c.expect("(")
    pieces = [_piece(c)]
    while c.accept("+"):
        pieces.append(_piece(c))
    while c.accept(","):
        _value(c)
        c.accept("OUTPUT", "OUT")
    c.expect(")")
    if c.accept("AS"):
        ctx.effects.act("sql:impersonate", _identity(c))
    if c.accept("AT"):
        c.accept("DATA_SOURCE")
        ctx.effects.act("sql:external", segment(c.identifier()))
        ctx.effects.unknown()
        ctx.effects.store()
    elif any(piece.kind == VARIABLE for piece in pieces):
        _computed(ctx)
    else:
        _run(ctx, pieces, ctx.scope, Variables())
    if _options(ctx):
        ctx.effects.unknown()


def _piece(c: Cursor) -> Token:
    if c.kind not in (STRING, VARIABLE):
        raise c.doubt("a string or a variable")
    return c.take()


def _identity(c: Cursor) -> str:
    if c.accept("CALLER"):
        return "caller"
    kind = c.expect("LOGIN", "USER").lower()
    c.expect("=")
    if c.kind not in (STRING, VARIABLE):
        raise c.doubt("an identity")
    return f"{kind}::{segment(c.take().value)}"


def _arguments(c: Cursor) -> list[Argument]:
    found: list[Argument] = []
    if not _argument_follows(c):
        return found
    found.append(_argument(c))
    while c.accept(","):
        found.append(_argument(c))
    return found


def _argument_follows(c: Cursor) -> bool:
    if c.kind in (STRING, NUMBER, BINARY, VARIABLE) or c.key in ("-", "+", "NULL", "DEFAULT"):
        return True
    return c.is_identifier() and c.key not in SOFT_STARTS and c.key != "AT" and c.ahead().key != ":"


def _argument(c: Cursor) -> Argument:
    name = ""
    if c.kind == VARIABLE and c.ahead().key == "=":
        name = c.variable().lower()
        c.take()
    value = _value(c)
    return Argument(value, name, bool(c.accept("OUTPUT", "OUT")))


def _value(c: Cursor) -> Token:
    if c.accept("-", "+") and c.kind != NUMBER:
        raise c.doubt("a number")
    if c.kind in (STRING, NUMBER, BINARY, VARIABLE) or c.key in ("NULL", "DEFAULT") or c.is_identifier():
        return c.take()
    raise c.doubt("an argument")


def _options(ctx: Context) -> bool:
    """``WITH RECOMPILE`` or ``WITH RESULT SETS``: whether the results are given other shapes."""
    c = ctx.cursor
    if not c.accept("WITH"):
        return False
    if c.accept("RECOMPILE"):
        return False
    c.expect("RESULT")
    c.expect("SETS")
    if not c.accept("NONE", "UNDEFINED"):
        c.balanced()
    return True
