"""Credentials for clusters, as a kubeconfig or the pod that this runs in holds them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.kubeconfig import Context, Plugin, of_options
from hoopcli.sansio.events import Credential

#: A person may have to sign in.
PLUGIN_SECONDS = 300.0
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, repr=False)
class _Told:
    """A token that a plugin told, and when it ends (aware), where it does."""

    token: str
    ends: datetime | None


class ClusterUsers:
    """The users of kubeconfigs. Its methods block. What a plugin told is kept while it lasts."""

    def __init__(self, now: Callable[[], datetime], environ: Mapping[str, str] = os.environ) -> None:
        self._now = now
        self._environ = environ
        self._told: dict[tuple[str, str], _Told] = {}

    def get(self, options: Mapping[str, str], *, fresh: bool) -> Credential:
        """A credential that is valid now, of the kind ``token``, ``password``, or ``none`` for certificates.

        Raises UsageError, and NotSignedInError where a plugin tells nothing.
        """
        context = of_options(options, self._environ)
        user = context.user
        if user.token_file is not None:
            return Credential("token", _line(user.token_file))
        if user.token:
            return Credential("token", user.token)
        if user.plugin is not None:
            key = (options.get("kubeconfig", ""), options.get("context", ""))
            return Credential("token", self._from_plugin(key, user.plugin, context, fresh=fresh))
        if user.name:
            return Credential("password", user.password, user.name)
        return Credential("none", "")

    def _from_plugin(self, key: tuple[str, str], plugin: Plugin, context: Context, *, fresh: bool) -> str:
        kept = self._told.get(key)
        if fresh or kept is None or (kept.ends is not None and kept.ends - self._now() < _MARGIN):
            self._told[key] = kept = _read(plugin, _output(plugin, context, self._environ))
        return kept.token


def check_plugin(options: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Check, without running it, that the plugin a kubeconfig names is there. Raises NotSignedInError, UsageError."""
    plugin = of_options(options, environ).user.plugin
    if plugin is not None:
        _program(plugin, environ)


def _program(plugin: Plugin, environ: Mapping[str, str]) -> str:
    """The path of a plugin's program. A name without a slash is looked up in ``PATH``."""
    if plugin.api_version not in _VERSIONS:
        raise UsageError(f"the kubeconfig's plugin speaks {plugin.api_version}", f"use {_VERSIONS[0]}")
    if "/" in plugin.command:
        found = str(plugin.base / plugin.command)
        path = found if os.access(found, os.X_OK) else None
    else:
        path = shutil.which(plugin.command, path=environ.get("PATH"))
    if path is None:
        raise NotSignedInError(
            f"the program {plugin.command!r} that the kubeconfig signs in with is not there",
            " ".join(plugin.install_hint.split()) or "install it",
        )
    return path


def _output(plugin: Plugin, context: Context, environ: Mapping[str, str]) -> bytes:
    path = _program(plugin, environ)
    asked = {**environ, **plugin.environment, "KUBERNETES_EXEC_INFO": json.dumps(_info(plugin, context))}
    try:
        done = subprocess.run(  # noqa: S603 - the user's own kubeconfig names it, and no shell reads it
            [path, *plugin.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # its other output tells the person how to sign in
            env=asked,
            timeout=PLUGIN_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise NotSignedInError(
            f"the program {plugin.command!r} of the kubeconfig ended with {error.returncode}",
            "run it by hand to see why",
        ) from None
    except subprocess.TimeoutExpired:
        raise NotSignedInError(
            f"the program {plugin.command!r} of the kubeconfig took over {PLUGIN_SECONDS:.0f} s", "sign in sooner"
        ) from None
    except OSError as error:
        raise UsageError(f"the program {plugin.command!r} cannot be run: {type(error).__name__}") from None
    return done.stdout


def _info(plugin: Plugin, context: Context) -> Mapping[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.wants_cluster:
        cluster = context.cluster
        spec["cluster"] = {"server": cluster.server, "insecure-skip-tls-verify": not cluster.verify}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


def _read(plugin: Plugin, output: bytes) -> _Told:
    """What a plugin told ([Kubernetes] ExecCredential)."""
    try:
        status = json.loads(output)["status"]
        ends = status.get("expirationTimestamp")
        told = _Told(str(status.get("token") or ""), datetime.fromisoformat(ends).astimezone(UTC) if ends else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NotSignedInError(
            f"the program {plugin.command!r} of the kubeconfig told nothing that is a credential",
            "run it by hand to see why",
        ) from None
    if not told.token:
        raise NotSignedInError(
            f"the program {plugin.command!r} of the kubeconfig told no token", "hoop takes only tokens"
        )
    return told


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedInError(f"the token in {path} cannot be read: {type(error).__name__}") from None
