"""The tokens that platforms give their jobs."""

from __future__ import annotations

from typing import Any

import pytest

from hoopcli.errors import NotSignedInError
from hoopcli.identity.assertions import assertion, federated

PIPELINES = {
    "SYSTEM_OIDCREQUESTURI": "https://dev.azure.example/oidctoken",
    "SYSTEM_ACCESSTOKEN": "bearer-1",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection-1",
}
GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.actions.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "b"}


class Platform:
    """A platform's token service: what it answers and what it was asked."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status_code = status
        self.document = document
        self.asked: dict[str, Any] = {}

    def get(self, url: str, **asked: Any) -> Platform:
        self.asked = {"url": url, **asked}
        return self

    post = get

    def json(self) -> dict[str, Any]:
        return self.document


def test_azure_pipelines_is_asked_for_the_service_connection() -> None:
    platform = Platform(200, {"oidcToken": "token-1"})
    assert federated(PIPELINES)
    assert assertion(PIPELINES, platform) == "token-1"
    assert platform.asked["params"] == {"api-version": "7.1", "serviceConnectionId": "connection-1"}
    assert platform.asked["headers"]["Authorization"] == "Bearer bearer-1"


def test_github_is_asked_for_the_audience() -> None:
    platform = Platform(200, {"value": "token-1"})
    assert assertion(GITHUB, platform, "https://hoop.example.com") == "token-1"
    assert platform.asked["params"] == {"audience": "https://hoop.example.com"}


@pytest.mark.parametrize("environ", [PIPELINES, GITHUB])
@pytest.mark.parametrize("answer", [(401, {"oidcToken": "t", "value": "t"}), (200, {}), (200, {"value": 5})])
def test_what_is_no_token_is_refused(environ: dict[str, str], answer: tuple[int, dict[str, Any]]) -> None:
    with pytest.raises(NotSignedInError, match="token service answered"):
        assertion(environ, Platform(*answer))


def test_a_platform_is_asked_over_https() -> None:
    for name, environ in (("SYSTEM_OIDCREQUESTURI", PIPELINES), ("ACTIONS_ID_TOKEN_REQUEST_URL", GITHUB)):
        with pytest.raises(NotSignedInError, match="https"):
            assertion(environ | {name: "http://platform.example/"}, None)


def test_a_pipeline_without_a_service_connection_is_vouched_for_by_nobody() -> None:
    bare = {"SYSTEM_OIDCREQUESTURI": "https://dev.azure.example/oidctoken"}
    assert not federated(bare)
    with pytest.raises(NotSignedInError, match="no platform"):
        assertion(bare, None)
