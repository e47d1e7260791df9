"""Which requests a person may see: those that wait for them, their own, and what became of others like one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, true

from hoopcli.model.access import Principal
from hoopcli.server.approvals.held import Held, held
from hoopcli.server.tables import approvals as tables

PAGE = 50
GROUPS = 12
_REQUEST = tables.requests.c
_GROUP = tables.groups.c


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody sees: their own requests, and those on the connections where the policy lets them answer or read.

    Of the connections in ``answers`` they see what waits for their groups; of those in ``reads`` everything.
    """

    subject: str
    groups: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()

    @property
    def clause(self) -> ColumnElement[bool]:
        """The condition on requests."""
        return or_(self.own, _REQUEST.connection.in_(self.reads), self.theirs)

    @property
    def own(self) -> ColumnElement[bool]:
        """What they asked themselves, or an agent for them."""
        return or_(
            _REQUEST.asked_by == self.subject,
            _REQUEST.principal == self.subject,
            _REQUEST.on_behalf_of == self.subject,
        )

    @property
    def theirs(self) -> ColumnElement[bool]:
        """What waits for one of their groups, or for anybody."""
        named = exists().where(_GROUP.request == _REQUEST.id)
        mine = exists().where(_GROUP.request == _REQUEST.id, _GROUP.name.in_(self.groups))
        return and_(_REQUEST.connection.in_(self.answers), or_(~named, mine))

    def sees(self, one: Held) -> bool:
        """The same of one request."""
        request = one.request
        if self.subject in {one.asked_by, request.binding.principal, request.on_behalf_of}:
            return True
        connection = request.binding.connection
        for_them = not request.groups or bool(self.groups.intersection(request.groups))
        return connection in self.reads or (connection in self.answers and for_them)


@dataclass(frozen=True, slots=True)
class Only:
    """Which requests somebody wants to look at; what is empty may be anything."""

    principal: str = ""
    connection: str = ""
    rule: str = ""

    @property
    def clause(self) -> ColumnElement[bool]:
        """The condition on requests."""
        wanted = (
            (_REQUEST.principal, self.principal),
            (_REQUEST.connection, self.connection),
            (_REQUEST.rule, self.rule),
        )
        return and_(true(), *(column == value for column, value in wanted if value))


EVERYTHING = Only()


@dataclass(frozen=True, slots=True)
class Alike:
    """How many requests wait of one principal on one connection under one rule, and when the first of them expires."""

    only: Only
    count: int
    expires: float


@dataclass(frozen=True, slots=True)
class Like:
    """What became of requests like one: same principal, connection and rule."""

    approved: int
    denied: int
    others: int
    last: Sequence[Held]


def connections(connection: Connection) -> list[str]:
    """The names of all connections that requests are about."""
    return list(connection.execute(select(_REQUEST.connection).distinct().order_by(_REQUEST.connection)).scalars())


def waiting(
    connection: Connection, sight: Sight, now: float, *, limit: int = PAGE, skip: int = 0, only: Only = EVERYTHING
) -> list[Held]:
    """What waits and is seen, oldest first."""
    query = select(tables.requests).where(_waits(now), sight.clause, only.clause).order_by(_REQUEST.asked, _REQUEST.id)
    return held(connection.execute(query.limit(limit).offset(skip)).mappings().all(), connection, now)


def count_waiting(connection: Connection, sight: Sight, now: float, only: Only = EVERYTHING) -> int:
    """How many wait and are seen."""
    query = select(func.count()).select_from(tables.requests).where(_waits(now), sight.clause, only.clause)
    return int(connection.execute(query).scalar_one())


def groups(connection: Connection, sight: Sight, now: float, *, limit: int = GROUPS) -> list[Alike]:
    """The largest groups of requests that are alike, of those that wait and are seen."""
    what = (_REQUEST.principal, _REQUEST.connection, _REQUEST.rule)
    query = select(*what, func.count(), func.min(_REQUEST.expires)).where(_waits(now), sight.clause).group_by(*what)
    rows = connection.execute(query.order_by(func.count().desc(), *what).limit(limit))
    return [Alike(Only(*names), count, expires) for *names, count, expires in rows]


def settled(connection: Connection, sight: Sight, now: float, *, limit: int = PAGE) -> list[Held]:
    """What no longer waits and is seen, newest first."""
    query = select(tables.requests).where(~_waits(now), sight.clause).order_by(_REQUEST.asked.desc(), _REQUEST.id)
    return held(connection.execute(query.limit(limit)).mappings().all(), connection, now)


def alike(connection: Connection, one: Held, now: float, *, limit: int = 5) -> Like:
    """What became of earlier requests like this one."""
    binding = one.request.binding
    same = and_(
        _REQUEST.principal == binding.principal,
        _REQUEST.connection == binding.connection,
        _REQUEST.rule == binding.rule,
        _REQUEST.id != one.request.id,
    )
    answer = tables.answers.c
    no = exists().where(answer.request == _REQUEST.id, ~answer.approve)
    yes = exists().where(answer.request == _REQUEST.id, answer.approve)
    query = select(func.count(), func.count().filter(no), func.count().filter(and_(yes, ~no))).where(same)
    everything, denied, approved = connection.execute(query).one()
    rows = connection.execute(select(tables.requests).where(same).order_by(_REQUEST.asked.desc()).limit(limit))
    return Like(approved, denied, everything - approved - denied, held(rows.mappings().all(), connection, now))


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a request."""

    what: str
    who: str
    note: str
    at: float


def events(connection: Connection, identity: str) -> list[Event]:
    """What happened to a request, in order."""
    column = tables.events.c
    query = select(column.what, column.who, column.note, column.at).where(column.request == identity)
    return [Event(*row) for row in connection.execute(query.order_by(column.id))]


def sight_of(person: Principal, answers: Collection[str], reads: Collection[str]) -> Sight:
    """What a person sees by the connections that the policy names."""
    return Sight(person.subject, person.groups, frozenset(answers), frozenset(reads))


def _waits(now: float) -> ColumnElement[bool]:
    return and_(_REQUEST.state == "waiting", _REQUEST.expires > now)
