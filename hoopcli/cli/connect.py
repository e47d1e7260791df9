"""``hoop connect``: a session that native clients use."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hoopcli.cli import output
from hoopcli.cli.options import Agent, AsJson, Reason, Ttl, duration

if TYPE_CHECKING:
    from hoopcli.cli.broker import Broker


class Format(StrEnum):
    """How the way to reach the session is printed."""

    TEXT = "text"
    ENV = "env"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("connect", context_settings={"allow_interspersed_args": True})(connect)


def connect(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND ...]", help="Run this in the session; its code is ours.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The loopback port; 0 takes a free one.")] = 0,
    reason: Reason = "",
    ttl: Ttl = "1h",
    agent: Agent = None,
    style: Annotated[Format, typer.Option("--format", help="How to print the way to reach it.")] = Format.TEXT,
    as_json: AsJson = False,
) -> int:
    """Open a session on a connection.

    It listens on 127.0.0.1 and prints how to reach it for the clients people use, until Ctrl-C or the end of --ttl.
    With -- COMMAND it runs the command with the connection in its environment and ends with its exit code.
    """
    from hoopcli.cli.broker import Terms, brokered  # noqa: PLC0415 - the proxy and all that it needs
    from hoopcli.cli.live import open_until_ended, run_inside  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    terms = Terms(port, reason, duration(ttl))

    async def work(broker: Broker) -> int:
        if command:
            return await run_inside(broker, command)
        announce(broker, Format.JSON if as_json else style)
        return await open_until_ended(broker)

    return brokered(Workspace.open(agent), name, terms, work)


def announce(broker: Broker, style: Format) -> None:
    """Print how to reach the session."""
    if style is Format.ENV:
        for name, value in broker.hint.environment.items():
            output.say(f"export {name}={shlex.quote(value)}")
    elif style is Format.JSON:
        output.document(_document(broker))
    else:
        _panel(broker)
    output.flush()


def _document(broker: Broker) -> dict[str, object]:
    session, listen = broker.live.session, broker.live.listen
    return {
        "session": session.id,
        "connection": session.connection.name,
        "principal": session.principal.subject,
        "expires": session.expires_at.isoformat(timespec="seconds"),
        "host": listen.host,
        "port": listen.port,
        "user": listen.user,
        "secret": listen.secret,
        "ca_file": listen.ca_file,
        "environment": dict(broker.hint.environment),
        "clients": dict(broker.hint.lines),
    }


def _panel(broker: Broker) -> None:
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    session, listen = broker.live.session, broker.live.listen
    principal = session.principal
    who = principal.subject + (f" for {principal.on_behalf_of}" if principal.on_behalf_of else "")
    about = {
        "who": f"{who} ({principal.kind})",
        "listens on": f"{listen.host}:{listen.port}",
        "login": f"user {listen.user}, password {listen.secret}",
        "ends": session.expires_at.astimezone().strftime("%H:%M"),
        "session": session.id,
    } | ({"reason": session.reason} if session.reason else {})
    title = Text(output.safe_line(session.connection.name), style="bold")
    console = output.console()
    console.print(Panel.fit(output.fields(about), title=title, title_align="left", border_style="cyan"))
    for client, how in broker.hint.lines:
        console.print(Text(client, style="bold cyan"))
        console.print(Text(how), soft_wrap=True)  # unbroken, so that it can be copied
    console.print(Text("Ctrl-C ends the session.", style="dim"))
