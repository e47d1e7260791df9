"""Where each value of a query comes from, and which tables it reads on the way.

Conservative: a column that could be one of several tables' is counted as each; what cannot be followed has the
sources None. The rules of scope are those of the server, but nothing inner ever hides anything outer, so a collation
that tells names apart by case changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.sql.tsql.called import ROWSETS, SCALAR, Called, Given, passed
from connectors.sql.tsql.effects import Effects
from connectors.sql.tsql.inference import conjuncts, equated, shown
from connectors.sql.tsql.lexer import NUMBER
from connectors.sql.tsql.names import Name, Scope, resolve, segment
from connectors.sql.tsql.outputs import Output, Outputs, everything
from connectors.sql.tsql.relations import (
    Known,
    Relation,
    Relations,
    aligned,
    all_of,
    at_places,
    clashes,
    column_sources,
    is_plain,
    is_whole_table,
    numbered,
    renamed,
)
from connectors.sql.tsql.tree import (
    Column,
    Constant,
    Cte,
    Derived,
    Expr,
    Foreign,
    Item,
    Node,
    Parts,
    Pivoted,
    Query,
    Routine,
    Rowset,
    Select,
    Source,
    Star,
    Subquery,
    TableRef,
)
from connectors.sql.tsql.variables import NOTHING, Sources, Variables, union
from connectors.sql.tsql.words import METADATA_ROWSETS, ROWSET_FUNCTIONS, SYSTEM_ROWSETS

_ROUNDS = 8
_SCALARS = frozenset({SCALAR})
_METHODS = frozenset({"value", "query", "nodes", "exist", "modify"})  # of a column of XML, named like a schema


class Lineage:
    """Follows the queries of one statement, noting what they read in ``effects``."""

    def __init__(
        self,
        scope: Scope,
        effects: Effects,
        ctes: Sequence[Cte] = (),
        variables: Variables | None = None,
        *,
        repeated: bool = False,
    ) -> None:
        self._scope = scope
        self._effects = effects
        self._touched: Sources = NOTHING
        self._testing = False  # whether the value of what is followed decides something
        self._variables = variables or Variables()
        self._repeated = repeated  # whether the statement may run more than once
        self.ctes: dict[str, Known] = {}
        for cte in ctes:
            self._define(cte)

    def outputs(self, query: Query, outer: Relations = (), *, exists: bool = False) -> Outputs:
        """The columns of a query within ``outer`` relations; None if their positions cannot be told."""
        found = [self._select(branch, outer, exists=exists) for branch in query.branches]
        relations = [*outer, *(relation for _, inner in found for relation in inner)]
        outputs = aligned([outputs for outputs, _ in found])
        for key in query.order:
            self._order(key, relations, outputs)
        for branch, _ in found:
            self.tell(branch if query.compared else at_places(branch, clashes(query.branches)))
        return self._wrapped(outputs, query.wrapped) if query.wrapped else outputs

    def _wrapped(self, outputs: Outputs, made: str) -> Outputs:
        """What FOR makes of rows: one text of all their columns, which as XML fails for some characters."""
        if made == "BROWSE":
            return None
        if made == "XML":
            self.tell(outputs)
        return (Output("", everything(outputs)),)

    def walk(self, exprs: Sequence[Expr], relations: Relations) -> None:
        """Note what conditions read: their values do not leave, but what they decide tells of them."""
        for expr in exprs:
            for part in conjuncts(expr):
                column = equated(part)
                if column is not None and self._once(part) and is_plain(column.parts, relations):
                    self._effects.equate(self.sources(column, relations))
                else:
                    self.test(part, relations)

    def _once(self, equality: Expr) -> bool:
        """Whether a comparison is made once, with a value that is of no table."""
        given = [arg for arg in equality.args if isinstance(arg, Constant)] if isinstance(equality, Node) else []
        return not self._repeated and all(self.sources(value, ()) == NOTHING for value in given)

    def test(self, expr: Expr, relations: Relations) -> Sources:
        """The columns that a value derives from which decides something."""
        outside, self._testing = self._testing, True
        found = self.sources(expr, relations)
        self._testing = outside
        return found

    def tell(self, outputs: Outputs) -> None:
        """Note that values of these columns decide something."""
        self._effects.tell(everything(outputs))

    def sources(self, expr: Expr, relations: Relations) -> Sources:
        """The columns that a value derives from."""
        match expr:
            case Constant(variable=False):
                return NOTHING
            case Constant(text=name):
                found = told = self._variables.of(name)
            case Column():
                found = column_sources(expr.parts, relations)
                told = found
            case Star():
                found = None
                told = union(*(everything(relation.outputs) for relation in relations))
            case Node():
                return self._node(expr, relations)
            case Subquery():
                found, told = self._subquery(expr, relations), NOTHING
            case Routine():
                found = self._routine(expr, relations)
                told = found if found is not None else NOTHING
        self._touched = union(self._touched, found)
        if self._testing:
            self._effects.tell(told)
        return found

    def relations(self, sources: Sequence[Source], outer: Relations = ()) -> list[Relation]:
        """The relations of a FROM; each sees those before it, as APPLY lets it."""
        found: list[Relation] = []
        for source in sources:
            relation = self._relation(source, [*found, *outer])
            found = [relation] if isinstance(source, Pivoted) else [*found, relation]
        return found

    def project(self, items: Sequence[Item], relations: Relations) -> tuple[Output, ...]:
        """The columns that a list of items makes of relations."""
        return self._project(items, relations, relations)

    def _node(self, node: Node, relations: Relations) -> Sources:
        found = NOTHING
        for at, arg in enumerate(node.args):
            if node.op == "count" and isinstance(arg, Star):
                continue
            follow = self.sources if at < shown(node) else self.test
            found = union(found, follow(arg, relations))
        return found

    def _order(self, key: Expr, relations: Relations, outputs: Outputs) -> None:
        """A key of ORDER BY: a column of the result by its number or its name, or an expression over the tables."""
        if isinstance(key, Constant) and key.kind == NUMBER:
            self.tell(numbered(outputs, key.text))
            return
        if isinstance(key, Column) and len(key.parts) == 1:
            named = [o for o in outputs or () if not o.star and o.name.lower() == key.parts[0].lower()]
            self.tell(tuple(named))
            if any(o.name == key.parts[0] for o in named):
                return
        self.test(key, relations)

    def common(self, parts: Parts) -> Known | None:
        """The common table expression of this name, if there is one in sight."""
        return self.ctes.get(parts[0].lower()) if len(parts) == 1 else None

    def _select(self, select: Select, outer: Relations, *, exists: bool) -> tuple[Outputs, list[Relation]]:
        inner = self.relations(select.sources, outer)
        relations = [*inner, *outer]
        self.walk(select.conditions, relations)
        items = [item for item in select.items if not (exists and isinstance(item.expr, Star))]
        outputs = self._project(items, inner, relations)
        if select.distinct:
            self.tell(outputs)
        return outputs, inner

    def _project(self, items: Sequence[Item], inner: Relations, relations: Relations) -> tuple[Output, ...]:
        outputs: list[Output] = []
        for item in items:
            if isinstance(item.expr, Star):
                outputs += self._expand(item.expr, inner)
            else:
                plain = isinstance(item.expr, Column) and all(is_whole_table(relation) for relation in relations)
                outputs.append(Output(item.alias, self.sources(item.expr, relations), plain=plain))
        return tuple(outputs)

    def _expand(self, star: Star, inner: Relations) -> list[Output]:
        self._touched = None
        wanted = star.qualifier[-1].lower() if star.qualifier else ""
        chosen = [relation for relation in inner if not wanted or relation.name.lower() == wanted]
        found: list[Output] = []
        for relation in chosen:
            found += relation.outputs if relation.outputs is not None else [Output("*", None, star=True)]
        return found or [Output("*", None, star=True)]

    def _relation(self, source: Source, before: Relations) -> Relation:
        match source:
            case TableRef():
                return self._table(source)
            case Derived():
                outputs = self.outputs(source.query, before)
                return Relation(source.alias, renamed(outputs, source.columns))
            case Rowset():
                return Relation(source.alias or source.parts[-1], self._rowset(source, before))
            case Foreign():
                self._effects.act("sql:external", segment(source.name))
                self._effects.unknown()
                self._effects.store()
            case Pivoted():
                return Relation(source.alias, self._pivoted(source, before))
        return Relation(source.alias, None)

    def _pivoted(self, source: Pivoted, before: Relations) -> Outputs:
        """Any of the columns before it, or of its arguments; PIVOT groups by those that it does not name."""
        columns = [output for relation in before for output in relation.outputs or ()]
        if source.grouped:
            self.tell(tuple(columns))
            self.walk(source.args, before)
        held = union(
            *(self.sources(arg, before) for arg in source.args), *(output.sources for output in columns),
            *(None for relation in before if relation.outputs is None),
        )  # fmt: skip
        tables = dict.fromkeys(table for output in columns for table in output.tables)
        return (Output("*", held, star=True, tables=tuple(tables)),)

    def _table(self, source: TableRef) -> Relation:
        name = source.alias or source.parts[-1]
        if source.parts[0].startswith("@"):
            columns = self._variables.table(source.parts[0])
            self._effects.based(columns or ())
            return Relation(name, columns)
        known = self.common(source.parts)
        if known is not None:
            self._effects.reads |= known.tables
        if known is not None and known.name == source.parts[0]:
            return Relation(name, known.outputs)
        temporary = self._scope.temp(source.parts)
        if temporary is not None:
            self._effects.on("sql:select", source.parts, self._scope)
            self._effects.based(temporary)
            return Relation(name, temporary)
        table = self._effects.read(source.parts, self._scope)
        if known is not None or table.server:
            return Relation(name, None)
        return Relation(name, (all_of(table.resource),))

    def _rowset(self, source: Rowset, before: Relations) -> Outputs:
        called = self._called(source.parts, source.args, before, ROWSETS)
        if called is not None:
            self._effects.on("sql:select", source.parts, self._scope)
            return renamed(called.outputs, source.columns)
        made_of = union(*(self.test(arg, before) for arg in source.args))
        if len(source.parts) == 1 and source.parts[0] in ROWSET_FUNCTIONS:
            return (Output("*", made_of, star=True),)
        name = source.parts[-1].upper()
        schema = source.parts[-2].lower() if len(source.parts) > 1 else ""
        if schema == "sys" or (not schema and name in SYSTEM_ROWSETS):
            resource = f"master.sys.{segment(name)}"
            self._effects.act("sql:select", resource)
            self._effects.seen(Name(resource, system=True))
            if name not in METADATA_ROWSETS:
                self._effects.unknown()
            return (Output("*", made_of, star=True),)
        self._effects.on("sql:select", source.parts, self._scope)
        self._effects.on("sql:execute", source.parts, self._scope)
        self._effects.unknown()
        return None

    def _subquery(self, subquery: Subquery, relations: Relations) -> Sources:
        """All that a subquery refers to anywhere: its conditions choose its value, so they are part of it."""
        outside, self._touched = self._touched, NOTHING
        testing, self._testing = self._testing, False
        outputs = self.outputs(subquery.query, relations, exists=subquery.exists)
        found, self._touched, self._testing = self._touched, outside, testing
        if testing and not subquery.exists:
            self.tell(outputs)
        return found

    def _routine(self, routine: Routine, relations: Relations) -> Sources:
        called = None if routine.sequence else self._called(routine.parts, routine.args, relations, _SCALARS)
        if called is not None:
            return called.value
        made_of = union(*(self.test(arg, relations) for arg in routine.args))
        if routine.sequence:
            self._effects.on("sql:execute", routine.parts, self._scope)
            return made_of
        if len(routine.parts) > 1 and routine.parts[-2].lower() == "sys":
            self._effects.act("sql:execute", f"master.sys.{segment(routine.parts[-1])}")
        elif len(routine.parts) > 4:
            self._effects.act("sql:execute", ".".join(map(segment, routine.parts)))
        else:
            self._effects.on("sql:execute", routine.parts, self._scope)
        self._effects.unknown()
        return None

    def _called(self, parts: Parts, args: Sequence[Expr], relations: Relations, kinds: frozenset[str]) -> Called | None:
        """A call of a function of the database, as often as it may be made; None if what it does is not known."""
        if self._scope.modules is None or not 1 < len(parts) < 4 or parts[-1].lower() in _METHODS:
            return None
        name = resolve(parts, self._scope)
        given = [self._given(arg, relations) for arg in args]
        called = self._scope.modules.called(name.resource, given, self._scope, kinds)
        if called is not None:
            self._effects.note("sql:execute", name)
            self._effects.merge(called.effects)
            self._effects.tell(frozenset(called.effects.equated))
        return called

    def _given(self, arg: Expr, relations: Relations) -> Given:
        if isinstance(arg, Constant) and arg.variable:
            return passed(self._variables, arg.text)
        return Given(self.sources(arg, relations))

    def _define(self, cte: Cte) -> None:
        """Bring a common table expression in sight; a recursive one is followed until its sources stand still."""
        outside, self._effects.reads = self._effects.reads, set()
        query = cte.query if len(cte.query.branches) == 1 else replace(cte.query, branches=cte.query.branches[:1])
        outputs = renamed(self.outputs(query), cte.columns)
        for _ in range(_ROUNDS if len(cte.query.branches) > 1 else 0):
            before = outputs
            self.ctes[cte.name.lower()] = Known(cte.name, outputs, frozenset())
            outputs = renamed(self.outputs(cte.query), cte.columns)
            if outputs == before:
                break
        else:
            outputs = outputs if len(cte.query.branches) == 1 else None
        tables = frozenset(self._effects.reads)
        self._effects.reads = outside | tables
        self.ctes[cte.name.lower()] = Known(cte.name, outputs, tables)
