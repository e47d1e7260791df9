"""What the end-to-end tests share: their policy, and a server with sessions before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sql.demo.options import Options
from tests.sql.demo.stage import RawClient, raw
from tests.support.machine import Connected, Machine
from tests.support.stage import Stage, stage
from tests.support.upstream import RunningUpstream, upstream

HERE = Path(__file__).parent
POLICY = (HERE / "policy.yaml").read_text()
SECRET = "Upstr3am/S3cret-47.11"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in here is end to end."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The shop's server, or the one that ``HOOP_TEST_MSSQL`` names, and two sessions before it."""
    with stage(tmp_path_factory.mktemp("stage"), POLICY) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream(Options(secret=SECRET)) as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, server: RunningUpstream) -> Machine:
    """A machine with two connections to the same server."""
    made = Machine(tmp_path, {"SHOP_SECRET": SECRET})
    options = {**server.target(), "user": "sa", "secret": "env:SHOP_SECRET"}
    made.configure(POLICY, {"shop": options, "shop-too": options})
    return made


@pytest.fixture
def session(machine: Machine) -> Iterator[Connected]:
    with machine.connect("shop", "--agent", "claire") as running:
        yield running


@pytest.fixture
def client(session: Connected) -> Iterator[RawClient]:
    with raw(session.listen.port, secret=session.listen.secret) as opened:
        yield opened
