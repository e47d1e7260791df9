"""From claims as providers really send them to a principal, and what is refused rather than guessed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hoopcli.errors import DeniedError, HoopError, NotSignedInError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.people.claims import agent_of, principal_of
from hoopcli.server.people.settings import ProviderSettings

ENTRA = {"sub": "AAAA", "oid": "8f1c", "tid": "ours", "preferred_username": "ada@example.com", "roles": ["Approver"]}
KEYCLOAK = {
    "sub": "f3a1", "email": "ada@example.com", "email_verified": True, "name": "Ada", "azp": "hoop",
    "aud": ["hoop", "account"], "groups": ["/engineering/backend", "/audit"],
    "realm_access": {"roles": ["offline_access", "approver"]},
    "resource_access": {"hoop": {"roles": ["auditor"]}},
}  # fmt: skip
AUTH0 = {"sub": "auth0|1", "email": "ada@example.com", "https://example.com/groups": ["audit"]}
GITHUB = {
    "sub": "repo:example/shop:ref:refs/heads/main", "repository": "example/shop", "repository_owner": "example",
    "ref": "refs/heads/main", "actor": "ada", "aud": "https://hoop.example.com",
}  # fmt: skip


def provider(**settings: Any) -> ProviderSettings:
    given = {"name": "corp", "issuer": "https://login.example.com", "client_id": "hoop"} | settings
    return ProviderSettings.model_validate(given)


def test_entra() -> None:
    who = principal_of(ENTRA, provider(subject="preferred_username", groups="roles", require={"tid": "ours"}))
    assert (who.subject, who.kind, who.groups) == ("ada@example.com", PrincipalKind.HUMAN, {"Approver"})


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("groups", {"/engineering/backend", "/audit"}),
        ("realm_access.roles", {"offline_access", "approver"}),
        ("resource_access.hoop.roles", {"auditor"}),
        ("resource_access.other.roles", set()),
        ("name.roles", set()),
        ("nothing", set()),
    ],
)
def test_keycloak(groups: str, expected: set[str]) -> None:
    assert principal_of(KEYCLOAK, provider(groups=groups)).groups == expected


def test_a_claim_whose_name_is_an_address() -> None:
    assert principal_of(AUTH0, provider(groups="https://example.com/groups")).groups == {"audit"}


def test_a_job_of_github_acts_for_who_started_it() -> None:
    ci = provider(kind="workload", subject="sub", require={"repository_owner": "example"}, grant=["ci"])
    who = principal_of(GITHUB, ci)
    assert who.subject == "workload:repo:example/shop:ref:refs/heads/main"
    assert (who.kind, who.on_behalf_of, who.groups) == (PrincipalKind.WORKLOAD, "ada", {"ci"})
    with pytest.raises(DeniedError, match="repository_owner"):
        principal_of(GITHUB | {"repository_owner": "evil"}, ci)


def test_a_workload_is_never_taken_for_a_person() -> None:
    """Whatever its subject says, and a person for no workload."""
    ci = provider(kind="workload", subject="sub")
    assert principal_of({"sub": "ada@example.com"}, ci).subject == "workload:ada@example.com"
    assert principal_of(KEYCLOAK | {"actor": "omar"}, provider()).on_behalf_of is None


@pytest.mark.parametrize("subject", ["agent:claire", "workload:repo:example/shop", "human:ada@example.com"])
def test_nobody_is_called_like_an_agent_or_a_workload(subject: str) -> None:
    with pytest.raises(DeniedError, match="such names"):
        principal_of({"sub": subject}, provider(subject="sub"))


@pytest.mark.parametrize("tenant", [None, "theirs", "", ["ours"], {"ours": 1}, "Ours", "ours "])
def test_a_token_of_another_tenant(tenant: object) -> None:
    with pytest.raises(DeniedError, match="tid"):
        principal_of(ENTRA | {"tid": tenant}, provider(subject="preferred_username", require={"tid": "ours"}))


@pytest.mark.parametrize("subject", [None, "", 5, ["ada@example.com"], "x" * 301, "ada\n", " ada", "a\u202eda", "\x00"])
def test_a_subject_is_plain_text(subject: object) -> None:
    with pytest.raises(NotSignedInError, match="email"):
        principal_of({"email": subject}, provider())


def test_an_address_that_is_not_verified_is_nobodys() -> None:
    for said in (False, "false", "False", 0, "no", None):
        with pytest.raises(NotSignedInError, match="not verified"):
            principal_of(KEYCLOAK | {"email_verified": said}, provider())
    assert principal_of({"email": "ada@example.com"}, provider()).subject == "ada@example.com"
    assert principal_of(KEYCLOAK | {"email_verified": "true"}, provider())


@pytest.mark.parametrize(
    "more",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://evil.example.com"}}},
        {"_claim_names": {"groups": "src1"}, "groups": ["audit"]},
        {"hasgroups": True},
        {"hasgroups": "true"},
    ],
)
def test_groups_that_nobody_knows_are_not_none(more: dict[str, Any]) -> None:
    with pytest.raises(DeniedError, match="more groups than its token can name"):
        principal_of(KEYCLOAK | more, provider())


@pytest.mark.parametrize("groups", ["audit", {"audit": True}, None, 5, [5], [["audit"]], ["audit", None], ["x"] * 2001])
def test_groups_are_a_list_of_names(groups: object) -> None:
    with pytest.raises(NotSignedInError, match="no list of names"):
        principal_of(KEYCLOAK | {"groups": groups}, provider())


def test_an_agent_has_its_own_groups_and_names_its_person() -> None:
    ada = principal_of(KEYCLOAK, provider())
    agent = agent_of(ada, "claire", ("ai-agents",))
    assert (agent.subject, agent.kind, agent.on_behalf_of) == ("agent:claire", PrincipalKind.AGENT, "ada@example.com")
    assert agent.groups == {"ai-agents"}
    for other in (agent, Principal("workload:x", PrincipalKind.WORKLOAD)):
        with pytest.raises(DeniedError, match="only a person"):
            agent_of(other, "claire", ("ai-agents",))


@pytest.mark.parametrize(
    "issuer",
    ["http://login.example.com", "http://127.0.0.1.example.com", "http://localhost.example.com", "https://", "x", ""],
)
def test_an_issuer_is_reached_over_tls(issuer: str) -> None:
    with pytest.raises(ValidationError, match="https"):
        provider(issuer=issuer)


def test_every_error_has_words_for_a_person() -> None:
    for claims in ({}, {"email": 5}, {"email": "a", "groups": 5}):
        with pytest.raises(HoopError) as raised:
            principal_of(claims, provider())
        assert raised.value.message
        assert raised.value.hint
