"""The policy enforcement point of one session: decide, wait for people, record, and only then permit.

Whatever fails in here denies. A permit is given only after its request record is durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from hoopcli.errors import HoopError, LedgerError
from hoopcli.model.approval import Binding, Question, Request, State
from hoopcli.model.decision import Action, Approve, Decision, Effect, Mask, Obligation, Statement
from hoopcli.model.outcome import Outcome, Piece, Status
from hoopcli.model.session import Session
from hoopcli.policy.engine import Engine
from hoopcli.proxy.approvals import Desk
from hoopcli.proxy.bundles import BundleError
from hoopcli.proxy.journal import Journal
from hoopcli.proxy.policies import PolicySource
from hoopcli.sansio.events import Deny, Permit

LABELS = "labels"  # what a connector discharges that reads the source's sensitivity labels
_DISCHARGED_HERE = frozenset({Approve.kind})


@dataclass(slots=True)
class Stats:
    """What a session has done so far, for its status line and its closing record."""

    statements: int = 0
    rows: int = 0
    masked: int = 0
    denied: int = 0
    waiting: int = 0
    size: int = 0


class Enforcement:
    """Decides every statement of one session. ``discharges`` are the obligations that the connector can carry out."""

    def __init__(
        self,
        session: Session,
        discharges: frozenset[str],
        policy: PolicySource,
        approvals: Desk,
        journal: Journal,
        now: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._discharges = discharges | _DISCHARGED_HERE
        self._policy = policy
        self._approvals = approvals
        self._journal = journal
        self._now = now
        self.stats = Stats()
        self.open: set[str] = set()

    async def authorize(self, statement: Statement) -> Permit | Deny:
        """Decide and record one statement. Raises LedgerError when it cannot be recorded: then the session must end."""
        exchange = secrets.token_hex(8)
        self.stats.statements += 1
        decision, hint = self._decide(statement)
        if decision.effect is Effect.REQUIRE_APPROVAL:
            decision, hint = await self._await_approval(exchange, statement, decision)
        permitted = decision.effect is Effect.ALLOW
        if permitted:
            self.open.add(exchange)
        else:
            self.stats.denied += 1
        try:
            await self._journal.request(exchange, statement, decision)
        except asyncio.CancelledError:
            if permitted:  # recorded as permitted, never forwarded
                self.open.discard(exchange)
                self._journal.outcome(Outcome(exchange, Status.CANCELLED))
            raise
        if permitted:
            return Permit(exchange, decision)
        return Deny(exchange, decision.rule, _sentence(decision), hint)

    def preview(self, statement: Statement) -> Effect:
        """What the policy makes of a statement. The question is not recorded."""
        return self.previewed(statement).effect

    def previewed(self, statement: Statement) -> Decision:
        """What the policy would decide, and under which terms. The question is not recorded."""
        return self._decide(statement)[0]

    def preview_each(self, statement: Statement) -> Callable[[str], Effect]:
        """``preview`` of a statement of one verb, asked about many resources one by one."""
        [action] = statement.actions
        session = self._session
        try:
            engine = self._policy.current()
        except BundleError:
            return lambda _resource: Effect.DENY
        kin_of = engine.kin_of(session.principal, session.connection, action.verb, exact_case=statement.exact_case)
        known: dict[tuple[int, ...], Effect] = {}

        def effect(resource: str) -> Effect:
            kin = kin_of(resource)
            if kin is not None and (found := known.get(kin)) is not None:
                return found
            asked = replace(statement, actions=(Action(action.verb, (resource,)),))
            made = self._decide(asked, engine)[0].effect
            if kin is not None:
                known[kin] = made
            return made

        return effect

    def asks_about(self, variable: str, actions: Sequence[Action]) -> bool:
        """Whether a condition that sees a variable may decide these actions."""
        try:
            engine = self._policy.current()
        except BundleError:
            return True
        return engine.asks_about(variable, self._session.principal, self._session.connection, actions)

    async def record(self, outcome: Outcome) -> None:
        """Make the outcome of a permitted statement durable."""
        self.open.discard(outcome.exchange)
        self.stats.rows += outcome.rows
        self.stats.size += outcome.size
        self.stats.masked += sum(outcome.masked.values())
        await self._journal.outcome(outcome)

    async def keep(self, piece: Piece) -> None:
        """Make a piece of what a permitted statement gives durable."""
        await self._journal.piece(piece)

    async def abandon(self, exchanges: set[str]) -> None:
        """Record that these permitted statements ended without an answer."""
        for exchange in sorted(exchanges & self.open):
            await self.record(Outcome(exchange, Status.LOST))

    def _decide(self, statement: Statement, engine: Engine | None = None) -> tuple[Decision, str]:
        """The decision and the next thing to try, by the policy that holds now unless an engine is given."""
        session = self._session
        now = self._now()
        if now >= session.expires_at:
            return _refusal("session-expired", "the session is over"), f"run: hoop connect {session.connection.name}"
        try:
            engine = engine or self._policy.current()
            decision = engine.decide(session.principal, session.connection, statement, now, reason=session.reason)
        except BundleError as error:
            return _refusal("no-policy", error.message), error.hint
        except Exception as error:  # noqa: BLE001 - an exception in enforcement denies, whatever it is
            return _refusal("enforcement-error", f"the policy could not be evaluated ({type(error).__name__})"), (
                "run: hoop policy check"
            )
        undischarged = {kind for o in decision.obligations for kind in _kinds(o)} - self._discharges
        if undischarged and decision.effect is not Effect.DENY:
            what = ", ".join(sorted(undischarged))
            return _refusal("undischarged-obligation", f"this connector cannot carry out: {what}"), (
                f"change rule {decision.rule!r} so that it asks for none of these"
            )
        return decision, f"to see why: hoop policy explain {session.connection.name} <statement>"

    async def _await_approval(self, exchange: str, statement: Statement, decision: Decision) -> tuple[Decision, str]:
        terms = next((o for o in decision.obligations if isinstance(o, Approve)), Approve())
        question = self._question(statement, decision)
        try:
            request = await self._asked(exchange, statement, decision, question, terms)
            request = await self._answered(exchange, statement, decision, request)
            return await self._after_answer(exchange, request, question.binding, decision)
        except LedgerError:
            raise
        except HoopError as error:
            return _denied(decision, error.message), error.hint

    def _question(self, statement: Statement, decision: Decision) -> Question:
        principal, connection = self._session.principal, self._session.connection
        return Question(
            Binding(principal.subject, connection.name, decision.rule, statement.digest),
            session=self._session.id,
            text=statement.text,
            principal_kind=principal.kind,
            on_behalf_of=principal.on_behalf_of or "",
            reason=self._session.reason,
            kind=connection.kind,
            media_type=statement.media_type,
            why=decision.reason,
            actions=statement.actions,
            facts=statement.facts,
        )

    async def _asked(
        self, exchange: str, statement: Statement, decision: Decision, question: Question, terms: Approve
    ) -> Request:
        """Put the question. A client that leaves meanwhile withdraws what was asked, as one that leaves later does."""

        async def put() -> Request:
            request = await self._approvals.submit(question, terms)
            await self._journal.asked(exchange, request, terms)
            return request

        putting = asyncio.ensure_future(put())
        try:
            return await asyncio.shield(putting)
        except asyncio.CancelledError:
            with suppress(HoopError):
                self._withdrawn(exchange, statement, decision, await putting)
            raise

    def _withdrawn(self, exchange: str, statement: Statement, decision: Decision, request: Request) -> None:
        self._approvals.withdraw(request)
        self._journal.withdrawn(exchange, request)
        self._journal.request(exchange, statement, _denied(decision, "the client stopped waiting"))

    async def _answered(self, exchange: str, statement: Statement, decision: Decision, request: Request) -> Request:
        self.stats.waiting += 1
        try:
            return await self._approvals.settled(request)
        except asyncio.CancelledError:
            self._withdrawn(exchange, statement, decision, request)
            raise
        finally:
            self.stats.waiting -= 1

    async def _after_answer(
        self, exchange: str, request: Request, binding: Binding, decision: Decision
    ) -> tuple[Decision, str]:
        if request.answers:
            await self._journal.answered(exchange, request)
        if request.state is State.EXPIRED:
            await self._journal.expired(exchange, request)
        approved = request.state is State.APPROVED and request.binding == binding
        if approved and await self._approvals.spend(request, binding):
            await self._journal.used(exchange, request)
            who = ", ".join(a.approver for a in request.answers)
            return replace(decision, effect=Effect.ALLOW, reason=f"approved by {who} (request {request.id})"), ""
        said = "; ".join(f"{a.approver}: {a.comment or 'no comment'}" for a in request.answers if not a.approve)
        why = f"request {request.id} is {request.state}" + (f" ({said})" if said else "")
        return _denied(decision, why), "ask again with a reason: hoop connect NAME --reason TEXT"


def _sentence(decision: Decision) -> str:
    """The denial for a person; it names the rule once."""
    named = repr(decision.rule) in decision.reason
    return f"denied: {decision.reason}" if named else f"denied by rule {decision.rule!r}: {decision.reason}"


def _kinds(obligation: Obligation) -> set[str]:
    """What has to be carried out; masks by the source's own labels ask for more than masks by name or shape."""
    return {obligation.kind, LABELS} if isinstance(obligation, Mask) and obligation.by_label else {obligation.kind}


def _refusal(rule: str, reason: str) -> Decision:
    return Decision(Effect.DENY, rule, reason)


def _denied(decision: Decision, reason: str) -> Decision:
    return replace(decision, effect=Effect.DENY, reason=reason)
