"""Which classifications the demo's server finds in a result: through views and queries within queries, not copies."""

from __future__ import annotations

import pytest

from connectors.sql.catalog import Catalog, Entry, Label
from connectors.sql.catalog_wire import read_answer
from connectors.sql.demo.classification import Classified, of_result, read
from connectors.sql.demo.results import SqlError
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.tokens import Done
from connectors.sql.tds.tokenstream import write_row
from tests.support.tds import NVARCHAR

TABLES = {"people": {"id": "int", "ssn": "varchar", "city": "nvarchar"}, "few": {"id": "int", "number": "varchar"}}
VIEWS = {"few": "CREATE VIEW dbo.few AS SELECT id, ssn AS number FROM dbo.people"}
SECRET = Classified(("Secret", "s"), ("Number", "n"), 30)
SAID = {("people", "ssn"): SECRET, ("people", "city"): Classified(None, ("Place", ""))}


@pytest.mark.parametrize(
    ("text", "labelled"),
    [
        ("SELECT id, ssn FROM dbo.people", [False, True]),
        ("SELECT * FROM people", [False, True, True]),
        ("SELECT p.ssn + 'x' AS a, 1 AS b FROM shop.dbo.people AS p", [True, False]),
        ("SELECT number FROM dbo.few", [True]),
        ("SELECT id FROM people UNION ALL SELECT ssn FROM people", [True]),
        ("SELECT a FROM (SELECT ssn AS a FROM people) AS q", [True]),
        ("WITH q AS (SELECT ssn AS a, id FROM people) SELECT id, a FROM q", [False, True]),
        ("SELECT (SELECT TOP 1 ssn FROM people) AS a", [True]),
    ],
)
def test_a_result_has_the_labels_of_what_it_comes_from(text: str, labelled: list[bool]) -> None:
    said = of_result(text, len(labelled), SAID, TABLES, VIEWS)
    assert said is not None
    assert [bool(column) for column in said.columns] == labelled


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("SELECT id FROM people", 1),
        ("SELECT ssn FROM people", 2),
        ("SELECT ssn INTO #t FROM people", 1),
        ("SELECT a FROM #t", 1),
        ("SELECT (((", 1),
        ("DELETE FROM people", 1),
    ],
)
def test_or_nothing_is_said(text: str, width: int) -> None:
    assert of_result(text, width, SAID, TABLES, VIEWS) is None


def test_what_a_statement_says() -> None:
    added = (
        "ADD SENSITIVITY CLASSIFICATION TO [dbo].[people].ssn, few.number WITH (LABEL='It''s', LABEL_ID='1', RANK=LOW)"
    )
    assert read(added) == ([("people", "ssn"), ("few", "number")], Classified(("It's", "1"), None, 10))
    assert read("DROP SENSITIVITY CLASSIFICATION FROM dbo.people.ssn") == ([("people", "ssn")], None)
    with pytest.raises(SqlError):
        read("ADD SENSITIVITY")


COLUMNS = [Column(name, NVARCHAR) for name in "abcde"]


def catalog(*rows: tuple[str, str, str, str, str]) -> Catalog:
    """The catalog that an answer of these rows makes, after one table and before the count."""
    answer = (("U", "dbo", "people", "", ""), *rows, ("#", "", "", "", "1"))
    payload = write_columns(COLUMNS) + b"".join(write_row(COLUMNS, row) for row in answer) + Done().encode()
    return Catalog({"shop": read_answer("shop", payload)})


LABEL = ("L", "dbo", "people", "ssn", "Secret\nNumber")


def test_labels_are_read_with_the_catalog() -> None:
    found = catalog(LABEL, ("K", "", "", "", "1"))
    assert found.labels("shop.dbo.people") == {"ssn": Label("Secret", "Number")}
    assert found.labels("shop.dbo.gone") == {}
    assert found.labels("shop.sys.objects") == {}
    assert found.labels("tempdb.dbo.#t") == {}
    assert found.labels("hr.dbo.people") is None
    assert found.labels("other.shop.dbo.people") is None


@pytest.mark.parametrize(
    "rows", [(), (LABEL,), (LABEL, ("K", "", "", "", "2")), (("K", "", "", "", "1"),), (("K", "", "", "", ""),)]
)
def test_labels_that_are_not_all_are_not_known(rows: tuple[tuple[str, str, str, str, str], ...]) -> None:
    assert catalog(*rows).labels("shop.dbo.people") is None


def test_of_two_tables_that_only_case_tells_apart_labels_are_not_known() -> None:
    entries = {"shop": Entry("K"), "shop.dbo.people": Entry("")}
    assert Catalog({"shop": entries}).labels("shop.dbo.people") is None
