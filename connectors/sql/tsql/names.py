"""What a name means in a session: the resource that policy knows.

A table, view or procedure is ``database.schema.name`` in lower case, a column ``database.schema.table.column``. What
has no schema is named by its class as GRANT does: ``shop.user::bob``, ``shop.database::shop``, ``server.login::ann``.
A segment with anything but letters, digits, ``_ @ # $ -`` and inner spaces is delimited: ``shop.dbo.[a.b]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.sql.tsql.outputs import Outputs
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.words import (
    COMPATIBILITY_VIEWS,
    CONFIGURING,
    METADATA_PROCEDURES,
    SYSTEM_PROCEDURES,
    TEXT_PROCEDURES,
)

if TYPE_CHECKING:
    from connectors.sql.tsql.called import Modules

_PLAIN = re.compile(r"[a-z0-9_@#$-]+(?: [a-z0-9_@#$-]+)*")
_SYSTEM_SCHEMAS = frozenset({"sys", "information_schema"})
#: The schema of whom the server does not know a schema of his own.
DEFAULT_SCHEMA = "dbo"
SYSTEM_PREFIXES = ("sp_", "xp_")
_KNOWN_PROCEDURES = METADATA_PROCEDURES | TEXT_PROCEDURES | CONFIGURING | SYSTEM_PROCEDURES


@dataclass(frozen=True, slots=True)
class Scope:
    """What unqualified names mean in a session: its current database, and the default schema of its user there.

    ``temps`` are its temporary tables by the names that it gave them, with their columns; None where these are not
    known. ``modules`` are the procedures and functions that are read where they are called, if that is asked for.
    """

    database: str
    schema: str = DEFAULT_SCHEMA
    temps: tuple[tuple[str, Outputs], ...] = ()
    modules: Modules | None = field(default=None, repr=False)

    def temp(self, parts: Parts) -> Outputs:
        """The columns of a temporary table, if they are known."""
        return dict(self.temps).get(parts[-1]) if self.temps else None

    def schema_of(self, name: str) -> str:
        """The schema of an object that is named without one: in a definition it is the definition's own, or dbo."""
        if self.modules is None or self.schema == DEFAULT_SCHEMA:
            return self.schema
        return self.modules.schema(self.database, self.schema, name)


@dataclass(frozen=True, slots=True)
class Name:
    """A resolved name. ``elsewhere`` says that it is in another database or server than the session."""

    resource: str
    server: str = ""
    elsewhere: bool = False
    system: bool = False
    temporary: bool = False


def segment(text: str) -> str:
    """One segment of a resource: lower case, delimited if it could be read as more than one."""
    lowered = text.lower()
    return lowered if _PLAIN.fullmatch(lowered) else f"[{lowered.replace(']', ']]')}]"


def resolve(parts: Parts, scope: Scope) -> Name:
    """Resolve the name of a table, view, function or other object of a schema."""
    server, database, schema, name = ("",) * (4 - len(parts)) + parts
    lowered = name.lower()
    if lowered.startswith("#"):
        return Name(f"tempdb.dbo.{segment(name)}", temporary=True)
    if server:
        return Name(".".join(map(segment, parts)), server, elsewhere=True)
    schema = (schema or (DEFAULT_SCHEMA if database else scope.schema_of(name))).lower()
    if lowered in COMPATIBILITY_VIEWS and schema in ("dbo", scope.schema.lower()):
        schema = "sys"
    elsewhere = bool(database) and database.lower() != scope.database.lower()
    resource = ".".join((segment(database or scope.database), segment(schema), segment(name)))
    return Name(resource, "", elsewhere, schema in _SYSTEM_SCHEMAS)


def procedures(parts: Parts, scope: Scope) -> tuple[Name, ...]:
    """Resolve the name of a procedure to all that it may be.

    ``sp_`` and ``xp_`` names are looked up among the server's own first, whatever database and schema ``dbo`` or
    ``sys`` they are written with; one that is not the server's is an object of the session's database or of master.
    """
    own = resolve(parts, scope)
    name = parts[-1].lower()
    schema = parts[-2].lower() if len(parts) > 1 else ""
    if own.server or not name.startswith(SYSTEM_PREFIXES):
        return (own,)
    system = Name(f"master.sys.{segment(name)}", elsewhere=own.elsewhere, system=True)
    if schema == "sys":
        return (system,)
    return (system,) if schema in ("", "dbo") and name in _KNOWN_PROCEDURES else (system, own)


def securable(kind: str, name: str, scope: Scope, *, of_server: bool = False) -> str:
    """The resource of what has no schema, by its class: ``shop.user::bob``, ``server.login::ann``."""
    owner = "server" if of_server else segment(scope.database)
    securable_class = f"{owner}.{kind.lower().replace(' ', '-')}"
    return f"{securable_class}::{segment(name)}" if name else securable_class
