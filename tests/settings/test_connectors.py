from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from hoopcli.errors import HoopError, UsageError
from hoopcli.settings import connectors

GROUP = connectors.GROUP


def installed(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = [EntryPoint("sql", value, GROUP) for value in values]
    monkeypatch.setattr(
        connectors, "entry_points", lambda group, name="sql": points if (group, name) == (GROUP, "sql") else []
    )


def test_the_sql_connector_is_installed() -> None:
    assert "sql" in connectors.kinds()
    assert connectors.load("sql").kind == "sql"


def test_an_unknown_kind() -> None:
    with pytest.raises(UsageError) as caught:
        connectors.load("sqll")
    assert caught.value.hint == "did you mean 'sql'?"


def test_two_packages_bring_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "a:A", "b:B")
    with pytest.raises(UsageError, match="two installed packages"):
        connectors.load("sql")
    assert connectors.kinds() == ["sql"]


@pytest.mark.parametrize("value", ["no.such.module:Connector", "json:no_such", "math:pi"])
def test_a_connector_that_does_not_load(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    installed(monkeypatch, value)
    with pytest.raises(HoopError, match="does not load"):
        connectors.load("sql")


def test_a_connector_with_a_sentence_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "tests.settings.test_connectors:Picky")
    with pytest.raises(UsageError, match="not here"):
        connectors.load("sql")


class Picky:
    def __init__(self) -> None:
        raise UsageError("not here")
