"""The tour through the shop: what ``hoop demo`` shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from connectors.sql.demo.options import SECRET, USER
from connectors.sql.demo.running import running
from hoopcli.spi import Demo, DemoStep

CONNECTION = "azure-sql"
_AGENT = ("--agent", "claire")


def _exec(text: str) -> tuple[str, ...]:
    return ("exec", CONNECTION, *_AGENT, text)


TOUR = (
    DemoStep(
        "An agent reads customers through Microsoft's ODBC driver. National ids, cards and emails come back masked.",
        _exec("SELECT TOP 4 id, name, ssn, card_number, email FROM dbo.customers"),
    ),
    DemoStep(
        "It tries to launder the masked column. The mask follows where the value came from, not what it is called.",
        _exec("SELECT TOP 3 city, REVERSE(ssn) AS harmless FROM dbo.customers"),
    ),
    DemoStep("It tries to drop a table: refused, and the statement never left.", _exec("DROP TABLE dbo.customers"), 4),
    DemoStep(
        "It hides a DELETE behind a SELECT, with no semicolon between them.",
        _exec("SELECT 1 DELETE FROM dbo.orders"),
        4,
    ),
    DemoStep(
        "Why? The policy explains how it understood the statement, and which rule decided.",
        ("policy", "explain", CONNECTION, *_AGENT, "SELECT 1 DELETE FROM dbo.orders"),
    ),
    DemoStep("Everything was recorded.", ("audit", "sessions")),
    DemoStep("An auditor replays the first of them.", ("audit", "replay", "SESSION", "--instant")),
    DemoStep("And verifies that no record was changed, removed or forged.", ("audit", "verify")),
)


@contextmanager
def demo() -> Iterator[Demo]:
    """The shop's server, and what is needed to tour it."""
    policy = files("connectors.sql.demo").joinpath("policy.yaml").read_text()
    with running() as server:
        yield Demo(CONNECTION, {"kind": "sql", "user": USER, **server.target()}, SECRET, policy, TOUR)
