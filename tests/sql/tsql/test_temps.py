"""Temporary tables from batch to batch: what was put into them is known, or known to be unknown."""

from __future__ import annotations

import pytest

from connectors.sql.tds.request import SqlBatch
from connectors.sql.tsql.classify import Batch, Scope, classify
from connectors.sql.tsql.outputs import Output, either, poured
from connectors.sql.understand import Handles, scope_after, understand

SSN, CITY = "shop.dbo.customers.ssn", "shop.dbo.customers.city"


def session(*texts: str) -> Batch:
    """The last of some batches, each read after the one before ran."""
    scope = Scope("shop")
    for text in texts[:-1]:
        scope = scope_after(scope, understand(SqlBatch(text), b"", scope, Handles()))
    return classify(texts[-1], scope)


def sources(batch: Batch) -> list[set[str] | None]:
    return [
        None if o.sources is None else set(o.sources) | {f"{table}.*" for table in o.tables}
        for o in batch.outputs or ()
    ]


MADE = "SELECT id, ssn AS s, city INTO #t FROM customers"
EMPTY = "CREATE TABLE #t (id int PRIMARY KEY, s varchar(11), [c d] decimal(10, 2), CONSTRAINT k UNIQUE (s))"
ID = "shop.dbo.customers.id"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([MADE, "SELECT s FROM #t"], [{SSN}]),
        ([MADE, "SELECT city, s FROM #t x WHERE x.id = 1"], [{CITY}, {SSN}]),
        ([MADE, "SELECT * FROM #t"], [{ID}, {SSN}, {CITY}]),
        ([MADE, "SELECT REVERSE(s) AS r FROM tempdb..#t"], [{SSN}]),
        ([f"{MADE} SELECT s FROM #t"], [{SSN}]),
        ([MADE, "SELECT s AS u INTO #u FROM #t", "SELECT u FROM #u"], [{SSN}]),
        ([MADE, "WITH c AS (SELECT s FROM #t) SELECT s FROM c"], [{SSN}]),
        (["SELECT * INTO #t FROM customers", "SELECT ssn FROM #t"], [{SSN}]),
        (["SELECT * INTO #t FROM customers", "SELECT * FROM #t"], [{"shop.dbo.customers.*"}]),
        ([EMPTY, "SELECT s FROM #t"], [set()]),
        ([EMPTY, "INSERT #t (s) VALUES ('x')", "SELECT s FROM #t"], [set()]),
        ([EMPTY, "INSERT #t (s, id) SELECT ssn, id FROM customers", "SELECT * FROM #t"], [{ID}, {SSN}, set()]),
        ([EMPTY, "INSERT #t SELECT id, city, ssn FROM customers", "SELECT [c d], s FROM #t"], [{SSN}, {CITY}]),
        ([EMPTY, "INSERT #t SELECT id, ssn FROM customers", "SELECT [c d], id FROM #t"], [{ID, SSN}, {ID, SSN}]),
        ([EMPTY, "INSERT #t SELECT * FROM customers", "SELECT id FROM #t"], [{"shop.dbo.customers.*"}]),
        ([MADE, "UPDATE #t SET city = s WHERE id = 1", "SELECT city FROM #t"], [{SSN, CITY}]),
        (
            [MADE, "UPDATE #t SET city = (SELECT ssn FROM customers WHERE id = 1)", "SELECT city FROM #t"],
            [{ID, SSN, CITY}],
        ),
        ([MADE, "DELETE FROM #t OUTPUT deleted.s WHERE id = 1"], [{SSN}]),
        (
            [MADE, "DROP TABLE #t", "SELECT id, city AS s, city INTO #t FROM customers", "SELECT s FROM #t"],
            [{SSN, CITY}],
        ),
        ([MADE, "DROP TABLE #t", "SELECT city AS a INTO #t FROM customers", "SELECT a FROM #t"], [{ID, SSN, CITY}]),
    ],
)
def test_what_is_read_of_a_temporary_table(texts: list[str], expected: list[set[str]]) -> None:
    batch = session(*texts)
    assert not batch.facts["unresolved"]
    if expected != [set()]:
        assert "shop.dbo.customers" in batch.reads
    assert sources(batch) == expected


@pytest.mark.parametrize(
    "texts",
    [
        ["SELECT a FROM #t"],
        ["IF 1 = 1 SELECT ssn AS a INTO #t FROM customers", "SELECT a FROM #t"],
        [MADE, "IF 1 = 1 INSERT #t (city) SELECT ssn FROM customers", "SELECT city FROM #t"],
        [EMPTY, "WHILE 1 = 1 BEGIN SELECT s FROM #t INSERT #t (s) SELECT ssn FROM customers END"],
        [MADE, "EXEC ('UPDATE #t SET city = s')", "SELECT city FROM #t"],
        [MADE, "EXEC dbo.fill", "SELECT city FROM #t"],
        [MADE, "EXEC (@q)", "SELECT city FROM #t"],
        [MADE, "what is this", "SELECT city FROM #t"],
        [MADE, "INSERT #t EXEC dbo.fill", "SELECT city FROM #t"],
        [MADE, "ALTER TABLE #t ADD x AS city", "SELECT x FROM #t"],
        [MADE, "INSERT #t (city) SELECT x.a FROM OPENQUERY(far, 'x') x", "SELECT city FROM #t"],
        [MADE, "SELECT s FROM #T"],
        ["DELETE FROM #t WHERE a LIKE 'Q%'"],
        ["CREATE INDEX i ON #t (a)"],
        [MADE, "SELECT nowhere FROM #t"],
        ["CREATE TABLE #t (a int, b AS a)", "INSERT #t SELECT ssn FROM customers"],
        ["CREATE TABLE #t", "SELECT a FROM #t"],
        ["CREATE TABLE #t (a int", "SELECT a FROM #t"],
        ["CREATE TABLE #t (primary int)", "SELECT a FROM #t"],
        ["SELECT ssn AS a, city AS a INTO #t FROM customers", "SELECT a FROM #t"],
        ["SELECT ssn AS a INTO ##t FROM customers", "SELECT a FROM ##t"],
        ["SELECT x INTO #t FROM customers FOR BROWSE", "SELECT x FROM #t"],
    ],
)
def test_what_cannot_be_followed_is_unresolved(texts: list[str]) -> None:
    assert session(*texts).facts["unresolved"]


def test_predicates_on_a_temporary_table_are_on_what_is_in_it() -> None:
    assert session(MADE, "SELECT id FROM #t WHERE s LIKE '1%'").facts["predicates"] == [SSN]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE UNIQUE INDEX u ON #t (s) WHERE s > 'Q'",
        "CREATE STATISTICS u ON #t (s)",
        "DELETE FROM #t WHERE s LIKE 'Q%'",
        "UPDATE #t SET city = s",
        "INSERT #t (city) SELECT ssn FROM customers",
    ],
)
def test_what_a_table_does_with_its_values_tells_of_them(text: str) -> None:
    assert SSN in session(MADE, text).facts["predicates"]  # type: ignore[operator]


def test_making_one_moves_nothing_to_where_it_is_not_followed() -> None:
    batch = session(MADE)
    assert not batch.facts["unresolved"]
    assert not batch.facts["copies"]
    assert batch.facts["moves"] == []
    assert session("SELECT ssn INTO copies FROM customers").facts["moves"] == [SSN]


def test_unknown_absorbs() -> None:
    known = (Output("a", frozenset({SSN})),)
    assert either(None, known) is None
    assert either(known, None) is None
    assert poured(None, (), known) is None
    assert poured(known, (), None) is None
