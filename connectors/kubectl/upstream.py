"""The cluster behind a session: where it is, and the request that goes there with the broker's own proof on it.

Nothing that proves the client goes along. Whom a request is made for is the connection's to say (``impersonate``, or
what its kubeconfig has), or, where it says nothing, the client's, which policy sees as a fact.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from connectors.http.message import Headers
from connectors.http.upstream import Upstream
from hoopcli.errors import DeniedError, UsageError
from hoopcli.kubeconfig import ActsAs, of_options
from hoopcli.model.access import Connection, Principal
from hoopcli.model.session import Session
from hoopcli.sansio.events import Credential
from hoopcli.spi import LayerContext, Target

#: The audience of Microsoft Entra tokens for AKS: its server application, the same in every tenant.
AUDIENCE = "6dae42f8-4368-4678-94ff-3960e28e3630"
AUTHS = ("kubeconfig", "entra", "token", "certificate", "in_cluster", "none")
IMPERSONATE = ("no", "user", "groups")
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FROM_KUBECONFIG = frozenset({"kubeconfig", "in_cluster"})
_ACTS_AS = "impersonate-"
_PROOFS = ("authorization", "cookie", "host", "user-agent")
#: What a proxy in front of an API server would say of the client; the API server's audit log takes it for true.
_HEARSAY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-uri", "x-real-ip")
_FRONT_PROXY = "x-remote-"
# Options of a target that a connection cannot set.
_BASE, _SCHEME, _NAME, _AS = "base_path", "scheme", "server_name", "acts_as"
#: Who the control plane itself is; nobody acts as one of them by way of a broker.
_SYSTEM = "system:"


def target_of(connection: Connection) -> Target:
    """Where a connection leads, from its ``endpoint`` or its kubeconfig. Raises UsageError naming the option."""
    options = {key: value for key, value in connection.options.items() if key not in {_BASE, _SCHEME, _NAME, _AS}}
    auth = options.setdefault("auth", "entra" if "endpoint" in options else "kubeconfig")
    _known(connection, "auth", auth, AUTHS)
    _known(connection, "impersonate", options.get("impersonate", "no"), IMPERSONATE)
    if auth in _FROM_KUBECONFIG or "kubeconfig" in options or "context" in options:
        context = of_options(options)
        cluster = context.cluster
        options.setdefault("endpoint", cluster.server)
        if cluster.ca and "ca_file" not in options:
            options["ca_data"] = cluster.ca
        if not cluster.verify:
            options.setdefault("trust_server_certificate", "yes")
        options[_NAME] = cluster.server_name
        options.setdefault("namespace", context.namespace)
        if auth in _FROM_KUBECONFIG:
            options.update(_acting(connection, context.user.acts_as))
    return _target(connection, auth, options)


def _target(connection: Connection, auth: str, options: dict[str, str]) -> Target:
    endpoint = options.get("endpoint", "")
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.query or parts.fragment or not endpoint.isascii():
        raise UsageError(
            f"the connection {connection.name} has no endpoint that can be used",
            "add it with --context NAME of a kubeconfig, or with --endpoint https://HOST:PORT",
        )
    host = parts.hostname or ""
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise UsageError(f"the endpoint of {connection.name} is not encrypted", "use https")
    options |= {_SCHEME: parts.scheme, _BASE: parts.path.rstrip("/")}
    return Target(host, parts.port or _PORTS[parts.scheme], auth, options)


def upstream_of(context: LayerContext) -> Upstream:
    """The cluster as the other end of a client's connection."""
    target = context.target
    tls = context.tls_client if target.options[_SCHEME] == "https" else None
    return Upstream(target.host, target.port, tls, target.options.get(_NAME, ""))


def upstream_target(target: Target, path: str) -> str:
    """A request's target as the upstream takes it: behind the path of its endpoint, where that has one."""
    return target.options.get(_BASE, "") + path


def upstream_headers(headers: Headers, credential: Credential, target: Target, session: Session) -> Headers:
    """The client's end-to-end headers with the broker's proof in place of the client's.

    The cluster's audit log finds the session in ``User-Agent``. Raises DeniedError if the client asks to act as
    somebody where the connection says already who acts, UsageError for names that a header cannot hold.
    """
    theirs = [name for name, _ in headers if name.lower().startswith(_ACTS_AS)]
    ours = list(acting_headers(target, session.principal))
    if ours and theirs:
        raise DeniedError(
            f"the connection {session.connection.name} says whom its requests are made for",
            "leave out --as, --as-group and --as-uid",
        )
    port = f":{target.port}" if target.port != _PORTS[target.options[_SCHEME]] else ""
    host = f"[{target.host}]" if ":" in target.host else target.host
    agent = f"{headers.get('user-agent') or 'unknown'} hoop/{session.id}"
    kept = headers.without(*_PROOFS, *_HEARSAY, *(name for name, _ in headers if name.lower().startswith(_FRONT_PROXY)))
    return Headers([("Host", host + port), *kept, ("User-Agent", agent), *_proof(credential), *ours])


def acting_headers(target: Target, principal: Principal) -> Iterable[tuple[str, str]]:
    """Whom the connection makes its requests for: the person behind a session, or what its kubeconfig says."""
    wanted = target.options.get("impersonate", "no")
    if wanted == "no":
        return [
            (name, value) for name, _, value in (line.partition(": ") for line in _lines(target.options.get(_AS, "")))
        ]
    person = principal.on_behalf_of or principal.subject
    groups = sorted(principal.groups) if wanted == "groups" else []
    if any(name.startswith(_SYSTEM) for name in (person, *groups)):
        raise DeniedError("nobody acts as a part of the cluster's own control plane", "name persons and their groups")
    return _headers(ActsAs(person, groups=groups))


def _acting(connection: Connection, acts_as: ActsAs) -> Mapping[str, str]:
    """What a kubeconfig says of impersonation, as headers in text."""
    lines = "\n".join(f"{name}: {value}" for name, value in _headers(acts_as))
    if lines and connection.options.get("impersonate", "no") != "no":
        raise UsageError(
            f"the connection {connection.name} and its kubeconfig both say whom to act as",
            "leave out impersonate, or take `as` out of the kubeconfig",
        )
    return {_AS: lines} if lines else {}


def _headers(acts_as: ActsAs) -> list[tuple[str, str]]:
    found = [("Impersonate-User", acts_as.user), ("Impersonate-Uid", acts_as.uid)]
    found += [("Impersonate-Group", group) for group in acts_as.groups]
    found += [
        (f"Impersonate-Extra-{quote(key, safe='')}", value) for key, values in acts_as.extra.items() for value in values
    ]
    found = [(name, value) for name, value in found if value]
    if not all(value.isascii() and value.isprintable() and value == value.strip() for _, value in found):
        raise UsageError("a name to act as has letters that no header can hold", "name it in ASCII")
    return found


def _proof(credential: Credential) -> list[tuple[str, str]]:
    match credential.kind:
        case "token":
            return [("Authorization", f"Bearer {credential.secret}")]
        case "password":
            pair = base64.b64encode(f"{credential.user}:{credential.secret}".encode()).decode()
            return [("Authorization", f"Basic {pair}")]
        case _:
            return []


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _known(connection: Connection, option: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise UsageError(
            f"the connection {connection.name} has {option} = {value!r}", f"use one of: {', '.join(known)}"
        )
