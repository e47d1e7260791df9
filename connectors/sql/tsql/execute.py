"""EXECUTE: procedures, texts, other servers, other identities ("EXECUTE (Transact-SQL)")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.sql.tsql.called import PROCEDURE, Called, Given, passed
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.effects import Effects
from connectors.sql.tsql.lexer import BINARY, NUMBER, STRING, VARIABLE, Doubt, Token
from connectors.sql.tsql.names import DEFAULT_SCHEMA, Name, Scope, procedures, segment
from connectors.sql.tsql.temps import lost
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.variables import Variables, union
from connectors.sql.tsql.words import CONFIGURING, METADATA_PROCEDURES, SOFT_STARTS, TEXT_PROCEDURES

_PROCEDURES = frozenset({PROCEDURE})
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
        status = ""
        if c.kind == VARIABLE and c.ahead().key == "=":
            status = c.take().value
            c.take()
        if c.kind == VARIABLE:
            c.take()
            _arguments(c)
            _options(ctx)
            _computed(ctx)
        else:
            bare_call(ctx, status)


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


def bare_call(ctx: Context, status: str = "") -> None:
    """Read a call of a procedure from its name on: after EXECUTE, or as the first words of a batch."""
    c = ctx.cursor
    parts = c.name()
    numbered = c.key == ";" and c.ahead().kind == NUMBER
    if numbered:
        c.at += 2
    arguments = _arguments(c)
    reshaped = _options(ctx)
    if parts[-1].lower() == "sp_executesql" and len(parts) < 4:
        _sp_executesql(ctx, parts, arguments)
        if reshaped:
            ctx.effects.unknown()
        return
    called = call(ctx, parts, [_given(ctx, argument) for argument in arguments], numbered=numbered or reshaped)
    for at, argument in enumerate(arguments):
        if argument.value.kind == VARIABLE and called is None:
            ctx.used(argument.value.value)
        elif argument.value.kind == VARIABLE and called is not None and argument.output:
            ctx.variables.point(argument.value.value, None)
            ctx.assign(argument.value.value, called.parameter(at, argument.name))
    if called is None and any(argument.output for argument in arguments):
        ctx.effects.hold()
    if called is not None and status:
        ctx.assign(status, called.value)


def call(ctx: Context, parts: Parts, given: Sequence[Given] = (), *, numbered: bool = False) -> Called | None:
    """Note a call of a procedure; None if what it does is not known, as of one that is ``numbered`` or reshaped."""
    name = parts[-1].lower()
    names = procedures(parts, ctx.scope)
    called = None if numbered else _called(ctx, names[-1], given)
    for each in names if called is None else names[-1:]:
        ctx.effects.note("sql:execute", each)
    if called is not None:
        return called
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
    return None


def _called(ctx: Context, name: Name, given: Sequence[Given]) -> Called | None:
    """What a procedure of the database does, taken into what the batch does."""
    if ctx.scope.modules is None or name.server or name.system:
        return None
    called = ctx.scope.modules.called(name.resource, given, ctx.scope, _PROCEDURES)
    if called is not None:
        _take_in(ctx, called.effects)
    return called


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
    twice = any(other.name in _STATEMENT_PARAMETERS for other in others)
    if ctx.sealed or misnamed or twice or first.value.kind != STRING:
        _computed(ctx)
        ctx.effects.act("sql:execute", "master.sys.sp_executesql")
        return
    variables = Variables(given=union(*(_given(ctx, other).sources for other in others)))
    _run(ctx, [first.value], Scope(parts[0], modules=ctx.scope.modules) if len(parts) == 3 else ctx.scope, variables)
    for other in others:
        if other.output and other.value.kind == VARIABLE:
            ctx.variables.point(other.value.value, None)
            ctx.assign(other.value.value, variables.all)


def _given(ctx: Context, argument: Argument) -> Given:
    """What the value of an argument may derive from."""
    if argument.value.kind != VARIABLE:
        return Given(name=argument.name)
    return passed(ctx.variables, argument.value.value, argument.name)


def _run(ctx: Context, pieces: list[Token], scope: Scope, variables: Variables) -> None:
    """Read the text that string literals make together, as the server will."""
    if any(not piece.quoted and not piece.value.isascii() for piece in pieces):
        raise Doubt("An executed string without N may change characters when it is converted to the code page.")
    text = "".join(piece.value for piece in pieces)
    nested = ctx.nested(text, scope if scope.modules is None else replace(scope, schema=DEFAULT_SCHEMA), variables)
    nested.elsewhere |= scope.database.lower() != ctx.scope.database.lower()
    _take_in(ctx, nested)


def _take_in(ctx: Context, nested: Effects) -> None:
    if ctx.repeated:
        ctx.effects.tell(frozenset(nested.equated))
    ctx.scope = lost(ctx.scope, nested.touched)
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
    elif ctx.sealed or any(piece.kind == VARIABLE for piece in pieces):
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
