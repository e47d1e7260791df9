"""A policy and the connections that it speaks of, as a server hands them out: numbered, dated, and good for a while.

The document is the text of a signed note (C2SP signed-note) under the server's key: one line of JSON. What signs and
verifies it is not here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.policy.document import Policy, load
from hoopcli.settings.files import check_connection

KIND = "hoop-policy-bundle/v1"
#: What only a machine itself says about a connection: where its secret is.
LOCAL_KEYS = frozenset({"secret", "certificate", "kubeconfig"})
#: What a machine may say about a connection of a server: how it proves itself there, never where that leads.
OWN_KEYS = LOCAL_KEYS | {"user", "flow"}
_MEMBERS = frozenset({"kind", "serial", "policy", "connections", "issued", "expires"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """One revision of both. ``serial`` counts revisions from 1; ``connections`` are settings by name, without secrets.

    ``issued`` and ``expires`` are aware; a broker that cannot reach the server decides by it until it expires.
    """

    serial: int
    policy: str
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    issued: datetime = field(kw_only=True)
    expires: datetime = field(kw_only=True)

    def text(self) -> str:
        """The text that is signed."""
        document = {
            "kind": KIND,
            "serial": self.serial,
            "policy": self.policy,
            "connections": self.connections,
            "issued": self.issued.isoformat(),
            "expires": self.expires.isoformat(),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"

    def checked_policy(self) -> Policy:
        """The policy, ready for an engine. Raises UsageError."""
        return load(self.policy)

    def checked_connections(self) -> dict[str, Connection]:
        """The connections. Raises UsageError."""
        for name, settings in self.connections.items():
            _check_local(name, settings)
        return {name: check_connection(name, settings) for name, settings in self.connections.items()}


def parse(text: str) -> Bundle:
    """Read what was signed, and check the policy and the connections in it. Raises UsageError."""
    try:
        bundle = _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(
            "this is no policy bundle of this version", "upgrade hoop, or ask who runs the server"
        ) from None
    bundle.checked_policy()
    bundle.checked_connections()
    return bundle


def _check_local(name: str, settings: Mapping[str, Any]) -> None:
    """A bundle cannot have a machine read a file or run a command for a secret."""
    options = settings.get("options")
    named = LOCAL_KEYS & (settings.keys() | (options.keys() if isinstance(options, dict) else set()))
    if named:
        raise UsageError(
            f"the connection {name!r} names its {', '.join(sorted(named))}, which each machine does for itself",
            "leave that out here; users set it with hoop connections add",
        )


def _read(document: dict[str, Any]) -> Bundle:
    if document.keys() != _MEMBERS or document["kind"] != KIND:
        raise ValueError("another kind of document")
    serial, policy, connections = document["serial"], document["policy"], document["connections"]
    if type(serial) is not int or serial < 1 or not isinstance(policy, str):
        raise ValueError("no revision")
    if not all(isinstance(settings, dict) for settings in connections.values()):
        raise ValueError("no settings")
    return Bundle(serial, policy, connections, issued=_time(document["issued"]), expires=_time(document["expires"]))


def _time(text: Any) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time
