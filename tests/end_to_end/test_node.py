"""tedious and node mssql through the broker, encrypted and not: each runs one script, and says what every step gave."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hoopcli.spi import Listen
from tests.support.backend import rows_of
from tests.support.stage import Stage

NODE = Path(__file__).parent / "node"
CUSTOMERS = rows_of("customers")
STEPS = {
    "city": "SELECT city FROM dbo.customers WHERE id = 199",
    "big": "SELECT TOP 20000 a.id, b.ssn FROM dbo.orders a CROSS JOIN dbo.customers b ORDER BY a.id, b.id",
    "types": "SELECT CAST(7 AS int) AS a, CAST(9007199254740993 AS bigint) AS b, CAST(1.5 AS float) AS c,"
    " CAST(2.25 AS decimal(10,2)) AS d, CAST(1 AS bit) AS e, CAST(N'grüße 你好' AS nvarchar(20)) AS f,"
    " CAST('x' AS varchar(max)) AS g, CAST('2026-02-28T13:14:15.125' AS datetime2) AS h,"
    " CAST(0x00ff AS varbinary(max)) AS i, CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS j,"
    " CAST(NULL AS nvarchar(max)) AS k",
}
VALUES = [
    7, "9007199254740993", 1.5, 2.25, True, "grüße 你好", "x", "2026-02-28T13:14:15.125Z", "00ff",
    "6F9619FF-8B86-D011-B42D-00C04FC964FF", None,
]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine"),
    pytest.mark.skipif(not (NODE / "node_modules" / "tedious").is_dir(), reason="run: npm ci in tests/end_to_end/node"),
]

Said = dict[str, Any]


def drive(script: str, listen: Listen, shop: Stage, *, encrypt: bool, secret: str = "", city: str = "") -> Said:
    """Run one of the scripts; what it says."""
    at = {
        "port": listen.port, "user": listen.user, "secret": secret or listen.secret, "database": shop.database,
        "encrypt": encrypt, "waiting": shop.slow or "SELECT 1", **STEPS,
        "change": f"UPDATE dbo.customers SET city = '{city}' WHERE id = 199",
    }  # fmt: skip
    done = subprocess.run(
        ["node", "--no-deprecation", str(NODE / script), json.dumps(at)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module", params=["tedious.js", "mssql.js"])
def script(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def said(request: pytest.FixtureRequest, script: str, shop: Stage) -> Said:
    city = f"{script}-{request.param}"
    return {"city": city, **drive(script, shop.agent, shop, encrypt=request.param, city=city)}


def test_rows_are_read_and_masked(said: Said) -> None:
    [[row]] = said["masked"]["sets"]
    assert row == [1, CUSTOMERS[0][1], f"*******{str(CUSTOMERS[0][2])[-4:]}", "[redacted]", "[redacted]"]
    [[row]] = said["parameters"]["sets"]
    assert row == [3, CUSTOMERS[2][1], f"*******{str(CUSTOMERS[2][2])[-4:]}"]


def test_several_results_and_every_type_arrive(said: Said) -> None:
    assert said["sets"]["sets"] == [[[1]], [["two", None]], []]
    [[row]] = said["types"]["sets"]
    binary = row[8] if isinstance(row[8], str) else bytes(row[8]["data"]).hex()
    assert [*row[:8], binary, *row[9:]] == VALUES


def test_a_denial_is_a_request_error_that_names_the_rule(said: Said, shop: Stage) -> None:
    for step in ("denied", "deniedOtherwise"):
        assert said[step]["error"]["name"] == "RequestError"
        assert "never-drop" in said[step]["error"]["message"]
    assert shop.never_saw("DROP")


def test_the_servers_own_error_arrives(said: Said) -> None:
    assert "nowhere" in said["unknown"]["error"]["message"]


def test_transactions_roll_back_and_commit(said: Said) -> None:
    changed = [[[said["city"]]]]
    assert said["rolledBack"] == {"changed": None, "inside": changed}
    assert said["afterRollback"]["sets"] != changed
    assert said["committed"] == {"changed": None, "inside": changed}
    assert said["afterCommit"]["sets"] == changed


def test_a_prepared_statement_runs_twice(said: Said, script: str, shop: Stage) -> None:
    expected = [[CUSTOMERS[n][1], f"*******{str(CUSTOMERS[n][2])[-4:]}"] for n in (4, 5)]
    if script == "mssql.js" and not shop.slow:
        pytest.skip("Babelfish takes sp_prepare by name only with parameter names of its own")
    assert said["prepared"] == {"error": None, "got": expected}


def test_a_cancel_ends_what_runs(said: Said, shop: Stage) -> None:
    if not shop.slow:
        pytest.skip("the server has no WAITFOR to cancel")
    assert said["cancelled"]["error"]["code"] == "ECANCEL"


def test_a_big_result_arrives_whole(said: Said) -> None:
    assert said["big"] == 20000


def test_what_a_procedure_reads_is_masked(said: Said) -> None:
    assert said["procedure"]["error"] is None
    identity, name, ssn = said["procedure"]["sets"][0][0][:3]
    assert (identity, name, ssn) == (*CUSTOMERS[4][:2], "*******" + CUSTOMERS[4][2][-4:])
    assert said["procedure"]["returned"] == {"name": CUSTOMERS[4][1]}


def test_the_connection_is_usable_in_the_end(said: Said) -> None:
    assert said["after"]["sets"] == [[[42]]]


def test_who_may_see_everything_gets_rows_and_output_of_a_procedure(script: str, shop: Stage) -> None:
    said = drive(script, shop.dba, shop, encrypt=True, city="anywhere")
    assert said["procedure"]["error"] is None
    assert said["procedure"]["sets"][0][0][:3] == list(CUSTOMERS[4][:3])
    assert said["procedure"]["returned"] == {"name": CUSTOMERS[4][1]}


def test_a_wrong_secret_is_refused(script: str, shop: Stage) -> None:
    assert "secret" in drive(script, shop.agent, shop, encrypt=True, secret="guessed")["refused"]
