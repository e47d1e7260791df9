"""Requests as policy sees them: every way to send a text, and every way to hide one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.sql.tds.request import (
    Begin,
    BulkLoad,
    Parameter,
    ParameterFlags,
    ProcId,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TransactionRequest,
    TransactionType,
    encode_request,
)
from connectors.sql.tds.types import TypeId, TypeInfo
from connectors.sql.tds.values import Value
from connectors.sql.tsql.classify import Scope
from connectors.sql.understand import Handles, Understood, understand
from hoopcli.model.decision import Json
from tests.support.tds import INT, NVARCHAR

SHOP = Scope("shop")
BIGINT = TypeInfo(TypeId.INTN, 8)
SELECT, DROP = "SELECT name FROM customers", "DROP TABLE customers"


def see(request: Request, handles: Handles | None = None, announced: tuple[str, ...] = ()) -> Understood:
    return understand(request, encode_request(request)[1], SHOP, handles or Handles(), announced)


def verbs(request: Request, handles: Handles | None = None) -> set[str]:
    return {action.verb for action in see(request, handles).statement.actions}


def text(value: str | None, name: str = "") -> Parameter:
    return Parameter(NVARCHAR, value, name)


def number(value: int | None, name: str = "") -> Parameter:
    return Parameter(INT, value, name)


def rpc(procedure: ProcId | str, *parameters: Parameter) -> RpcRequest:
    if isinstance(procedure, ProcId):
        return RpcRequest((RpcCall(proc_id=procedure, parameters=parameters),))
    return RpcRequest((RpcCall(procedure, parameters=parameters),))


def test_a_batch_is_its_text_and_its_exact_bytes() -> None:
    request = SqlBatch(SELECT)
    seen = see(request)
    assert seen.statement.text == SELECT
    assert seen.statement.request == encode_request(request)[1]
    assert [(a.verb, a.resources) for a in seen.statement.actions] == [("sql:select", ("shop.dbo.customers",))]


TEXT_CALLS = [
    (ProcId.SP_EXECUTESQL, lambda t: [text(t), text("@p int"), number(1)]),
    (ProcId.SP_PREPARE, lambda t: [number(None), text("@p int"), text(t), number(1)]),
    (ProcId.SP_PREPEXEC, lambda t: [number(None), text("@p int"), text(t), number(1)]),
    (ProcId.SP_CURSOROPEN, lambda t: [number(None), text(t), number(1), number(1), number(0)]),
    (ProcId.SP_CURSORPREPARE, lambda t: [number(None), text(None), text(t), number(1)]),
    (ProcId.SP_CURSORPREPEXEC, lambda t: [number(None), number(None), text(None), text(t), number(1)]),
]


@pytest.mark.parametrize(("procedure", "parameters"), TEXT_CALLS)
@pytest.mark.parametrize("spelled", [lambda p: p, lambda p: p.procedure, lambda p: p.procedure.upper()])
def test_the_text_is_found_in_every_call(procedure, parameters, spelled) -> None:  # type: ignore[no-untyped-def]
    for statement, verb in ((SELECT, "sql:select"), (DROP, "sql:drop")):
        request = rpc(spelled(procedure), *parameters(statement))
        assert verbs(request) == {verb}
        assert statement in see(request).statement.text


@pytest.mark.parametrize(
    "name", ["[sp_executesql]", "sys.sp_executesql", "master..sp_executesql", "SP_EXECUTESQL  ", "sp_executesql;1"]
)
def test_a_name_spelled_oddly_is_the_same_procedure(name: str) -> None:
    assert verbs(rpc(name, text(DROP))) <= {"sql:drop", "sql:unclassified"}


@pytest.mark.parametrize(
    "name", ["my.sp_executesql", "sp_executesqł", "\N{FULLWIDTH LATIN SMALL LETTER S}p_executesql", "x.y.z.sp_prepexec"]
)
def test_a_name_that_might_be_it_is_unclassified(name: str) -> None:
    assert verbs(rpc(name, text(SELECT))) == {"sql:unclassified"}


@pytest.mark.parametrize(
    "request_",
    [
        rpc(ProcId.SP_EXECUTESQL),
        rpc(ProcId.SP_EXECUTESQL, number(1)),
        rpc(ProcId.SP_EXECUTESQL, text(None)),
        rpc(ProcId.SP_EXECUTESQL, text("@p nvarchar(9)", "@params"), text(DROP, "@stmt")),
        rpc(ProcId.SP_EXECUTESQL, text(SELECT), text(DROP, "@statement")),
        rpc(ProcId.SP_EXECUTE, number(99)),
        rpc(ProcId.SP_EXECUTE),
        rpc(ProcId.SP_CURSORFETCH, number(99), number(2), number(1), number(1)),
        rpc(ProcId.SP_CURSOR, number(1), number(4), number(1), text("customers")),
        rpc(ProcId.SP_PREPEXECRPC, number(None), text("xp_cmdshell")),
        TransactionRequest(TransactionType.PROPAGATE, cookie=b"x"),
        TransactionRequest(TransactionType.GET_DTC_ADDRESS),
        BulkLoad(b"\x81"),
    ],
)
def test_what_is_not_understood_is_unclassified(request_: Request) -> None:
    assert verbs(request_) == {"sql:unclassified"}


def test_every_call_of_a_message_counts() -> None:
    both = RpcRequest(
        (
            RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(text(SELECT),)),
            RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(text("DELETE FROM orders"),)),
            RpcCall(proc_id=ProcId.SP_EXECUTE, parameters=(number(7),)),
        )
    )
    seen = see(both)
    assert {a.verb for a in seen.statement.actions} == {"sql:select", "sql:delete", "sql:unclassified"}
    assert seen.statement.facts["filtered"] is False
    assert seen.handles_out == 0


def test_a_handle_stands_for_its_text() -> None:
    handles = Handles({5: DROP, 6: SELECT})
    assert verbs(rpc(ProcId.SP_EXECUTE, number(5)), handles) == {"sql:drop"}
    assert verbs(rpc(ProcId.SP_CURSORFETCH, number(6), number(2), number(1), number(9)), handles) == {"sql:select"}
    assert verbs(rpc(ProcId.SP_UNPREPARE, number(5)), handles) == {"sql:control"}
    assert see(rpc(ProcId.SP_UNPREPARE, number(5)), handles).released == (5,)
    handles.forget()
    assert verbs(rpc(ProcId.SP_EXECUTE, number(5)), handles) == {"sql:unclassified"}


OUT = ParameterFlags.BY_REF_VALUE
HANDLE = Parameter(INT, None, flags=OUT)
CHOSEN = Parameter(INT, 5, "@p", OUT)


def test_prepare_announces_its_handle() -> None:
    seen = see(rpc(ProcId.SP_PREPEXEC, HANDLE, text(None), text(SELECT)))
    assert (seen.handles_out, seen.text_out) == (1, SELECT)


def test_a_cursor_announces_its_handle_before_its_options() -> None:
    options = [Parameter(INT, 16, flags=OUT), Parameter(INT, 8193, flags=OUT), Parameter(INT, 0, flags=OUT)]
    assert see(rpc(ProcId.SP_CURSOROPEN, HANDLE, text(SELECT), *options)).handles_out == 1
    assert see(rpc(ProcId.SP_CURSORPREPEXEC, HANDLE, HANDLE, text(None), text(SELECT), *options)).handles_out == 2


@pytest.mark.parametrize(
    "parameters",
    [
        (number(None), text(None), text(SELECT), CHOSEN),
        (HANDLE, text(None), text(SELECT), CHOSEN),
        (Parameter(NVARCHAR, None, flags=OUT), text(None), text(SELECT)),
        (Parameter(BIGINT, None, flags=OUT), text(None), text(SELECT)),
        (HANDLE, text(None), text(SELECT, "@params")),
    ],
    ids=["no handle asked for", "a value of the statement's", "a text", "a wider number", "another name"],
)
def test_a_value_that_the_statement_chooses_is_never_taken_for_a_handle(parameters: tuple[Parameter, ...]) -> None:
    assert see(rpc(ProcId.SP_PREPEXEC, *parameters)).handles_out == 0


def test_the_results_of_several_calls_cannot_be_told_apart() -> None:
    def facts(*texts: str) -> Mapping[str, Json]:
        calls = tuple(RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(text(each),)) for each in texts)
        return see(RpcRequest(calls)).statement.facts

    assert facts("SELECT ssn AS x FROM customers", "SELECT 1")["unresolved"] is True
    assert facts("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")["unresolved"] is False


def test_a_users_procedure_is_executed_by_its_name() -> None:
    seen = see(rpc("dbo.get_customer", number(7, "@id"), text("O'Neil", "@name")))
    assert [(a.verb, a.resources) for a in seen.statement.actions] == [("sql:execute", ("shop.dbo.get_customer",))]
    assert seen.statement.text == "EXEC dbo.get_customer @id=7, @name=N'O''Neil'"


@pytest.mark.parametrize("kind", ["BEGIN", "COMMIT", "ROLLBACK", "SAVE"])
def test_transactions_are_their_own_verb(kind: str) -> None:
    request = TransactionRequest(TransactionType[kind], "t", Begin() if kind == "BEGIN" else None)
    assert verbs(request) == {"sql:transaction"}


def test_rows_in_bulk_belong_to_the_table_announced() -> None:
    first = see(SqlBatch("INSERT BULK dbo.big (a int) WITH (TABLOCK)"))
    assert first.bulk_tables == ("shop.dbo.big",)
    rows = see(BulkLoad(b"\x81"), announced=first.bulk_tables)
    assert [(a.verb, a.resources) for a in rows.statement.actions] == [("sql:bulk-insert", ("shop.dbo.big",))]
    assert rows.bulk_tables == ()


def test_values_are_shown_to_the_approver() -> None:
    seen = see(rpc(ProcId.SP_EXECUTESQL, text("DELETE FROM t WHERE a = @a"), text("@a int"), number(3, "@a")))
    assert "@a=3" in seen.statement.text


def shown(value: Value, kind: TypeInfo = NVARCHAR) -> str:
    return see(rpc("p", Parameter(kind, value))).statement.text


def test_null_and_binary_are_shown_plainly() -> None:
    assert shown(None) == "EXEC p NULL"


UPDATE = "UPDATE customers SET ssn = @s, city = @c WHERE id = 1"


@pytest.mark.parametrize(
    ("value", "columns"),
    [("*******1120", ["shop.dbo.customers.city", "shop.dbo.customers.ssn"]), ("078-05-1120", []), (None, [])],
)
def test_a_masked_form_that_comes_back_as_a_parameter_is_seen(value: str | None, columns: list[str]) -> None:
    seen = see(rpc(ProcId.SP_EXECUTESQL, text(UPDATE), text("@s varchar(11), @c varchar(60)"), text(value, "@s")))
    assert seen.statement.facts["written_back"] == columns


def test_calls_that_each_compare_once_compare_more_than_once() -> None:
    lookup = RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(text("SELECT id FROM customers WHERE ssn = '1'"),))
    facts = see(RpcRequest((lookup, lookup))).statement.facts
    assert facts["predicates"] == ["shop.dbo.customers.ssn"]
    assert see(RpcRequest((lookup,))).statement.facts["predicates"] == []
