"""What a decoded request does: from SQLBatch, RPC and transaction requests to the statement that is authorised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from connectors.sql.catalog import Catalog
from connectors.sql.tds.request import (
    BulkLoad,
    Parameter,
    ParameterFlags,
    ProcId,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TransactionRequest,
    TransactionType,
)
from connectors.sql.tds.tvp import TableValue
from connectors.sql.tds.types import TypeId, TypeInfo
from connectors.sql.tds.values import Value, Variant
from connectors.sql.tsql.classify import Batch, Scope, classify, classify_procedure
from connectors.sql.tsql.outputs import carries
from connectors.sql.tsql.temps import joined, lost
from hoopcli.masking.methods import looks_masked
from hoopcli.model.decision import Action, Json, Statement

MEDIA_TYPE = "application/sql"
_UNCLASSIFIED = Action("sql:unclassified", ("",))

#: Where the text of the statement stands among the parameters of a system procedure, and which of its results is a
#: handle that later calls use in its place.
_TEXT_AT = {
    ProcId.SP_EXECUTESQL: 0,
    ProcId.SP_PREPARE: 2,
    ProcId.SP_PREPEXEC: 2,
    ProcId.SP_CURSOROPEN: 1,
    ProcId.SP_CURSORPREPARE: 2,
    ProcId.SP_CURSORPREPEXEC: 3,
}
#: Which parameters of a system procedure come back: its handles first, then others that are its own.
_HANDLES_OUT: Mapping[ProcId, tuple[tuple[int, ...], tuple[int, ...]]] = {
    ProcId.SP_PREPARE: ((0,), ()),
    ProcId.SP_PREPEXEC: ((0,), ()),
    ProcId.SP_CURSOROPEN: ((0,), (2, 3, 4)),
    ProcId.SP_CURSORPREPARE: ((0,), (4, 5)),
    ProcId.SP_CURSORPREPEXEC: ((0, 1), (4, 5, 6)),
    ProcId.SP_CURSOREXECUTE: ((1,), (2, 3, 4)),
}
_HANDLE_TYPES = frozenset({(TypeId.INTN, 4), (TypeId.INT4, 0)})
_BY_HANDLE = frozenset({ProcId.SP_EXECUTE, ProcId.SP_CURSOREXECUTE, ProcId.SP_CURSORFETCH})
_RELEASES = frozenset({ProcId.SP_UNPREPARE, ProcId.SP_CURSORUNPREPARE, ProcId.SP_CURSORCLOSE})
_HOUSEKEEPING = _RELEASES | {ProcId.SP_CURSOROPTION}
#: What drivers call the parameter that holds the text; one of these names anywhere else makes its place uncertain.
_TEXT_NAMES = frozenset({"@stmt", "@statement"})
_LONGEST_BINARY = 8000  # bytes; what is longer is no text in disguise
_TRANSACTIONS = frozenset(
    {TransactionType.BEGIN, TransactionType.COMMIT, TransactionType.ROLLBACK, TransactionType.SAVE}
)


@dataclass(slots=True)
class Handles:
    """The texts behind the handles that the server gave out: prepared statements and cursors of one connection."""

    texts: dict[int, str | None] = field(default_factory=dict)

    def learn(self, handle: int, text: str) -> None:
        """The server gave a handle out. One that seems to stand for two texts is not known any more.

        The doubt stays until the handle is released, so that a later answer cannot decide it.
        """
        self.texts[handle] = text if self.texts.get(handle, text) == text else None

    def forget(self) -> None:
        """The connection was reset."""
        self.texts.clear()


@dataclass(frozen=True, slots=True)
class Understood:
    """A request as policy sees it.

    ``batches`` classify each text in it, in order; ``handles_out`` is how many integers among the return values are
    handles for ``text_out``; ``released`` are handles that a success ends; ``catalog`` says what names stand for.
    """

    statement: Statement
    batches: tuple[Batch, ...]
    handles_out: int = 0
    text_out: str = ""
    released: tuple[int, ...] = ()
    procedure: bool = False
    catalog: Catalog | None = None

    @property
    def bulk_tables(self) -> tuple[str, ...]:
        """The tables that an INSERT BULK announces rows for."""
        if not self.batches:
            return ()
        return tuple(r for a in self.statement.actions if a.verb == "sql:bulk-insert" for r in a.resources)


def understand(
    request: Request, payload: bytes, scope: Scope, handles: Handles, announced: tuple[str, ...] = ()
) -> Understood:
    """Classify a request. What is not understood has the verb ``sql:unclassified``.

    ``announced`` are the tables of the INSERT BULK that the last request was; without one, rows in bulk are refused.
    """
    match request:
        case BulkLoad() if announced:
            text = f"-- {len(payload)} bytes of rows in bulk for {', '.join(announced)}"
            return Understood(Statement(text, payload, (Action("sql:bulk-insert", announced),), {}, MEDIA_TYPE), ())
        case SqlBatch(text=text):
            batch = classify(text, scope)
            return Understood(_statement(text, payload, [batch]), (batch,))
        case RpcRequest(calls=calls):
            return _procedures([_Call(call, scope, handles) for call in calls], payload)
        case TransactionRequest(type=kind) if kind in _TRANSACTIONS:
            text = f"{kind.name} TRANSACTION"
            return Understood(Statement(text, payload, (Action("sql:transaction"),), {}, MEDIA_TYPE), ())
        case _:
            return _refused(request, payload)


def scope_after(scope: Scope, understood: Understood) -> Scope:
    """What names mean after a request ran, or failed: with its temporary tables, as far as they can be known."""
    unread = any(action.verb == _UNCLASSIFIED.verb for action in understood.statement.actions)
    if unread or any(batch.facts["reads_unknown"] for batch in understood.batches):
        return lost(scope)
    temps = scope.temps
    for batch in understood.batches:
        temps = joined(temps, batch.temps)
    return scope if temps == scope.temps else replace(scope, temps=temps)


def _refused(request: Request, payload: bytes) -> Understood:
    what = type(request).__name__ if not isinstance(request, TransactionRequest) else f"{request.type.name} request"
    facts: dict[str, Json] = {"unclassified_reason": f"a {what} is not brokered"}
    return Understood(Statement(what, payload, (_UNCLASSIFIED,), facts, MEDIA_TYPE), ())


class _Call:
    """One RPC: which text it runs, and what it does with handles."""

    def __init__(self, call: RpcCall, scope: Scope, handles: Handles) -> None:
        self.call = call
        self.known = call.well_known
        self.text = self._text(handles)
        self.handles_out = self._handles_out() if self.text is not None else 0
        self.batch = self._batch(scope)
        self.released = self._handle() if self.known in _RELEASES else None

    def _batch(self, scope: Scope) -> Batch | None:
        if not self.call.plain:
            return classify_procedure(self.call.name, scope) if self.known is None else None
        if self.text is None:
            return None
        batch = classify(self.text, scope)
        own = any(parameter.flags & ParameterFlags.BY_REF_VALUE for parameter in self.call.parameters)
        return batch if own and not self.handles_out else replace(batch, variables=frozenset())

    def _text(self, handles: Handles) -> str | None:
        """The T-SQL that the call runs; None if that is unknown, or if it is a procedure."""
        known = self.known
        if known in _TEXT_AT:
            return self._parameter_text(_TEXT_AT[known])
        if known in _BY_HANDLE:
            handle = self._handle()
            return None if handle is None else handles.texts.get(handle)
        return None

    def _parameter_text(self, at: int) -> str | None:
        parameters = self.call.parameters
        names = [p.name.lower() for p in parameters]
        if len(names) <= at or names[at] not in ("", *_TEXT_NAMES):
            return None
        if any(name in _TEXT_NAMES for i, name in enumerate(names) if i != at):
            return None
        value = parameters[at].value
        return value if isinstance(value, str) else None

    def _handles_out(self) -> int:
        """How many of the first values that come back are handles, if that is sure.

        It is not where the caller has values of its own come back, or does not ask for the handle as an integer: then
        a value that the statement chose could be taken for a handle.
        """
        handles, others = _HANDLES_OUT.get(self.known, ((), ())) if self.known else ((), ())
        parameters = self.call.parameters
        back = {at for at, p in enumerate(parameters) if p.flags & ParameterFlags.BY_REF_VALUE}
        sure = back.issuperset(handles) and back.issubset((*handles, *others))
        return len(handles) if sure and all(_is_integer(parameters[at]) for at in handles) else 0

    def _handle(self) -> int | None:
        value = self.call.parameters[0].value if self.call.parameters else None
        return value if isinstance(value, int) else None

    @property
    def gives_masked(self) -> bool:
        """Whether one of its parameters has the form that a mask gives values."""
        return any(looks_masked(text) for p in self.call.parameters for text in _texts(p.value))

    @property
    def shown(self) -> str:
        """The call as a person reads it."""
        name = self.call.name or (self.known.procedure if self.known else "")
        values = ", ".join(_shown(p.name, p.value) for p in self.call.parameters)
        if self.known is None:
            return f"EXEC {name} {values}".rstrip()
        if self.text is None:
            return f"{name} {values}"
        at = _TEXT_AT.get(self.known, 0)
        bound = [p for i, p in enumerate(self.call.parameters) if i != at and not (i < at and p.value is None)]
        note = ", ".join(_shown(p.name, p.value) for p in bound)
        return f"{self.text}\n-- {name}" + (f": {note}" if note else "")

    @property
    def actions(self) -> tuple[Action, ...]:
        if self.known in _HOUSEKEEPING and self.call.plain:
            return (Action("sql:control"),)
        return self.batch.actions if self.batch is not None else (_UNCLASSIFIED,)


def _procedures(calls: list[_Call], payload: bytes) -> Understood:
    text = "\n".join(call.shown for call in calls)
    batches = [call.batch for call in calls if call.batch is not None]
    statement = _statement(text, payload, batches, tuple(a for call in calls for a in call.actions))
    only = calls[0] if len(calls) == 1 else None
    return Understood(
        _writing_back(statement, calls),
        tuple(batches),
        handles_out=only.handles_out if only else 0,
        text_out=only.text or "" if only else "",
        released=tuple(call.released for call in calls if call.released is not None),
        procedure=True,
    )


def _writing_back(statement: Statement, calls: list[_Call]) -> Statement:
    """The statement with the columns that it gives a value to which has the form of a mask."""
    given = {column for call in calls if call.batch is not None and call.gives_masked for column in call.batch.taken}
    if not given:
        return statement
    known = statement.facts["written_back"]
    assert isinstance(known, list)
    return replace(statement, facts={**statement.facts, "written_back": sorted(given.union(map(str, known)))})


def _statement(text: str, payload: bytes, batches: list[Batch], actions: tuple[Action, ...] | None = None) -> Statement:
    merged: dict[str, dict[str, None]] = {}
    for action in actions if actions is not None else batches[0].actions:
        merged.setdefault(action.verb, {}).update(dict.fromkeys(action.resources))
    return Statement(
        text,
        payload,
        tuple(Action(verb, tuple(resources)) for verb, resources in merged.items()),
        _facts(batches),
        MEDIA_TYPE,
    )


def _facts(batches: list[Batch]) -> Mapping[str, Json]:
    if len(batches) == 1:
        return batches[0].facts
    facts: dict[str, Json] = {}
    for batch in batches:
        for name, value in batch.facts.items():
            facts[name] = _merged(name, facts.get(name, value), value)
    if len(batches) > 1:  # several calls compare more than once
        facts["predicates"] = _merged("", facts["predicates"], facts["equalities"])
    returning = [batch for batch in batches if carries(batch.outputs)]
    if returning and len(batches) > 1 and any(batch.reads or batch.facts["reads_unknown"] for batch in batches):
        facts["unresolved"] = True  # whose result a result is cannot be told from the answer
    return facts


def _merged(name: str, one: Json, other: Json) -> Json:
    """Facts of several texts in one message: a list is all of them, a flag holds if it holds for the worst."""
    if isinstance(one, bool) and isinstance(other, bool):
        return one and other if name in {"filtered", "row_limited"} else one or other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return [*one, *(v for v in other if v not in one)]
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return other


def _texts(value: Value | TableValue) -> Iterator[str]:
    """The texts in a parameter's value, also of a variant, of a table's cells, and of bytes that are one."""
    match value:
        case str():
            yield value
        case bytes() if len(value) <= _LONGEST_BINARY:
            yield value.decode("latin-1")
            yield value.decode("utf-16-le", "replace")
        case Variant(value=inner):
            yield from _texts(inner)
        case TableValue(rows=rows):
            for cell in (cell for row in rows for cell in row):
                yield from _texts(cell)


def _is_integer(parameter: Parameter) -> bool:
    return isinstance(parameter.info, TypeInfo) and (parameter.info.id, parameter.info.size) in _HANDLE_TYPES


def _shown(name: str, value: object) -> str:
    text = (
        "NULL"
        if value is None
        else repr(value)
        if not isinstance(value, str)
        else "N'" + value.replace("'", "''") + "'"
    )
    return f"{name}={text}" if name else text
