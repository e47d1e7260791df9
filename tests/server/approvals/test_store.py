"""Requests in the server's database: what they are bound to, who may answer, and every way round them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from hoopcli.errors import DeniedError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.approval import Binding, Question, State
from hoopcli.model.decision import Action, Approve
from hoopcli.server.approvals import listing, store
from hoopcli.server.approvals.held import Held, load
from hoopcli.server.approvals.listing import Sight
from hoopcli.server.approvals.store import Verdict
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.problems import Problem
from hoopcli.server.tables import approvals as tables
from tests.support.postgres import postgres

OMAR, CLAIRE = "omar@example.com", "agent:claire"
BINDING = Binding(CLAIRE, "azure-sql", "ddl-needs-a-human", "d1" * 32)
QUESTION = Question(
    BINDING, "s1", "DROP TABLE t", PrincipalKind.AGENT, OMAR, "ticket 7", "sql",
    why="ddl is for two", actions=(Action("sql:drop", ("shop.dbo.t",)),), facts={"filtered": False, "tables": []},
)  # fmt: skip
TERMS = Approve(groups=("dba",), count=1, expires=timedelta(minutes=15))
DBA = Principal("nadia@example.com", groups=frozenset({"dba"}))
PIET = Principal("piet@example.com", groups=frozenset({"dba", "audit"}))
YES, NO = Verdict(True, "fine"), Verdict(False, "not today")
NOW = 1_772_355_600.0
LATER = NOW + 15 * 60


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = sqlite_url(tmp_path_factory.mktemp("store") / "server.db")
        else:
            url = stack.enter_context(postgres())
        database = stack.enter_context(closing(Database.open(url)))
        tables.metadata.create_all(database.engine)
        yield database


class UndoError(Exception):
    """Raised to leave nothing behind."""


@pytest.fixture
def db(database: Database) -> Iterator[Connection]:
    with suppress(UndoError), database.write() as connection:
        yield connection
        raise UndoError


def ask(
    db: Connection, question: Question = QUESTION, terms: Approve = TERMS, by: str = OMAR, now: float = NOW
) -> Held:
    return store.ask(db, by, question, terms, now)[0]


def bound_to(**changes: str) -> Question:
    return replace(QUESTION, binding=replace(BINDING, **changes))


def test_a_request_is_asked_answered_used_and_each_step_is_noted(db: Connection) -> None:
    held = ask(db)
    assert held.question == QUESTION
    assert held.request.state is State.WAITING
    assert store.answer(db, held.request.id, DBA, YES, NOW + 1).request.state is State.APPROVED
    used, done = store.use(db, held.request.id, OMAR, BINDING, NOW + 2)
    assert (used.request.state, done) == (State.USED, True)
    assert store.use(db, held.request.id, OMAR, BINDING, NOW + 3)[1] is False
    assert [(e.what, e.who, e.note) for e in listing.events(db, held.request.id)] == [
        ("asked", OMAR, ""),
        ("approved", DBA.subject, "fine"),
        ("used", OMAR, ""),
    ]


@pytest.mark.parametrize("name", ["principal", "connection", "rule", "digest"])
def test_an_approval_is_good_for_nothing_else(db: Connection, name: str) -> None:
    identity = ask(db).request.id
    store.answer(db, identity, DBA, YES, NOW)
    other = bound_to(**{name: "other"})
    assert store.use(db, identity, OMAR, other.binding, NOW)[1] is False
    assert ask(db, other).request.id != identity
    assert store.use(db, identity, OMAR, BINDING, NOW)[1] is True


def test_an_agent_of_the_same_name_of_somebody_else_does_not_use_it(db: Connection) -> None:
    identity = ask(db).request.id
    store.answer(db, identity, DBA, YES, NOW)
    assert store.use(db, identity, "mallory@example.com", BINDING, NOW)[1] is False
    assert ask(db, by="mallory@example.com").request.id != identity


@pytest.mark.parametrize(
    "terms",
    [replace(TERMS, count=2), replace(TERMS, groups=("audit",)), replace(TERMS, expires=timedelta(1))],
)
def test_an_approval_under_other_terms_is_another(db: Connection, terms: Approve) -> None:
    identity = ask(db).request.id
    store.answer(db, identity, DBA, YES, NOW)
    assert ask(db, terms=terms).request.id != identity


def test_the_next_identical_try_finds_its_approval_from_another_session(db: Connection) -> None:
    held, new = store.ask(db, OMAR, QUESTION, TERMS, NOW)
    assert new
    store.answer(db, held.request.id, DBA, YES, NOW)
    again, new = store.ask(db, OMAR, replace(QUESTION, session="s2"), TERMS, NOW + 1)
    assert (again.request.id, again.request.state, new) == (held.request.id, State.APPROVED, False)


def test_who_hangs_up_is_shown_until_they_ask_again(db: Connection) -> None:
    identity = ask(db).request.id
    with pytest.raises(Problem):
        store.withdraw(db, identity, "mallory@example.com", NOW)
    assert store.withdraw(db, identity, OMAR, NOW + 5).request.withdrawn == NOW + 5
    assert store.withdraw(db, identity, OMAR, NOW + 6).request.withdrawn == NOW + 5
    assert ask(db).request.withdrawn is None
    assert [e.what for e in listing.events(db, identity)] == ["asked", "withdrawn"]


def test_it_expires_absolutely_also_once_approved(db: Connection) -> None:
    waiting, approved = ask(db), ask(db, bound_to(digest="d2" * 32))
    store.answer(db, approved.request.id, DBA, YES, NOW)
    assert load(db, waiting.request.id, LATER).request.state is State.EXPIRED
    assert store.use(db, approved.request.id, OMAR, approved.request.binding, LATER)[1] is False
    with pytest.raises(Problem, match="expired already"):
        store.answer(db, waiting.request.id, DBA, YES, LATER)
    assert ask(db, now=LATER).request.id != waiting.request.id
    assert store.expire(db, LATER) == [approved.request.id]
    assert [e.what for e in listing.events(db, waiting.request.id)] == ["asked", "expired"]


def test_one_no_is_a_no_and_a_count_needs_different_people(db: Connection) -> None:
    two = replace(TERMS, count=2)
    identity = ask(db, terms=two).request.id
    assert store.answer(db, identity, DBA, YES, NOW).request.state is State.WAITING
    with pytest.raises(Problem, match="has answered"):
        store.answer(db, identity, DBA, YES, NOW)
    assert store.answer(db, identity, PIET, NO, NOW).request.state is State.DENIED
    assert store.use(db, identity, OMAR, BINDING, NOW)[1] is False
    again = ask(db, terms=two).request.id
    store.answer(db, again, DBA, YES, NOW)
    assert store.answer(db, again, PIET, YES, NOW).request.state is State.APPROVED


@pytest.mark.parametrize(
    ("person", "why"),
    [
        (Principal(OMAR, groups=frozenset({"dba"})), "nobody approves their own"),
        (Principal(CLAIRE, groups=frozenset({"dba"})), "nobody approves their own"),
        (Principal("bot", PrincipalKind.AGENT, groups=frozenset({"dba"})), "only a person"),
        (Principal("ci", PrincipalKind.WORKLOAD, groups=frozenset({"dba"})), "only a person"),
        (Principal("ada@example.com", groups=frozenset({"sales"})), "needs an approver of dba"),
    ],
)
def test_who_may_not_answer(db: Connection, person: Principal, why: str) -> None:
    identity = ask(db).request.id
    for verdict in (YES, NO):
        with pytest.raises(DeniedError, match=why):
            store.answer(db, identity, person, verdict, NOW)
    assert load(db, identity, NOW).request.state is State.WAITING


def test_the_human_of_an_agent_answers_only_where_the_policy_says_so(db: Connection) -> None:
    omar = Principal(OMAR, groups=frozenset({"dba"}))
    agents = ask(db).request.id
    own = ask(db, replace(bound_to(principal=OMAR), principal_kind=PrincipalKind.HUMAN, on_behalf_of="")).request.id
    job = ask(db, replace(bound_to(principal="ci"), principal_kind=PrincipalKind.WORKLOAD), by="workload:ci").request.id
    assert store.answer(db, agents, omar, YES, NOW, own_agents=True).request.state is State.APPROVED
    for identity in (own, job):
        with pytest.raises(DeniedError, match="their own"):
            store.answer(db, identity, omar, YES, NOW, own_agents=True)


def test_an_approver_can_grant_less_than_the_policy_but_not_more(db: Connection) -> None:
    identity = ask(db, terms=replace(TERMS, uses=3)).request.id
    for much in (Verdict(True, uses=4), Verdict(True, uses=0), Verdict(True, until=LATER + 1), Verdict(True, until=0)):
        with pytest.raises(UsageError):
            store.answer(db, identity, DBA, much, NOW)
    store.answer(db, identity, DBA, Verdict(True, uses=2, until=NOW + 60), NOW)
    assert [store.use(db, identity, OMAR, BINDING, NOW)[1] for _ in range(3)] == [True, True, False]
    again = ask(db, bound_to(digest="d3" * 32), terms=replace(TERMS, uses=3))
    store.answer(db, again.request.id, DBA, Verdict(True, until=NOW + 60), NOW)
    assert store.use(db, again.request.id, OMAR, again.request.binding, NOW + 60)[1] is False


def test_nobody_piles_up_requests(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SESSION_LIMIT", 2)
    monkeypatch.setattr(store, "ASKER_LIMIT", 3)
    for number, session in enumerate(("s1", "s1", "s2")):
        ask(db, replace(bound_to(digest=f"{number}"), session=session))
    with pytest.raises(DeniedError, match="of this session"):
        ask(db, bound_to(digest="more"))
    with pytest.raises(DeniedError, match=OMAR):
        ask(db, replace(bound_to(digest="more"), session="s3"))
    ask(db, bound_to(digest="more"), now=LATER)


def test_old_requests_are_forgotten_with_all_that_belongs_to_them(db: Connection) -> None:
    identity = ask(db).request.id
    store.answer(db, identity, DBA, YES, NOW)
    store.expire(db, LATER + store.KEEP.total_seconds() + 1)
    for table in tables.metadata.sorted_tables:
        assert db.execute(select(func.count()).select_from(table)).scalar() == 0


NOBODY = Sight("eve@example.com", frozenset({"sales"}))


@pytest.mark.parametrize(
    ("sight", "seen"),
    [
        (NOBODY, False),
        (replace(NOBODY, answers=frozenset({"azure-sql"})), False),
        (replace(NOBODY, groups=frozenset({"dba"})), False),
        (replace(NOBODY, groups=frozenset({"dba"}), answers=frozenset({"other"})), False),
        (replace(NOBODY, groups=frozenset({"dba"}), answers=frozenset({"azure-sql"})), True),
        (replace(NOBODY, reads=frozenset({"azure-sql"})), True),
        (Sight(OMAR), True),
        (Sight(CLAIRE), True),
    ],
)
def test_who_sees_a_request(db: Connection, sight: Sight, seen: bool) -> None:
    held = ask(db)
    assert [one.request.id for one in listing.waiting(db, sight, NOW)] == [held.request.id] * seen
    assert listing.count_waiting(db, sight, NOW) == int(seen)
    assert sight.sees(held) is seen
    assert listing.settled(db, sight, NOW) == []
    store.answer(db, held.request.id, DBA, YES, NOW)
    assert listing.waiting(db, sight, NOW) == []
    assert len(listing.settled(db, sight, NOW)) == int(seen)


def test_a_request_for_anybody_is_seen_by_all_who_may_answer(db: Connection) -> None:
    ask(db, terms=replace(TERMS, groups=()))
    assert len(listing.waiting(db, replace(NOBODY, answers=frozenset({"azure-sql"})), NOW)) == 1


def test_what_became_of_others_alike(db: Connection) -> None:
    answers: list[Callable[[str], object]] = [
        lambda one: store.answer(db, one, DBA, YES, NOW),
        lambda one: store.answer(db, one, DBA, NO, NOW),
        lambda _: None,
    ]
    for number, answer in enumerate(answers):
        answer(ask(db, bound_to(digest=str(number)), now=NOW + number).request.id)
    ask(db, bound_to(rule="another"))
    like = listing.alike(db, ask(db), NOW)
    assert (like.approved, like.denied, like.others) == (1, 1, 1)
    assert [one.request.binding.digest for one in like.last] == ["2", "1", "0"]
    assert listing.connections(db) == ["azure-sql"]


def test_what_is_not_there(db: Connection) -> None:
    with pytest.raises(Problem, match="no approval request"):
        load(db, "nope", NOW)
