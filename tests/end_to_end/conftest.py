"""What the end-to-end tests share: their policy, and a server with sessions before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stage import Stage, stage

HERE = Path(__file__).parent
POLICY = (HERE / "policy.yaml").read_text()


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
