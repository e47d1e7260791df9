"""How long it takes to understand a statement: a query of ten tables and a short one, cold and asked again.

Run: python -m bench.tsql
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from connectors.sql.catalog import Catalog, Entry
from connectors.sql.expand import expand
from connectors.sql.tds.request import SqlBatch
from connectors.sql.tsql.classify import Scope, classify
from connectors.sql.understand import Handles, understand

_ROUNDS = 300
_SCOPE = Scope("shop")
_TABLES = 10
_SHORT = "SELECT name, ssn FROM dbo.customers WHERE id = 4711"


def ten_tables() -> str:
    """A query as reports have them: ten joined tables, columns of each, a filter, groups and an order."""
    columns = ", ".join(f"t{n}.name AS name_{n}, COALESCE(t{n}.note, '') AS note_{n}" for n in range(_TABLES))
    joins = " ".join(f"LEFT JOIN dbo.table_{n} AS t{n} ON t{n}.id = t{n - 1}.next_id" for n in range(1, _TABLES))
    groups = ", ".join(f"t{n}.name, t{n}.note" for n in range(_TABLES))
    return " ".join(
        [
            "SELECT TOP (100)", columns, ", COUNT(*) AS number, SUM(t0.amount) AS total FROM dbo.table_0 AS t0", joins,
            "WHERE t0.created_at >= '2026-01-01' AND t1.kind IN (1, 2, 3) GROUP BY", groups,
            "HAVING SUM(t0.amount) > 100 ORDER BY total DESC",
        ]
    )  # fmt: skip


def main() -> int:
    """Measure and print, in microseconds."""
    long = ten_tables()
    catalog = Catalog({"shop": {f"shop.dbo.table_{n}": Entry("U") for n in range(_TABLES)}})
    request = SqlBatch(long)

    def expanded() -> None:
        expand(understand(request, b"", _SCOPE, Handles()), catalog)

    rows = [
        ("ten tables, cold", _cold(long)),
        ("ten tables, again", _times(lambda: classify(long, _SCOPE))),
        ("ten tables, again, with facts and catalog", _times(expanded)),
        ("short, cold", _cold(_SHORT)),
        ("short, again", _times(lambda: classify(_SHORT, _SCOPE))),
    ]
    for name, times in rows:
        cuts = statistics.quantiles(times, n=100)
        sys.stdout.write(f"{name:<45} p50 {cuts[49] * 1e6:9.1f} us   p99 {cuts[98] * 1e6:9.1f} us\n")
    return 0


def _cold(text: str) -> list[float]:
    """Each round reads another text: only its last comment differs."""
    return [_time(partial(classify, f"{text} -- {n}", _SCOPE)) for n in range(_ROUNDS)]


def _times(work: Callable[[], object]) -> list[float]:
    return [_time(work) for _ in range(_ROUNDS)]


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
