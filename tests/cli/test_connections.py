from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hoop

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
