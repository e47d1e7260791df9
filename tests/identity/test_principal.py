from __future__ import annotations

import os
import pwd
from typing import Any

import pytest

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.identity.principal import resolve
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.settings.model import IdentitySettings

ME = pwd.getpwuid(os.getuid()).pw_name


def test_the_account_is_the_default() -> None:
    assert resolve(IdentitySettings(), {}) == Principal(ME, name=ME)


def test_variables_that_anyone_sets_are_not_believed() -> None:
    assert resolve(IdentitySettings(), {"USER": "root2", "LOGNAME": "root2"}).subject == ME


def test_the_settings_say_more() -> None:
    settings = IdentitySettings(subject="ada@example.com", name="Ada", email="ada@example.com", groups=("dba",))
    assert resolve(settings, {}) == Principal(
        "ada@example.com", PrincipalKind.HUMAN, "Ada", "ada@example.com", frozenset({"dba"})
    )


@pytest.mark.parametrize(("environ", "flag"), [({"HOOP_AGENT": "claire"}, None), ({"HOOP_AGENT": "x"}, "claire")])
def test_an_agent_acts_for_the_human_without_the_humans_groups(environ: dict[str, str], flag: str | None) -> None:
    settings = IdentitySettings(subject="ada@example.com", groups=("dba",), agent_groups=("ai-agents", "readers"))
    assert resolve(settings, environ, flag) == Principal(
        "agent:claire",
        PrincipalKind.AGENT,
        "claire",
        groups=frozenset({"ai-agents", "readers"}),
        on_behalf_of="ada@example.com",
    )


def test_an_agent_for_the_account() -> None:
    assert resolve(IdentitySettings(), {}, "claire").on_behalf_of == ME


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m"])
def test_an_agent_needs_a_printable_name(name: str) -> None:
    with pytest.raises(UsageError):
        resolve(IdentitySettings(), {"HOOP_AGENT": name})


def test_ci_is_a_workload() -> None:
    environ = {"CI": "true", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_ACTOR": "omar"}
    assert resolve(IdentitySettings(groups=("ci",)), environ) == Principal(
        "workload:acme/shop", PrincipalKind.WORKLOAD, "workload:acme/shop", "", frozenset({"ci"}), "omar"
    )
    assert resolve(IdentitySettings(), {"CI": "1"}).subject == f"workload:{ME}"
    assert resolve(IdentitySettings(kind=PrincipalKind.HUMAN), {"CI": "true"}).kind is PrincipalKind.HUMAN


def test_an_agent_by_settings_needs_a_subject() -> None:
    with pytest.raises(UsageError, match="needs a subject"):
        resolve(IdentitySettings(kind=PrincipalKind.AGENT), {})
    assert resolve(IdentitySettings(kind=PrincipalKind.AGENT, subject="a"), {}).kind is PrincipalKind.AGENT


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_uid: int) -> Any:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", missing)
    with pytest.raises(NotSignedInError):
        resolve(IdentitySettings(), {})
