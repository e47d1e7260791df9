"""The assertion of a workload's own platform, which Entra exchanges for a token (workload identity federation)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hoopcli.errors import NotSignedInError

AUDIENCE = "api://AzureADTokenExchange"
_TIMEOUT_SECONDS = 30


def federated(environ: Mapping[str, str]) -> bool:
    """Whether this process runs where a platform vouches for it."""
    return bool(environ.get("AZURE_FEDERATED_TOKEN_FILE") or environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"))


def assertion(environ: Mapping[str, str], http: Any) -> str:
    """A fresh assertion: Kubernetes writes it to a file, GitHub Actions serves it. Raises NotSignedInError."""
    if path := environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        return _from_file(Path(path))
    if url := environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return _from_github(url, environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""), http)
    raise NotSignedInError(
        "no platform vouches for this workload",
        "in GitHub Actions give the job id-token: write; in Kubernetes label the pod for workload identity",
    )


def _from_file(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedInError(
            f"the federated token in {path} cannot be read: {type(error).__name__}", "check AZURE_FEDERATED_TOKEN_FILE"
        ) from error


def _from_github(url: str, bearer: str, http: Any) -> str:
    if urlsplit(url).scheme != "https":
        raise NotSignedInError("GitHub's token service must be asked over https", "check ACTIONS_ID_TOKEN_REQUEST_URL")
    reply = http.get(
        url, params={"audience": AUDIENCE}, headers={"Authorization": f"bearer {bearer}"}, timeout=_TIMEOUT_SECONDS
    )
    value = reply.json().get("value") if reply.status_code == 200 else None
    if not isinstance(value, str):
        raise NotSignedInError(
            f"GitHub's token service answered {reply.status_code}", "give the job 'permissions: id-token: write'"
        )
    return value
