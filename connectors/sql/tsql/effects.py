"""What a batch does, gathered while it is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from connectors.sql.tsql.names import Name, Scope, resolve
from connectors.sql.tsql.outputs import Output, Outputs
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.words import KEEPING_VIEWS
from hoopcli.model.decision import Action

#: Every verb that an action of a batch can have.
VERBS = frozenset(
    f"sql:{word}"
    for word in (
        "select",
        "insert",
        "update",
        "delete",
        "merge",
        "truncate",
        "create",
        "alter",
        "drop",
        "grant",
        "revoke",
        "deny",
        "execute",
        "dynamic",
        "bulk-insert",
        "backup",
        "restore",
        "dbcc",
        "kill",
        "shutdown",
        "configure",
        "impersonate",
        "set",
        "use",
        "transaction",
        "declare",
        "print",
        "control",
        "external",
        "unclassified",
    )
)


_STORING = frozenset({"sql:insert", "sql:update", "sql:merge", "sql:execute", "sql:dynamic", "sql:external"})


@dataclass(slots=True)
class Effects:
    """The gathering basin: actions by verb, tables read, results returned, and what conditions ask about.

    ``copied`` says that values of tables go where lineage does not follow (other tables, variables, texts), ``stored``
    that they stay there for later batches to read, ``held`` that they are in variables, which a write or a procedure
    could store; ``reads_unknown`` that not even the tables are known.

    ``told`` are columns of whose values the batch tells something without showing them, ``equated`` those that it only
    compares for equality with a given value, once for each time it does; ``told_unknown`` says that there are more.
    ``moved`` are columns whose values it gives to others or, computed with, to themselves; ``written_back`` are those
    given a literal in the form of a mask, ``taken`` those given the value of a variable; ``masked_text`` says that some
    literal has the form of a mask. ``touched`` are temporary tables that it makes or writes,
    ``temps`` those that the session has at its end; ``variables`` all that its variables may hold.
    """

    actions: dict[str, set[str]] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    user_reads: set[str] = field(default_factory=set)
    results: list[Outputs] = field(default_factory=list)
    statements: int = 0
    copied: bool = False
    stored: bool = False
    held: bool = False
    reads_unknown: bool = False
    dynamic: bool = False
    filtered: bool = True
    limited: bool = True
    elsewhere: bool = False
    reads_system: bool = False
    told: set[str] = field(default_factory=set)
    equated: list[str] = field(default_factory=list)
    told_unknown: bool = False
    moved: set[str] = field(default_factory=set)
    written_back: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    masked_text: bool = False
    touched: set[str] = field(default_factory=set)
    temps: tuple[tuple[str, Outputs], ...] = ()
    variables: frozenset[str] | None = frozenset()

    def act(self, verb: str, *resources: str) -> None:
        """Note an action."""
        self.actions.setdefault(verb, set()).update(resources)

    def on(self, verb: str, parts: Parts, scope: Scope) -> Name:
        """Note an action on a named object; on one of another server it is an external action too."""
        name = resolve(parts, scope)
        self.note(verb, name)
        return name

    def resolve(self, parts: Parts, scope: Scope) -> str:
        """The resource of a named object, noting if it is elsewhere."""
        name = resolve(parts, scope)
        self.elsewhere |= name.elsewhere
        return name.resource

    def note(self, verb: str, name: Name) -> None:
        """Note an action on a resolved name."""
        self.act(verb, name.resource)
        self.elsewhere |= name.elsewhere
        if name.server:
            self.act("sql:external", name.resource)
            self.unknown()

    def read(self, parts: Parts, scope: Scope) -> Name:
        """Note that a table is read by a query."""
        name = self.on("sql:select", parts, scope)
        self.seen(name)
        if (name.system and parts[-1].lower() in KEEPING_VIEWS) or (len(parts) > 1 and parts[-2].lower() == "cdc"):
            self.unknown()
        if name.temporary:
            self.copied = True
            self.reads_unknown |= name.resource.startswith("tempdb.dbo.##")
        return name

    def seen(self, name: Name) -> None:
        """Note that values of a table may take part in what is returned or copied."""
        self.reads.add(name.resource)
        self.reads_system |= name.system
        if not name.system:
            self.user_reads.add(name.resource)

    def based(self, outputs: tuple[Output, ...]) -> None:
        """Note that the tables from which these columns come are read."""
        for output in outputs:
            found = {*output.tables, *(column.rpartition(".")[0] for column in output.sources or ())}
            self.reads |= found
            self.user_reads |= found

    def unknown(self) -> None:
        """Note that values of any table may be returned or copied."""
        self.copied = self.reads_unknown = True

    def store(self) -> None:
        """Note that values of the tables read are put where later batches read them under another name."""
        self.copied = self.stored = True

    def hold(self) -> None:
        """Note that values of the tables read are put into variables."""
        self.copied = self.held = True

    def tell(self, sources: frozenset[str] | None) -> None:
        """Note that the batch tells something of the values of columns; None: of which is not known."""
        self.told |= sources or frozenset()
        self.told_unknown |= sources is None

    def equate(self, sources: frozenset[str] | None) -> None:
        """Note that columns are compared for equality with one value."""
        self.equated += sources or ()
        self.told_unknown |= sources is None

    def merge(self, other: Effects) -> None:
        """Take in what another part of the batch does."""
        for verb, resources in other.actions.items():
            self.act(verb, *resources)
        self.reads |= other.reads
        self.user_reads |= other.user_reads
        self.results += other.results
        self.statements += other.statements
        self.copied |= other.copied
        self.stored |= other.stored
        self.held |= other.held
        self.reads_unknown |= other.reads_unknown
        self.dynamic |= other.dynamic
        self.filtered &= other.filtered
        self.limited &= other.limited
        self.elsewhere |= other.elsewhere
        self.reads_system |= other.reads_system
        self.told |= other.told
        self.equated += other.equated
        self.told_unknown |= other.told_unknown
        self.moved |= other.moved
        self.written_back |= other.written_back
        self.taken |= other.taken
        self.masked_text |= other.masked_text
        self.touched |= other.touched

    def summary(self) -> tuple[Action, ...]:
        """The actions, one a verb, in the order of their names."""
        return tuple(Action(verb, tuple(sorted(self.actions[verb]))) for verb in sorted(self.actions))

    @property
    def predicates(self) -> tuple[frozenset[str], frozenset[str]]:
        """The columns of whose values the batch tells something; and those only compared for equality, once."""
        known = set(self.told)
        if self.told_unknown:
            known |= {"*"} if self.reads_unknown else {f"{table}.*" for table in self.reads}
        known |= {column for column, times in Counter(self.equated).items() if times > 1}
        return frozenset(known), frozenset(self.equated) - known

    @property
    def copies(self) -> bool:
        """Whether values of a table are put where later batches read them under another name."""
        stored = self.stored or (self.held and not _STORING.isdisjoint(self.actions))
        return stored and self._reads_users

    @property
    def _reads_users(self) -> bool:
        return bool(self.user_reads) or self.reads_unknown

    @property
    def unresolved(self) -> bool:
        """Whether a value of a table may leave by a way that ``outputs`` does not describe."""
        if not self._reads_users:
            return False
        if self.copied or self.reads_unknown:
            return True
        return any(outputs is None or any(o.sources is None for o in outputs) for outputs in self.results)

    @property
    def returned(self) -> tuple[Outputs, ...] | None:
        """The columns of each result; None if they cannot be told."""
        return None if self.unresolved else tuple(self.results)
