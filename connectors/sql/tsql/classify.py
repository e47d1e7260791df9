"""What a T-SQL batch does: its statements, verbs, resources, facts and lineage.

The grammar accepts what SQL Server accepts in the way it does, or refuses to say; a text it does not understand from
the first token to the last is ``sql:unclassified``, whole. Nothing is guessed from a part that looks familiar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from connectors.sql.tsql import statements
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.effects import VERBS, Effects
from connectors.sql.tsql.execute import call
from connectors.sql.tsql.lexer import BINARY, END, NUMBER, STRING, Doubt
from connectors.sql.tsql.names import Scope
from connectors.sql.tsql.outputs import Output, Outputs
from connectors.sql.tsql.variables import Sources, Variables, union
from hoopcli.masking.methods import looks_masked
from hoopcli.model.decision import Action, Json

__all__ = ["VERBS", "Batch", "Output", "Scope", "SqlStatement", "classify", "classify_procedure"]

_MAX_DEPTH = 8
_MOST_READINGS = 8
_CACHED_TEXT = 16_384
_CACHED_BATCHES = 1024
_LITERALS = frozenset({STRING, NUMBER, BINARY})
_CHANGES = ("sql:insert", "sql:update", "sql:delete", "sql:merge", "sql:truncate", "sql:bulk-insert")


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """One statement of a batch, with all that is nested in it."""

    text: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch does. ``facts`` is to be read only: a batch is shared by all who ask for the same text.

    ``actions`` has one action a verb; ``reads`` are the tables whose values may take part in results or copies.
    ``results`` are the columns of each result that it may return, None where they cannot be told; ``taken`` are
    columns that it gives the value of a variable; ``temps`` the temporary tables that the session has after it;
    ``variables`` all that values of its variables may derive from, None where that is not known. The facts:

    - ``statement_count``, ``has_literals``, ``dynamic`` (a text runs that is known only then), ``cross_database``;
    - ``filtered``: every UPDATE, DELETE and such a branch of MERGE chooses among rows;
    - ``row_limited``: every query that returns or copies rows has TOP or FETCH, or no table;
    - ``tables``: all that is read or changed; ``reads_system``, ``reads_unknown``: catalogue, or nobody knows what;
    - ``unresolved``: values of tables may leave in a way that ``results`` does not describe;
    - ``copies``: values of tables are put where a later batch reads them under another name;
    - ``predicates``: columns of whose values it tells something without showing them: what conditions, orders, groups
      and computations depend on (``table.*`` where the column is not known); ``equalities``: those that it only
      compares for equality with a given value, and no more than once;
    - ``moves``: columns whose values it gives to other columns or, computed with, to themselves; ``written_back``:
      columns that it gives a value in the form of a mask (``table.*`` where the column is not known);
    - ``unclassified_reason``: only then, a sentence for a person. It quotes no literal.
    """

    statements: tuple[SqlStatement, ...]
    actions: tuple[Action, ...]
    facts: Mapping[str, Json]
    reads: frozenset[str]
    results: tuple[Outputs, ...] | None
    taken: frozenset[str] = frozenset()
    temps: tuple[tuple[str, Outputs], ...] = ()
    variables: Sources = frozenset()

    @property
    def outputs(self) -> Outputs:
        """The columns of its one result; empty without a result, None where they cannot be told or it has several."""
        if self.results is None or len(self.results) > 1:
            return None
        return self.results[0] if self.results else ()


def classify(text: str, scope: Scope, *, depth: int = 0) -> Batch:
    """Say what a batch does in a session. Never raises; ``depth`` is how many EXECUTEs it is nested in.

    What calls procedures and functions that are to be read is not kept: it would keep their catalog.
    """
    if len(text) <= _CACHED_TEXT and scope.modules is None:
        return _cached(text, scope, depth)
    return _classify(text, scope, depth)


def classify_procedure(name: str, scope: Scope) -> Batch:
    """Say what a call of a procedure does, as an RPC names it (``dbo.get_customer``). Never raises."""

    def read() -> tuple[list[SqlStatement], Effects, bool]:
        cursor = Cursor(name)
        parts = cursor.name()
        if cursor.kind != END:
            raise cursor.doubt("the end of the name")
        ctx = Context(cursor, scope, _nested(0))
        ctx.effects.statements = 1
        called = call(ctx, parts)
        if called is not None:
            ctx.effects.variables = union(*(sources for _, sources in called.out))
        return [SqlStatement(name, ctx.effects.summary())], ctx.effects, False

    return _guarded(read)


def _classify(text: str, scope: Scope, depth: int) -> Batch:
    def read() -> tuple[list[SqlStatement], Effects, bool]:
        cursor = Cursor(text)
        found, effects = _read(cursor, scope, depth)
        return found, effects, any(token.kind in _LITERALS for token in cursor.tokens)

    return _guarded(read)


_cached = lru_cache(maxsize=_CACHED_BATCHES)(_classify)


def _guarded(read: Callable[[], tuple[list[SqlStatement], Effects, bool]]) -> Batch:
    try:
        found, effects, has_literals = read()
    except Doubt as doubt:
        return _unclassified(str(doubt))
    except RecursionError:
        return _unclassified("The batch nests too deeply.")
    return Batch(
        tuple(found),
        effects.summary() or (Action("sql:control"),),
        _facts(effects, has_literals=has_literals),
        frozenset(effects.reads),
        effects.returned,
        frozenset(effects.taken),
        effects.temps,
        effects.variables,
    )


def read_body(cursor: Cursor, scope: Scope, variables: Variables, *, function: bool, sealed: bool) -> Effects:
    """What the statements of a procedure or function do, from where the cursor stands. Raises Doubt."""
    return _settled(Context(cursor, scope, _nested(0), function=function, sealed=sealed), variables)[1]


def _read(
    cursor: Cursor, scope: Scope, depth: int, variables: Variables | None = None
) -> tuple[list[SqlStatement], Effects]:
    """Read statement after statement until no token is left."""
    if depth > _MAX_DEPTH:
        raise Doubt(f"Texts execute texts more than {_MAX_DEPTH} deep.")
    return _settled(Context(cursor, scope, _nested(depth)), variables or Variables())


def _settled(context: Context, variables: Variables) -> tuple[list[SqlStatement], Effects]:
    """Read from the cursor on, again and again until it is known what each variable may hold."""
    start = context.cursor.at
    for _ in range(_MOST_READINGS):
        context.cursor.at = start
        variables.again()
        found, effects = _read_once(replace(context, variables=variables, start=start))
        if variables.settled:
            effects.variables = variables.all
            return found, effects
    raise Doubt("Its variables take their values from each other in too many steps.")


def _read_once(ctx: Context) -> tuple[list[SqlStatement], Effects]:
    cursor = ctx.cursor
    whole = Effects()
    found: list[SqlStatement] = []
    while True:
        while cursor.accept(";"):
            pass
        if cursor.kind == END:
            whole.masked_text |= any(t.kind == STRING and looks_masked(t.value) for t in cursor.tokens)
            whole.temps = ctx.scope.temps
            return found, whole
        start = cursor.token.start
        ctx.effects = Effects()
        statements.statement(ctx)
        end = cursor.tokens[cursor.at - 1].end if cursor.kind != END or cursor.at else start
        found.append(SqlStatement(cursor.text[start:end], ctx.effects.summary()))
        whole.merge(ctx.effects)


def _nested(depth: int) -> Callable[[str, Scope, Variables], Effects]:
    def read(text: str, scope: Scope, variables: Variables) -> Effects:
        return _read(Cursor(text), scope, depth + 1, variables)[1]

    return read


def _facts(effects: Effects, *, has_literals: bool) -> dict[str, Json]:
    changed = (resource for verb in _CHANGES for resource in effects.actions.get(verb, ()))
    told, equated = effects.predicates
    return {
        "statement_count": effects.statements,
        "filtered": effects.filtered,
        "row_limited": effects.limited,
        "dynamic": effects.dynamic,
        "cross_database": effects.elsewhere,
        "has_literals": has_literals,
        "tables": sorted({*effects.reads, *changed}),
        "reads_system": effects.reads_system,
        "reads_unknown": effects.reads_unknown,
        "unresolved": effects.unresolved,
        "copies": effects.copies,
        "predicates": sorted(told),
        "equalities": sorted(equated),
        "moves": sorted(effects.moved),
        "written_back": sorted(effects.written_back | (effects.taken if effects.masked_text else set())),
    }


def _unclassified(reason: str) -> Batch:
    facts: dict[str, Json] = {
        "statement_count": 0,
        "filtered": False,
        "row_limited": False,
        "dynamic": False,
        "cross_database": False,
        "has_literals": True,
        "tables": [],
        "reads_system": False,
        "reads_unknown": True,
        "unresolved": True,
        "copies": True,
        "predicates": [],
        "equalities": [],
        "moves": [],
        "written_back": [],
        "unclassified_reason": reason,
    }
    return Batch((), (Action("sql:unclassified", ("",)),), facts, frozenset(), None)
