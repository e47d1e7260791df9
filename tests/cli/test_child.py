"""A command in a session: its environment, its signals, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from hoopcli.cli import child
from hoopcli.cli.child import environment, run_command
from hoopcli.cli.signals import Signals
from hoopcli.errors import UsageError
from hoopcli.settings.model import Settings


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def settings(**connections: dict[str, str]) -> Settings:
    return Settings.model_validate({"connections": connections})


async def command(program: str, ended: asyncio.Future[str]) -> int:
    signals = Signals(lambda _: pytest.fail("the command has them"))
    with signals.installed():
        return await run_command(python(program), os.environ, ended, signals)


async def appears(path: Path) -> None:
    while not await asyncio.to_thread(path.exists):
        await asyncio.sleep(0.01)


def run(program: str, end_when: Path | None = None, why: str = "expired") -> int:
    async def main() -> int:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(command(program, ended))
        if end_when is not None:
            await appears(end_when)
            ended.set_result(why)
        return await running

    return asyncio.run(main())


def test_upstream_secrets_do_not_reach_the_command() -> None:
    configured = settings(a={"secret": "env:SHOP_PASSWORD"}, b={"secret": "keyring:x"}, c={"server": "x"})
    environ = {"SHOP_PASSWORD": "s3cret", "PATH": "/bin", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "s3cret", "HOOP_PORT": "1"}
    connections = [each.connection(name) for name, each in configured.connections.items()]
    assert environment(environ, connections, {"HOOP_PORT": "2"}) == {"PATH": "/bin", "HOOP_PORT": "2"}


@pytest.mark.parametrize("code", [0, 3, 7])
def test_its_code_is_ours(code: int) -> None:
    assert run(f"raise SystemExit({code})") == code


def test_a_signal_that_ends_it() -> None:
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGTERM)") == 128 + signal.SIGTERM


def test_a_command_that_is_not_there() -> None:
    async def main() -> None:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await run_command(["/no/such/program"], {}, ended, Signals(print))

    with pytest.raises(UsageError, match="cannot be run"):
        asyncio.run(main())


def test_when_the_session_ends_it_is_asked_to_stop(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = (
        "import signal, sys, time, pathlib;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9));"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    assert run(program, ready) == 9


def test_and_made_to_if_it_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE_SECONDS", 0.05)
    ready = tmp_path / "ready"
    program = (
        "import signal, time, pathlib;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    assert run(program, ready) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = (
        "import signal, sys, time, pathlib;"
        f"signal.signal({int(number)}, lambda *_: sys.exit(11));"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )

    async def main() -> int:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(command(program, ended))
        await appears(ready)
        os.kill(os.getpid(), number)
        return await running

    assert asyncio.run(main()) == 11


def test_ctrl_c_of_a_terminal_is_not_sent_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    ready = tmp_path / "ready"
    program = (
        "import signal, sys, time, pathlib;"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(11));"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(12));"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )

    async def main() -> int:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(command(program, ended))
        await appears(ready)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        return await running

    assert asyncio.run(main()) == 12
