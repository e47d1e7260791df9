"""What procedures, functions and triggers do, from their definitions, with the values that they are called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from connectors.sql.tsql import queries
from connectors.sql.tsql.called import FUNCTIONS, INLINE, PROCEDURE, TABLE, TRIGGER, Called, Given
from connectors.sql.tsql.classify import read_body
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.effects import Effects
from connectors.sql.tsql.lexer import END, Doubt
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.names import Scope
from connectors.sql.tsql.outputs import Outputs
from connectors.sql.tsql.relations import all_of
from connectors.sql.tsql.routines import Routine, read_routine
from connectors.sql.tsql.variables import Sources, Variables

_DEEPEST = 8  # routines that call each other
_LONGEST = 1 << 18  # characters, of all definitions that are read for one request
_TRIGGERS = frozenset({TRIGGER})
_PSEUDO = ("inserted", "deleted")  # the tables of a trigger
_LEAST = 1 << 10  # what a short one counts as
#: What a function does to its own variables, and what a procedure only does within itself.
_INWARD = frozenset({"sql:declare", "sql:control", "sql:print", "sql:set"})
_OF_FUNCTIONS = frozenset({"sql:select", "sql:execute", "sql:external", "sql:dynamic"})


@dataclass(frozen=True, slots=True)
class Definition:
    """The text of an object, and the database and schema (as written) that its names are looked up in."""

    resource: str
    text: str
    database: str
    schema: str


class Calls:
    """The procedures and functions that ``find`` knows the definitions of; each call is read once."""

    def __init__(
        self, find: Callable[[str], Definition | None], schema: Callable[[str, str, str], str] | None = None
    ) -> None:
        self._find = find
        self.schema = schema or (lambda _database, schema, _name: schema)
        self._routines: dict[str, Routine | None] = {}
        self._read: dict[tuple[object, ...], Called | None] = {}
        self._open: list[str] = []
        self._left = _LONGEST

    def renew(self) -> None:
        """A new request may have as much read as the last one."""
        self._left = _LONGEST

    def called(self, resource: str, given: Sequence[Given], scope: Scope, kinds: frozenset[str]) -> Called | None:
        """A call of an object if it is of these kinds; None if what it does is not known."""
        definition = self._find(resource)
        if definition is None or definition.resource in self._open or len(self._open) >= _DEEPEST:
            return None
        routine = self._routine(definition)
        if routine is None or routine.kind not in kinds or len(given) > len(routine.parameters):
            return None
        key = (definition.resource, tuple(given), scope.temps)
        if key not in self._read:
            self._left -= max(len(definition.text), _LEAST)
            if self._left < 0:
                return None
            self._open.append(definition.resource)
            try:
                self._read[key] = self._call(routine, definition, given, scope)
            finally:
                self._open.pop()
        return self._read[key]

    def fired(self, resource: str, table: str) -> Called | None:
        """What a trigger of a table does when it fires; None if that is not known."""
        columns = (all_of(table),)
        temps = tuple((word, columns) for name in _PSEUDO for word in (name, name.upper(), name.title()))
        found = self.called(resource, (), Scope("", temps=temps), _TRIGGERS)
        if (
            found is None
            or found.effects.reads_unknown
            or any(read.rpartition(".")[2] in _PSEUDO for read in found.effects.reads)
        ):
            return None
        return found

    def _routine(self, definition: Definition) -> Routine | None:
        if definition.resource not in self._routines:
            self._routines[definition.resource] = read_routine(definition.text)
        return self._routines[definition.resource]

    def _call(self, routine: Routine, definition: Definition, given: Sequence[Given], scope: Scope) -> Called | None:
        variables = Variables()
        within = Scope(definition.database, definition.schema, modules=self)
        if routine.kind in (PROCEDURE, TRIGGER):
            within = replace(within, temps=scope.temps)
        told = _bind(routine, given, variables)
        if told is None:
            return None
        try:
            if routine.kind == INLINE:
                effects = Effects()
                outputs = _rows(routine.cursor(), within, effects, variables)
            else:
                effects = read_body(
                    routine.cursor(), within, variables, function=routine.kind in FUNCTIONS, sealed=routine.sealed
                )
                outputs = variables.table(routine.table) if routine.kind == TABLE else None
        except (Doubt, RecursionError):
            return None
        effects.tell(told)
        return Called(
            _seen_from_outside(effects, routine, variables),
            outputs,
            variables.of(""),
            tuple((parameter.name, variables.of(parameter.name)) for parameter in routine.parameters),
        )


def _bind(routine: Routine, given: Sequence[Given], variables: Variables) -> Sources:
    """Give the parameters their values: of which of these it tells whether they fit. None if one is not followed."""
    told: set[str] = set()
    declared = {parameter.name: parameter for parameter in routine.parameters}
    if routine.kind == TABLE:
        variables.keep(routine.table, routine.columns)
    for parameter in routine.parameters:
        variables.declare(parameter.name, roomy=parameter.roomy)
    for at, each in enumerate(given):
        name = each.name.lower() or routine.parameters[at].name
        if name not in declared or each.sources is None or not variables.assign(name, each.sources):
            return None
        if each.table is not None:
            variables.tables[name] = each.table
        told |= frozenset() if declared[name].roomy else each.sources
    return frozenset(told)


def _rows(c: Cursor, scope: Scope, effects: Effects, variables: Variables) -> Outputs:
    """The columns of ``[(] [WITH name AS (query), ...] query [)]``, which is all of an inline function."""
    opened = c.key == "(" and c.ahead().key in ("WITH", "SELECT")
    if opened:
        c.take()
    ctes = queries.ctes(c) if c.accept("WITH") else ()
    query = queries.query(c)
    if opened:
        c.expect(")")
    while c.accept(";"):
        pass
    if c.kind != END:
        raise c.doubt("the end of the function")
    effects.act("sql:select")
    return Lineage(scope, effects, ctes, variables, repeated=True).outputs(query)


def _seen_from_outside(effects: Effects, routine: Routine, variables: Variables) -> Effects:
    """What a call does to what is not its own."""
    effects.actions = {
        verb: resources
        for verb, resources in effects.actions.items()
        if verb not in _INWARD and (verb in _OF_FUNCTIONS or routine.kind not in FUNCTIONS)
    }
    effects.statements = 0
    effects.variables = variables.all
    return effects
