"""How the clients people use reach a session: by its kubeconfig."""

from __future__ import annotations

import shlex

from connectors.kubectl.kubeconfig import CACHE, write
from connectors.kubectl.upstream import target_of
from hoopcli.model.access import Connection
from hoopcli.spi import ClientHint, Listen


def client_hint(listen: Listen, connection: Connection) -> ClientHint:
    """A kubeconfig in a file of the session's, lines for people, and the environment for a child process."""
    path = write(listen, connection, target_of(connection).options.get("namespace", ""))
    named = shlex.quote(str(path))
    environment = {
        "KUBECONFIG": str(path),
        "KUBECACHEDIR": str(path.with_name(CACHE)),
        "HOOP_KUBE_SERVER": f"https://{listen.host}:{listen.port}",
        "HOOP_CA_FILE": listen.ca_file,
    }
    lines = [
        ("kubectl, helm, k9s", f"export KUBECONFIG={named} KUBECACHEDIR={shlex.quote(environment['KUBECACHEDIR'])}"),
        ("kubectl", f"kubectl --kubeconfig {named} get pods"),
        ("Python", f"kubernetes.config.load_kube_config({str(path)!r})"),
        ("JavaScript", f"new KubeConfig().loadFromFile({str(path)!r})"),
        ("Go", f'clientcmd.BuildConfigFromFlags("", "{path}")'),
        ("curl", f"curl --cacert {shlex.quote(listen.ca_file)} -H 'Authorization: Bearer {listen.secret}' "
                 f"{environment['HOOP_KUBE_SERVER']}/api/v1/pods"),
    ]  # fmt: skip
    return ClientHint(environment, lines)
