"""What happened in a session, step by step, as people read it: also what no honest broker would have recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from hoopcli.errors import HoopError, LedgerError
from hoopcli.ledger.reader import PayloadRow, open_payload
from hoopcli.ledger.record import Record, Slot, parse_time, references
from hoopcli.server.records.entries import count
from hoopcli.server.tables import ledgers
from hoopcli.server.tables import records as tables
from hoopcli.settings import connectors
from hoopcli.spi import Connector, Frame, Player, Table

AT_ONCE: Final = 100
ROWS: Final = 50
COLUMNS: Final = 40
TABLES: Final = 10
CELL: Final = 500
TEXT: Final = 100_000
_STRANGE: Final = (HoopError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
_COMMON: Final = frozenset({"v", "type", "time", "session"})
_GONE: Final = {
    "none": "The policy keeps no results here; the digest of what was delivered stays.",
    "expired": "What was kept has expired; the digest of what was delivered stays.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The beginning of one table as it was delivered. ``more`` rows are not shown."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int
    note: str


@dataclass(slots=True)
class Step:
    """One record. ``offset`` is in seconds since the session began; what does not fit its type is empty.

    ``facts`` are pairs of a name and a value; ``terminal`` says that a recording can be played.
    """

    index: int
    type: str
    time: str
    offset: float
    exchange: str = ""
    text: str = ""
    effect: str = ""
    rule: str = ""
    reason: str = ""
    actions: list[tuple[str, list[str]]] = field(default_factory=list)
    obligations: list[str] = field(default_factory=list)
    facts: list[tuple[str, Any]] = field(default_factory=list)
    status: str = ""
    rows: int = 0
    size: int = 0
    masked: list[tuple[str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    terminal: bool = False
    note: str = ""


def steps(connection: Connection, session: RowMapping, start: int = 0) -> tuple[list[Step], int | None]:
    """The steps of a session from a record on, and the record to go on from."""
    member, record = tables.members.c, ledgers.records.c
    query = (
        select(record.idx, record.record)
        .join(tables.members, (member.idx == record.idx) & (member.session == session["key"]))
        .where(record.ledger == session["ledger"], record.idx >= start)
        .order_by(record.idx)
        .limit(AT_ONCE + 1)
    )
    found = connection.execute(query).all()
    connector = _connector(session["connector"])
    shown = [_step(connection, session, connector, index, bytes(data)) for index, data in found[:AT_ONCE]]
    return shown, found[AT_ONCE].idx if len(found) > AT_ONCE else None


def cast(connection: Connection, session: RowMapping, index: int) -> bytes | None:
    """The terminal of a record as asciicast v2; None if it has none."""
    member, record = tables.members.c, ledgers.records.c
    mine = select(record.record).join(tables.members, member.idx == record.idx)
    where = (member.session == session["key"], record.ledger == session["ledger"], record.idx == index)
    data = connection.execute(mine.where(*where)).scalar()
    player = _player(_connector(session["connector"]))
    if data is None or player is None:
        return None
    try:
        body = json.loads(bytes(data))
        payload = _payload(connection, session["ledger"], Record(index, body), Slot.KEPT)
        frames = player.frames(str(body["kept"]["media_type"]), payload or b"")
        return None if frames is None else _asciicast(frames)
    except _STRANGE:
        return None


def _step(connection: Connection, session: RowMapping, connector: Connector | None, index: int, data: bytes) -> Step:
    record = Record(index, json.loads(data))
    time = str(record.body["time"])
    offset = (parse_time(time) - parse_time(session["opened"])).total_seconds()
    step = Step(index, record.type, time, max(0.0, offset))
    try:
        _fill(connection, session["ledger"], connector, record, step)
    except _STRANGE:
        step.note = "This record cannot be shown: a member is missing or is not what it should be."
    return step


def _fill(connection: Connection, ledger: int, connector: Connector | None, record: Record, step: Step) -> None:
    body = record.body
    step.exchange = str(body.get("exchange", ""))
    match record.type.split("."):
        case ["exchange", "request"]:
            _request(connection, ledger, record, step)
        case ["exchange", "outcome"]:
            _outcome(connection, ledger, connector, record, step)
        case ["exchange", "piece"]:
            number, size = int(body["number"]) + 1, int(body["kept"]["size"])
            step.note = f"Part {number} of a recording, {size:,} bytes, kept before its end."
        case ["approval", what]:
            step.note = _approval(what, body)
        case ["session", "close"]:
            step.reason = str(body["why"])
        case _:
            step.facts = [(name, value) for name, value in body.items() if name not in _COMMON]


def _request(connection: Connection, ledger: int, record: Record, step: Step) -> None:
    body, decision = record.body, record.body["decision"]
    whole = _payload(connection, ledger, record, Slot.TEXT) if body.get("text_truncated") else None
    step.text = str(body["text"]) if whole is None else whole.decode("utf-8", "replace")
    if len(step.text) > TEXT or (body.get("text_truncated") and whole is None):
        step.text, step.note = step.text[:TEXT], "Only the beginning of the text is shown."
    step.effect, step.rule, step.reason = (str(decision[name]) for name in ("effect", "rule", "reason"))
    step.obligations = [_obligation(each) for each in decision["obligations"]]
    step.actions = [(str(a["verb"]), [str(name) for name in a["resources"]]) for a in body["actions"]]
    step.facts = sorted(body["facts"].items())


def _outcome(connection: Connection, ledger: int, connector: Connector | None, record: Record, step: Step) -> None:
    body, kept = record.body, record.body["kept"]
    step.status, step.rows, step.size = str(body["status"]), count(body["rows"]), count(body["delivered"]["size"])
    step.masked = [(str(mask), count(values)) for mask, values in body["masked"].items()]
    step.errors = [str(error) for error in body["errors"]]
    step.facts = sorted(body.get("facts", {}).items())
    if "digest" not in kept:
        step.note = "" if kept["all"] else _GONE["none"]
        return
    payload = _payload(connection, ledger, record, Slot.KEPT)
    if payload is None:
        step.note = _GONE["expired"]
        return
    step.note = "" if kept["all"] else "Only the beginning of the result was kept."
    step.results, problem = _results(connector, str(kept["media_type"]), payload)
    step.note = problem or step.note
    player = _player(connector)
    step.terminal = player is not None and player.frames(str(kept["media_type"]), payload) is not None


def _results(connector: Connector | None, media_type: str, payload: bytes) -> tuple[list[Result], str]:
    if connector is None:
        return [], "The connector that could show this result is not installed at the server."
    found: list[Result] = []
    try:
        for table in connector.render(media_type, payload):
            if len(found) == TABLES:
                return found, f"Only the first {TABLES} results are shown."
            found.append(_result(table))
    except HoopError as error:
        return found, f"The result cannot be shown: {error.message}"
    return found, ""


def _result(table: Table) -> Result:
    rows = [[_cell(value) for value in row[:COLUMNS]] for row in table.rows[:ROWS]]
    return Result([str(name) for name in table.columns[:COLUMNS]], rows, len(table.rows) - len(rows), table.note)


def _cell(value: Any) -> str:
    shown = "NULL" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= CELL else shown[: CELL - 1] + "…"


def _approval(what: str, body: Mapping[str, Any]) -> str:
    if what == "asked":
        groups = ", ".join(map(str, body["groups"])) or "anyone else"
        return f"Waits for {count(body['count'])} of {groups} (rule {body['rule']})."
    if what == "answered":
        said = [f"{a['approver']} {'approved' if a['approve'] else 'denied'}" for a in body["answers"]]
        return "; ".join(said) + "."
    return "Nobody answered in time." if what == "expired" else f"The approval was {what}."


def _obligation(each: Mapping[str, Any]) -> str:
    match each["kind"]:
        case "mask":
            return f"mask {each['id']}"
        case "limit":
            return f"at most {count(each['rows'])} rows"
        case "approve":
            return "approval by people"
        case kind:
            return str(kind)


def _payload(connection: Connection, ledger: int, record: Record, slot: Slot) -> bytes | None:
    """A payload that is kept, checked against its digest. Raises LedgerError."""
    reference = next((each for each in references(record.body) if each.slot is slot), None)
    if reference is None:
        return None
    column = ledgers.payloads.c
    where = (column.ledger == ledger, column.idx == record.index, column.slot == int(slot))
    row = connection.execute(select(column.salt, column.content).where(*where)).first()
    if row is None:
        raise LedgerError("a payload is missing")
    return open_payload(PayloadRow(0, _bytes(row.salt), _bytes(row.content)), reference)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _connector(kind: str) -> Connector | None:
    try:
        return connectors.load(kind)
    except HoopError:
        return None


def _player(connector: object) -> Player | None:
    return connector if isinstance(connector, Player) else None


def _asciicast(frames: Iterator[Frame]) -> bytes:
    """Lines of asciicast v2; what is damaged ends it."""
    lines = [json.dumps({"version": 2, "width": 100, "height": 30})]
    try:
        for frame in frames:
            lines.append(json.dumps([frame.time, "o", frame.text]))  # noqa: PERF401 - what came before damage is kept
    except HoopError as error:
        lines.append(json.dumps([0, "o", f"\r\n[{error.message}]\r\n"]))
    return "\n".join(lines).encode() + b"\n"
