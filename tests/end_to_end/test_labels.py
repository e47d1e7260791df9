"""Masks by the database's own sensitivity labels, with real clients: by its catalog, by its answers, or both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymssql
import pytest

from connectors.sql.demo.options import Options
from connectors.sql.tds.request import SqlBatch
from connectors.sql.tds.tokens_login import DataClassification
from connectors.sql.tds.tokenstream import ColMetadata, Row
from tests.sql.demo.stage import RawClient, raw, rows
from tests.support.broker import RunningBroker, broker
from tests.support.clients import change, fetch, freetds, odbc, pytds
from tests.support.odbc import classified
from tests.support.upstream import RunningUpstream, upstream

LABELS = (
    "ADD SENSITIVITY CLASSIFICATION TO dbo.customers.ssn, dbo.customers.email "
    "WITH (LABEL = 'Confidential - GDPR', INFORMATION_TYPE = 'Contact Info', RANK = HIGH)",
    "ADD SENSITIVITY CLASSIFICATION TO dbo.employees.national_id WITH (INFORMATION_TYPE = 'National ID')",
    "ADD SENSITIVITY CLASSIFICATION TO dbo.products.title WITH (LABEL = 'Public')",
)
POLICY = """
version: 1
on_unresolved: {on_unresolved}
rules:
  - {{id: everything, effect: allow, verbs: ["*", "sql:dynamic"]}}
masks:
  - {{id: confidential, labels: ["confidential*"]}}
  - {{id: national-id, information_types: ["National ID"], method: {{keep_last: 4}}}}
"""
SSN = "SELECT ssn FROM dbo.customers WHERE id = 1"


@pytest.fixture(scope="module")
def labelled() -> Iterator[RunningUpstream]:
    with served(Options()) as server:
        yield server


@pytest.fixture(scope="module")
def silent() -> Iterator[RunningUpstream]:
    """A server whose answers say nothing of labels; its catalog does."""
    with served(Options(classification=0)) as server:
        yield server


@pytest.fixture(scope="module")
def closed() -> Iterator[RunningUpstream]:
    """A server whose catalog of labels the login may not see; its answers tell, in version 1."""
    with served(Options(classification=1, classified_catalog=False)) as server:
        yield server


@pytest.fixture(scope="module")
def unlabelled() -> Iterator[RunningUpstream]:
    """A server that knows no labels at all."""
    with upstream(Options(classification=0, classified_catalog=False)) as server:
        yield server


@contextmanager
def served(options: Options) -> Iterator[RunningUpstream]:
    with upstream(options) as server:
        with raw(server.port) as client:
            for text in LABELS:
                client.ask(SqlBatch(text))
        yield server


@contextmanager
def brokered(
    server: RunningUpstream, folder: Path, on_unresolved: str = "deny", **options: str
) -> Iterator[RunningBroker]:
    policy = POLICY.format(on_unresolved=on_unresolved)
    with broker(folder, server.target(**options), policy) as running:
        yield running


@contextmanager
def asking(running: RunningBroker, connect: Any = freetds) -> Iterator[Any]:
    listen = running.listen
    with connect(listen.port, listen.user, listen.secret) as connection:
        yield connection


@contextmanager
def telling(running: RunningBroker, classification: int = 0) -> Iterator[RawClient]:
    with raw(running.listen.port, secret=running.listen.secret, classification=classification) as client:
        yield client


@pytest.fixture(scope="module")
def secret(labelled: RunningUpstream) -> str:
    with raw(labelled.port) as client:
        [(value,)] = rows(client.ask(SqlBatch(SSN)))
    return str(value)


@pytest.fixture(scope="module", params=["labelled", "silent"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    server = request.getfixturevalue(request.param)
    with brokered(server, tmp_path_factory.mktemp("labels")) as found:
        yield found


MASKED = {
    "as it is": SSN,
    "under an alias": "SELECT ssn AS nothing_special FROM dbo.customers c WHERE id = 1",
    "in an expression": "SELECT REVERSE(ssn) + 'x' FROM dbo.customers WHERE id = 1",
    "in a union": "SELECT city FROM dbo.customers WHERE id = 1 UNION ALL SELECT ssn FROM dbo.customers WHERE id = 1",
    "in a derived table": "SELECT q.a FROM (SELECT ssn AS a, id FROM dbo.customers) q WHERE q.id = 1",
    "in a common table expression": "WITH q AS (SELECT ssn AS a, id FROM dbo.customers) SELECT a FROM q WHERE id = 1",
    "by a star": "SELECT * FROM dbo.customers WHERE id = 1",
    "of a subquery": "SELECT (SELECT TOP 1 ssn FROM dbo.customers WHERE id = 1) AS a",
    "through MIN": "SELECT MIN(ssn) FROM dbo.customers WHERE id = 1",
    "through CONCAT": "SELECT CONCAT('x', LEFT(ssn, 5)) FROM dbo.customers WHERE id = 1",
}


@pytest.mark.parametrize("text", MASKED.values(), ids=MASKED.keys())
def test_a_labelled_column_is_masked_however_it_is_spelled(running: RunningBroker, secret: str, text: str) -> None:
    with asking(running) as client:
        seen = repr(fetch(client, text))
    assert secret not in seen
    assert secret[::-1] not in seen
    assert "[redacted]" in seen


def test_a_view_hides_no_label(running: RunningBroker) -> None:
    with asking(running, pytds) as client:
        [(name, ssn)] = fetch(client, "SELECT TOP 1 name, ssn FROM dbo.vip_customers")
    assert ssn == "[redacted]"
    assert name != "[redacted]"


def test_a_copy_in_a_temporary_table_keeps_its_label(running: RunningBroker) -> None:
    with asking(running) as client:
        change(client, "SELECT ssn AS a INTO #copy FROM dbo.customers WHERE id = 1")
        assert fetch(client, "SELECT a FROM #copy") == [("[redacted]",)]


def test_a_copy_in_another_table_is_denied(running: RunningBroker) -> None:
    with asking(running) as client, pytest.raises(pymssql.Error, match=r"unresolved-lineage|masked-move"):
        change(client, "SELECT ssn AS a INTO dbo.copy FROM dbo.customers")


def test_json_of_labelled_columns_is_redacted_whole(running: RunningBroker) -> None:
    with asking(running) as client:
        assert fetch(client, "SELECT ssn FROM dbo.customers FOR JSON PATH") == [("[redacted]",)]


def test_a_labelled_column_is_not_guessed_at(running: RunningBroker) -> None:
    with asking(running) as client, pytest.raises(pymssql.Error, match="masked-predicate"):
        fetch(client, "SELECT id FROM dbo.customers WHERE ssn LIKE '1%'")


def test_what_has_no_such_label_is_shown_and_compared(running: RunningBroker) -> None:
    with asking(running) as client:
        assert fetch(client, "SELECT TOP 1 title FROM dbo.products WHERE title LIKE 'desk%'") == [("desk lamp",)]
        assert fetch(client, "SELECT COUNT(*) FROM dbo.orders WHERE total > 0") == [(1000,)]


def test_an_information_type_is_enough(running: RunningBroker) -> None:
    with asking(running) as client:
        [(value,)] = fetch(client, "SELECT national_id FROM dbo.employees WHERE id = 1")
    assert value.startswith("*******")


def test_a_label_cannot_be_dropped_by_who_is_masked(running: RunningBroker) -> None:
    with asking(running) as client:
        with pytest.raises(pymssql.Error, match="hoop"):
            change(client, "DROP SENSITIVITY CLASSIFICATION FROM dbo.customers.ssn")
        assert fetch(client, SSN) == [("[redacted]",)]


def test_the_driver_that_asks_for_labels_sees_masked_values(running: RunningBroker) -> None:
    with asking(running, odbc) as client:
        assert fetch(client, SSN) == [("[redacted]",)]


@pytest.mark.parametrize("version", [1, 2])
def test_who_asks_for_labels_is_told_in_the_version_asked_for(
    labelled: RunningUpstream, tmp_path: Path, version: int
) -> None:
    with brokered(labelled, tmp_path) as running, telling(running, version) as client:
        columns, said, first, *_ = client.ask(SqlBatch(SSN))
    assert isinstance(columns, ColMetadata)
    assert isinstance(said, DataClassification)
    assert said.labels == (("Confidential - GDPR", ""),)
    assert said.rank == (30 if version == 2 else None)
    assert isinstance(first, Row)
    assert first.values == ("[redacted]",)


@pytest.mark.parametrize("version", [1, 2])
def test_microsofts_driver_reads_the_labels_and_a_masked_value(
    labelled: RunningUpstream, tmp_path: Path, version: int
) -> None:
    with brokered(labelled, tmp_path) as running:
        said, value = classified(running.listen, SSN, version)
    assert "Confidential - GDPR".encode("utf-16-le") in said
    assert "Contact Info".encode("utf-16-le") in said
    assert value == "[redacted]"


def test_who_does_not_ask_hears_nothing_of_labels(labelled: RunningUpstream, tmp_path: Path) -> None:
    with brokered(labelled, tmp_path) as running, telling(running) as client:
        assert not any(isinstance(token, DataClassification) for token in client.ask(SqlBatch(SSN)))


def test_a_label_that_only_the_answer_tells_masks_from_the_first_row(
    labelled: RunningUpstream, tmp_path: Path, secret: str
) -> None:
    """It was given after the catalog was read."""
    city = "SELECT city FROM dbo.customers WHERE id < 4"
    with brokered(labelled, tmp_path) as running, asking(running) as client, raw(labelled.port) as owner:
        assert "[redacted]" not in repr(fetch(client, city))
        owner.ask(SqlBatch("ADD SENSITIVITY CLASSIFICATION TO dbo.customers.city WITH (LABEL = 'Confidential')"))
        try:
            assert fetch(client, city) == [("[redacted]",)] * 3
        finally:
            owner.ask(SqlBatch("DROP SENSITIVITY CLASSIFICATION FROM dbo.customers.city"))


@pytest.mark.parametrize("server", ["closed", "unlabelled"])
def test_where_the_catalog_says_nothing_of_labels_lineage_is_unresolved(
    request: pytest.FixtureRequest, tmp_path: Path, server: str
) -> None:
    with brokered(request.getfixturevalue(server), tmp_path) as running, asking(running) as client:
        with pytest.raises(pymssql.Error, match="unresolved-lineage"):
            fetch(client, "SELECT name FROM dbo.customers")
        assert fetch(client, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("server", ["closed", "unlabelled"])
def test_or_everything_is_masked_if_the_policy_says_so(
    request: pytest.FixtureRequest, tmp_path: Path, server: str
) -> None:
    with brokered(request.getfixturevalue(server), tmp_path, "mask_all") as running, asking(running) as client:
        assert fetch(client, "SELECT TOP 1 ssn FROM dbo.customers") == [("[redacted]",)]
        change(client, "SELECT TOP 1 ssn AS a INTO #copy FROM dbo.customers")
        assert fetch(client, "SELECT a FROM #copy") == [("[redacted]",)]


def test_without_a_catalog_labels_are_not_known(labelled: RunningUpstream, tmp_path: Path) -> None:
    with brokered(labelled, tmp_path, catalog="off") as running, asking(running) as client:
        assert fetch(client, "SELECT 1") == [(1,)]
        with pytest.raises(pymssql.Error, match="unresolved-lineage"):
            fetch(client, SSN)
