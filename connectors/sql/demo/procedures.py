"""The procedures that drivers and the demo call: prepared statements, cursors, metadata, and one of the shop's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from connectors.sql.demo.engine import Session
from connectors.sql.demo.results import Affected, Output, Result, Rows, SqlError
from connectors.sql.demo.shop import nvarchar
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.request import Parameter, RpcCall
from connectors.sql.tds.types import TypeId, TypeInfo

_INT = TypeInfo(TypeId.INTN, 4)
_DATATYPES = [
    ("nvarchar", -9, 4000), ("varchar", 12, 8000), ("int", 4, 10), ("bigint", -5, 19), ("bit", -7, 1),
    ("decimal", 3, 38), ("datetime2", 93, 27), ("date", 91, 10), ("float", 6, 53), ("varbinary", -3, 8000),
    ("uniqueidentifier", -11, 36),
]  # fmt: skip


@dataclass(slots=True)
class Procedures:
    """The procedures of one connection, with its handles and cursors."""

    session: Session
    texts: dict[int, str] = field(default_factory=dict)
    cursors: dict[int, tuple[Sequence[Column], list[Sequence[Any]]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def call(self, call: RpcCall) -> Iterator[Result]:
        """Run one call. Raises SqlError 2812 for a procedure that is not there."""
        name = call.well_known.procedure if call.well_known else call.name.split(".")[-1].strip("[] ").lower()
        action = getattr(self, f"_{name}", None)
        if action is None:
            raise SqlError(2812, f"Could not find stored procedure '{call.name}'.")
        yield from action(list(call.parameters))

    def reset(self) -> None:
        """RESETCONNECTION: handles and cursors are gone."""
        self.texts.clear()
        self.cursors.clear()

    def _sp_executesql(self, p: list[Parameter]) -> Iterator[Result]:
        yield from self._run(_text(p[0]), p[2:], _names(_text(p[1]) if len(p) > 1 else ""))

    def _sp_prepare(self, p: list[Parameter]) -> Iterator[Result]:
        yield self._prepared(p)

    def _sp_prepexec(self, p: list[Parameter]) -> Iterator[Result]:
        handle = self._prepared(p)
        yield from self._run(_text(p[2]), p[3:], _names(_text(p[1])))
        yield handle

    def _sp_execute(self, p: list[Parameter]) -> Iterator[Result]:
        text = self.texts.get(_integer(p[0]))
        if text is None:
            raise SqlError(8179, f"Could not find prepared statement with handle {_integer(p[0])}.")
        declared, _, body = text.partition("\0")
        yield from self._run(body, p[1:], _names(declared))

    def _sp_unprepare(self, p: list[Parameter]) -> Iterator[Result]:
        self.texts.pop(_integer(p[0]), None)
        yield Affected()

    def _sp_cursoropen(self, p: list[Parameter]) -> Iterator[Result]:
        handle = next(self.numbers)
        for result in self._run(_text(p[1]), [], []):
            if isinstance(result, Rows):
                rows = [row for batch in result.batches for row in batch]
                self.cursors[handle] = (result.columns, rows)
                yield Rows(result.columns, iter(()))
        yield Output("", _INT, handle)

    def _sp_cursorfetch(self, p: list[Parameter]) -> Iterator[Result]:
        if _integer(p[0]) not in self.cursors:
            raise SqlError(16909, "The cursor identifier value provided is not valid.")
        columns, rows = self.cursors[_integer(p[0])]
        number = _integer(p[3]) if len(p) > 3 else 1
        taken, rows[:] = rows[:number], rows[number:]
        yield Rows(columns, iter([taken]))

    def _sp_cursorclose(self, p: list[Parameter]) -> Iterator[Result]:
        self.cursors.pop(_integer(p[0]), None)
        yield Affected()

    def _sp_cursoroption(self, _: list[Parameter]) -> Iterator[Result]:
        yield Affected()

    def _sp_reset_connection(self, _: list[Parameter]) -> Iterator[Result]:
        self.reset()
        yield Affected()

    def _sp_datatype_info_100(self, _: list[Parameter]) -> Iterator[Result]:
        columns = [Column("TYPE_NAME", nvarchar(128)), Column("DATA_TYPE", _INT), Column("PRECISION", _INT)]
        yield Rows(columns, iter([_DATATYPES]))

    def _sp_tables(self, _: list[Parameter]) -> Iterator[Result]:
        yield from self.session.run(
            "SELECT table_catalog AS TABLE_QUALIFIER, table_schema AS TABLE_OWNER, table_name AS TABLE_NAME,"
            " 'TABLE' AS TABLE_TYPE, NULL AS REMARKS FROM information_schema.tables WHERE table_schema = 'dbo'"
        )

    def _sp_columns(self, p: list[Parameter]) -> Iterator[Result]:
        yield from self.session.run(
            "SELECT table_catalog AS TABLE_QUALIFIER, table_schema AS TABLE_OWNER, table_name AS TABLE_NAME,"
            " column_name AS COLUMN_NAME, data_type AS TYPE_NAME FROM information_schema.columns WHERE table_name = @t",
            {"@t": p[0].value if p else None},
        )

    def _sp_describe_first_result_set(self, p: list[Parameter]) -> Iterator[Result]:
        columns = [Column("is_hidden", TypeInfo(TypeId.BITN, 1)), Column("name", nvarchar(128))]
        found = next((r for r in self.session.run(_text(p[0])) if isinstance(r, Rows)), None)
        yield Rows(columns, iter([[(False, c.name) for c in found.columns] if found else []]))

    def _get_customer(self, p: list[Parameter]) -> Iterator[Result]:
        """dbo.get_customer @id int, @name nvarchar(100) OUTPUT: the customer's row, and the name."""
        yield from self.session.run("SELECT * FROM dbo.customers WHERE id = @id", {"@id": p[0].value})
        name = self.session.evaluate("(SELECT name FROM dbo.customers WHERE id = @id)", {"@id": p[0].value})
        yield Output(p[1].name if len(p) > 1 else "@name", nvarchar(100), name)

    def _prepared(self, p: list[Parameter]) -> Output:
        handle = next(self.numbers)
        self.texts[handle] = f"{_text(p[1])}\0{_text(p[2])}"
        return Output("", _INT, handle)

    def _run(self, text: str, values: Sequence[Parameter], names: Sequence[str]) -> Iterator[Result]:
        variables: dict[str, Any] = {(p.name or name).lower(): p.value for p, name in zip(values, names, strict=False)}
        variables |= {p.name.lower(): p.value for p in values if p.name}
        yield from self.session.run(text, variables)
        for p, name in zip(values, names, strict=False):
            if p.flags & 1 and isinstance(p.info, TypeInfo):
                yield Output(p.name or name, p.info, variables.get((p.name or name).lower()))


def _text(parameter: Parameter) -> str:
    return parameter.value if isinstance(parameter.value, str) else ""


def _names(declared: str) -> list[str]:
    """The names of a parameter declaration such as ``@a int, @b nvarchar(20)``."""
    return [word for word in declared.replace(",", " ").split() if word.startswith("@")]


def _integer(parameter: Parameter) -> int:
    return int(parameter.value) if isinstance(parameter.value, int) else 0
