from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Hoop
from tests.support.kubeconfigs import written

SHOP = ("--server", "db.example.com", "--database", "shop", "--auth", "password", "--user", "sa")


def test_none_yet(hoop: Hoop) -> None:
    assert "No connections yet" in hoop("connections", "ls").out
    assert hoop("connections", "ls", "--json").json == {"connections": []}


def test_add_ls_show_rm(hoop: Hoop, home: Path) -> None:
    done = hoop("connections", "add", "shop", *SHOP, "--port", "1444", "--secret", "env:SHOP")
    assert (done.code, done.out) == (0, f"Added shop to {home}/connections.toml. Use it: hoop connect shop\n")
    assert "db.example.com,1444" in hoop("connections", "ls").out
    [connection] = hoop("connections", "ls", "--json").json["connections"]
    assert connection["name"] == "shop"
    assert connection["options"]["secret"] == "env:SHOP"
    assert hoop("connections", "show", "shop", "--json").json == connection
    assert "db.example.com:1444" in hoop("connections", "show", "shop").out
    assert hoop("connections", "rm", "shop").code == 0
    assert hoop("connections", "rm", "shop").code == 2
    hoop("connections", "add", "shop", "--server", "x", "--json")
    assert hoop("connections", "ls").out.count("shop") == 1
    assert hoop("connections", "rm", "shop", "--json").json["removed"] == "shop"


def test_every_option_is_kept(hoop: Hoop, tmp_path: Path) -> None:
    done = hoop(
        "connections", "add", "shop", *SHOP, "--secret", "keyring:x", "--encrypt", "strict",
        "--ca-file", str(tmp_path / "ca.pem"), "--trust-server-certificate", "--flow", "client_credential",
        "--tenant", "t", "--client-id", "c", "--certificate", str(tmp_path / "c.pem"), "--authority", "https://a",
        "--option", "a=b=c", "--json",
    )  # fmt: skip
    options = done.json["added"]["options"]
    assert options["trust_server_certificate"] == "yes"
    assert options["ca_file"] == str(tmp_path / "ca.pem")
    assert options["a"] == "b=c"
    assert hoop("connections", "show", "shop", "--json").json["options"] == options


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("a b", "--server", "x"), "may have letters"),
        (("x", "--server", "x", "--auth", "magic"), "auth: input should be"),
        (("x", "--server", "x", "--port", "0"), "port: "),
        (("x", "--server", "x", "--kind", "sqll"), "no connector of kind 'sqll'"),
        (("x", "--server", "x", "--option", "novalue"), "KEY=VALUE"),
        (("x", "--server", ""), "names no server"),
    ],
)
def test_a_wrong_option_adds_nothing(hoop: Hoop, argv: tuple[str, ...], said: str) -> None:
    done = hoop("connections", "add", *argv)
    assert done.code == 2
    assert said in done.err
    assert hoop("connections", "ls", "--json").json == {"connections": []}


@pytest.mark.parametrize("literal", ["hunter2", "plain:hunter2", "https://user:hunter2@x"])
def test_a_literal_secret_is_refused(hoop: Hoop, literal: str) -> None:
    done = hoop("connections", "add", "shop", *SHOP, "--secret", literal)
    assert done.code == 2
    assert "never written" in done.err
    assert "hunter2" not in done.err


def test_a_taken_name(hoop: Hoop) -> None:
    hoop("connections", "add", "shop", "--server", "a")
    assert "--replace" in hoop("connections", "add", "shop", "--server", "b").err
    hoop("connections", "add", "shop", "--server", "b", "--replace")
    assert hoop("connections", "show", "shop", "--json").json["options"]["server"] == "b"


def test_the_nearest_name(hoop: Hoop) -> None:
    hoop("connections", "add", "shop", "--server", "a")
    assert "did you mean 'shop'?" in hoop("connections", "show", "shpo").err


def at_a_terminal(home: Path, typed: str, *argv: str) -> str:
    """Add the shop at a terminal with a keyring, and type this if asked for a password; what is on the screen."""
    config = home / "config.toml"
    config.write_text(config.read_text().replace("keyring = false", ""))
    environment = os.environ | {
        "PYTHON_KEYRING_BACKEND": "tests.identity.keyrings.FileBackend",
        "TEST_KEYRING": str(home / "keyring"),
    }
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "hoopcli.cli.main", "connections", "add", "shop", *SHOP, *argv]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    screen = ""
    try:
        while data := os.read(master, 4096):
            screen += data.decode()
            if screen.endswith("): "):
                os.write(master, f"{typed}\n".encode())
    except OSError:  # the other end is closed
        pass
    os.close(master)
    process.wait(20)
    return screen


def test_at_a_terminal_the_password_is_asked_for_and_goes_into_the_keyring(home: Path, hoop: Hoop) -> None:
    screen = at_a_terminal(home, "hunter2")
    assert "Its password" in screen
    assert "hunter2" not in screen
    assert "hunter2" in (home / "keyring").read_text()
    assert hoop("connections", "show", "shop", "--json").json["options"]["secret"] == "keyring:connections.shop"
    assert "hunter2" not in (home / "connections.toml").read_text()


def test_enter_names_no_secret(home: Path, hoop: Hoop) -> None:
    assert "Added shop" in at_a_terminal(home, "")
    assert "secret" not in hoop("connections", "show", "shop", "--json").json["options"]


def test_the_password_of_a_taken_name_is_not_asked_for(home: Path) -> None:
    at_a_terminal(home, "hunter2")
    assert "Its password" not in at_a_terminal(home, "another")
    assert "hunter2" in (home / "keyring").read_text()
    at_a_terminal(home, "another", "--replace")
    assert "another" in (home / "keyring").read_text()


@pytest.mark.parametrize("argv", [("--json",), ("--secret", "env:SHOP")])
def test_programs_and_those_who_name_it_are_not_asked(home: Path, argv: tuple[str, ...]) -> None:
    assert "Its password" not in at_a_terminal(home, "hunter2", *argv)
    assert not (home / "keyring").exists()


def test_a_keyring_that_keeps_nothing_is_told(home: Path) -> None:
    (home / "keyring").mkdir()
    screen = at_a_terminal(home, "hunter2")
    assert "did not keep" in screen
    assert not (home / "connections.toml").exists()


def test_a_context_stays_that_of_its_kubeconfig(hoop: Hoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"server": "https://cluster.example:6443"}
    path = written(tmp_path, {"token": "t0k3n"}, cluster)
    monkeypatch.setenv("KUBECONFIG", str(path))
    done = hoop("connections", "add", "aks", "--kind", "kubectl", "--context", "c", "--impersonate", "user", "--json")
    assert done.json["added"]["options"] == {
        "context": "c", "kubeconfig": str(path), "impersonate": "user", "auth": "kubeconfig",
    }  # fmt: skip
    assert "t0k3n" not in done.out + hoop("connections", "show", "aks", "--json").out
    assert "cluster.example:6443" in hoop("connections", "show", "aks").out
    monkeypatch.setenv("KUBECONFIG", f"{path}:{path}")
    assert "several" in hoop("connections", "add", "b", "--kind", "kubectl", "--context", "c").err
    done = hoop("connections", "add", "c", "--kind", "kubectl", "--kubeconfig", str(path), "--json")
    assert done.json["added"]["options"] == {"kubeconfig": str(path), "auth": "kubeconfig"}
