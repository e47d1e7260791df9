"""The kubeconfig of a session: its listener, the CA that signs it, and the session's secret as a bearer token."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from hoopcli.model.access import Connection
from hoopcli.spi import Listen

#: What client-go keeps of discovery. It names it by host and port, which another cluster's session may have tomorrow.
CACHE = "kube-cache"
_FILE = "kubeconfig"


def kubeconfig(listen: Listen, connection: Connection, ca: bytes, namespace: str = "") -> str:
    """The document, in JSON, which is YAML too. Its one context has the connection's name."""
    name = connection.name
    context: dict[str, str] = {"cluster": name, "user": name}
    if namespace:
        context["namespace"] = namespace
    cluster = {
        "server": f"https://{listen.host}:{listen.port}",
        "certificate-authority-data": base64.b64encode(ca).decode(),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": listen.secret}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
        "preferences": {},
    }
    return json.dumps(document, indent=2) + "\n"


def write(listen: Listen, connection: Connection, namespace: str = "") -> Path:
    """Put the kubeconfig beside the session's CA, for its owner alone, once; it goes when the session ends."""
    ca_file = Path(listen.ca_file)
    path = ca_file.with_name(_FILE)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(kubeconfig(listen, connection, ca_file.read_bytes(), namespace), "utf-8")
    return path
