"""Kill the broker at any moment: whatever reached the upstream is on record, and the ledger still verifies."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytds

from hoopcli.ledger.keys import read_vkey
from hoopcli.ledger.verify import verify
from tests.support import clients
from tests.support.ledger import records_of
from tests.support.upstream import RunningUpstream, upstream

KILLS = 5
POLICY = """
version: 1
rules:
  - id: everything
    effect: allow
    verbs: ["sql:select"]
"""


def configure(folder: Path, up: RunningUpstream) -> dict[str, str]:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "config.toml").write_text(
        f"policy = {json.dumps(str(folder / 'policy.yaml'))}\nstate_dir = {json.dumps(str(folder / 'state'))}\n"
        "keyring = false\n[connections.shop]\n"
        f'server = "127.0.0.1"\nport = {up.port}\ndatabase = "shop"\nauth = "password"\nuser = "sa"\n'
        'secret = "env:SHOP_SECRET"\nencrypt = "off"\ntrust_server_certificate = "yes"\n'
    )
    return {**os.environ, "HOOP_CONFIG": str(folder / "config.toml"), "SHOP_SECRET": up.options.secret}


def first_document(stream: IO[str]) -> dict[str, Any]:
    """The JSON document that the command begins with."""
    said = ""
    while line := stream.readline():
        said += line
        if line == "}\n":
            break
    return dict(json.loads(said))


def run_until_killed(environment: dict[str, str], first: int, moment: int) -> int:
    """Ask numbered questions and kill the broker after ``moment`` of them; the next number."""
    command = [sys.executable, "-m", "hoopcli.cli.main", "connect", "shop", "--format", "json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    listen = first_document(process.stdout)
    number = first
    try:
        with clients.pytds(listen["port"], listen["user"], listen["secret"]) as connection:
            for number in range(first, first + 1000):
                if number == first + moment:
                    process.send_signal(signal.SIGKILL)
                clients.fetch(connection, f"SELECT {number} AS marker")
    except (OSError, EOFError, pytds.Error):
        pass
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    return number + 1


def test_no_statement_reaches_the_upstream_without_a_durable_record(tmp_path: Path) -> None:
    chance = random.Random(7)
    number = 1
    with upstream() as up:
        environment = configure(tmp_path, up)
        for _ in range(KILLS):
            number = run_until_killed(environment, number, chance.randrange(1, 25))
        seen = {int(n) for text in up.seen.statements for n in re.findall(r"SELECT (\d+) AS marker", text)}
    ledger = next((tmp_path / "state").rglob("ledger.db"))
    recorded = {
        int(n)
        for r in records_of(ledger)
        if r.type == "exchange.request"
        for n in re.findall(r"SELECT (\d+) AS marker", r.body["text"])
    }
    assert len(seen) >= KILLS
    assert seen <= recorded
    report = verify(ledger, read_vkey(ledger.parent))
    assert report.intact, report.integrity
