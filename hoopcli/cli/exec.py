"""``hoop exec``: one job through a session."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hoopcli.cli.options import Agent, AsJson, Reason, duration
from hoopcli.cli.results import Format
from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.cli.broker import Broker

TTL = "12h"
_LIMIT = 64 * 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exec")(execute)


def execute(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT | WORDS...]",
            help="What to do: a SQL batch, else --file, else stdin; for blobs ls, get, put, rm or cat with paths.",
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a file; - is stdin.")] = None,
    style: Annotated[Format, typer.Option("--format", help="How to print the results.")] = Format.TABLE,
    csv_guard: Annotated[
        bool, typer.Option("--csv-guard", help="In CSV put ' before cells that a spreadsheet would run as formulas.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for an approval, or end with code 5; it stays asked for.")
    ] = True,
    reason: Reason = "",
    agent: Agent = None,
    as_json: AsJson = False,
) -> int:
    """Do one job through a session and print its results."""
    style = Format.JSON if as_json else style
    if csv_guard and style is not Format.CSV:
        raise UsageError("--csv-guard is for --format csv", "add --format csv")

    import asyncio  # noqa: PLC0415 - completion imports this module

    from hoopcli.cli.asking import ask_here, watch  # noqa: PLC0415
    from hoopcli.cli.broker import Terms, brokered  # noqa: PLC0415
    from hoopcli.cli.progress import progress  # noqa: PLC0415
    from hoopcli.cli.results import write_results  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.identity.threads import in_thread  # noqa: PLC0415
    from hoopcli.spi import Job  # noqa: PLC0415

    given = tuple(words or ())
    job = Job(given, lambda: _text(given, file), progress, sys.stdout.buffer if style is Format.TABLE else None)

    async def work(broker: Broker) -> None:
        def run_and_print() -> None:
            tables = broker.connector.execute(broker.live.listen, broker.connection, job)
            write_results(tables, style, session=broker.live.session.id, guard=csv_guard)

        running = asyncio.ensure_future(in_thread(run_and_print))
        watching = asyncio.ensure_future(watch(broker, ask_here, wait=wait))
        try:
            done, _ = await asyncio.wait([running, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            watching.cancel()
        (running if running in done else watching).result()

    brokered(Workspace.open(agent), name, Terms(0, reason, duration(TTL)), work)
    return 0


def _text(words: Sequence[str], file: Path | None) -> str:
    """The text to run: from the argument, the file or stdin, whichever is given. Raises UsageError."""
    if words and file is not None:
        raise UsageError("give the text or --file, not both")
    if len(words) > 1:
        raise UsageError("the text is more than one word of the shell", "put it in quotes")
    if not words and file is None and sys.stdin.isatty():
        raise UsageError("there is nothing to run", "write it after the name, use --file, or pipe it in")
    text = words[0] if words else _read(file)
    if not text.strip():
        raise UsageError("there is nothing to run", "the text is empty")
    return text


def _read(file: Path | None) -> str:
    try:
        if file is None or str(file) == "-":
            return sys.stdin.read(_LIMIT)
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file or 'stdin'} cannot be read: {error}") from error
