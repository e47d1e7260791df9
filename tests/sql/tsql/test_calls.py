"""What calls of procedures and functions do, from their definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tsql import calls
from connectors.sql.tsql.calls import Calls, Definition
from connectors.sql.tsql.classify import Batch, Scope, classify, classify_procedure

DEFINITIONS = {
    "ids": "CREATE PROC ids @id int = 1 AS SELECT id, ssn AS code FROM customers WHERE id = @id",
    "nested": "CREATE PROC nested AS EXEC ids 1",
    "finds": "CREATE PROC finds @s varchar(60), @id int = 0 OUTPUT AS SELECT @id = id FROM customers WHERE ssn = @s",
    "gives": "CREATE PROC gives @s varchar(60) OUTPUT AS SELECT @s = ssn FROM customers",
    "echo": "CREATE PROC echo @s varchar(60) AS SELECT @s AS x",
    "rows": "CREATE PROC rows @t dbo.names READONLY AS SELECT n FROM @t",
    "wipes": "CREATE PROC wipes AS SET NOCOUNT ON BEGIN TRAN DELETE FROM orders COMMIT",
    "status": "CREATE PROC status AS DECLARE @a int SELECT @a = ssn FROM customers RETURN @a",
    "fine": "CREATE PROC fine AS IF EXISTS (SELECT 1 FROM orders) RETURN 1 RETURN -1",
    "again": "CREATE PROC again AS EXEC again",
    "first": "CREATE PROC first AS EXEC second SELECT ssn FROM customers",
    "second": "CREATE PROC second AS EXEC first",
    "text": "CREATE PROC text @s nvarchar(99) AS EXEC (@s)",
    "literal": "CREATE PROC literal AS EXEC ('SELECT ssn AS x FROM customers')",
    "sealed": "CREATE PROC sealed WITH EXECUTE AS OWNER AS EXEC ('SELECT ssn AS x FROM customers')",
    "sealed_text": "CREATE PROC sealed_text WITH EXECUTE AS OWNER AS EXEC sp_executesql N'SELECT ssn AS x FROM "
                   "customers'",
    "garbled": "CREATE PROC garbled AS SELECT FROM WHERE",
    "wrapped": "CREATE PROC wrapped WITH ENCRYPTION AS BEGIN ATOMIC WITH (LANGUAGE = N'x') SELECT 1 END",
    "writes": "CREATE PROC writes @s varchar(11) AS UPDATE customers SET ssn = @s WHERE id = 1",
    "sp_mine": "CREATE PROC sp_mine AS SELECT ssn AS x FROM customers",
    "theirs": "CREATE PROC theirs AS SELECT a AS x FROM #t",
    "fills": "CREATE PROC fills AS INSERT INTO #t SELECT ssn FROM customers",
    "turned": "CREATE FUNCTION turned(@s varchar(60)) RETURNS varchar(60) AS BEGIN DECLARE @r varchar(60) = "
              "REVERSE(@s) RETURN @r END",
    "one": "CREATE FUNCTION one() RETURNS varchar(60) AS BEGIN RETURN (SELECT TOP 1 ssn FROM customers) END",
    "plain": "CREATE FUNCTION plain(@n int) RETURNS int AS BEGIN SET @n += 1 RETURN @n END",
    "has": "CREATE FUNCTION has(@s varchar(60)) RETURNS bit AS BEGIN IF EXISTS (SELECT 1 FROM customers WHERE "
           "ssn = @s) RETURN 1 RETURN 0 END",
    "inl": "CREATE FUNCTION inl(@id int) RETURNS TABLE AS RETURN (SELECT ssn AS code, name FROM customers WHERE "
           "id = @id)",
    "cte": "CREATE FUNCTION cte() RETURNS TABLE AS RETURN WITH c AS (SELECT ssn FROM customers) SELECT ssn AS "
           "code FROM c;",
    "multi": "CREATE FUNCTION multi() RETURNS @t TABLE (a int, b varchar(60)) AS BEGIN INSERT @t SELECT id, ssn "
             "FROM customers RETURN END",
    "long": "CREATE FUNCTION long() RETURNS TABLE AS RETURN (SELECT 1 AS a) SELECT 2",
}  # fmt: skip
SSN = "shop.dbo.customers.ssn"


def known(resource: str) -> Definition | None:
    text = DEFINITIONS.get(resource.removeprefix("shop.dbo."))
    return Definition(resource, text, "shop", "dbo") if text else None


def called(text: str) -> Batch:
    return classify(text, Scope("shop", modules=Calls(known)))


def sources(batch: Batch) -> list[list[set[str]]]:
    assert batch.results is not None
    return [[set(o.sources or ()) for o in outputs or ()] for outputs in batch.results]


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("EXEC ids", [[{"shop.dbo.customers.id"}, {SSN}]]),
        ("EXEC dbo.ids @id = 4", [[{"shop.dbo.customers.id"}, {SSN}]]),
        ("EXEC nested", [[{"shop.dbo.customers.id"}, {SSN}]]),
        ("EXEC literal", [[{SSN}]]),
        ("EXEC sp_mine", [[{SSN}]]),
        ("EXEC dbo.sp_mine", [[{SSN}]]),
        ("DECLARE @s varchar(60) EXEC gives @s OUTPUT SELECT @s", [[{SSN}]]),
        ("DECLARE @s varchar(60) EXEC gives @s = @s OUT SELECT 1, @s", [[set(), {SSN}]]),
        ("DECLARE @s varchar(60) EXEC gives @s SELECT @s", [[set()]]),
        ("DECLARE @s varchar(60) SELECT @s = ssn FROM customers EXEC echo @s", [[{SSN}]]),
        ("EXEC echo 'x'", [[set()]]),
        ("DECLARE @t dbo.names EXEC rows @t", [[set()]]),
        ("DECLARE @t TABLE (n varchar(60)) INSERT @t SELECT ssn FROM customers EXEC rows @t", [[{SSN}]]),
        ("SELECT ssn AS a INTO #t FROM customers EXEC theirs", [[{SSN}]]),
        ("CREATE TABLE #t (a int, b varchar(60)) INSERT #t EXEC ids SELECT b FROM #t", [[{SSN}]]),
        ("SELECT dbo.turned(ssn) FROM customers", [[{SSN}]]),
        ("SELECT dbo.turned(name) FROM customers", [[{"shop.dbo.customers.name"}]]),
        ("SELECT dbo.one(), dbo.plain(3)", [[{SSN}, set()]]),
        ("SELECT x.code FROM dbo.inl(4) x", [[{SSN}]]),
        ("SELECT x.b FROM dbo.inl(4) x (a, b)", [[{"shop.dbo.customers.name"}]]),
        ("SELECT x.code FROM orders o CROSS APPLY dbo.inl(o.id) x", [[{SSN}]]),
        ("SELECT code FROM dbo.cte()", [[{SSN}]]),
        ("SELECT b FROM dbo.multi()", [[{SSN}]]),
        ("DECLARE @r int EXEC @r = fine SELECT @r", [[set()]]),
    ],
)
def test_what_comes_out_of_a_call_is_followed(text: str, results: list[list[set[str]]]) -> None:
    batch = called(text)
    assert not batch.facts["unresolved"]
    assert sources(batch) == results


@pytest.mark.parametrize(
    "text",
    ["EXEC again", "EXEC first", "EXEC text N'x'", "EXEC garbled", "EXEC wrapped", "EXEC missing", "EXEC status",
     "EXEC sealed", "EXEC sealed_text", "EXEC ids;1", "EXEC ids WITH RESULT SETS UNDEFINED", "EXEC ids @nothing = 1",
     "EXEC ids 1, 2", "EXEC plain 1", "SELECT dbo.ids(1)", "SELECT * FROM dbo.plain(1)", "SELECT * FROM dbo.long()",
     "SELECT dbo.inl(1)", "EXEC shop.dbo.inl 1", "DECLARE @r int EXEC @r = status SELECT @r",
     "DECLARE @t TABLE (n AS 1) INSERT @t SELECT * FROM customers FOR BROWSE EXEC rows @t",
     "CREATE TABLE #t (a varchar(60)) EXEC fills SELECT a FROM #t", "SELECT x.value('.', 'int') FROM customers"],
)  # fmt: skip
def test_what_cannot_be_followed_is_unresolved(text: str) -> None:
    assert called(text).facts["unresolved"]


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("EXEC wipes", "sql:delete shop.dbo.orders; sql:execute shop.dbo.wipes; sql:transaction"),
        ("IF 1 = 0 EXEC wipes", "sql:control; sql:delete shop.dbo.orders; sql:execute shop.dbo.wipes; sql:transaction"),
        ("EXEC sp_mine", "sql:execute shop.dbo.sp_mine; sql:select shop.dbo.customers"),
        ("EXEC sp_other", "sql:execute master.sys.sp_other, shop.dbo.sp_other"),
        ("EXEC nested", "sql:execute shop.dbo.ids, shop.dbo.nested; sql:select shop.dbo.customers"),
        ("SELECT b FROM dbo.multi()", "sql:execute shop.dbo.multi; sql:select shop.dbo.customers, shop.dbo.multi"),
        ("SELECT dbo.plain(1)", "sql:execute shop.dbo.plain; sql:select"),
        ("EXEC text N'SELECT 1'", "sql:dynamic; sql:execute shop.dbo.text"),
    ],
)
def test_a_batch_does_what_its_calls_do(text: str, actions: str) -> None:
    batch = called(text)
    assert "; ".join(f"{a.verb} {', '.join(a.resources)}".strip() for a in batch.actions) == actions
    assert batch.facts["statement_count"] == text.count("IF") + 1
    assert batch.facts["filtered"] is ("wipes" not in text)


@pytest.mark.parametrize(
    ("text", "fact", "holds"),
    [
        ("EXEC finds 'x'", "equalities", True),
        ("EXEC finds 'x' EXEC finds 'y'", "predicates", True),
        ("WHILE 1 = 1 EXEC finds 'x'", "predicates", True),
        ("SELECT dbo.has('x')", "predicates", True),
        ("SELECT id FROM customers WHERE dbo.turned(ssn) = 'x'", "predicates", True),
        ("SELECT TOP 1 id FROM customers ORDER BY dbo.turned(ssn)", "predicates", True),
        ("SELECT id FROM customers WHERE dbo.turned(name) = 'x'", "predicates", False),
        ("EXEC writes '***'", "written_back", True),
        ("EXEC writes 'x'", "written_back", False),
    ],
)
def test_what_a_call_tells_is_told(text: str, fact: str, holds: bool) -> None:
    assert (SSN in called(text).facts[fact]) is holds  # type: ignore[operator]


def test_a_call_by_name_is_read_with_its_parameters_unknown_to_be_secret() -> None:
    scope = Scope("shop", modules=Calls(known))
    batch = classify_procedure("dbo.gives", scope)
    assert not batch.facts["unresolved"]
    assert batch.variables == {SSN}
    assert classify_procedure("dbo.text", scope).facts["unresolved"]
    assert classify_procedure("dbo.gives", Scope("shop")).facts["unresolved"]


def test_no_more_is_read_for_a_request_than_it_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_LONGEST", 100)
    monkeypatch.setattr(calls, "_LEAST", 1)
    modules = Calls(known)
    scope = Scope("shop", modules=modules)
    assert not classify("EXEC ids", scope).facts["unresolved"]
    assert classify("EXEC echo 'x' EXEC gives 'y'", scope).facts["unresolved"]
    modules.renew()
    assert not classify("EXEC echo 'x'", scope).facts["unresolved"]


def test_routines_that_call_each_other_in_every_way_are_read_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def chained(resource: str) -> Definition:
        level = int(resource.rpartition("_")[2])
        body = " ".join(f"SELECT @a = ssn FROM t_{at} EXEC p_{level + 1} @a OUTPUT" for at in range(12))
        return Definition(resource, f"CREATE PROC p @a varchar(60) OUTPUT AS {body}", "shop", "dbo")

    body = calls.read_body
    monkeypatch.setattr(calls, "read_body", lambda *args, **more: (read.append(""), body(*args, **more))[1])
    batch = classify("DECLARE @a varchar(60) EXEC p_0 @a OUTPUT", Scope("shop", modules=Calls(chained)))
    assert batch.facts["unresolved"]
    assert len(read) <= 256


def test_a_name_without_a_schema_is_of_the_definitions_own_or_of_dbo() -> None:
    text = "CREATE PROC sales.p AS SELECT a FROM mine SELECT b FROM common EXEC ('SELECT c FROM mine')"
    found = Definition("shop.sales.p", text, "shop", "sales")
    modules = Calls({"shop.sales.p": found}.get, lambda _d, schema, name: schema if name == "mine" else "dbo")
    batch = classify("EXEC sales.p", Scope("shop", modules=modules))
    assert batch.reads == {"shop.sales.mine", "shop.dbo.common", "shop.dbo.mine"}


@given(st.sampled_from(sorted(DEFINITIONS)), st.data())
def test_a_definition_that_is_cut_or_changed_never_raises_nor_says_less_than_unresolved(
    name: str, data: st.DataObject
) -> None:
    text = DEFINITIONS[name]
    start, end = (data.draw(st.integers(0, len(text))) for _ in range(2))
    changed = text[:start] + data.draw(st.text(max_size=3)) + text[end:]
    modules = Calls(lambda resource: Definition(resource, changed, "shop", "dbo"))
    batch = classify(f"EXEC {name}", Scope("shop", modules=modules))
    assert batch.facts["unresolved"] or batch.results is not None
    assert f"shop.dbo.{name}" in {name for action in batch.actions for name in action.resources}
