"""What the grammar makes of a query: only as much structure as reads, lineage and filters need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: The parts of a possibly qualified name as written; an omitted part (``db..t``) is empty.
Parts: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, a variable, or a function of the session: nothing of any table. ``text`` is its value as written.

    ``kind`` is the lexer's: STRING, NUMBER, BINARY or VARIABLE, empty for a function of the session.
    """

    text: str
    variable: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A reference to a column.

    ``doubtful`` marks one name in double quotes, which is a string where QUOTED_IDENTIFIER is off.
    """

    parts: Parts
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Star:
    """``*`` or ``t.*``."""

    qualifier: Parts = ()


@dataclass(frozen=True, slots=True)
class Node:
    """An operator or a function of the server over its operands.

    ``op`` is ``and``, ``or``, ``not``, ``equal``, ``compare``, ``like``, ``in``, ``between``, ``is``, or the name of a
    function in lower case, or another word for what computes with values (``arithmetic``, ``case``, ``over``).
    """

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Routine:
    """A call of what is not a function of the server: a user function or a method, or the next value of a sequence."""

    parts: Parts
    args: tuple[Expr, ...]
    sequence: bool = False


@dataclass(frozen=True, slots=True)
class Subquery:
    """A query inside an expression. ``exists`` says that only the presence of rows leaves it."""

    query: Query
    exists: bool = False


Expr: TypeAlias = Constant | Column | Star | Node | Routine | Subquery

NULL = Constant("NULL")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a select list. ``variable`` is the variable that it is assigned to."""

    expr: Expr
    alias: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table, view or common table expression by name; ``@t`` is a table variable."""

    parts: Parts
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Derived:
    """A query or a VALUES list as a table. ``columns`` rename its columns when given."""

    query: Query
    alias: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rowset:
    """A table-valued function. ``parts`` of one word in ROWSET_FUNCTIONS make rows of their arguments alone.

    ``columns`` rename its columns when given.
    """

    parts: Parts
    args: tuple[Expr, ...] = ()
    alias: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Rows from outside of this server: OPENROWSET, OPENQUERY, OPENDATASOURCE. ``name`` says from where."""

    name: str
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Pivoted:
    """PIVOT or UNPIVOT of what came before it: some of its columns hold values of ``args``, others are as before."""

    args: tuple[Expr, ...]
    alias: str = ""
    grouped: bool = True


Source: TypeAlias = TableRef | Derived | Rowset | Foreign | Pivoted


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT (or VALUES) of a query. ``conditions`` are all expressions whose value does not leave it.

    ``distinct`` says that its rows are compared with each other.
    """

    items: tuple[Item, ...]
    sources: tuple[Source, ...] = ()
    where: Expr | None = None
    conditions: tuple[Expr, ...] = ()
    limited: bool = False
    into: Parts = ()
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query: branches joined by UNION, EXCEPT, INTERSECT.

    ``wrapped``: what FOR makes of it, ``XML`` or ``JSON`` (one text) or ``BROWSE``, else empty. ``compared``: the rows
    of its branches are compared with each other, as all of these operators do but UNION ALL.
    """

    branches: tuple[Select, ...]
    order: tuple[Expr, ...] = ()
    limited: bool = False
    wrapped: str = ""
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Cte:
    """One common table expression."""

    name: str
    query: Query
    columns: tuple[str, ...] = ()
