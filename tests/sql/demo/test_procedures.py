"""Procedures as an RPC calls them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import SqlError, type_of
from connectors.sql.tds.request import Parameter, ParameterFlags, ProcId, RpcCall
from connectors.sql.tds.types import MAX, TypeId
from tests.sql.demo.stage import number_of, short
from tests.support.tds import INT, NVARCHAR

OUT = ParameterFlags.BY_REF_VALUE


def p(value: Any, name: str = "", flags: ParameterFlags = ParameterFlags.NONE) -> Parameter:
    return Parameter(INT if value is None else type_of(value), value, name, flags)


def call(procedures: Procedures, procedure: ProcId | str, *parameters: Parameter) -> list[Any]:
    if isinstance(procedure, ProcId):
        return short(procedures.call(RpcCall(proc_id=procedure, parameters=parameters)))
    return short(procedures.call(RpcCall(procedure, parameters=parameters)))


def test_executesql_takes_parameters_by_name_and_by_place(procedures: Procedures) -> None:
    text, declared = p("SELECT @a, @b"), p("@a int, @b nvarchar(9)")
    assert call(procedures, ProcId.SP_EXECUTESQL, text, declared, p(1), p("x")) == [[(1, "x")]]
    assert call(procedures, "sys.sp_executesql", text, declared, p("x", "@b"), p(1, "@A")) == [[(1, "x")]]
    assert call(procedures, ProcId.SP_EXECUTESQL, p("SELECT 1")) == [[(1,)]]


def test_executesql_puts_out(procedures: Procedures) -> None:
    given = call(
        procedures, ProcId.SP_EXECUTESQL, p("SET @a = @a + 1"), p("@a int OUTPUT"), Parameter(INT, 4, "@a", OUT)
    )
    assert given == [("@a", 5)]


def test_a_prepared_statement_runs_until_it_is_forgotten(procedures: Procedures) -> None:
    declared, text = p("@a int"), p("SELECT @a * 2")
    [(_, handle)] = call(procedures, ProcId.SP_PREPARE, p(None, flags=OUT), declared, text)
    assert call(procedures, ProcId.SP_EXECUTE, p(handle), p(4)) == [[(8,)]]
    assert call(procedures, "sp_execute", p(handle), p(5)) == [[(10,)]]
    assert call(procedures, ProcId.SP_UNPREPARE, p(handle)) == []
    for procedure in (ProcId.SP_EXECUTE, ProcId.SP_UNPREPARE):
        assert number_of(procedures.call(RpcCall(proc_id=procedure, parameters=(p(handle),)))) == 8179


def test_prepexec_gives_handle_and_rows(procedures: Procedures) -> None:
    given = call(procedures, ProcId.SP_PREPEXEC, p(None, flags=OUT), p("@a int"), p("SELECT @a"), p(3))
    assert given[1] == [(3,)]
    assert call(procedures, ProcId.SP_EXECUTE, p(given[0][1]), p(4)) == [[(4,)]]


def test_a_call_can_be_prepared_too(procedures: Procedures) -> None:
    handle, rows, *_ = call(procedures, ProcId.SP_PREPEXECRPC, p(None, flags=OUT), p("dbo.get_customer"), p(3))
    assert rows[0][:2] == (3, "Lucia Eriksen")
    assert call(procedures, ProcId.SP_EXECUTE, p(handle[1]), p(4))[0][0][0] == 4


def test_the_shops_procedure_has_an_output(procedures: Procedures) -> None:
    given = call(procedures, "[dbo].get_customer", p(3, "@id"), Parameter(NVARCHAR, None, "@name", OUT))
    assert (given[0][0][0], given[1]) == (3, ("@name", "Lucia Eriksen"))


def test_a_cursor_is_read_from_front_to_back(procedures: Procedures) -> None:
    options = (p(16, flags=OUT), p(8193, flags=OUT), p(0, flags=OUT))
    text = p("SELECT id FROM products WHERE id > @a ORDER BY id")
    opened = call(procedures, ProcId.SP_CURSOROPEN, p(None, flags=OUT), text, *options, p("@a int"), p(3))
    empty, (_, handle), _, _, (_, count) = opened
    assert (empty, count) == ([], 5)

    def fetch(kind: int, number: int) -> Any:
        [rows] = call(procedures, ProcId.SP_CURSORFETCH, p(handle), p(kind), p(0), p(number))
        return [row[0] for row in rows]

    assert [fetch(2, 2), fetch(2, 2), fetch(2, 2), fetch(2, 2)] == [[4, 5], [6, 7], [8], []]
    assert [fetch(1, 2), fetch(8, 3)] == [[4, 5], [6, 7, 8]]
    assert call(procedures, ProcId.SP_CURSOROPTION, p(handle), p(1), p("x")) == []
    assert call(procedures, ProcId.SP_CURSORCLOSE, p(handle)) == []
    with pytest.raises(SqlError):
        fetch(2, 1)


def test_only_a_query_opens_a_cursor(procedures: Procedures) -> None:
    opened = procedures.call(RpcCall(proc_id=ProcId.SP_CURSOROPEN, parameters=(p(None, flags=OUT), p("PRINT 'x'"))))
    assert number_of(opened) == 16937


def test_types_are_listed_by_number(procedures: Procedures) -> None:
    assert call(procedures, "sp_datatype_info_100", p(93)) == [[("datetime2", 93, 27)]]
    assert len(call(procedures, "sp_datatype_info", p(0))[0]) == 12


def test_the_catalogue_by_procedures(procedures: Procedures) -> None:
    [tables] = call(procedures, "sp_tables", p("custom%", "@table_name"))
    assert [row[2:4] for row in tables] == [("customer_totals", "VIEW"), ("customers", "TABLE")]
    assert len(call(procedures, "sp_tables")[0]) > 5
    assert [row[3] for row in call(procedures, "sp_columns_100", p("products"))[0]] == ["id", "title", "price"]
    assert call(procedures, "sp_pkeys", p("products"))[0][0][3:] == ("id", 1, "PK_products")


def test_a_first_result_is_described(procedures: Procedures) -> None:
    text = p("SELECT id, price FROM products WHERE id = @a")
    [rows] = call(procedures, "sp_describe_first_result_set", text, p("@a int"))
    assert [(row[1], row[2], row[4]) for row in rows] == [(1, "id", "int"), (2, "price", "decimal(10,2)")]
    assert call(procedures, "sp_describe_first_result_set", p("PRINT 'x'")) == [[]]


def test_a_reset_forgets_handles(procedures: Procedures) -> None:
    [(_, handle)] = call(procedures, ProcId.SP_PREPARE, p(None, flags=OUT), p(None), p("SELECT 1"))
    assert call(procedures, "sp_reset_connection") == []
    assert number_of(procedures.call(RpcCall(proc_id=ProcId.SP_EXECUTE, parameters=(p(handle),)))) == 8179


@pytest.mark.parametrize(
    ("name", "given", "number"),
    [
        ("sp_nope", [], 2812),
        ("xp_cmdshell", [p("dir")], 2812),
        ("sp_executesql", [p("SELECT @a"), p("@a int")], 8178),
        ("sp_executesql", [p("SELECT 1"), p(""), p(1)], 8144),
        ("get_customer", [p(1, "@other")], 8145),
    ],
)
def test_a_wrong_call_is_refused(procedures: Procedures, name: str, given: list[Parameter], number: int) -> None:
    assert number_of(procedures.execute(name, given)) == number


@pytest.mark.parametrize(
    ("value", "kind", "size"),
    [
        (True, TypeId.BITN, 1),
        (1, TypeId.INTN, 4),
        (1 << 40, TypeId.INTN, 8),
        (0.5, TypeId.FLTN, 8),
        (b"x", TypeId.BIGVARBINARY, MAX),
        ("x", TypeId.NVARCHAR, 8000),
        ("x" * 5000, TypeId.NVARCHAR, MAX),
        (Decimal("1.5"), TypeId.NVARCHAR, 8000),
    ],
)
def test_values_without_a_type_get_one(value: object, kind: TypeId, size: int) -> None:
    assert (type_of(value).id, type_of(value).size) == (kind, size)
