"""What masks forbid besides showing values.

A statement can tell of a masked value without showing it, by what it compares, sorts, groups or computes with; it can
move the value to where no mask covers it; and it can write back the masked form in the place of the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hoopcli.masking.masker import names_column
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.decision import Json, Mask
from hoopcli.policy.schema import MaskRule

ALLOW, EQUALITY, DENY = "allow", "equality", "deny"
_UNKNOWN = ("*",)

Refusal = tuple[str, str]


def predicates(rule: MaskRule, principal: Principal) -> str:
    """Which predicates a mask leaves a principal: all, one equality, or none."""
    return rule.predicates or (EQUALITY if principal.kind is PrincipalKind.HUMAN else DENY)


def refusal(facts: Mapping[str, Json], masks: Sequence[tuple[Mask, str]]) -> Refusal | None:
    """The reserved rule that denies a statement because of its masks, and why. Each mask comes with its predicates."""
    return (
        _telling(facts, masks)
        or _first(
            facts,
            "moves",
            masks,
            "masked-move",
            "it gives values of {} to columns or expressions that the mask {!r} does not follow",
        )
        or _first(
            facts,
            "written_back",
            masks,
            "masked-write-back",
            "it writes the masked form of a value into {}, as the mask {!r} gives it; write the value, or leave it out",
        )
    )


def _telling(facts: Mapping[str, Json], masks: Sequence[tuple[Mask, str]]) -> Refusal | None:
    why = (
        "it compares, sorts, groups or computes by {}, which the mask {!r} hides; "
        "select that column as it is, or choose rows by others"
    )
    governed = [(mask, allowed) for mask, allowed in masks if allowed != ALLOW]
    strict = [(mask, allowed) for mask, allowed in governed if allowed != EQUALITY]
    return _first(facts, "predicates", governed, "masked-predicate", why) or _first(
        facts, "equalities", strict, "masked-predicate", why
    )


def _first(
    facts: Mapping[str, Json], fact: str, masks: Sequence[tuple[Mask, str]], rule: str, why: str
) -> Refusal | None:
    found = ((column, mask.id) for column in _columns(facts, fact) for mask, _ in masks if names_column(mask, column))
    column, mask = next(found, ("", ""))
    return (rule, why.format(column, mask)) if column else None


def _columns(facts: Mapping[str, Json], fact: str) -> Iterator[str]:
    """The columns of a fact; what has another form than a list may be any."""
    value = facts.get(fact, ())
    yield from map(str, value if isinstance(value, list | tuple) else _UNKNOWN)
