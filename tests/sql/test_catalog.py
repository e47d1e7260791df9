"""What names stand for: views, synonyms, computed columns and histories, and where that cannot be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.catalog import Catalog, Entry
from connectors.sql.catalog_wire import definitions_question, question, read_answer, read_definitions
from connectors.sql.expand import expand
from connectors.sql.inquiry import is_inquiry
from connectors.sql.plan import ResultPlan
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.headers import AUTOCOMMIT
from connectors.sql.tds.request import SqlBatch
from connectors.sql.tds.tokens import Done, ServerMessage
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tsql.classify import Scope
from connectors.sql.tsql.modules import read_computed, read_view
from connectors.sql.understand import Handles, Understood, understand
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.support.tds import NVARCHAR

SSN = "shop.dbo.customers.ssn"


def view(text: str, schema: str = "dbo") -> Entry:
    return Entry("V", schema, f"CREATE VIEW {schema}.v AS {text}")


SHOP = {
    "shop.dbo.customers": Entry("U", computed={"tail": "(right([ssn],(4)))", "odd": "([dbo].[f]([ssn]))"}),
    "shop.dbo.orders": Entry("U"),
    "shop.dbo.old_customers": Entry("H", "dbo", "[dbo].[customers]"),
    "shop.dbo.vips": view("SELECT id, ssn AS code FROM customers WHERE ssn LIKE '1%'"),
    "shop.dbo.stars": view("SELECT c.*, o.id AS order_id FROM dbo.customers c JOIN orders o ON o.id = c.id"),
    "shop.dbo.parts": view("SELECT id, LEFT(ssn, 3) AS part FROM dbo.customers"),
    "shop.dbo.second": view("SELECT part, code FROM parts p JOIN vips v ON v.id = p.id"),
    "shop.dbo.renamed": Entry("V", "dbo", "CREATE OR ALTER VIEW renamed (a, b) WITH SCHEMABINDING AS "
                              "WITH c AS (SELECT id, ssn FROM dbo.customers) SELECT id, ssn FROM c WITH CHECK OPTION;"),
    "shop.sales.mine": view("SELECT ssn FROM customers", "sales"),
    "shop.dbo.alias": Entry("SN", "dbo", "[dbo].[vips]"),
    "shop.dbo.abroad": Entry("SN", "dbo", "[far].[shop].[dbo].[customers]"),
    "shop.dbo.elsewhere": Entry("SN", "dbo", "[hr].[dbo].[people]"),
    "shop.dbo.garbled": Entry("SN", "dbo", "a b"),
    "shop.dbo.hidden": Entry("V"),
    "shop.dbo.called": view("SELECT dbo.f(ssn) AS x FROM customers"),
    "shop.dbo.opened": view("SELECT x.a FROM OPENQUERY(far, 'SELECT a FROM t') x"),
    "shop.dbo.xml": view("SELECT (SELECT ssn FROM customers FOR XML PATH('')) AS x, 1 AS y"),
    "shop.dbo.loop": view("SELECT ssn FROM loop"),
    "shop.dbo.twins": Entry(""),
    "shop.dbo.turned": Entry("FN", "dbo", "turned"),
    "shop.dbo.turns": view("SELECT id, dbo.turned(ssn) AS x FROM customers"),
    "shop.sales.takes": Entry("P", "Sales", "Takes"),
    "shop.dbo.takes": Entry("SN", "dbo", "[sales].[takes]"),
    "shop.dbo.sealed": Entry("P", "dbo", "sealed"),
}  # fmt: skip
DEFINITIONS = {
    "shop.dbo.turned": "CREATE FUNCTION turned(@s varchar(60)) RETURNS varchar(60) AS BEGIN RETURN REVERSE(@s) END",
    "shop.sales.takes": "CREATE PROC Sales.Takes AS SELECT ssn AS a FROM mine SELECT ssn FROM customers",
    "shop.dbo.sealed": "",
}
CATALOG = Catalog({"shop": SHOP, "hr": {"hr.dbo.people": view("SELECT ssn FROM shop.dbo.customers")}})


@pytest.mark.parametrize(
    ("column", "origins", "plain"),
    [
        (SSN, {SSN}, True),
        ("shop.dbo.nowhere.ssn", {"shop.dbo.nowhere.ssn"}, True),
        ("shop.sys.objects.name", {"shop.sys.objects.name"}, True),
        ("tempdb.dbo.#t.a", {"tempdb.dbo.#t.a"}, True),
        ("shop.dbo.customers.tail", {SSN}, False),
        ("shop.dbo.old_customers.ssn", {SSN}, True),
        ("shop.dbo.old_customers.tail", {"shop.dbo.customers.tail", SSN}, False),
        ("shop.dbo.vips.code", {SSN}, True),
        ("shop.dbo.vips.id", {"shop.dbo.customers.id"}, True),
        ("shop.dbo.stars.ssn", {SSN}, True),
        ("shop.dbo.stars.order_id", {"shop.dbo.orders.id", "shop.dbo.customers.order_id"}, True),
        ("shop.dbo.parts.part", {SSN}, False),
        ("shop.dbo.second.part", {"shop.dbo.parts.part", SSN}, False),
        ("shop.dbo.second.code", {"shop.dbo.vips.code", SSN}, True),
        ("shop.dbo.renamed.b", {SSN}, False),
        ("shop.dbo.renamed.ssn", set(), True),
        ("shop.sales.mine.ssn", {SSN}, True),
        ("shop.dbo.alias.code", {"shop.dbo.vips.code", SSN}, True),
        ("shop.dbo.elsewhere.ssn", {"hr.dbo.people.ssn", SSN}, True),
        ("shop.dbo.xml.x", {SSN}, False),
        ("shop.dbo.parts.*", {SSN, "shop.dbo.customers.id"}, False),
    ],
)
def test_where_a_column_comes_from(column: str, origins: set[str], plain: bool) -> None:
    found = CATALOG.origin(column)
    assert found.known
    assert origins <= found.columns
    assert column in found.columns
    if origins:
        assert found.plain is plain


@pytest.mark.parametrize(
    "name", ["abroad", "garbled", "hidden", "called", "opened", "loop", "twins"]
)  # fmt: skip
def test_what_cannot_be_followed_is_not_known(name: str) -> None:
    resource = f"shop.dbo.{name}"
    assert name == "loop" or CATALOG.tables(resource) is None
    assert not CATALOG.origin(f"{resource}.ssn").known


def test_a_computed_column_that_cannot_be_read_may_be_any_column() -> None:
    assert CATALOG.origin("shop.dbo.customers.odd").columns == {"shop.dbo.customers.odd", "shop.dbo.customers.*"}


def test_the_tables_under_a_view() -> None:
    assert CATALOG.tables("shop.dbo.second") == {
        f"shop.dbo.{name}" for name in ("second", "parts", "vips", "customers")
    }


def test_a_database_that_could_not_be_read_leaves_everything_open() -> None:
    catalog = Catalog({"shop": None})
    assert catalog.tables("shop.dbo.customers") is None
    assert not catalog.origin(SSN).known
    assert catalog.tables("shop.sys.objects") == {"shop.sys.objects"}


def test_what_has_to_be_read() -> None:
    catalog = Catalog()
    assert catalog.missing(["shop.sys.objects", "tempdb.dbo.#t", "far.x.dbo.t"]) == ""
    assert catalog.missing(["shop.dbo.elsewhere"]) == "shop"
    catalog.learn("shop", SHOP)
    assert catalog.missing(["shop.dbo.elsewhere"]) == "hr"
    assert catalog.missing(["shop.dbo.elsewhere"], {"hr"}) == ""
    catalog.learn("hr", {})
    assert catalog.missing(["shop.dbo.customers", "shop.dbo.vips", "shop.dbo.elsewhere"], {"hr"}) == ""
    assert catalog.missing(["shop.dbo.nowhere"]) == "shop"


@pytest.mark.parametrize(
    "text",
    ["", "SELECT 1", "CREATE VIEW v", "CREATE VIEW v AS SELECT 1 AS a DELETE FROM t", "CREATE VIEW v AS DELETE FROM t",
     "CREATE VIEW v (a, b) AS SELECT * FROM t", "CREATE VIEW v AS " + "(" * 500, "CREATE VIEW v AS SELECT 'a"],
)  # fmt: skip
def test_what_is_no_view_is_not_read(text: str) -> None:
    assert read_view(text, Scope("shop")) is None


@pytest.mark.parametrize("text", ["", "ssn +", "1 2", "[dbo].[f](ssn)"])
def test_what_is_no_computed_column_is_not_read(text: str) -> None:
    assert read_computed(text, ("shop", "dbo", "t"), Scope("shop")) is None


def asked(text: str) -> Understood:
    return expand(understand(SqlBatch(text), b"", Scope("shop"), Handles()), CATALOG)


@pytest.mark.parametrize(
    ("text", "fact", "columns"),
    [
        ("SELECT id FROM vips WHERE code LIKE '1%'", "predicates", {SSN}),
        ("SELECT id FROM vips WHERE code = '1'", "equalities", {SSN}),
        ("SELECT id FROM parts WHERE part = '1'", "predicates", {SSN}),
        ("SELECT v.id FROM vips v JOIN stars s ON v.code = '1' AND s.ssn = '2'", "predicates", {SSN}),
        ("SELECT id FROM customers WHERE tail = '1'", "predicates", {SSN}),
        ("INSERT INTO orders (notes) SELECT code FROM vips", "moves", {SSN}),
        ("UPDATE alias SET code = '***' WHERE id = 1", "written_back", {SSN}),
        ("SELECT id FROM second", "tables", {"shop.dbo.customers", "shop.dbo.vips", "shop.dbo.second"}),
    ],
)
def test_facts_are_of_the_columns_below(text: str, fact: str, columns: set[str]) -> None:
    facts = asked(text).statement.facts
    assert columns <= set(facts[fact])  # type: ignore[arg-type]
    assert not (fact == "predicates" and columns & set(facts["equalities"]))  # type: ignore[arg-type]


def test_a_view_that_is_not_known_leaves_lineage_unresolved() -> None:
    facts = asked("SELECT x FROM hidden").statement.facts
    assert facts["unresolved"]
    assert facts["reads_unknown"]
    assert not asked("SELECT id FROM vips").statement.facts["unresolved"]


@pytest.mark.parametrize(
    ("text", "names", "methods"),
    [
        ("SELECT * FROM vips", ["id", "code"], [None, "keep_last"]),
        ("SELECT code AS c, id FROM alias", ["c", "id"], ["keep_last", None]),
        ("SELECT part FROM parts", ["part"], ["redact"]),
        ("SELECT tail FROM customers", ["tail"], ["redact"]),
        ("SELECT ssn FROM old_customers", ["ssn"], ["keep_last"]),
    ],
)
def test_results_of_views_are_masked_as_their_columns_are(text: str, names: list[str], methods: list[str]) -> None:
    masking = Masking([Mask("ssn", fields=("*.dbo.customers.ssn",), method=Method("keep_last", 4))], b"k" * 32)
    understood = asked(text)
    plan = ResultPlan(masking, understood.batches, understood.catalog)
    found = plan.columns([Column(name, NVARCHAR) for name in names])
    assert [each and each.mask.method.name for each in found] == methods
    assert plan.message("Conversion failed: 078-05-1120")[0] != "Conversion failed: 078-05-1120"


def test_a_result_that_no_statement_announced_is_redacted() -> None:
    understood = asked("INSERT INTO orders (id) VALUES (1)")
    for mask, expected in ((Mask("ssn", fields=("ssn",)), "unannounced"), (Mask("shapes", detectors=("email",)), None)):
        [found] = ResultPlan(Masking([mask], b"k" * 32), understood.batches).columns([Column("a", NVARCHAR)])
        assert (found and found.id) == expected


def test_where_all_is_masked_a_result_of_which_nothing_is_known_is_masked_whole() -> None:
    masks = [Mask("ssn", fields=("*.dbo.customers.ssn",)), Mask("unresolved", fields=("*",))]
    plan = ResultPlan(Masking(masks, b"k" * 32), asked("EXEC dbo.anything").batches, CATALOG)
    assert all(plan.columns([Column("a", NVARCHAR), Column("", NVARCHAR)]))


def reading(catalog: Catalog, text: str) -> Understood:
    return expand(understand(SqlBatch(text), b"", Scope("shop", modules=catalog.calls), Handles()), catalog)


def test_a_definition_is_wanted_where_it_is_called_and_then_read() -> None:
    catalog = Catalog({"shop": SHOP})
    assert reading(catalog, "EXEC takes").statement.facts["unresolved"]
    assert catalog.wanted() == ("shop", {"shop.sales.takes": SHOP["shop.sales.takes"]})
    catalog.define({"shop.sales.takes": DEFINITIONS["shop.sales.takes"]})
    found = reading(catalog, "EXEC takes")
    assert catalog.wanted() == ("", {})
    assert not found.statement.facts["unresolved"]
    assert {"shop.sales.mine", "shop.dbo.customers"} <= set(found.statement.facts["tables"])  # type: ignore[arg-type]
    executed = [action.resources for action in found.statement.actions if action.verb == "sql:execute"]
    assert executed == [("shop.dbo.takes", "shop.sales.takes")]


def test_a_view_that_calls_a_function_is_followed_through_it() -> None:
    catalog = Catalog({"shop": SHOP})
    assert not catalog.origin("shop.dbo.turns.x").known
    assert catalog.wanted() == ("shop", {"shop.dbo.turned": SHOP["shop.dbo.turned"]})
    catalog.define(DEFINITIONS)
    assert catalog.origin("shop.dbo.turns.x").known
    assert SSN in catalog.origin("shop.dbo.turns.x").columns


def test_a_definition_that_is_not_to_be_seen_is_not_asked_for_again() -> None:
    catalog = Catalog({"shop": SHOP})
    catalog.define(DEFINITIONS)
    assert reading(catalog, "EXEC sealed").statement.facts["unresolved"]
    assert catalog.wanted() == ("", {})


@pytest.mark.parametrize(
    ("text", "verb", "resources"),
    [
        ("DELETE FROM alias", "sql:delete", {"shop.dbo.alias", "shop.dbo.vips", "shop.dbo.customers"}),
        ("UPDATE vips SET id = 1", "sql:update", {"shop.dbo.vips", "shop.dbo.customers"}),
        ("SELECT id FROM alias", "sql:select", {"shop.dbo.alias", "shop.dbo.vips"}),
        ("SELECT id FROM vips", "sql:select", {"shop.dbo.vips"}),
        ("EXEC takes", "sql:execute", {"shop.dbo.takes", "shop.sales.takes"}),
        ("SELECT a FROM garbled", "sql:select", {"shop.dbo.garbled"}),
    ],
)
def test_what_is_done_by_another_name_is_done_to_what_it_means(text: str, verb: str, resources: set[str]) -> None:
    found = next(action for action in asked(text).statement.actions if action.verb == verb)
    assert set(found.resources) == resources


COLUMNS = [Column("", NVARCHAR)] * 5


def test_definitions_are_asked_for_by_name_and_taken_once() -> None:
    wanted = {
        "shop.dbo.it's": Entry("P", "dbo", "it's"),
        "shop.dbo.gone": Entry("P", "dbo", "gone"),
        "shop.dbo.sp_mine": Entry("P", "dbo", "sp_mine"),
    }
    request = definitions_question("shop", wanted, AUTOCOMMIT)
    assert is_inquiry(request)
    text = str(request.calls[0].parameters[0].value)
    assert "s.name = N'dbo' AND o.name = N'it''s')" in text
    assert "o.name = N'sp_mine' AND NOT EXISTS" in text
    rows = [("P", "dbo", "It's", "", "CREATE PROC ..."), ("P", "dbo", "twice", "", "a"), ("P", "dbo", "Twice", "", "b")]
    payload = write_columns(COLUMNS) + b"".join(write_row(COLUMNS, row) for row in rows) + Done().encode()
    found = read_definitions("shop", payload, ["shop.dbo.[it's]", "shop.dbo.gone"])
    assert found == {"shop.dbo.[it's]": "CREATE PROC ...", "shop.dbo.gone": "", "shop.dbo.twice": ""}
    failed = payload + ServerMessage(229, "denied").encode()
    assert read_definitions("shop", failed, ["shop.dbo.a"]) == {"shop.dbo.a": ""}


def answer(*rows: tuple[str | None, ...], last: tuple[str, ...] | None = None) -> bytes:
    objects = sum(row[0] in ("U", "V", "SN", "P", "FN", "IF", "TF") for row in rows)
    end = last if last is not None else ("#", "", "", "", str(objects))
    body = b"".join(write_row(COLUMNS, row) for row in (*rows, *([end] if end else [])))
    return write_columns(COLUMNS) + body + Done().encode()


def test_an_answer_holds_the_entries() -> None:
    entries = read_answer(
        "shop",
        answer(
            ("U", "dbo", "Customers", "", None),
            ("U", "dbo", "old", "", None),
            ("V", "dbo", "a.b", "", "CREATE VIEW ..."),
            ("V", "dbo", "sealed", "", None),
            ("U", "dbo", "t", "", None),
            ("U", "dbo", "T", "", None),
            ("SN", "Sales", "s", "", "[dbo].[t]"),
            ("P", "Sales", "Get It", "", "Get It"),
            ("C", "dbo", "Customers", "Tail", "(right([ssn],(4)))"),
            ("H", "dbo", "old", "dbo", "Custom]ers"),
        ),
    )
    assert entries == {
        "shop.dbo.customers": Entry("U", computed={"tail": "(right([ssn],(4)))"}),
        "shop.dbo.old": Entry("H", "dbo", "[dbo].[Custom]]ers]"),
        "shop.dbo.[a.b]": Entry("V", "dbo", "CREATE VIEW ..."),
        "shop.sales.get it": Entry("P", "Sales", "Get It"),
        "shop.dbo.sealed": Entry("V"),
        "shop.dbo.t": Entry(""),
        "shop.sales.s": Entry("SN", "Sales", "[dbo].[t]"),
    }


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        Done().encode(),
        answer(("U", "dbo", "t", "", None), last=()),
        answer(("U", "dbo", "t", "", None), last=("#", "", "", "", "2")),
        answer() + ServerMessage(229, "The SELECT permission was denied.", 14).encode(),
        answer()[:-1],
        write_columns(COLUMNS[:1]) + write_row(COLUMNS[:1], ["#"]) + Done().encode(),
    ],
    ids=["nothing", "no rows", "no end", "an object less", "an error", "cut off", "other columns"],
)
def test_an_answer_that_is_not_whole_is_none(payload: bytes) -> None:
    assert read_answer("shop", payload) is None


@given(st.binary(max_size=200))
def test_garbage_is_no_answer(payload: bytes) -> None:
    assert read_answer("shop", payload) is None


def test_a_question_is_known_again_and_names_the_database_safely() -> None:
    asked_for = question("[a]]b]", AUTOCOMMIT)
    assert is_inquiry(asked_for)
    assert "[a]]b].sys.objects" in str(asked_for.calls[0].parameters[0].value)
    assert "[shop].sys.objects" in str(question("shop", AUTOCOMMIT).calls[0].parameters[0].value)
    assert "FROM sys.objects" in str(question("shop", AUTOCOMMIT, here=True).calls[0].parameters[0].value)
    assert not is_inquiry(SqlBatch("SELECT 1"))


def test_what_a_statement_stands_for_is_found_again_until_the_catalog_changes() -> None:
    catalog = Catalog({"shop": {"shop.dbo.t": Entry("U")}})
    text = "SELECT id FROM dbo.t WHERE ssn = '1'"

    def tables() -> object:
        understood = understand(SqlBatch(text), b"", Scope("shop"), Handles())
        return expand(understood, catalog).statement.facts["tables"]

    assert tables() == tables() == ["shop.dbo.t"]
    catalog.learn("shop", {"shop.dbo.t": view("SELECT id, ssn FROM customers")})
    assert tables() == ["shop.dbo.customers", "shop.dbo.t"]
