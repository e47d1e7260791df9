"""Enforcement with a real policy, a real ledger and real approvals: what is decided, recorded, and in which order."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoopcli.errors import LedgerError
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.record import Record
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Decision, Effect, Mask, Statement
from hoopcli.model.outcome import Outcome, Status
from hoopcli.model.session import Session
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.proxy import approvals as approvals_module
from hoopcli.proxy.approvals import Approvals
from hoopcli.proxy.enforcement import Enforcement
from hoopcli.proxy.journal import Journal
from hoopcli.sansio.events import Deny, Permit
from tests.support.clock import Clock
from tests.support.ledger import records_of

POLICY = """
version: 1
rules:
  - id: reads
    effect: allow
    verbs: ["sql:select"]
    resources: ["shop.dbo.*"]
  - id: drops-need-a-human
    effect: require_approval
    verbs: ["sql:drop"]
    resources: ["shop.dbo.*"]
    approval: {groups: [dba], count: 1, expires: 10m}
  - id: labelled
    effect: allow
    verbs: ["sql:print"]
masks:
  - id: ssn
    fields: ["*.dbo.customers.ssn"]
    method: {keep_last: 4}
"""
AGENT = Principal("agent:claire", PrincipalKind.AGENT, on_behalf_of="omar@example.com")
DBA = Principal("nadia@example.com", groups=frozenset({"dba"}))
READ = Statement("SELECT name FROM customers", b"read", (Action("sql:select", ("shop.dbo.customers",)),))
DROP = Statement("DROP TABLE customers", b"drop", (Action("sql:drop", ("shop.dbo.customers",)),))
WRITE = Statement("DELETE FROM customers", b"write", (Action("sql:delete", ("shop.dbo.customers",)),))


@dataclass
class Bench:
    enforcement: Enforcement
    approvals: Approvals
    ledger: Path
    clock: Clock
    writer: LedgerWriter

    def records(self) -> list[Record]:
        self.writer.close()
        return records_of(self.ledger)

    def decisions(self) -> list[tuple[str, str]]:
        return [
            (r.body["decision"]["effect"], r.body["decision"]["rule"])
            for r in self.records()
            if r.type == "exchange.request"
        ]


def run(
    folder: Path,
    work: Callable[[Bench], Awaitable[Any]],
    *,
    engine: Any = None,
    discharges: frozenset[str] = frozenset({"mask", "limit"}),
) -> Bench:
    clock = Clock()
    path = folder / "ledger.db"
    writer = LedgerWriter(Ledger.open(path, load_or_create(folder / "key").signer))
    approvals = Approvals(folder / "approvals.db", clock)
    session = Session("s1", AGENT, Connection("azure-sql", "sql"), clock(), clock() + timedelta(hours=1), "ticket 7")
    journal = Journal(writer, session, lambda text: text.replace("s3cret", "[redacted]"))
    enforcement = Enforcement(session, discharges, engine or Engine(load(POLICY)), approvals, journal, clock)
    bench = Bench(enforcement, approvals, path, clock, writer)

    async def main() -> None:
        await work(bench)

    try:
        asyncio.run(main())
    finally:
        approvals.close()
    return bench


def test_a_permit_comes_after_its_record_and_carries_the_masks(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(READ)
        assert isinstance(reply, Permit)
        assert [mask.id for mask in reply.decision.masks] == ["ssn"]
        [record] = [r for r in records_of(bench.ledger) if r.type == "exchange.request"]
        assert record.body["exchange"] == reply.exchange
        await bench.enforcement.record(Outcome(reply.exchange, Status.COMPLETED, rows=3, masked={"ssn": 2}))
        assert (bench.enforcement.stats.rows, bench.enforcement.stats.masked) == (3, 2)

    bench = run(tmp_path, work)
    assert bench.decisions() == [("allow", "reads")]


def test_what_no_rule_allows_is_denied_recorded_and_explained(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(WRITE)
        assert isinstance(reply, Deny)
        assert "sql:delete" in reply.message
        assert "hoop policy explain" in reply.hint
        assert bench.enforcement.stats.denied == 1

    assert run(tmp_path, work).decisions() == [("deny", "default-deny")]


KINDRED = """
version: 1
rules:
  - {id: docs, effect: allow, verbs: ["blob:list"], resources: ["acme/docs", "acme/docs/*", "acme/open/*"]}
  - {id: secret, effect: deny, resources: ["acme/docs/secret/*", "acme/docs/*.key"]}
  - {id: late, effect: deny, resources: ["acme/docs/late/*"], when: "connection.kind == 'sql'"}
  - {id: odd, effect: deny, resources: ["acme/docs/odd/*"], when: "statement.resources.exists(r, r.endsWith('9'))"}
  - {id: broken, effect: deny, resources: ["acme/docs/broken/*"], when: "statement.gone == 1"}
  - {id: people, effect: require_approval, verbs: ["blob:list"], resources: ["acme/docs/ask/*"]}
masks:
  - {id: mail, detectors: [email], method: redact}
"""
_FOLDERS = ("acme/docs", "acme/docs/secret", "acme/docs/late", "acme/docs/odd", "acme/docs/broken", "acme/docs/ask")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.tuples(
            st.sampled_from(
                [*_FOLDERS, "acme/DOCS", "acme/Docs/SECRET", "acme/other", "acme/open", "ACME/docs/secret"]
            ),
            st.sampled_from(["", "/a", "/9", "/*", "/a.key", "/A.KEY", "/secret/x", "/b*", "/a/b/c"]),
        ),
        min_size=5,
        max_size=40,
    ),
    masked=st.booleans(),
)
def test_a_preview_of_many_resources_is_that_of_each(
    tmp_path: Path, names: list[tuple[str, str]], *, masked: bool
) -> None:
    listing = Statement("", b"", (Action("blob:list"),), exact_case=True)

    async def work(bench: Bench) -> None:
        effect_on = bench.enforcement.preview_each(listing)
        for folder, name in names:
            one = replace(listing, actions=(Action("blob:list", (folder + name,)),))
            assert effect_on(folder + name) is bench.enforcement.preview(one), folder + name

    folder = tmp_path / secrets.token_hex(4)
    folder.mkdir()
    run(folder, work, engine=Engine(load(KINDRED)), discharges=frozenset({"mask"} if masked else ()))


def test_a_preview_is_not_recorded_and_permits_nothing(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert bench.enforcement.preview(READ) is Effect.ALLOW
        assert bench.enforcement.preview(DROP) is Effect.REQUIRE_APPROVAL
        assert bench.enforcement.preview(WRITE) is Effect.DENY
        assert not bench.enforcement.asks_about("upload", WRITE.actions)
        assert bench.enforcement.stats.statements == 0
        assert bench.enforcement.open == set()
        bench.clock.forward(hours=2)
        assert bench.enforcement.preview(READ) is Effect.DENY

    assert run(tmp_path, work).decisions() == []


def test_the_text_is_recorded_redacted(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.enforcement.authorize(replace(READ, text="SELECT name FROM customers WHERE pw = 's3cret'"))

    [record] = [r for r in run(tmp_path, work).records() if r.type == "exchange.request"]
    assert "s3cret" not in str(record.body)


def test_an_expired_session_is_denied(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.clock.forward(hours=1)
        reply = await bench.enforcement.authorize(READ)
        assert isinstance(reply, Deny)
        assert reply.rule == "session-expired"

    run(tmp_path, work)


class Broken:
    """A policy engine with a bug."""

    revision = "r"

    def current(self) -> Broken:
        return self

    def decide(self, *_: object, **__: object) -> Decision:
        raise ZeroDivisionError


def test_an_exception_in_the_policy_denies(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(READ)
        assert isinstance(reply, Deny)
        assert reply.rule == "enforcement-error"

    assert run(tmp_path, work, engine=Broken()).decisions() == [("deny", "enforcement-error")]


class Labelled:
    """A policy whose masks go by the labels of the source."""

    revision = "r"

    def current(self) -> Labelled:
        return self

    def decide(self, *_: object, **__: object) -> Decision:
        return Decision(Effect.ALLOW, "reads", obligations=(Mask("classified", labels=("Confidential*",)),))


@pytest.mark.parametrize(("discharges", "engine"), [(frozenset(), None), (frozenset({"mask"}), Labelled())])
def test_an_obligation_that_cannot_be_carried_out_denies(
    tmp_path: Path, discharges: frozenset[str], engine: Labelled | None
) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(READ)
        assert isinstance(reply, Deny)
        assert reply.rule == "undischarged-obligation"

    run(tmp_path, work, discharges=discharges, engine=engine)


async def answered(bench: Bench, *, approve: bool, comment: str = "") -> Permit | Deny:
    """Authorize the drop while a DBA answers."""
    waiting = asyncio.create_task(bench.enforcement.authorize(DROP))
    while not (pending := bench.approvals.pending()):
        await asyncio.sleep(0.001)
    assert pending[0].text == DROP.text
    assert bench.enforcement.stats.waiting <= 1
    bench.approvals.answer(pending[0].id, DBA, approve=approve, comment=comment)
    return await waiting


def test_an_approved_statement_is_permitted_once(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await answered(bench, approve=True)
        assert isinstance(reply, Permit)
        assert "nadia@example.com" in reply.decision.reason
        again = asyncio.create_task(bench.enforcement.authorize(DROP))
        while not bench.approvals.pending():
            await asyncio.sleep(0.001)
        bench.clock.forward(minutes=11)
        late = await again
        assert isinstance(late, Deny)
        assert "expired" in late.message

    bench = run(tmp_path, work)
    kinds = [r.type for r in bench.records()]
    first = ["approval.asked", "approval.answered", "approval.used", "exchange.request"]
    then = ["approval.asked", "approval.expired", "exchange.request"]
    assert [kind for kind in kinds if kind != "ledger.note"] == first + then


def test_a_denial_carries_what_the_approver_said(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await answered(bench, approve=False, comment="not before the backup")
        assert isinstance(reply, Deny)
        assert "not before the backup" in reply.message

    assert run(tmp_path, work).decisions() == [("deny", "drops-need-a-human")]


def test_a_withdrawn_wait_is_recorded_and_the_next_identical_try_may_run(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        waiting = asyncio.create_task(bench.enforcement.authorize(DROP))
        while not (pending := bench.approvals.pending()):
            await asyncio.sleep(0.001)
        while bench.enforcement.stats.waiting == 0:
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        bench.approvals.answer(pending[0].id, DBA, approve=True)
        other = asyncio.create_task(bench.enforcement.authorize(replace(DROP, request=b"drop ")))
        while not bench.approvals.pending():
            await asyncio.sleep(0.001)
        assert not other.done()
        other.cancel()
        assert isinstance(await bench.enforcement.authorize(DROP), Permit)

    bench = run(tmp_path, work)
    assert "approval.withdrawn" in [r.type for r in bench.records()]


def test_what_is_open_when_a_connection_goes_is_recorded_as_lost(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(READ)
        await bench.enforcement.abandon({reply.exchange, "unknown"})
        await bench.enforcement.abandon({reply.exchange})

    outcomes = [r for r in run(tmp_path, work).records() if r.type == "exchange.outcome"]
    assert [o.body["status"] for o in outcomes] == ["lost"]


def test_nothing_is_permitted_once_the_ledger_is_closed(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.writer.close()
        with pytest.raises(LedgerError):
            await bench.enforcement.authorize(READ)

    run(tmp_path, work)


def test_a_statement_withdrawn_while_it_is_recorded_is_recorded_as_cancelled(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        asking = asyncio.create_task(bench.enforcement.authorize(READ))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert bench.enforcement.open == set()

    outcomes = [r for r in run(tmp_path, work).records() if r.type == "exchange.outcome"]
    assert [o.body["status"] for o in outcomes] == ["cancelled"]


def test_too_many_waiting_requests_are_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals_module, "WAITING_LIMIT", 0)

    async def work(bench: Bench) -> None:
        reply = await bench.enforcement.authorize(DROP)
        assert isinstance(reply, Deny)
        assert "already wait" in reply.message

    run(tmp_path, work)
