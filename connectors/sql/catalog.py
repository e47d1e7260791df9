"""What the names in statements stand for: tables, and what views, synonyms, computed columns and histories hide.

A database's entries are read from its own catalog (``catalog_wire``). Names are resources as policy knows them
(``shop.dbo.customers``), columns have one segment more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.sql.tsql.called import FUNCTIONS, PROCEDURE, TRIGGER
from connectors.sql.tsql.calls import Calls, Definition
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import END, Doubt
from connectors.sql.tsql.modules import View, read_computed, read_view
from connectors.sql.tsql.names import DEFAULT_SCHEMA, Scope, resolve, segment
from connectors.sql.tsql.outputs import Output, everything
from hoopcli.masking.patterns import segments
from hoopcli.model.decision import Action, Json, Statement

TABLE, VIEW, SYNONYM, HISTORY, COMPUTED, LABEL, LABELLED = "U", "V", "SN", "H", "C", "L", "K"
ROUTINES = frozenset({PROCEDURE, *FUNCTIONS})
_DEFINED = ROUTINES | {TRIGGER}
_SYSTEM = frozenset({"sys", "information_schema"})
_PARTS = 3  # of the resource of an object
_DEEPEST = 16  # views on views


@dataclass(frozen=True, slots=True)
class Label:
    """How sensitive a column is, as the database says: each empty where it says nothing."""

    label: str = ""
    information_type: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: ``text`` is the definition of a view, or the name of what a synonym or a history stands for.

    For a routine it is its own name, as its definition is only read where it runs. ``schema`` is the schema's name as
    written; ``computed`` are the definitions of computed columns by their segment, ``labels`` the labels of columns,
    ``parent`` the name of what a trigger is of. An entry of kind LABELLED, by the name of the database, says that all
    labels are known.
    """

    kind: str
    schema: str = "dbo"
    text: str = ""
    computed: Mapping[str, str] | None = None
    labels: Mapping[str, Label] | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The columns that one may derive its values from, itself among them.

    ``plain`` says that its values are theirs as they are; ``known`` is False where there may be others.
    """

    columns: frozenset[str]
    plain: bool = True
    known: bool = True


Entries = Mapping[str, Entry]
#: The facts and actions of a statement as it is written, and the statement with what its names stand for (``expand``).
Expanded = tuple[Mapping[str, Json], tuple[Action, ...], Statement]


class Catalog:
    """The objects of some databases: by database its entries, None for one that could not be read."""

    def __init__(self, databases: Mapping[str, Entries | None] | None = None) -> None:
        self._databases = dict(databases or {})
        self._origins: dict[str, Origin] = {}
        self._views: dict[str, View | None] = {}
        self._definitions: dict[str, str] = {}
        self.expanded: dict[int, Expanded] = {}
        self._wanted: dict[str, Entry] = {}
        self._triggers: dict[str, list[str]] | None = None
        self.calls = Calls(self._definition, self._schema)

    def learn(self, database: str, entries: Entries | None) -> None:
        """Take in what a database, named by its segment, holds; None if it cannot be read."""
        self._databases[database] = entries
        self._renew()

    def wanted(self) -> tuple[str, Mapping[str, Entry]]:
        """A database, and those of its procedures and functions whose definitions were looked for in vain."""
        database = next(map(_database, self._wanted), "")
        return database, {name: entry for name, entry in self._wanted.items() if _database(name) == database}

    def define(self, definitions: Mapping[str, str]) -> None:
        """Take in definitions of procedures and functions; an empty one is not to be seen."""
        self._definitions.update(definitions)
        self._renew()

    def _renew(self) -> None:
        self.expanded.clear()
        self._triggers = None
        self._origins.clear()
        self._views.clear()
        self._wanted.clear()
        self.calls = Calls(self._definition, self._schema)

    def _definition(self, resource: str) -> Definition | None:
        """The definition of a procedure or function, or of the one that a synonym stands for."""
        entry = self._entry(resource)
        if entry is not None and entry.kind == SYNONYM:
            resource = self._target(resource, entry)
            entry = self._entry(resource)
        if entry is None or entry.kind not in _DEFINED:
            return None
        if resource not in self._definitions:
            self._wanted[resource] = entry
        text = self._definitions.get(resource, "")
        return Definition(resource, text, _unquoted(_database(resource)), entry.schema) if text else None

    def _schema(self, database: str, schema: str, name: str) -> str:
        """The schema of what a definition of ``schema`` names without one."""
        own, other = (".".join((segment(database), segment(each), segment(name))) for each in (schema, DEFAULT_SCHEMA))
        return DEFAULT_SCHEMA if self._entry(own) is None and self._entry(other) is not None else schema

    def missing(self, tables: Iterable[str], asked: Container[str] = ()) -> str:
        """A database to read, so that these tables and what is under them are known; empty if there is none.

        One that has no such object is to be read again, as is one that could not be read, unless it is in ``asked``.
        """
        wanted, seen = list(tables), set[str]()
        while wanted:
            resource = wanted.pop()
            database = _database(resource)
            if database and database not in asked and self._entry(resource) is None:
                return database
            if resource not in seen:
                seen.add(resource)
                wanted += self._below(resource) or ()
        return ""

    def tables(self, resource: str) -> frozenset[str] | None:
        """An object and all under it; None if that cannot be told."""
        found, wanted = set[str](), [resource]
        while wanted:
            each = wanted.pop()
            if each in found:
                continue
            found.add(each)
            below = self._below(each)
            if below is None:
                return None
            wanted += below
        return frozenset(found)

    def named(self, resource: str) -> frozenset[str]:
        """The object that a name means: what synonyms stand for, as far as that can be told."""
        found = {resource}
        while (entry := self._entry(resource)) is not None and entry.kind == SYNONYM:
            resource = self._target(resource, entry)
            if not resource or resource in found:
                break
            found.add(resource)
        return frozenset(found)

    def triggers(self, table: str) -> Sequence[str]:
        """The triggers of a table or a view that are switched on, as far as the login may see them."""
        if self._triggers is None:
            self._triggers = {}
            for entries in self._databases.values():
                for name, entry in (entries or {}).items():
                    if entry.kind == TRIGGER:
                        parent = ".".join((_database(name), *map(segment, _parts(entry.parent))))
                        self._triggers.setdefault(parent, []).append(name)
        return self._triggers.get(table, ())

    def meaning(self, resources: Iterable[str]) -> str:
        """A digest of the definitions of these objects, in hex; empty if none is made of others."""
        found = hashlib.sha256()
        defined = False
        for resource in sorted(resources):
            entry = self._entry(resource)
            if entry is not None and (entry.kind != TABLE or entry.computed):
                defined = True
                own = (
                    entry.kind,
                    entry.text,
                    self._definitions.get(resource, ""),
                    *sorted((entry.computed or {}).items()),
                )
                found.update(f"{resource}\0{own!r}\0".encode())
        return found.hexdigest() if defined else ""

    def origin(self, column: str) -> Origin:
        """Where the values of a column (``*`` for any of a table) come from."""
        found = self._origins.get(column)
        if found is None:
            found = self._origins[column] = self._origin(column, 0)
        return found

    def labels(self, resource: str) -> Mapping[str, Label] | None:
        """The labels of an object's own columns by their segment; None if they are not known."""
        if _of_no_database(resource):
            return {}
        database = _database(resource)
        entries = self._databases.get(database) if database else None
        if entries is None or database not in entries:
            return None
        entry = entries.get(resource)
        if entry is None:
            return {}
        return (entry.labels or {}) if entry.kind else None

    def _entry(self, resource: str) -> Entry | None:
        """The object of this name; None for what the catalog does not have, which then is a table or nothing."""
        database = _database(resource)
        return (self._databases.get(database) or {}).get(resource) if database else None

    def _unread(self, resource: str) -> bool:
        database = _database(resource)
        return bool(database) and self._databases.get(database) is None

    def _below(self, resource: str) -> frozenset[str] | None:
        """The objects that one directly stands on; None if that cannot be told."""
        if self._unread(resource):
            return None
        entry = self._entry(resource)
        match entry:
            case None | Entry(kind="U"):
                return frozenset()
            case Entry(kind="SN" | "H"):
                target = self._target(resource, entry)
                return frozenset({target}) if target else None
            case Entry(kind="V"):
                view = self._view(resource, entry)
                return None if view is None else frozenset(self._meant(table, entry) for table in view.reads)
            case _:
                return None

    def _origin(self, column: str, depth: int) -> Origin:
        *table, name = segments(column)
        resource = ".".join(table)
        entry = self._entry(resource)
        if depth > _DEEPEST or self._unread(resource):
            return Origin(frozenset({column}), plain=False, known=False)
        match entry:
            case None:
                return Origin(frozenset({column}))
            case Entry(kind="U", computed=computed):
                text = (computed or {}).get(name)
                return Origin(frozenset({column})) if text is None else self._computed(column, resource, entry, text)
            case Entry(kind="SN" | "H"):
                target = self._target(resource, entry)
                return self._joined(column, {f"{target}.{name}"} if target else None, plain=True, depth=depth)
            case Entry(kind="V"):
                return self._through(column, resource, entry, depth)
            case _:
                return Origin(frozenset({column}), plain=False, known=False)

    def _through(self, column: str, resource: str, entry: Entry, depth: int) -> Origin:
        """A column of a view comes from what its query says."""
        name = segments(column)[-1]
        view = self._view(resource, entry)
        if view is None:
            return Origin(frozenset({column}), plain=False, known=False)
        outputs = tuple(output for output in view.outputs if _may_be(output, name))
        made_of = {self._meant_column(each, entry) for each in everything(outputs) or () if not each.endswith(".*")}
        made_of |= {f"{self._meant(table, entry)}.{name}" for output in outputs for table in output.tables}
        return self._joined(column, made_of, plain=all(o.plain for o in outputs), depth=depth)

    def _computed(self, column: str, resource: str, entry: Entry, text: str) -> Origin:
        table = tuple(map(_unquoted, segments(resource)))
        made_of = read_computed(text, table, Scope(table[0], entry.schema))
        return Origin(
            frozenset({column, *(made_of if made_of is not None else {f"{resource}.*"})}),
            plain=False,
            known=made_of is not None,
        )

    def _joined(self, column: str, made_of: set[str] | None, *, plain: bool, depth: int) -> Origin:
        """A column with all that the columns under it come from."""
        below = [self._origin(each, depth + 1) for each in made_of or ()]
        return Origin(
            frozenset({column}).union(*(origin.columns for origin in below)),
            plain and all(origin.plain for origin in below),
            made_of is not None and all(origin.known for origin in below),
        )

    def _view(self, resource: str, entry: Entry) -> View | None:
        if resource not in self._views:
            scope = Scope(_unquoted(_database(resource)), entry.schema, modules=self.calls)
            self._views[resource] = read_view(entry.text, scope)
        return self._views[resource]

    def _target(self, resource: str, entry: Entry) -> str:
        """What a synonym or history stands for; empty if it is on another server or unreadable."""
        parts = _parts(entry.text)
        if not 1 <= len(parts) <= _PARTS:
            return ""
        return self._meant(resolve(parts, Scope(_database(resource), entry.schema)).resource, entry)

    def _meant(self, resource: str, entry: Entry) -> str:
        """A name in a definition: of the definition's own schema, or else of dbo."""
        found = segments(resource)
        if self._entry(resource) is None and len(found) == _PARTS and found[1] == segment(entry.schema):
            other = f"{found[0]}.dbo.{found[2]}"
            return other if self._entry(other) is not None else resource
        return resource

    def _meant_column(self, column: str, entry: Entry) -> str:
        *table, name = segments(column)
        return f"{self._meant('.'.join(table), entry)}.{name}"


def _database(resource: str) -> str:
    """The database whose catalog knows an object; empty for system objects, temporary ones and other servers'."""
    found = segments(resource)
    if len(found) != _PARTS or found[1] in _SYSTEM or found[0] == "tempdb":
        return ""
    return found[0]


def _of_no_database(resource: str) -> bool:
    """Whether an object is the system's own or temporary: such columns have no labels."""
    found = segments(resource)
    return len(found) == _PARTS and (found[1] in _SYSTEM or found[0] == "tempdb")


def _may_be(output: Output, name: str) -> bool:
    return name == "*" or output.star or segment(output.name) == name or not output.name.isascii()


def _parts(text: str) -> tuple[str, ...]:
    """The parts of a name as the catalog writes it; empty if it is none."""
    try:
        c = Cursor(text)
        parts = c.name()
    except Doubt:
        return ()
    return parts if c.kind == END else ()


def _unquoted(part: str) -> str:
    return part[1:-1].replace("]]", "]") if part.startswith("[") else part
