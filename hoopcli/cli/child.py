"""A command that runs inside a session."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hoopcli.cli.signals import Signals
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.settings.secret import Keeper, parse_reference

GRACE_SECONDS = 5.0
#: What proves this workload to Entra; the command must not have it.
_FEDERATION = (
    "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD",
    "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
)


def environment(
    environ: Mapping[str, str], connections: Iterable[Connection], hint: Mapping[str, str]
) -> dict[str, str]:
    """The command's environment: this one's, without any upstream credential, and with the session's hint."""
    hidden = set(_FEDERATION)
    for connection in connections:
        if (secret := connection.options.get("secret")) is not None:
            reference = parse_reference(secret)
            if reference.keeper is Keeper.ENV:
                hidden.add(reference.name)
    return {name: value for name, value in environ.items() if name not in hidden} | dict(hint)


async def run_command(argv: Sequence[str], env: Mapping[str, str], ended: asyncio.Future[str], signals: Signals) -> int:
    """Run a command until it ends; its exit code, 128 and the signal's number if a signal ended it.

    Signals are passed on to it. If the session ends first the command is asked to stop, then made to. Raises UsageError
    if it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(*argv, env=dict(env))
    except OSError as error:
        raise UsageError(f"the command {argv[0]!r} cannot be run: {error.strerror or error}") from error
    with signals.handled_by(lambda number: _forward(process, number)):
        waiting = asyncio.ensure_future(process.wait())
        both: list[asyncio.Future[Any]] = [waiting, ended]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await _stop(process, waiting)
    code = waiting.result()
    return code if code >= 0 else 128 - code


async def _stop(process: Process, waiting: asyncio.Future[int]) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    await asyncio.wait([waiting], timeout=GRACE_SECONDS)
    if not waiting.done():
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait([waiting])


def _forward(process: Process, number: signal.Signals) -> None:
    """Pass a signal on. A terminal sends Ctrl-C to the command itself, so that one is not sent twice."""
    if number is signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
        return
    with suppress(ProcessLookupError):
        process.send_signal(number)
