"""The server as a program of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from connectors.sql.tds.request import SqlBatch
from tests.sql.demo.stage import raw, rows


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_its_first_line_says_where_it_is(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "connectors.sql.demo", "--canned"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        with raw(said["port"], user=said["user"], secret=said["password"]) as client:
            assert rows(client.ask(SqlBatch("SELECT 1 AS a"))) == [(1,)]
        process.send_signal(number)
        assert process.wait(30) == 0
