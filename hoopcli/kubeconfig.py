"""Where a kubeconfig leads and who it says one is ([Kubernetes] client.authentication, kubeconfig v1).

Only reads. What it names by file, and what a plugin has to be asked for, is fetched by who needs it.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hoopcli.errors import UsageError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MOST_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server. ``ca`` is PEM, "" for the system's; ``server_name`` is what its certificate must name, or ""."""

    server: str
    ca: str = ""
    server_name: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Plugin:
    """A program that tells a token ([Kubernetes] ExecConfig). ``base`` is where its relative path starts."""

    command: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    api_version: str
    base: Path
    install_hint: str = ""
    wants_cluster: bool = False


@dataclass(frozen=True, slots=True)
class ActsAs:
    """Whom requests are made for, by impersonation."""

    user: str = ""
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class User:
    """Ways to prove oneself, of which any may be there. ``certificate`` is PEM, chain and key. ``repr`` hides all."""

    certificate: bytes = b""
    token: str = ""
    token_file: Path | None = None
    name: str = ""
    password: str = ""
    plugin: Plugin | None = None
    acts_as: ActsAs = ActsAs()


@dataclass(frozen=True, slots=True)
class Context:
    """A cluster and a user of it."""

    name: str
    cluster: Cluster
    user: User
    namespace: str = ""


def of_options(options: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Context:
    """What a connection's options name: ``auth = in_cluster``, or a ``context`` of a ``kubeconfig``. Raises UsageError.

    ``KUBECONFIG`` is not read: within a session it is the session's own.
    """
    if options.get("auth") == "in_cluster":
        return in_cluster(environ)
    path = Path(options.get("kubeconfig") or "~/.kube/config").expanduser()
    return read(path, options.get("context", ""))


def in_cluster(environ: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Context:
    """The cluster that this runs in, and its service account. Raises UsageError if it runs in none."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = folder / "token"
    if not host or not token.exists():
        raise UsageError("this is no pod of a cluster", "use auth = kubeconfig or entra")
    host = f"[{host}]" if ":" in host else host
    cluster = Cluster(f"https://{host}:{port}", _pem(folder / "ca.crt").decode("ascii", "replace"))
    namespace = folder / "namespace"
    return Context(
        "in-cluster", cluster, User(token_file=token), namespace.read_text("utf-8") if namespace.exists() else ""
    )


def read(path: Path, context: str = "") -> Context:
    """A context of a kubeconfig, the current one unless it is named. Raises UsageError."""
    document = _document(path)
    name = context or document.get("current-context") or ""
    if not isinstance(name, str) or not name:
        raise UsageError(f"{path} has no current context", "name one with --context")
    chosen = _named(document, "contexts", "context", name, path)
    cluster = _named(document, "clusters", "cluster", str(chosen.get("cluster", "")), path)
    user = _named(document, "users", "user", str(chosen["user"]), path) if chosen.get("user") else {}
    try:
        return Context(
            name, _cluster(cluster, path.parent), _user(user, path.parent), str(chosen.get("namespace") or "")
        )
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"the context {name} in {path} cannot be used: {type(error).__name__}") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = yaml.load(file.read(_MOST_BYTES), yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:  # what is wrong with the YAML may show a secret
        raise UsageError(
            f"the kubeconfig {path} cannot be read: {type(error).__name__}", "name another one with --kubeconfig"
        ) from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no kubeconfig", "name one with --kubeconfig")
    return document


def _named(document: Mapping[str, Any], plural: str, singular: str, name: str, path: Path) -> dict[str, Any]:
    entries = [entry for entry in document.get(plural) or [] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name and isinstance(entry.get(singular), dict):
            return dict(entry[singular])
    known = ", ".join(sorted(str(entry.get("name")) for entry in entries)) or "none"
    raise UsageError(f"there is no {singular} {name!r} in {path}", f"known: {known}")


def _cluster(found: Mapping[str, Any], base: Path) -> Cluster:
    if found.get("proxy-url"):
        raise UsageError("the kubeconfig reaches its cluster by a proxy, which hoop does not", "remove its proxy-url")
    ca = _data(found, "certificate-authority", base).decode("ascii")
    verify = found.get("insecure-skip-tls-verify") is not True
    return Cluster(str(found["server"]), ca, str(found.get("tls-server-name") or ""), verify)


def _user(found: Mapping[str, Any], base: Path) -> User:
    if "auth-provider" in found:
        raise UsageError(
            "the kubeconfig signs in by an auth-provider, which Kubernetes has given up",
            "run: kubelogin convert-kubeconfig; or use auth = entra",
        )
    certificate, key = _data(found, "client-certificate", base), _data(found, "client-key", base)
    return User(
        certificate=certificate + b"\n" + key if certificate else b"",
        token=str(found.get("token") or ""),
        token_file=base / found["tokenFile"] if found.get("tokenFile") else None,
        name=str(found.get("username") or ""),
        password=str(found.get("password") or ""),
        plugin=_plugin(found["exec"], base) if found.get("exec") else None,
        acts_as=ActsAs(
            str(found.get("as") or ""),
            str(found.get("as-uid") or ""),
            [str(group) for group in found.get("as-groups") or []],
            {str(k): [str(v) for v in values] for k, values in (found.get("as-user-extra") or {}).items()},
        ),
    )


def _plugin(found: Mapping[str, Any], base: Path) -> Plugin:
    return Plugin(
        command=str(found["command"]),
        arguments=[str(word) for word in found.get("args") or []],
        environment={str(pair["name"]): str(pair["value"]) for pair in found.get("env") or []},
        api_version=str(found["apiVersion"]),
        base=base,
        install_hint=str(found.get("installHint") or ""),
        wants_cluster=found.get("provideClusterInfo") is True,
    )


def _data(found: Mapping[str, Any], key: str, base: Path) -> bytes:
    """What is written as ``KEY-data``, else what the file that ``KEY`` names holds; empty where neither is there."""
    if inline := found.get(f"{key}-data"):
        try:
            return base64.b64decode(inline, validate=True)
        except (binascii.Error, TypeError):
            raise UsageError(f"the kubeconfig's {key}-data is no base64") from None
    return _pem(base / found[key]) if found.get(key) else b""


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
