"""The policy decision point: pure, without I/O and without a clock of its own.

Every verb on every resource of a statement must be covered by a rule that allows it or that leaves it to people;
different rules may cover different ones. One rule that denies any of them denies the statement. Deny beats
require_approval beats allow, and what no rule covers is denied. The order of rules does not matter but for the choice
of the rule that a decision names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from hoopcli.masking.masker import could_mask
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import (
    Action,
    Approve,
    Decision,
    Effect,
    Json,
    Limit,
    Mask,
    Method,
    Obligation,
    ShowSecrets,
    Statement,
    Streaming,
)
from hoopcli.policy.built_in import built_in
from hoopcli.policy.cel_engine import Context
from hoopcli.policy.conditions import Condition, ConditionError, context
from hoopcli.policy.document import Policy
from hoopcli.policy.explain import Explanation, verdicts
from hoopcli.policy.inference import predicates, refusal
from hoopcli.policy.labels import located, unlocated
from hoopcli.policy.matching import (
    Pair,
    connection_matches,
    pair_matches,
    pairs_of,
    phrase,
    resource_tester,
    verb_matches,
    who_matches,
)
from hoopcli.policy.schema import Approval

_CACHE = 4096
_LONGEST_CACHED = 512
_UNRESOLVED = "masks hold for what it may read, and which columns its result comes from cannot be told"
_PLAINLY = "; name columns and tables in plain SELECTs"
_UNLABELLED = "masks go by sensitivity labels, and those of a table that it names are not known"
# What is there was copied from tables that this statement does not name.
_SCRATCH = "tempdb."
_COPIED = "it puts values that may be masked where a later statement reads them under another name; read them instead"
_OPAQUE = "masks hold for it, and what it contains cannot be read"
_EVERYTHING = Mask("unresolved", fields=("*",), method=Method("redact"))


@dataclass(slots=True)
class _Request:
    """One statement on its way through the rules; evaluates each condition at most once."""

    principal: Principal
    connection: Connection
    statement: Statement
    now: datetime
    reason: str
    pairs: tuple[Pair, ...]
    results: dict[int, bool] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    context: Context | None = None


class Engine:
    """Decides statements by one policy. Safe to share between threads. ``revision`` names the policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.revision = policy.revision
        self._rules = (*policy.rules, *built_in(policy.document.defaults))
        self._conditions = {n: Condition(rule.when) for n, rule in enumerate(policy.rules) if rule.when is not None}
        self._wanted = frozenset().union(*(condition.variables for condition in self._conditions.values()))
        self._keep = policy.document.defaults.keep.bytes
        self._about = lru_cache(maxsize=_CACHE)(self._find_rules_about)
        self._for = lru_cache(maxsize=_CACHE)(self._find_rules_for)
        self._masks = lru_cache(maxsize=_CACHE)(self._find_masks)

    def current(self) -> Engine:
        """Itself: this policy does not change."""
        return self

    def decide(
        self, principal: Principal, connection: Connection, statement: Statement, now: datetime, *, reason: str = ""
    ) -> Decision:
        """Say whether a principal may run a statement, under which obligations, and which rule says so.

        Never raises: what cannot be evaluated is denied, by the rule ``policy-error``. ``now`` is aware.
        """
        try:
            pairs = pairs_of(statement)
            return self._decide(_Request(principal, connection, statement, now, reason, pairs))
        except Exception as error:  # noqa: BLE001 - an exception in enforcement denies, whatever it is
            return self._deny("policy-error", f"the policy could not be evaluated ({type(error).__name__})")

    def explain(
        self, principal: Principal, connection: Connection, statement: Statement, now: datetime, *, reason: str = ""
    ) -> Explanation:
        """Decide a statement, and say what each rule and mask made of it. Never raises."""
        decision = self.decide(principal, connection, statement, now, reason=reason)
        rules, masks = verdicts(self.policy, principal, connection, statement, now, reason)
        return Explanation(decision, rules, masks, self.masks_for(principal, connection))

    def rules_about(
        self, principal: Principal, connection: Connection, pair: Pair, *, exact_case: bool = False
    ) -> tuple[int, ...]:
        """The rules, by index, about a verb on a resource for this principal and connection, conditions aside."""
        relevant = self._for(principal, connection.name)
        find = self._about if len(pair[1]) <= _LONGEST_CACHED else self._find_rules_about
        return tuple(n for n in find(pair, exact_case) if n in relevant)

    def kin_of(
        self, principal: Principal, connection: Connection, verb: str, *, exact_case: bool = False
    ) -> Callable[[str], tuple[int, ...] | None]:
        """What tells apart resources of one verb that are decided alike: the rules about them.

        Two of the same kin have the same decision but for its words. None is for one that is to be decided by itself,
        as a condition may see its name, or parts of the name stand for others.
        """
        relevant = self._for(principal, connection.name)
        rules = [(n, self._rules[n]) for n in sorted(relevant) if verb_matches(self._rules[n], verb)]
        tests = [(n, resource_tester(rule, exact_case=exact_case)) for n, rule in rules]
        named = frozenset(n for n, _ in rules if n in self._conditions and "statement" in self._conditions[n].variables)

        def kin(resource: str) -> tuple[int, ...] | None:
            if not resource or "*" in resource:
                return None
            found = tuple([n for n, about in tests if about(resource)])
            return found if named.isdisjoint(found) else None

        return kin

    def asks_about(
        self, variable: str, principal: Principal, connection: Connection, actions: Iterable[Action]
    ) -> bool:
        """Whether a condition that sees a variable may decide these actions, so that it must be known beforehand."""
        pairs = pairs_of(Statement("", b"", tuple(actions)))
        return any(
            variable in condition.variables
            for pair in pairs
            for n in self.rules_about(principal, connection, pair)
            if (condition := self._conditions.get(n))
        )

    def masks_for(self, principal: Principal, connection: Connection) -> tuple[Mask, ...]:
        """The masks that hold for this principal on this connection."""
        return self._masks(principal, connection.name)

    def _decide(self, request: _Request) -> Decision:
        if not request.pairs:
            return self._deny("default-deny", "nothing could be told of what the statement does")
        about = [self._rules_about(request, pair) for pair in request.pairs]
        if denied := self._first(request, about, Effect.DENY):
            return self._deny(self._rules[denied[0]].id, self._because(request, *denied, "denies"))
        permits: dict[int, Pair] = {}
        for pair, rules in zip(request.pairs, about, strict=True):
            covering = [n for n in rules if self._holds(n, request)]
            if not covering:
                return self._deny("default-deny", f"no rule allows {phrase(pair)}{self._failed(rules, request)}")
            for n in covering:
                permits.setdefault(n, pair)
        decision = self._permit(request, permits)
        refused = None if decision.effect is Effect.DENY else self._refusal(request, decision.masks)
        return self._deny(*refused) if refused else decision

    def _first(self, request: _Request, about: Sequence[tuple[int, ...]], effect: Effect) -> tuple[int, Pair] | None:
        """The first rule in the document of an effect that holds, and what it is about."""
        found = (
            (n, pair)
            for pair, rules in zip(request.pairs, about, strict=True)
            for n in rules
            if self._rules[n].effect == effect.value and self._holds(n, request)
        )
        return min(found, key=lambda each: each[0], default=None)

    def _permit(self, request: _Request, permits: Mapping[int, Pair]) -> Decision:
        """Permit what rules cover, under all of their obligations."""
        asking = [n for n in sorted(permits) if self._rules[n].effect == Effect.REQUIRE_APPROVAL.value]
        defaults = self.policy.document.defaults
        terms = [self._rules[n].approval or defaults.approval for n in asking]
        masks = located(self.masks_for(request.principal, request.connection), request.statement.facts)
        chosen = asking[0] if asking else min(permits)
        name = self._rules[chosen].id
        reason = self._because(request, chosen, permits[chosen], "leaves to people" if asking else "allows")
        if leak := self._leak(request.statement.facts, masks):
            match self.policy.document.on_unresolved:
                case "deny":
                    return self._deny("unresolved-lineage", leak + (_PLAINLY if leak == _UNRESOLVED else ""))
                case "approve":
                    terms.append(defaults.approval)
                    name = name if asking else "unresolved-lineage"
                    reason += f"; people must agree, as {leak}"
                case "mask_all" if request.statement.facts.get("copies", False) is not False:
                    return self._deny("unresolved-lineage", _COPIED)
                case "mask_all":
                    masks = (*masks, _EVERYTHING)
                    reason += f"; its whole result is masked, as {leak}"
        if masks and request.statement.facts.get("opaque", False) is not False:
            match self.policy.document.on_opaque:
                case "deny":
                    return self._deny("opaque-content", f"{_OPAQUE}; the policy's on_opaque says what then")
                case "approve":
                    terms.append(defaults.approval)
                    name = name if asking else "opaque-content"
                    reason += f"; people must agree, as {_OPAQUE}"
        approve = merge(terms)
        if terms and approve is None:
            return self._deny("conflicting-approvals", "rules ask for the approval of groups that have none in common")
        keep = [kept.bytes for n in permits if (kept := self._rules[n].keep)]
        return Decision(
            Effect.REQUIRE_APPROVAL if approve else Effect.ALLOW,
            name,
            reason,
            (*masks, *self._terms(permits), *((approve,) if approve else ())),
            min(keep, default=self._keep),
            self.revision,
        )

    def _refusal(self, request: _Request, masks: Sequence[Mask]) -> tuple[str, str] | None:
        """The reserved rule by which masks deny a statement that shows nothing masked, and why."""
        rules = {rule.id: rule for rule in self.policy.masks}
        governed = [(m, predicates(rules[m.id], request.principal)) for m in masks if m.id in rules]
        return refusal(request.statement.facts, governed)

    def _limits(self, permits: Iterable[int]) -> tuple[Obligation, ...]:
        rows = [limit.rows for n in permits if (limit := self._rules[n].limit)]
        return (Limit(min(rows)),) if rows else ()

    def _terms(self, permits: Iterable[int]) -> tuple[Obligation, ...]:
        return (*self._limits(permits), *self._streaming(permits), *self._shown(permits))

    def _streaming(self, permits: Iterable[int]) -> tuple[Obligation, ...]:
        found = [stream for n in permits if (stream := self._rules[n].stream)]
        idle = [stream.idle for stream in found if stream.idle]
        terms = Streaming(min(idle, default=None), any(stream.keep_input for stream in found))
        return (terms,) if found else ()

    def _shown(self, permits: Iterable[int]) -> tuple[Obligation, ...]:
        """The Secrets that any of the rules shows."""
        found = dict.fromkeys(name for n in sorted(permits) for name in self._rules[n].show_secrets or ())
        return (ShowSecrets(tuple(found)),) if found else ()

    def _leak(self, facts: Mapping[str, Json], masks: Sequence[Mask]) -> str:
        """Why masked columns may come out of a statement: its lineage, or its tables' labels, are not known."""
        if facts.get("unresolved", False) is False:
            return _UNLABELLED if unlocated(masks, facts) else ""
        tables = facts.get("tables")
        if facts.get("reads_unknown", False) is not False or not isinstance(tables, list | tuple):
            tables = ("*",)
        named = ("*" if str(table).startswith(_SCRATCH) else str(table) for table in tables)
        return _UNRESOLVED if any(could_mask(masks, table) for table in named) else ""

    def _holds(self, n: int, request: _Request) -> bool:
        """Whether the condition of a rule holds; one that fails holds for a rule that does not allow."""
        condition = self._conditions.get(n)
        if condition is None:
            return True
        if n not in request.results:
            try:
                request.results[n] = condition.holds(self._context(request))
            except ConditionError as error:
                request.errors[n] = str(error)
                request.results[n] = self._rules[n].effect != Effect.ALLOW.value
        return request.results[n]

    def _context(self, request: _Request) -> Context:
        if request.context is None:
            request.context = context(
                request.principal, request.connection, request.statement, request.now, request.reason, self._wanted
            )
        return request.context

    def _because(self, request: _Request, n: int, pair: Pair, does: str) -> str:
        rule = self._rules[n]
        sentence = f"rule {rule.id!r} {does} {phrase(pair)}"
        if n in request.errors:
            sentence += f"; its condition could not be evaluated ({request.errors[n]})"
        return f"{sentence}: {rule.description}" if rule.description else sentence

    def _failed(self, rules: Iterable[int], request: _Request) -> str:
        """What went wrong in the conditions of rules that might have allowed."""
        failed = [f"{self._rules[n].id!r} ({request.errors[n]})" for n in rules if n in request.errors]
        return f"; the condition could not be evaluated of rule {', '.join(failed)}" if failed else ""

    def _deny(self, rule: str, reason: str) -> Decision:
        return Decision(Effect.DENY, rule, reason, (), self._keep, self.revision)

    def _rules_about(self, request: _Request, pair: Pair) -> tuple[int, ...]:
        exact_case = request.statement.exact_case
        return self.rules_about(request.principal, request.connection, pair, exact_case=exact_case)

    def _find_rules_about(self, pair: Pair, exact_case: bool) -> tuple[int, ...]:
        return tuple(n for n, rule in enumerate(self._rules) if pair_matches(rule, pair, exact_case=exact_case))

    def _find_rules_for(self, principal: Principal, connection: str) -> frozenset[int]:
        return frozenset(
            n
            for n, rule in enumerate(self._rules)
            if connection_matches(rule.connections, connection) and who_matches(rule.principals, principal)
        )

    def _find_masks(self, principal: Principal, connection: str) -> tuple[Mask, ...]:
        return tuple(
            mask.mask()
            for mask in self.policy.masks
            if connection_matches(mask.connections, connection)
            and who_matches(mask.principals, principal)
            and not (mask.except_principals and who_matches(mask.except_principals, principal))
        )


def merge(terms: Iterable[Approval]) -> Approve | None:
    """One approval that satisfies several: None where none is asked, or where their groups have none in common."""
    merged: Approve | None = None
    for each in terms:
        groups = each.groups or ()
        if merged is None:
            merged = Approve(groups, each.count, each.expires, each.uses)
            continue
        common = tuple(group for group in merged.groups if group in groups) if merged.groups and groups else ()
        if merged.groups and groups and not common:
            return None
        merged = Approve(
            common or merged.groups or groups,
            max(merged.count, each.count),
            min(merged.expires, each.expires),
            min(merged.uses, each.uses),
        )
    return merged
