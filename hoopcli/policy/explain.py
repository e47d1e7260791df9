"""Why a statement is decided as it is: what each rule and each mask says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Decision, Effect, Mask, Statement
from hoopcli.policy.conditions import Condition, ConditionError, context
from hoopcli.policy.document import Policy
from hoopcli.policy.inference import predicates
from hoopcli.policy.matching import (
    Pair,
    connection_matches,
    is_unreadable,
    pair_matches,
    pairs_of,
    phrase,
    verb_matches,
    who_matches,
)
from hoopcli.policy.schema import MaskRule, Rule


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule or mask says: whether it matched, and why or why not, as a sentence."""

    id: str
    kind: str
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and the verdict of each rule and each mask in the order of the document.

    ``in_force`` are the masks that hold for the principal, also where the statement is denied.
    """

    decision: Decision
    rules: tuple[Verdict, ...]
    masks: tuple[Verdict, ...]
    in_force: tuple[Mask, ...] = ()


def verdicts(
    policy: Policy, principal: Principal, connection: Connection, statement: Statement, now: datetime, reason: str
) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """What each rule and each mask says of a statement, each on its own. Never raises."""
    pairs = pairs_of(statement)

    def judge(rule: Rule) -> Verdict:
        why = _why_not(rule, principal, connection, pairs, statement.exact_case)
        if why:
            return Verdict(rule.id, rule.effect, matched=False, why=why)
        matched, when = _condition(rule, principal, connection, statement, now, reason)
        about = [phrase(pair) for pair in pairs if pair_matches(rule, pair, exact_case=statement.exact_case)]
        return Verdict(rule.id, rule.effect, matched, f"it is about {_listed(about)}{when}")

    return (
        tuple(judge(rule) for rule in policy.rules),
        tuple(_mask_verdict(mask, principal, connection) for mask in policy.masks),
    )


def _why_not(rule: Rule, principal: Principal, connection: Connection, pairs: Sequence[Pair], exact_case: bool) -> str:
    """The first thing that keeps a rule from being about a request, "" if nothing does."""
    if not connection_matches(rule.connections, connection.name):
        return f"it is not about connection {connection.name!r}"
    if not who_matches(rule.principals, principal):
        return f"it is not about {principal.subject!r} ({_described(principal)})"
    if not any(verb_matches(rule, verb) for verb, _ in pairs):
        verbs = _listed(dict.fromkeys(verb for verb, _ in pairs))
        exact = any(is_unreadable(verb) for verb, _ in pairs) and rule.effect != Effect.DENY.value
        return f"it is not about {verbs}" + ("; a statement nobody can read must be allowed by name" if exact else "")
    if not any(pair_matches(rule, pair, exact_case=exact_case) for pair in pairs):
        return (
            f"its resources do not cover {_listed(dict.fromkeys(resource or 'no resource' for _, resource in pairs))}"
        )
    return ""


def _condition(
    rule: Rule, principal: Principal, connection: Connection, statement: Statement, now: datetime, reason: str
) -> tuple[bool, str]:
    if rule.when is None:
        return True, ""
    try:
        holds = Condition(rule.when).holds(context(principal, connection, statement, now, reason))
    except ConditionError as error:
        matched = rule.effect != Effect.ALLOW.value
        return matched, f"; its condition fails ({error}), which counts as {'true' if matched else 'false'}"
    return holds, f"; its condition is {'true' if holds else 'false'}: {rule.when}"


def _mask_verdict(mask: MaskRule, principal: Principal, connection: Connection) -> Verdict:
    if not connection_matches(mask.connections, connection.name):
        return Verdict(mask.id, "mask", matched=False, why=f"it is not about connection {connection.name!r}")
    if not who_matches(mask.principals, principal):
        return Verdict(mask.id, "mask", matched=False, why=f"it is not about {principal.subject!r}")
    if mask.except_principals and who_matches(mask.except_principals, principal):
        return Verdict(mask.id, "mask", matched=False, why=f"{principal.subject!r} is excepted")
    what = [
        *(mask.fields or ()),
        *(f"column {name}" for name in mask.columns or ()),
        *(f"label {label}" for label in mask.labels or ()),
        *(f"information type {kind}" for kind in mask.information_types or ()),
        *(mask.detectors or ()),
    ]
    return Verdict(mask.id, "mask", matched=True, why=f"it masks {_listed(what)}{_predicates(mask, principal)}")


def _predicates(mask: MaskRule, principal: Principal) -> str:
    """What may be compared, for masks of columns; the values that detectors find are not known beforehand."""
    if not (mask.fields or mask.columns or mask.labels or mask.information_types):
        return ""
    return f"; predicates: {predicates(mask, principal)}"


def _described(principal: Principal) -> str:
    groups = ", ".join(sorted(principal.groups)) or "no group"
    return f"{principal.kind.value}; {groups}"


def _listed(words: Iterable[str]) -> str:
    shown = list(words)
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return ", ".join(shown[:5]) + more if shown else "anything"
