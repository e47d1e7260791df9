from __future__ import annotations

import builtins
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from hoopcli.cli import checks
from hoopcli.settings import connectors
from tests.cli.conftest import Done, Hoop
from tests.identity.keyrings import MemoryBackend, none_at_all, using

POLICY = "version: 1\nrules:\n  - {id: all, effect: allow, verbs: ['sql:select']}\n"


def found(done: Done) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in done.json["checks"]}


def test_a_healthy_machine(hoop: Hoop, home: Path) -> None:
    (home / "policy.yaml").write_text(POLICY)
    done = hoop("doctor", "--json")
    assert done.code == 0, done.out
    assert done.json["healthy"]
    assert [c["name"] for c in done.json["checks"]] == [
        "Python", "settings", "identity", "state", "keyring", "policy", "ledger", "connectors", "driver for hoop exec",
    ]  # fmt: skip
    out = hoop("doctor").out
    assert "✓ identity: ada@example.com (human), groups: none" in out


def test_settings_that_are_wrong(hoop: Hoop, home: Path) -> None:
    (home / "config.toml").write_text("polcy = 1\n")
    done = hoop("doctor")
    assert done.code == 1
    assert "✗ settings: unknown key 'polcy'" in done.out
    assert "did you mean 'policy'?" in done.out


def test_no_policy_and_a_wrong_one(hoop: Hoop, home: Path) -> None:
    assert "without one everything is denied" in found(hoop("doctor", "--json"))["policy"]["detail"]
    (home / "policy.yaml").write_text("version: 1\nrules:\n  - {id: a, efect: allow}\n")
    check = found(hoop("doctor", "--json"))["policy"]
    assert check["status"] == "failed"
    assert "line 3" in check["detail"].replace(":3:", " line 3")


def test_a_state_folder_that_others_can_read(hoop: Hoop, home: Path) -> None:
    (home / "state").mkdir(mode=0o755)
    check = found(hoop("doctor", "--json"))["state"]
    assert (check["status"], check["mend"]) == ("failed", f"chmod 700 {home}/state")


def test_a_state_folder_that_cannot_be(hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in found(hoop("doctor", "--json"))["state"]["detail"]
    (home / "file").write_text("")
    monkeypatch.setenv("HOOP_STATE_DIR", str(home / "file"))
    assert "cannot be made" in found(hoop("doctor", "--json"))["state"]["detail"]


def test_the_keyring(hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "switched off" in found(hoop("doctor", "--json"))["keyring"]["detail"]
    monkeypatch.setenv("HOOP_KEYRING", "true")
    with using(MemoryBackend()):
        assert found(hoop("doctor", "--json"))["keyring"]["status"] == "ok"
    with using(none_at_all()):
        assert "there is none" in found(hoop("doctor", "--json"))["keyring"]["detail"]


def test_a_ledger_whose_key_is_gone(hoop: Hoop, home: Path) -> None:
    from hoopcli.ledger.keys import load_or_create
    from hoopcli.ledger.store import Ledger

    (home / "state").mkdir(mode=0o700)
    path = home / "state" / "ledger.db"
    Ledger.open(path, load_or_create(path.parent).signer).close()
    assert "0 records" in found(hoop("doctor", "--json"))["ledger"]["detail"]
    for key in path.parent.glob("*.key"):
        key.unlink()
    assert found(hoop("doctor", "--json"))["ledger"]["status"] == "failed"


def test_connections_that_answer_and_do_not(hoop: Hoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        hoop("connections", "add", "up", "--server", "127.0.0.1", "--port", port)
        assert found(hoop("doctor", "--json"))["connection up"]["status"] == "ok"
    done = hoop("doctor", "--json")
    assert done.code == 1
    assert "does not answer" in found(done)["connection up"]["detail"]


def test_a_connection_of_an_unknown_kind(hoop: Hoop, home: Path) -> None:
    with (home / "config.toml").open("a") as file:
        file.write('[connections.x]\nkind = "ftp"\nserver = "x"\n')
    assert "no connector of kind 'ftp'" in found(hoop("doctor", "--json"))["connection x"]["detail"]


def test_no_driver_and_no_connector(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pyodbc":
            raise ImportError
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert found(hoop("doctor", "--json"))["driver for hoop exec"]["detail"] == "mssql-python"
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    assert found(hoop("doctor", "--json"))["driver for hoop exec"]["status"] == "warning"
    monkeypatch.setattr(connectors, "entry_points", lambda **_: [])
    assert found(hoop("doctor", "--json"))["connectors"]["status"] == "failed"


def test_pyodbc_with_a_driver(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import SimpleNamespace

    monkeypatch.setitem(sys.modules, "pyodbc", SimpleNamespace(drivers=lambda: ["ODBC Driver 18 for SQL Server"]))
    check = found(hoop("doctor", "--json"))["driver for hoop exec"]
    assert check["detail"] == "pyodbc with ODBC Driver 18 for SQL Server"
    monkeypatch.setitem(sys.modules, "pyodbc", SimpleNamespace(drivers=list))
    monkeypatch.setattr(checks, "find_spec", lambda name: name == "mssql_python")
    assert found(hoop("doctor", "--json"))["driver for hoop exec"]["detail"] == "mssql-python"
