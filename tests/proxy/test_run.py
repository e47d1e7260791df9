"""The event loop of the broker."""

import asyncio
import sys

import pytest

from hoopcli.proxy.run import run


async def loop_module() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_it_is_uvloop_where_there_is_one() -> None:
    assert run(loop_module()).startswith("uvloop")


def test_it_is_asyncio_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(loop_module()).startswith("asyncio")
