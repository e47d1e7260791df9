"""The stage of a measurement: an upstream and a broker, each in a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SA_SECRET = "upstream-secret"  # noqa: S105 - the demo upstream's own
POLICY_HEAD = """
version: 1
rules:
  - id: all-reads
    effect: allow
    verbs: ["sql:*"]
    resources: ["*"]
"""
MASKS = {
    "no masks": "",
    "one masked column": """
masks:
  - id: secret-column
    fields: ["*.dbo.big.email"]
    method: {keep_last: 4}
""",
    "detectors on, nothing to find": """
masks:
  - id: shapes
    detectors: [credit_card, us_ssn, azure_key, jwt, private_key]
    method: redact
""",
    "detectors on, an address in every row": """
masks:
  - id: shapes
    detectors: [credit_card, email, us_ssn, azure_key, jwt, private_key]
    method: redact
""",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client connects; ``pid`` is the process to watch."""

    port: int
    user: str
    secret: str
    pid: int
    database: str = "shop"

    def odbc(self, encrypt: str = "no") -> str:
        """The connection string, without a driver."""
        return (
            f"Server=127.0.0.1,{self.port};Database={self.database};UID={self.user};PWD={self.secret};"
            f"Encrypt={encrypt};TrustServerCertificate=yes"
        )


@contextmanager
def upstream(*arguments: str) -> Iterator[Endpoint]:
    """The demo's upstream in a process of its own."""
    command = [sys.executable, "-m", "connectors.sql.demo", "--port", "0", *arguments]
    with running(command, dict(os.environ)) as (said, pid):
        yield Endpoint(said["port"], said.get("user", "sa"), said.get("password", SA_SECRET), pid)


@contextmanager
def broker(target: Endpoint, masks: str = "", encrypt: str = "off") -> Iterator[Endpoint]:
    """``hoop connect`` in a process of its own, with a ledger on disk."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY_HEAD + masks)
        (folder / "config.toml").write_text(
            f'policy = "{folder / "policy.yaml"}"\nstate_dir = "{folder / "state"}"\n'
            f'keyring = false\n[connections.bench]\nkind = "sql"\nserver = "127.0.0.1"\nport = {target.port}\n'
            f'database = "{target.database}"\nauth = "password"\nuser = "{target.user}"\n'
            f'secret = "env:BENCH_SECRET"\nencrypt = "{encrypt}"\ntrust_server_certificate = "yes"\n'
        )
        environment = dict(os.environ, HOOP_CONFIG=str(folder / "config.toml"), BENCH_SECRET=target.secret)
        command = [str(Path(sys.executable).with_name("hoop")), "connect", "bench", "--format", "json"]
        with running(command, environment) as (said, pid):
            yield Endpoint(int(said["port"]), said["user"], said["secret"], pid, target.database)


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[tuple[dict[str, Any], int]]:
    """A program that begins with a JSON document: the document, and the process."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None
    try:
        yield _first_document(process.stdout), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stdout.close()


def peak(pid: int) -> float:
    """The peak memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _first_document(stream: IO[str]) -> dict[str, Any]:
    """The JSON document that a program begins with, on one line or many."""
    text = ""
    while line := stream.readline():
        text += line
        try:
            document: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            continue
        return document
    raise RuntimeError(f"the program ended before it said where it is: {text!r}")
