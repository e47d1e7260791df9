"""The token of a workload's own platform: Entra exchanges it for another, a hoop server for a session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hoopcli.errors import NotSignedInError

AUDIENCE = "api://AzureADTokenExchange"
_TIMEOUT_SECONDS = 30
_SERVICE_CONNECTION = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"


def federated(environ: Mapping[str, str]) -> bool:
    """Whether this process runs where a platform vouches for it."""
    pipelines = environ.get("SYSTEM_OIDCREQUESTURI") and environ.get(_SERVICE_CONNECTION)
    return bool(environ.get("AZURE_FEDERATED_TOKEN_FILE") or environ.get("ACTIONS_ID_TOKEN_REQUEST_URL") or pipelines)


def assertion(environ: Mapping[str, str], http: Any, audience: str = AUDIENCE) -> str:
    """A fresh token: Kubernetes writes it to a file, GitHub Actions and Azure Pipelines serve it.

    Only GitHub asks for whom it is to be; the others are set up for one ``audience``. Raises NotSignedInError.
    """
    if path := environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        return _from_file(Path(path))
    if url := environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return _from_github(url, environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""), http, audience)
    if (url := environ.get("SYSTEM_OIDCREQUESTURI")) and (connection := environ.get(_SERVICE_CONNECTION)):
        return _from_pipelines(url, environ.get("SYSTEM_ACCESSTOKEN", ""), connection, http)
    raise NotSignedInError(
        "no platform vouches for this workload",
        "in GitHub Actions give the job id-token: write; in Kubernetes label the pod for workload identity; "
        "in Azure Pipelines use the task AzureCLI@2 with a service connection and addSpnToEnvironment",
    )


def _from_file(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedInError(
            f"the federated token in {path} cannot be read: {type(error).__name__}", "check AZURE_FEDERATED_TOKEN_FILE"
        ) from error


def _from_github(url: str, bearer: str, http: Any, audience: str) -> str:
    _encrypted(url, "ACTIONS_ID_TOKEN_REQUEST_URL")
    reply = http.get(
        url, params={"audience": audience}, headers={"Authorization": f"bearer {bearer}"}, timeout=_TIMEOUT_SECONDS
    )
    return _served(reply, "value", "GitHub's", "give the job 'permissions: id-token: write'")


def _from_pipelines(url: str, bearer: str, connection: str, http: Any) -> str:
    _encrypted(url, "SYSTEM_OIDCREQUESTURI")
    headers = {"Authorization": f"Bearer {bearer}", "X-TFS-FedAuthRedirect": "Suppress"}
    asked = {"api-version": "7.1", "serviceConnectionId": connection}
    reply = http.post(url, params=asked, json={}, headers=headers, timeout=_TIMEOUT_SECONDS)
    return _served(reply, "oidcToken", "Azure Pipelines'", "pass SYSTEM_ACCESSTOKEN: $(System.AccessToken) to the step")


def _encrypted(url: str, variable: str) -> None:
    if urlsplit(url).scheme != "https":
        raise NotSignedInError("a platform's token service must be asked over https", f"check {variable}")


def _served(reply: Any, member: str, whose: str, hint: str) -> str:
    value = reply.json().get(member) if reply.status_code == 200 else None
    if not isinstance(value, str):
        raise NotSignedInError(f"{whose} token service answered {reply.status_code}", hint)
    return value
