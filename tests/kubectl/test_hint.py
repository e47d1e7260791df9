"""How clients find a session."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from connectors.kubectl.hint import client_hint
from hoopcli.model.access import Connection
from hoopcli.spi import Listen
from tests.support.kubeconfigs import written


def test_a_kubeconfig_for_the_session_and_its_owner_alone(tmp_path: Path) -> None:
    session = tmp_path / "session"
    session.mkdir()
    (session / "ca.pem").write_bytes(b"PEM")
    listen = Listen("127.0.0.1", 4711, "s3cret", str(session / "ca.pem"))
    upstream = written(tmp_path, {"token": "upstream-token"}, namespace="prod")
    connection = Connection("aks-prod", "kubectl", {"kubeconfig": str(upstream)})
    hint = client_hint(listen, connection)
    path = Path(hint.environment["KUBECONFIG"])
    assert path.stat().st_mode & 0o777 == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["current-context"] == "aks-prod"
    assert document["contexts"] == [
        {"name": "aks-prod", "context": {"cluster": "aks-prod", "user": "aks-prod", "namespace": "prod"}}
    ]
    [cluster] = document["clusters"]
    assert cluster["cluster"] == {
        "server": "https://127.0.0.1:4711", "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }  # fmt: skip
    assert document["users"] == [{"name": "aks-prod", "user": {"token": "s3cret"}}]
    assert Path(hint.environment["KUBECACHEDIR"]).parent == session
    assert "upstream-token" not in path.read_text() + str(hint)
    assert client_hint(listen, connection) == hint
    plain = Connection("aks", "kubectl", {"endpoint": "https://cluster.example"})
    path.unlink()
    assert "namespace" not in Path(client_hint(listen, plain).environment["KUBECONFIG"]).read_text()
