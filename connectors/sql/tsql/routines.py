"""The definitions of procedures, functions and triggers, up to the statements in them ("CREATE PROCEDURE" and kin)."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sql.tsql import expressions
from connectors.sql.tsql.called import INLINE, PROCEDURE, SCALAR, TABLE, TRIGGER
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import NUMBER, STRING, VARIABLE, Doubt
from connectors.sql.tsql.outputs import Outputs
from connectors.sql.tsql.temps import declared_columns

_FUNCTION_OPTIONS = (
    ("RETURNS", "NULL", "ON", "NULL", "INPUT"), ("CALLED", "ON", "NULL", "INPUT"), ("INLINE", "=", "ON"),
    ("INLINE", "=", "OFF"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a routine: ``roomy`` is a text that any number or date fits into."""

    name: str
    roomy: bool = False
    output: bool = False


@dataclass(frozen=True, slots=True)
class Routine:
    """A procedure, a function or a trigger.

    Its statements begin at the token ``start`` of ``text``. ``table`` is the variable that a function of kind TABLE
    fills, ``columns`` its columns; ``sealed`` says that it runs as somebody else, to whom the names in texts that it
    executes may mean other objects.
    """

    kind: str
    text: str
    start: int
    parameters: tuple[Parameter, ...] = ()
    table: str = ""
    columns: Outputs = None
    sealed: bool = False

    def cursor(self) -> Cursor:
        """A cursor at its first statement."""
        c = Cursor(self.text)
        c.at = self.start
        return c


def read_routine(text: str) -> Routine | None:
    """What a definition defines; None if it is not understood up to its statements."""
    try:
        return _routine(Cursor(text))
    except (Doubt, RecursionError):
        return None


def _routine(c: Cursor) -> Routine:
    if c.accept("CREATE"):
        c.accept_all("OR", "ALTER")
    else:
        c.expect("ALTER")
    kind = c.expect("PROC", "PROCEDURE", "FUNCTION", "TRIGGER")
    c.name(limit=3)
    if kind == "FUNCTION":
        return _function(c)
    return _trigger(c) if kind == "TRIGGER" else _procedure(c)


def _procedure(c: Cursor) -> Routine:
    if c.accept(";"):
        c.number()
    opened = bool(c.accept("("))
    parameters = _parameters(c)
    if opened:
        c.expect(")")
    sealed = _options(c)
    c.accept_all("FOR", "REPLICATION")
    c.expect("AS")
    return Routine(PROCEDURE, c.text, c.at, parameters, sealed=sealed)


def _function(c: Cursor) -> Routine:
    c.expect("(")
    parameters = _parameters(c)
    c.expect(")")
    c.expect("RETURNS")
    kind, table, columns = SCALAR, "", None
    if c.accept("TABLE"):
        kind = INLINE
    elif c.kind == VARIABLE:
        kind, table = TABLE, c.variable()
        c.expect("TABLE")
        columns = declared_columns(c)
        c.balanced()
    else:
        expressions.type_name(c)
    sealed = _options(c)
    c.accept("AS")
    if kind == INLINE:
        c.expect("RETURN")
    return Routine(kind, c.text, c.at, parameters, table, columns, sealed)


def _trigger(c: Cursor) -> Routine:
    c.expect("ON")
    c.name(limit=3)
    sealed = _options(c)
    if c.accept("INSTEAD"):
        c.expect("OF")
    else:
        c.expect("FOR", "AFTER")
    c.expect("INSERT", "UPDATE", "DELETE")
    while c.accept(","):
        c.expect("INSERT", "UPDATE", "DELETE")
    c.accept_all("WITH", "APPEND")
    c.accept_all("NOT", "FOR", "REPLICATION")
    c.expect("AS")
    return Routine(TRIGGER, c.text, c.at, sealed=sealed)


def _parameters(c: Cursor) -> tuple[Parameter, ...]:
    """``@name [AS] type [VARYING] [NULL | NOT NULL] [= default] [OUT | OUTPUT] [READONLY]``, with commas between."""
    found: list[Parameter] = []
    while c.kind == VARIABLE:
        name = c.variable().lower()
        c.accept("AS")
        roomy = expressions.type_name(c) and c.tokens[c.at - 1].key == ")"  # without a length it is one character
        if c.key == "VARYING":
            raise c.doubt("no cursor as a parameter")
        if not c.accept("NULL"):
            c.accept_all("NOT", "NULL")
        if c.accept("="):
            _default(c)
        output = bool(c.accept("OUT", "OUTPUT"))
        c.accept("READONLY")
        found.append(Parameter(name, roomy, output))
        if not c.accept(","):
            break
    return tuple(found)


def _default(c: Cursor) -> None:
    if c.accept("-", "+") and c.kind != NUMBER:
        raise c.doubt("a number")
    c.take()


def _options(c: Cursor) -> bool:
    """Read ``WITH option, ...`` if it comes next: whether it runs as somebody else than its caller."""
    sealed = False
    if not c.accept("WITH"):
        return sealed
    while True:
        if c.accept("EXEC", "EXECUTE"):
            c.expect("AS")
            if not c.accept("CALLER"):
                sealed = True
                if c.kind == STRING:
                    c.take()
                else:
                    c.identifier()
        elif not any(c.accept_all(*words) for words in _FUNCTION_OPTIONS):
            c.identifier()
        if not c.accept(","):
            return sealed
