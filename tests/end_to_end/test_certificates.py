"""A client that verifies the certificate of its session instead of trusting whatever answers on the port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.sql.driver import odbc_driver
from hoopcli.spi import Listen
from tests.support.stage import Stage

_CLIENT = """
import json, sys
import pyodbc
try:
    with pyodbc.connect(sys.argv[1], autocommit=True, timeout=15) as connection:
        print(json.dumps({"read": connection.execute("SELECT 42").fetchone()[0]}))
except pyodbc.Error as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_a_client_that_verifies_is_satisfied(shop: Stage, encrypt: str) -> None:
    assert _connect(shop.agent, shop.database, encrypt, shop.agent.ca_file) == {"read": 42}


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_another_sessions_certificate_does_not_satisfy_it(shop: Stage, encrypt: str) -> None:
    assert "certificate" in _connect(shop.agent, shop.database, encrypt, shop.dba.ca_file)["error"]


def test_the_folder_with_the_certificate_holds_nothing_that_signs(shop: Stage) -> None:
    files = [file.read_text() for file in Path(shop.agent.ca_file).parent.iterdir()]
    assert files
    assert not any("PRIVATE" in text for text in files)


def _connect(listen: Listen, database: str, encrypt: str, ca_file: str) -> dict[str, Any]:
    """What a client in a process of its own says; it reads the certificate authorities when it starts."""
    string = (
        f"Driver={odbc_driver()};Server=localhost,{listen.port};Database={database};UID={listen.user};"
        f"PWD={listen.secret};Encrypt={encrypt}"
    )
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, string],
        env={**os.environ, "SSL_CERT_FILE": ca_file}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    return said
