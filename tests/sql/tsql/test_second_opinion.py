"""Another parser's opinion: each table that sqlglot finds in a query, this package has found too."""

from __future__ import annotations

import logging

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.sql.tsql.cases import Case, classified, load

READABLE = [case for case in load() if case.file in ("queries.txt", "changes.txt") and case.classified]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="sqlglot")


def tables(text: str) -> set[str]:
    """The last names of the tables that sqlglot sees, less the names of common table expressions and aliases."""
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect="tsql") if tree is not None]
    except SqlglotError:
        return set()
    found: set[str] = set()
    for tree in trees:
        known = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        known |= {table.alias.lower() for table in tree.find_all(exp.Table) if table.alias}
        found |= {
            table.name.lower()
            for table in tree.find_all(exp.Table)
            if isinstance(table.this, exp.Identifier) and table.name.lower() not in known
        }
    return found


@pytest.mark.parametrize("case", READABLE, ids=str)
def test_no_table_is_missed(case: Case) -> None:
    resources = " ".join(resource for action in classified(case.text).actions for resource in action.resources)
    missed = {table for table in tables(case.text) if table.replace("]", "]]") not in resources}
    assert missed <= NOT_TABLES


#: What sqlglot takes for the name of a table and is none.
NOT_TABLES = {"top", "openquery"}
