"""A cluster with a broker before it: the tests' own API server, or a cluster that is named."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.kubectl.connector import KubectlConnector
from connectors.kubectl.hint import client_hint
from hoopcli.identity.clusters import ClusterUsers
from hoopcli.model.access import Principal
from tests.kubectl.apiserver import ApiServer
from tests.kubectl.apiserver import cluster as own_cluster
from tests.kubectl.cluster.store import Object
from tests.kubectl.programs import Kubectl
from tests.support.broker import AGENT, RunningBroker, broker
from tests.support.filled import Filler, named
from tests.support.rawhttp import Answer, Fields, answer_of, written

#: A kubeconfig of a cluster that tests use instead of their own server.
NAMED = "HOOP_TEST_KUBECONFIG"
_SECONDS = 30


@dataclass(frozen=True)
class Upstream:
    """Where the broker leads. ``server`` is None for a named cluster, which cannot tell what it saw.

    ``runs_pods`` says whether something answers for the pods: a cluster may have an API server and no kubelet.
    """

    kubeconfig: Path
    server: ApiServer | None
    runs_pods: bool = True

    def put_pods(self, *pods: Object, namespace: str = "default") -> None:
        """Create pods, which run."""
        if self.server:
            self.server.put("pods", *pods, namespace=namespace)
            return
        filler = Filler(self.kubeconfig)
        filler.put(*(named(each, "Pod", namespace) for each in pods))

    def never_saw(self, text: str) -> bool:
        """Whether no request had this text in its target or its body; taken as so of a cluster that cannot tell."""
        seen = self.server.seen if self.server else []
        return not any(text in request.target or text.encode() in request.body for request in seen)


@dataclass(frozen=True)
class Session:
    """A session and what clients need of it."""

    broker: RunningBroker
    kubeconfig: Path
    cache: Path

    def kubectl(self, program: str) -> Kubectl:
        """A kubectl that goes by the broker."""
        return Kubectl(program, self.kubeconfig)

    def send(self, data: bytes, method: str = "GET") -> Answer:
        """Send bytes by TLS on a connection of its own; what is answered until the broker closes it."""
        listen = self.broker.listen
        context = ssl.create_default_context(cafile=listen.ca_file)
        with (
            socket.create_connection((listen.host, listen.port), _SECONDS) as bare,
            context.wrap_socket(bare, server_hostname=listen.host) as wire,
        ):
            with suppress(ConnectionError, ssl.SSLError):  # it may have been answered before its end
                wire.sendall(data)
            return answer_of(wire, method)

    def ask(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> Answer:
        """Send a request with the session's secret and nothing checked."""
        pairs: Sequence[tuple[str, str]] = [
            ("Host", f"{self.broker.listen.host}:{self.broker.listen.port}"),
            ("Authorization", f"Bearer {self.broker.listen.secret}"),
            *fields,
            *([("Content-Length", str(len(body)))] if body is not None else []),
        ]
        return self.send(written(method, target, pairs) + (body or b""), method)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """The cluster that ``HOOP_TEST_KUBECONFIG`` names, else a server of the tests' own."""
    if where := os.environ.get(NAMED):
        with Filler(Path(where)).filled() as runs_pods:
            yield Upstream(Path(where), None, runs_pods)
        return
    with own_cluster() as server:
        yield Upstream(server.kubeconfig(), server)


@contextmanager
def session(
    folder: Path,
    to: Upstream,
    policy: str,
    *,
    principal: Principal = AGENT,
    ttl: timedelta = timedelta(minutes=10),
    **options: str,
) -> Iterator[Session]:
    """A session on a cluster, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    leads = {"kubeconfig": str(to.kubeconfig), **options}
    credential = ClusterUsers(lambda: datetime.now(UTC)).get(leads, fresh=False)
    connector = KubectlConnector()
    with broker(
        folder, leads, policy, principal=principal, credential=credential, connector=connector, ttl=ttl
    ) as running:
        hint = client_hint(running.listen, running.live.session.connection)
        yield Session(running, Path(hint.environment["KUBECONFIG"]), Path(hint.environment["KUBECACHEDIR"]))
