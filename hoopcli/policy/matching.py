"""Whom and what a rule is about: principals, connections, verbs and resources.

A verb that ends in ``unclassified`` or ``dynamic`` stands for a statement that nobody could read. To allow it, a rule
must name it exactly: no pattern and no rule without verbs does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hoopcli.masking.patterns import field_matches, paths_overlap, resource_matcher, text_matcher
from hoopcli.model.access import Principal
from hoopcli.model.decision import Effect, Statement
from hoopcli.policy.schema import Rule, Who

_UNREADABLE = ("unclassified", "dynamic")
_LONGEST_SHOWN = 200

Pair = tuple[str, str]


def pairs_of(statement: Statement) -> tuple[Pair, ...]:
    """Every verb on every resource of a statement, once, in order. A verb without resources acts on ""."""
    return tuple(
        dict.fromkeys((action.verb, resource) for action in statement.actions for resource in action.resources or ("",))
    )


def phrase(pair: Pair) -> str:
    """A verb on a resource, in words; a very long name is cut."""
    verb, resource = pair
    shown = resource if len(resource) <= _LONGEST_SHOWN else f"{resource[:_LONGEST_SHOWN]}..."
    return f"{verb} on {shown}" if resource else verb


def is_unreadable(verb: str) -> bool:
    """Whether a verb stands for a statement that could not be read."""
    return verb.endswith(_UNREADABLE)


def who_matches(who: Who | None, principal: Principal) -> bool:
    """Whether a principal is among those meant; None means everybody."""
    if who is None:
        return True
    return (
        (who.subjects is None or any_text(who.subjects, principal.subject))
        and (who.kinds is None or principal.kind in who.kinds)
        and (who.groups is None or any(any_text(who.groups, group) for group in principal.groups))
    )


def connection_matches(patterns: Iterable[str] | None, name: str) -> bool:
    """Whether a connection is among those named; None means any."""
    return patterns is None or any_text(patterns, name)


def verb_matches(rule: Rule, verb: str) -> bool:
    """Whether a rule is about a verb."""
    if is_unreadable(verb) and rule.effect != Effect.DENY.value:
        return rule.verbs is not None and verb.lower() in map(str.lower, rule.verbs)
    return rule.verbs is None or any_text(rule.verbs, verb)


def resource_matches(rule: Rule, resource: str, *, exact_case: bool = False) -> bool:
    """Whether a rule is about a resource, which is "" for a verb that acts on none.

    A ``*`` in the resource stands for a part that nobody knows: a rule that allows must cover it all, one that denies
    or asks is about it if it may be about some of it. ``exact_case`` holds for rules that allow.
    """
    if rule.resources is None or "*" in rule.resources:
        return True
    allows = rule.effect == Effect.ALLOW.value
    if any(resource_matcher(pattern, exact_case=exact_case and allows)(resource) for pattern in rule.resources):
        return True
    unknown = "*" in resource and not allows
    may_mean = paths_overlap if "/" in resource else field_matches
    return unknown and any(may_mean(pattern, resource) for pattern in rule.resources)


def resource_tester(rule: Rule, *, exact_case: bool = False) -> Callable[[str], bool]:
    """``resource_matches`` for many resources without a ``*``, none of them empty."""
    if rule.resources is None or "*" in rule.resources:
        return lambda _resource: True
    exact = exact_case and rule.effect == Effect.ALLOW.value
    tests = [resource_matcher(pattern, exact_case=exact) for pattern in rule.resources]
    if len(tests) == 1:
        return lambda resource: tests[0](resource) is not None
    return lambda resource: any(test(resource) for test in tests)


def pair_matches(rule: Rule, pair: Pair, *, exact_case: bool = False) -> bool:
    """Whether a rule is about a verb on a resource."""
    return verb_matches(rule, pair[0]) and resource_matches(rule, pair[1], exact_case=exact_case)


def any_text(patterns: Iterable[str], text: str) -> bool:
    """Whether one of some patterns matches a text."""
    return any(text_matcher(pattern)(text) for pattern in patterns)
