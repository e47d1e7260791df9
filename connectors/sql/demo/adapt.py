"""The parts of a T-SQL tree that sqlglot writes down for DuckDB as they are, and DuckDB does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlglot import exp

from connectors.sql.demo.results import SqlError
from connectors.sql.demo.shop import TEXT_COLUMNS

_D = exp.DType
_TEXTS = {_D.CHAR, _D.NCHAR, _D.VARCHAR, _D.NVARCHAR, _D.TEXT, _D.XML, _D.VARIANT, _D.NAME, _D.USERDEFINED}
_TYPES = {
    **dict.fromkeys(_TEXTS, _D.TEXT),
    **dict.fromkeys((_D.BINARY, _D.VARBINARY, _D.IMAGE), _D.VARBINARY),
    **dict.fromkeys((_D.SMALLDATETIME, _D.DATETIME, _D.DATETIME2, _D.TIMESTAMPTZ), _D.TIMESTAMP),
    _D.BIT: _D.BOOLEAN,
    _D.TIME: _D.TIME,
}
_EXACT = {_D.MONEY: (19, 4), _D.SMALLMONEY: (10, 4), _D.DECIMAL: (18, 0)}
_SINGLE = 24  # float(n) has four bytes up to here
_JSON = "JSON_F52E2B61-18A1-11d1-B105-00805F49916B"  # the name that SQL Server gives the column of FOR JSON
_TEXT_FUNCTIONS = (
    exp.National, exp.DPipe, exp.Concat, exp.Upper, exp.Lower, exp.Substring, exp.Trim, exp.Repeat, exp.Left, exp.Right,
    exp.Replace, exp.Reverse, exp.GroupConcat, exp.CurrentUser,
)  # fmt: skip
_sequences = count(1)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value and, if it was declared, its type as T-SQL spells it."""

    value: Any
    type: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What a statement can refer to besides tables: variables by ``@name``, and functions of the server."""

    variables: Mapping[str, Variable]
    functions: Mapping[str, Callable[..., Any]]


def variable_name(parameter: exp.Expr) -> str:
    """The name of a variable, in lower case with its ``@`` or ``@@``."""
    inner: exp.Expr = parameter.this
    return "@" + (variable_name(inner) if isinstance(inner, exp.Parameter) else inner.name.lower())


def literal(value: Any) -> exp.Expr:
    """A Python value as a literal for DuckDB."""
    match value:
        case None:
            return exp.null()
        case bool() | int():
            return exp.convert(int(value))
        case bytes():
            return exp.func("UNHEX", exp.Literal.string(value.hex()))
        case float():
            return exp.cast(exp.Literal.string(repr(value)), "double")
        case _ if hasattr(value, "isoformat"):
            return exp.Literal.string(value.isoformat()[:26])
        case _:
            return exp.Literal.string(str(value))


class Adapter:
    """Adapts one statement. ``before`` collects what has to run before it."""

    def __init__(self, names: Names) -> None:
        self.before: list[str] = []
        self._names = names
        self._handlers: Mapping[type[exp.Expr], Callable[[Any], exp.Expr]] = {
            exp.Parameter: self._parameter,
            exp.Table: _table,
            exp.DataType: _type,
            exp.Cast: _cast,
            exp.Convert: _convert,
            exp.Anonymous: self._anonymous,
            exp.ObjectId: lambda node: self._called("object_id", [node.this]),
            exp.CurrentUser: lambda _: self._called("suser_sname", []),
            exp.CurrentSchema: lambda _: self._called("schema_name", []),
            exp.CurrentTimestamp: lambda _: exp.cast(exp.Anonymous(this="NOW"), "timestamp"),
            exp.National: lambda node: exp.Literal.string(node.name),
            exp.Add: self._add,
            exp.Collate: lambda node: self._replacement(node.this),
            exp.Column: _column,
            exp.Update: _update,
            exp.Delete: _delete,
            exp.Join: _join,
            exp.Constraint: _constraint,
            exp.ColumnDef: self._column_definition,
            exp.Select: _query,
            exp.Union: _query,
        }

    def adapt(self, node: exp.Expr) -> exp.Expr:
        """Adapt a node and all below it, from the top down."""
        parent, place, index = node.parent, node.arg_key, node.index
        new = self._replacement(node)
        if new is not node and parent is not None and place is not None:
            parent.set(place, new, index)
        for child in list(new.iter_expressions()):
            self.adapt(child)
        return new

    def _replacement(self, node: exp.Expr) -> exp.Expr:
        handler = self._handlers.get(type(node))
        return node if handler is None else handler(node)

    def _parameter(self, node: exp.Parameter) -> exp.Expr:
        name = variable_name(node)
        if name not in self._names.variables:
            raise SqlError(137, f'Must declare the scalar variable "{name}".')
        variable = self._names.variables[name]
        plain = literal(variable.value)
        if not variable.type:
            return plain
        kind = exp.DataType.build(variable.type, dialect="tsql")
        return plain if kind.this in _TEXTS and plain.is_string else exp.Cast(this=plain, to=kind)

    def _anonymous(self, node: exp.Anonymous) -> exp.Expr:
        name = node.name.lower()
        return self._called(name, node.expressions) if name in self._names.functions else node

    def _called(self, name: str, arguments: Sequence[exp.Expr]) -> exp.Expr:
        return literal(self._names.functions[name](*(argument.name for argument in arguments)))

    def _add(self, node: exp.Add) -> exp.Expr:
        if self._is_text(node.left) or self._is_text(node.right):
            return exp.DPipe(this=node.left, expression=node.right)
        return node

    def _is_text(self, node: exp.Expr) -> bool:  # noqa: PLR0911 - one line a kind of node
        """Whether ``+`` joins texts here; DuckDB adds numbers only."""
        match node:
            case exp.Literal():
                return node.is_string
            case exp.Parameter():
                variable = self._names.variables.get(variable_name(node))
                return variable is not None and isinstance(variable.value, str)
            case exp.Cast(to=kind) | exp.Convert(this=kind):
                return kind.this in _TEXTS
            case exp.Paren() | exp.Coalesce() | exp.Collate():
                return self._is_text(node.this)
            case exp.Add():
                return self._is_text(node.left) or self._is_text(node.right)
            case exp.Column():
                return node.name.lower() in TEXT_COLUMNS
            case _:
                return isinstance(node, _TEXT_FUNCTIONS)

    def _column_definition(self, node: exp.ColumnDef) -> exp.Expr:
        """An IDENTITY column takes its numbers from a sequence; a column's collation is not DuckDB's."""
        kept = []
        for constraint in node.constraints:
            if isinstance(constraint.kind, exp.GeneratedAsIdentityColumnConstraint | exp.AutoIncrementColumnConstraint):
                sequence = f"shop.dbo.identity_{next(_sequences)}"
                self.before.append(f"CREATE SEQUENCE {sequence}")
                default = exp.DefaultColumnConstraint(this=exp.func("nextval", exp.Literal.string(sequence)))
                kept.append(exp.ColumnConstraint(kind=default))
            elif not isinstance(constraint.kind, exp.CollateColumnConstraint):
                kept.append(constraint)
        node.set("constraints", kept)
        return node


def _table(node: exp.Table) -> exp.Expr:
    """Temporary tables, the catalogue's views and names with an empty schema."""
    identifier, schema = node.this, node.db.lower()
    if not isinstance(identifier, exp.Identifier):
        return node
    if identifier.name.startswith("#") or identifier.args.get("temporary") or identifier.args.get("global_"):
        return _named(node, f"tmp_{identifier.name.lstrip('#').lower()}", "")
    if schema == "information_schema":
        return _named(node, f"is_{node.name.lower()}", "sys")
    if schema == "sys":
        return _named(node, node.name, "sys")
    return _named(node, node.name, "dbo") if node.catalog and not schema else node


def _named(node: exp.Table, name: str, schema: str) -> exp.Table:
    node.set("this", exp.to_identifier(name))
    node.set("db", exp.to_identifier(schema) if schema else None)
    node.set("catalog", None)
    return node


def _type(node: exp.DataType) -> exp.DataType:
    if node.this in _EXACT and not node.expressions:
        precision, scale = _EXACT[node.this]
        return exp.DataType.build(f"DECIMAL({precision},{scale})")
    if node.this is _D.FLOAT:
        single = node.expressions and int(node.expressions[0].name) <= _SINGLE
        return exp.DataType(this=_D.FLOAT if single else _D.DOUBLE)
    return exp.DataType(this=_TYPES[node.this]) if node.this in _TYPES else node


def _cast(node: exp.Cast) -> exp.Expr:
    """A text is cut to the size that it is cast to."""
    size = _size(node.to)
    return exp.Left(this=exp.cast(node.this, "text"), expression=size) if size else node


def _size(kind: exp.DataType) -> exp.Expr | None:
    """The declared length of a text type, if it has one that limits."""
    size = kind.expressions[0].name if kind.this in _TEXTS and kind.expressions else ""
    return exp.Literal.number(size) if size.isdigit() else None


def _convert(node: exp.Convert) -> exp.Expr:
    """CONVERT fails on what it cannot convert, where sqlglot's would give NULL. A style says how to write a date."""
    size = _size(node.this)
    if node.args.get("style") is not None:
        node.this.set("expressions", [])
        return exp.Left(this=node, expression=size) if size else node
    return _cast(exp.Cast(this=node.expression, to=node.this))


def _column(node: exp.Column) -> exp.Expr:
    """``OUTPUT inserted.id`` is ``RETURNING id``."""
    if node.table.lower() in {"inserted", "deleted"} and node.find_ancestor(exp.Returning):
        node.set("table", None)
    return node


def _update(node: exp.Update) -> exp.Expr:
    """``UPDATE a SET a.x = ... FROM t AS a``: DuckDB wants the table itself first, and bare names in SET."""
    for assignment in node.expressions:
        if isinstance(assignment.this, exp.Column):
            assignment.this.set("table", None)
    source = node.args.get("from_")
    if source is not None and source.this.alias_or_name.lower() == node.this.name.lower():
        node.set("this", source.this)
        node.set("from_", None)
    return node


def _delete(node: exp.Delete) -> exp.Expr:
    """``DELETE a FROM t AS a``."""
    targets = node.args.get("tables") or []
    if len(targets) == 1 and targets[0].name.lower() == node.this.alias_or_name.lower():
        node.set("tables", None)
    return node


def _join(node: exp.Join) -> exp.Expr:
    """CROSS APPLY and OUTER APPLY."""
    if isinstance(node.this, exp.Lateral) and not node.args.get("on"):
        node.set("side", "" if node.this.args.get("cross_apply") else "LEFT")
        node.this.set("cross_apply", None)
        node.set("on", exp.true())
    return node


def _constraint(node: exp.Constraint) -> exp.Expr:
    """PRIMARY KEY CLUSTERED (...)."""
    for part in node.expressions:
        if isinstance(part, exp.ClusteredColumnConstraint | exp.NonClusteredColumnConstraint):
            node.set("expressions", [exp.PrimaryKey(expressions=[ordered.this for ordered in part.this])])
    return node


def _query(node: exp.Query) -> exp.Expr:
    """FOR JSON: the rows as one array in one text. FOR XML is not done."""
    clause = node.args.get("for_")
    if clause is None:
        return node
    if "JSON" not in str(clause.args.get("kind")).upper():
        raise SqlError(102, "Incorrect syntax near FOR: this demo makes no XML.")
    inner = node.copy()
    inner.set("for_", None)
    rows = exp.select("CAST(to_json(list(j)) AS TEXT)", dialect="duckdb").from_(inner.subquery("j"))
    rows.set("expressions", [exp.alias_(rows.expressions[0], _JSON, quoted=True)])
    return rows
