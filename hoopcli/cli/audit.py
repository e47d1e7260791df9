"""``hoop audit``: what happened, and whether the record of it is whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.audit_verify import verify
from hoopcli.cli.options import AsJson, Session, moment
from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.ledger.search import ExchangeRow, Query, SessionRow

Words = Annotated[str, typer.Option("--text", help="Words in the statement.")]
Principal = Annotated[str, typer.Option("--principal", help="Who asked.")]
Connection = Annotated[str, typer.Option("--connection", help="On which connection.")]
Since = Annotated[str, typer.Option("--since", metavar="TIME", help="From then on: 2026-01-31, or 24h ago.")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Before then.")]
Denied = Annotated[bool, typer.Option("--denied", help="Only where something was denied.")]
Masked = Annotated[bool, typer.Option("--masked", help="Only where something was masked.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What happened, and its proof.", no_args_is_help=True, rich_markup_mode=None)
    group.command("sessions")(sessions)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("search")(search)
    group.command("verify")(verify)
    group.command("export")(export)
    group.command("expire")(expire)
    app.add_typer(group, name="audit")


def sessions(
    principal: Principal = "",
    connection: Connection = "",
    since: Since = "",
    until: Until = "",
    denied: Denied = False,
    masked: Masked = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the sessions, the newest first."""
    from hoopcli.cli.evidence import reading, record_reading  # noqa: PLC0415 - completion imports this module
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.open()
    query = _query(principal=principal, connection=connection, since=since, until=until, denied=denied, masked=masked)
    with reading(workspace) as (_, index):
        found = index.sessions(query, limit)
    record_reading(workspace, _words("sessions", query), len(found))
    if as_json:
        for row in found:
            output.line(_session(row))
        return
    columns = ("SESSION", "OPENED", "WHO", "CONNECTION", "STATEMENTS", "ROWS", "END")
    rows = [
        (
            row.id,
            _short(row.opened)[:-3],
            row.principal,
            row.connection,
            f"{row.statements:,}" + (f" ({row.denied:,} denied)" if row.denied else ""),
            f"{row.rows:,}" + (f" ({row.masked:,} masked)" if row.masked else ""),
            row.why if row.closed else "open",
        )
        for row in found
    ]
    output.show(output.table(columns, rows, whole=columns[:2]))


def show(session: Session, as_json: AsJson = False) -> None:
    """Show one session and its statements."""
    from hoopcli.cli.evidence import find_session, reading, record_reading  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.ledger.search import Query  # noqa: PLC0415

    workspace = Workspace.open()
    with reading(workspace) as (_, index):
        identity = find_session(index, session)
        [row] = index.sessions(Query(session=identity))
        exchanges = index.exchanges(Query(session=identity), limit=sys.maxsize)
    record_reading(workspace, f"session {identity}", len(exchanges))
    if as_json:
        output.document(_session(row) | {"exchanges": [_exchange(exchange) for exchange in exchanges]})
        return
    about = {k: v for k, v in _session(row).items() if v not in {"", None}}
    output.show(output.fields(about), "")
    _print_exchanges(exchanges, session=False)


def search(
    text: Words = "",
    principal: Principal = "",
    connection: Connection = "",
    verb: Annotated[str, typer.Option("--verb", help="What the statement does, e.g. sql:drop.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="Which rule decided.")] = "",
    since: Since = "",
    until: Until = "",
    denied: Denied = False,
    masked: Masked = False,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Find statements, in the order in which they were recorded."""
    from dataclasses import replace  # noqa: PLC0415

    from hoopcli.cli.evidence import reading, record_reading  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.open()
    query = _query(principal=principal, connection=connection, since=since, until=until, denied=denied, masked=masked)
    query = replace(query, text=text, verb=verb, rule=rule)
    with reading(workspace) as (_, index):
        found = index.exchanges(query, limit)
    record_reading(workspace, _words("search", query), len(found))
    if as_json:
        for row in found:
            output.line(_exchange(row))
    else:
        _print_exchanges(found, session=True)
        if len(found) == limit:
            output.note(f"the first {limit}; for more: --limit {limit * 10}")


def replay(
    session: Session,
    speed: Annotated[float, typer.Option("--speed", min=0.01, help="How many times faster than it happened.")] = 1.0,
    max_pause: Annotated[
        float, typer.Option("--max-pause", min=0, help="Longest pause in seconds; 0 for as long as it was.")
    ] = 10.0,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter before each statement.")] = False,
    instant: Annotated[bool, typer.Option("--instant", help="Without pauses.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows to show of each result; 0 for all.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Play a session as it happened."""
    from hoopcli.cli.audit_replay import Pace, describe, play  # noqa: PLC0415
    from hoopcli.cli.evidence import find_session, reading, record_reading  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.ledger.replay import replay as events_of  # noqa: PLC0415

    if step and (as_json or not sys.stdin.isatty()):
        raise UsageError("--step waits for a person at a terminal", "use --instant")
    workspace = Workspace.open()
    with reading(workspace) as (reader, index):
        identity = find_session(index, session)
        record_reading(workspace, f"replay of session {identity}", 1)
        events = events_of(reader, identity)
        if as_json:
            for told in describe(events):
                output.line(told)
        else:
            play(events, Pace(speed=0 if instant else speed, longest=max_pause, step=step), rows=rows)


def export(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder, or a file named *.tar.zst.")],
    session: Annotated[list[str] | None, typer.Option("--session", help="Only these sessions.")] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads/--no-payloads", help="With statements and results, or their digests only.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write evidence that can be verified with the public key alone."""
    from hoopcli.cli.evidence import find_session, reading, record_reading  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.ledger.export import export as write  # noqa: PLC0415
    from hoopcli.ledger.keys import read_vkey  # noqa: PLC0415

    workspace = Workspace.open()
    with reading(workspace) as (reader, index):
        chosen = [find_session(index, text) for text in session] if session else None
        records = reader.size
    record_reading(workspace, f"export of {', '.join(chosen) if chosen else 'everything'}", records)
    path = workspace.settings.ledger_path
    count = write(path, target, sessions=chosen, payloads=payloads)
    key = str(read_vkey(path.parent))
    if as_json:
        output.document({"bundle": str(target), "records": count, "key": key})
    else:
        output.say(f"Wrote {count} records to {target}. Whoever has the public key can verify it:")
        output.say(f"  hoop audit verify {target} --key '{key}'")


def expire(
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="Contents recorded before then.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the contents of old payloads for good. The ledger still verifies."""
    from hoopcli.cli.evidence import check_receipt, writing  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace, now  # noqa: PLC0415

    workspace = Workspace.open()
    time = moment(before, "--before", now())
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("what expires is gone for good", "add --yes")
        typer.confirm(
            f"Remove the contents recorded before {time.isoformat(timespec='minutes')}?", abort=True, err=True
        )
    with writing(workspace) as ledger:
        check_receipt(workspace, time)
        count = ledger.expire(time)
    if as_json:
        output.document({"before": time.isoformat(), "expired": count})
    else:
        output.say(f"Removed {count} payloads recorded before {time.isoformat(timespec='minutes')}.")


def _query(*, principal: str, connection: str, since: str, until: str, denied: bool, masked: bool) -> Query:
    from hoopcli.cli.workspace import now  # noqa: PLC0415
    from hoopcli.ledger.search import Query  # noqa: PLC0415

    return Query(
        principal=principal,
        connection=connection,
        after=moment(since, "--since", now()) if since else None,
        before=moment(until, "--until", now()) if until else None,
        denied=True if denied else None,
        masked=True if masked else None,
    )


def _words(what: str, query: Query) -> str:
    """A query in words, for the record of reading."""
    asked = [f"{name}={value}" for name, value in asdict(query).items() if value not in {"", None}]
    return " ".join([what, *asked])


def _session(row: SessionRow) -> dict[str, Any]:
    told = asdict(row)
    return {"session": told.pop("id"), **told}


def _exchange(row: ExchangeRow) -> dict[str, Any]:
    told = asdict(row) | {"verbs": row.verbs.split()}
    return {"exchange": told.pop("id"), **told}


def _print_exchanges(rows: Iterable[ExchangeRow], *, session: bool) -> None:
    """Two lines for each: when, where, who and what was decided; and the statement."""
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from hoopcli.cli.policy import EFFECT_STYLES  # noqa: PLC0415

    console = output.console()
    for row in rows:
        where = f"  {row.session}  {row.principal}" if session else ""
        result = f", {row.status}, {row.rows:,} rows" if row.status else ""
        masked = f", {row.masked:,} masked" if row.masked else ""
        console.print(
            Text.assemble(
                (_short(row.time), "dim"),
                output.safe_line(where),
                (output.safe_line(f"  {row.effect} by {row.rule}"), EFFECT_STYLES.get(row.effect, "")),
                (result + masked, "dim"),
            )
        )
        console.print(Padding(Text(output.safe(row.text)), (0, 0, 0, 2), expand=False))


def _short(time: str) -> str:
    """A recorded time, to the second, as this machine's clock shows it."""
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
