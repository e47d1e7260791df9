"""``hoop demo``: a tour through an embedded upstream, each step a real command that the user can run himself."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.cli.signals import Signals
from hoopcli.errors import HoopError, UsageError

if TYPE_CHECKING:
    from hoopcli.spi import Demo, DemoStep

_SECRET = "HOOP_DEMO_SECRET"  # noqa: S105 - the name of a variable
_KIND = "sql"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Leave the upstream running, to try commands of your own.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Take the tour: a small shop, an agent that wants too much, and an auditor.

    Everything runs on this machine, with a database that comes with hoop; nothing is kept.
    """
    started = time.monotonic()
    with _stage() as (show, environment):
        if serve:
            asyncio.run(_until_stopped(lambda: _invite(environment, show, as_json=as_json)))
            return 0
        steps = [_step(number, step, environment, as_json=as_json) for number, step in enumerate(show.tour, 1)]
    took = time.monotonic() - started
    failed = [step for step in steps if not step["as_expected"]]
    if as_json:
        output.document({"seconds": round(took, 1), "steps": steps})
    else:
        output.say(f"That was the tour, in {took:.0f} s. Stay longer with: hoop demo --serve")
    if failed:
        raise HoopError(f"{len(failed)} steps of the tour did not end as they should", "run: hoop doctor")
    return 0


async def _until_stopped(invite: Callable[[], None]) -> None:
    """Invite, and wait for Ctrl-C or SIGTERM.

    On a loop, because a lock that the main thread waits for does not hear a signal that came just before it waited.
    """
    stopped = asyncio.Event()
    with Signals(lambda _number: stopped.set()).installed():
        invite()
        await stopped.wait()


@contextmanager
def _stage() -> Iterator[tuple[Demo, dict[str, str]]]:
    """The upstream, and an environment in which ``hoop`` knows it and nothing else."""
    from hoopcli.settings.connectors import load  # noqa: PLC0415 - it imports the connector

    context = load(_KIND).demo()
    if context is None:
        raise UsageError(f"the connector {_KIND} has no demo")
    with context as show, tempfile.TemporaryDirectory(prefix="hoop-demo-") as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(show.policy)
        (folder / "config.toml").write_text(_config(folder, show))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOOP_")}
        yield show, kept | {"HOOP_CONFIG": str(folder / "config.toml"), _SECRET: show.secret}


def _config(folder: Path, show: Demo) -> str:
    lines = [f"policy = {json.dumps(str(folder / 'policy.yaml'))}", f"state_dir = {json.dumps(str(folder / 'state'))}"]
    lines += ["keyring = false", f"[connections.{show.connection}]", f'secret = "env:{_SECRET}"']
    return "\n".join([*lines, *(f"{name} = {_toml(name, value)}" for name, value in show.options.items())]) + "\n"


def _toml(name: str, value: str) -> str:
    return value if name == "port" else json.dumps(value)


def _step(number: int, step: DemoStep, environment: Mapping[str, str], *, as_json: bool) -> dict[str, Any]:
    """Run one step as a process of its own, as the user would."""
    shown = shlex.join(["hoop", *step.arguments])
    arguments = [_first_session(environment) if word == "SESSION" else word for word in step.arguments]
    if not as_json:
        _announce(number, step.title, shown)
    done = _hoop(arguments, environment, quiet=as_json)
    return {"command": shown, "title": step.title, "exit_code": done, "as_expected": done == step.exit_code}


def _announce(number: int, title: str, command: str) -> None:
    from rich.text import Text  # noqa: PLC0415 - slow to import

    output.show(Text.assemble("\n", (f"{number}. ", "bold cyan"), (title, "bold")), Text(f"$ {command}", style="green"))
    output.flush()


def _hoop(arguments: Sequence[str], environment: Mapping[str, str], *, quiet: bool) -> int:
    colour = {"FORCE_COLOR": "1"} if sys.stdout.isatty() else {}
    where = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "hoopcli.cli.main", *arguments]
    return subprocess.run(command, env={**environment, **colour}, stdout=where, stderr=where, check=False).returncode  # noqa: S603


def _first_session(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "hoopcli.cli.main", "audit", "sessions", "--json"]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        raise HoopError("the tour recorded no session", "run: hoop doctor")
    return str(min(found, key=lambda session: session["opened"])["session"])


def _invite(environment: Mapping[str, str], show: Demo, *, as_json: bool) -> None:
    """Say how another terminal can use the upstream."""
    names = ("HOOP_CONFIG", _SECRET)
    if as_json:
        output.document({"connection": show.connection, "environment": {name: environment[name] for name in names}})
    else:
        for name in names:
            output.say(f"export {name}={shlex.quote(environment[name])}")
        output.note(
            f"The shop is open until Ctrl-C. In another terminal, after these exports: hoop connect {show.connection}"
        )
    output.flush()
