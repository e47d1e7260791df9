"""The CEL engine loads without its package's terminal application, and beside the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hoopcli.policy import cel_engine

CODE = """
import sys
{first}
from hoopcli.policy.conditions import Condition
assert Condition("1 < 2").holds(None)
assert ("prompt_toolkit" in sys.modules) == {heavy}
import cel
assert cel.evaluate("1 + 1") == 2
"""


@pytest.mark.parametrize(("first", "heavy"), [("", False), ("import cel", True)])
def test_in_either_order(first: str, *, heavy: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first, heavy=heavy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_is_loaded_once() -> None:
    assert cel_engine._load() is cel_engine._load()


def test_a_missing_package_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cel.cel")
    monkeypatch.setattr(cel_engine, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="common-expression-language"):
        cel_engine._load()
