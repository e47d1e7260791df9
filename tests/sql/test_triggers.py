"""What the triggers of changed tables add to a request."""

from __future__ import annotations

import pytest

from connectors.sql.catalog import Catalog, Entry
from connectors.sql.expand import expand
from connectors.sql.plan import ResultPlan
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.request import RpcCall, RpcRequest, SqlBatch
from connectors.sql.triggers import fired, with_triggers
from connectors.sql.tsql.classify import Scope
from connectors.sql.understand import Handles, Understood, understand
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.support.tds import NVARCHAR

SSN = "shop.dbo.customers.ssn"
BODIES = {
    "shows": "AS SELECT i.note AS a, c.ssn AS b FROM INSERTED i JOIN customers c ON c.id = i.id",
    "shows_itself": "AS IF UPDATE(ssn) SELECT ssn AS x FROM deleted",
    "keeps": "AS SET NOCOUNT ON INSERT INTO log (id) SELECT id FROM inserted",
    "opaque": "AS EXEC ('x' + @@SERVERNAME)",
    "odd": "AS SELECT note AS a FROM iNSERTED",
    "chains": "AS UPDATE watched SET note = note WHERE id IN (SELECT id FROM inserted)",
    "warns": "AS DECLARE @s varchar(60) SELECT @s = ssn FROM customers RAISERROR (@s, 16, 1)",
}
PARENTS = {
    "shows": "watched", "shows_itself": "customers", "keeps": "kept", "opaque": "secretive", "odd": "strange",
    "chains": "chained", "warns": "warned",
}  # fmt: skip


def catalog() -> Catalog:
    tables = {f"shop.dbo.{name}": Entry("U") for name in (*PARENTS.values(), "orders", "log")}
    triggers = {f"shop.dbo.{t}": Entry("TR", "dbo", t, parent=f"[dbo].[{PARENTS[t].title()}]") for t in BODIES}
    view = {"shop.dbo.seen": Entry("V", "dbo", "CREATE VIEW seen AS SELECT id, note FROM watched")}
    found = Catalog({"shop": {**tables, **triggers, **view, "shop.dbo.also": Entry("SN", "dbo", "[dbo].[watched]")}})
    found.define(
        {f"shop.dbo.{t}": f"CREATE TRIGGER {t} ON {PARENTS[t]} FOR UPDATE, INSERT {BODIES[t]}" for t in BODIES}
    )
    return found


def prepared(text: str) -> Understood:
    known = catalog()
    understood = understand(SqlBatch(text), b"", Scope("shop", modules=known.calls), Handles())
    return expand(with_triggers(understood, fired(understood, known)), known)


def methods(understood: Understood, width: int) -> list[str | None]:
    masking = Masking([Mask("ssn", fields=("*.dbo.customers.ssn",), method=Method("keep_last", 4))], b"k" * 32)
    plan = ResultPlan(masking, understood.batches, understood.catalog)
    return [each and each.mask.method.name for each in plan.columns([Column("x", NVARCHAR)] * width)]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("INSERT INTO watched (id) VALUES (1)", [None, "keep_last"]),
        ("INSERT INTO also (id) VALUES (1)", [None, "keep_last"]),
        ("UPDATE seen SET id = 1 WHERE id = 2", [None, "keep_last"]),
        ("INSERT INTO chained (id) VALUES (1)", [None, "keep_last"]),
        ("SELECT id, note FROM orders INSERT INTO watched (id) VALUES (1)", [None, "keep_last"]),
        ("UPDATE customers SET ssn = '1' WHERE id = 1", ["keep_last"]),
        ("INSERT INTO kept (id) VALUES (1)", ["redact", "redact"]),
        ("INSERT INTO secretive (id) VALUES (1)", ["redact", "redact"]),
        ("SELECT id, note FROM watched", [None, None]),
    ],
)
def test_what_a_trigger_returns_is_masked(text: str, masked: list[str | None]) -> None:
    understood = prepared(text)
    assert not understood.statement.facts["unresolved"]
    assert methods(understood, len(masked)) == masked


@pytest.mark.parametrize(
    "text",
    ["INSERT INTO secretive (id) VALUES (1) SELECT 1 AS a", "SELECT 1 AS a UPDATE strange SET id = 1 WHERE id = 2"],
)
def test_what_an_unknown_trigger_returns_among_others_is_unresolved(text: str) -> None:
    assert prepared(text).statement.facts["unresolved"]


def test_a_message_of_a_trigger_is_hidden_where_it_reads_what_is_masked() -> None:
    understood = prepared("INSERT INTO warned (id) VALUES (1)")
    masking = Masking([Mask("ssn", fields=("*.dbo.customers.ssn",))], b"k" * 32)
    assert "078" not in ResultPlan(masking, understood.batches, understood.catalog).message("078-05-1120")[0]


def test_a_triggers_definition_is_wanted_where_its_table_is_changed() -> None:
    known = Catalog({"shop": {"shop.dbo.t": Entry("U"), "shop.dbo.tr": Entry("TR", "dbo", "tr", parent="[dbo].[t]")}})
    understood = understand(SqlBatch("DELETE FROM t WHERE id = 1"), b"", Scope("shop"), Handles())
    assert fired(understood, known) == [None]
    assert list(known.wanted()[1]) == ["shop.dbo.tr"]


def test_of_several_calls_whose_result_is_whose_cannot_be_told() -> None:
    known = catalog()
    calls = tuple(RpcCall(name=name, parameters=()) for name in ("a", "b"))
    understood = understand(RpcRequest(calls), b"", Scope("shop"), Handles())
    text = understand(SqlBatch("INSERT INTO watched (id) VALUES (1)"), b"", Scope("shop"), Handles())
    found = with_triggers(understood, fired(text, known))
    assert found.statement.facts["unresolved"]
