"""What one policy decides otherwise than another, counted and put together by what is alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hoopcli.model.decision import Decision, Effect
from hoopcli.policy.engine import Engine
from hoopcli.server.dryrun.recorded import Asked

MOST_GROUPS: Final = 200
LONGEST_EXAMPLE: Final = 500


class Kind(StrEnum):
    """How a decision changes."""

    DENIED = "newly denied"
    APPROVAL = "newly to approve"
    ALLOWED = "newly allowed"
    MASKS = "masks changed"
    TERMS = "terms changed"


@dataclass(frozen=True, slots=True)
class Group:
    """Statements of one principal on one connection that change alike; ``example`` is the newest of them."""

    kind: Kind
    principal: str
    connection: str
    verbs: str
    old: str
    new: str
    masks: str
    example: str


@dataclass(slots=True)
class Changes:
    """How many statements were seen, how many of each kind change, and the groups of them, as far as they are kept."""

    seen: int = 0
    unreadable: int = 0
    hidden: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    groups: dict[tuple[str, ...], tuple[Group, int]] = field(default_factory=dict)
    left_out: int = 0

    def add(self, asked: Asked, old: Engine, new: Engine) -> None:
        """Decide a statement by both."""
        self.seen += 1
        opening = asked.opening
        given = (opening.principal, opening.connection, asked.statement, asked.time)
        before, after = old.decide(*given, reason=opening.reason), new.decide(*given, reason=opening.reason)
        kind = kind_of(before, after)
        if kind is None:
            return
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        verbs = ", ".join(dict.fromkeys(action.verb for action in asked.statement.actions))
        key = (kind, opening.principal.subject, opening.connection.name, verbs, before.rule, after.rule)
        if key in self.groups:
            group, count = self.groups[key]
            self.groups[key] = (group, count + 1)
        elif len(self.groups) < MOST_GROUPS:
            example = asked.statement.text[:LONGEST_EXAMPLE]
            self.groups[key] = (_group(key, _masks(before, after) if kind is Kind.MASKS else "", example), 1)
        else:
            self.left_out += 1

    def document(self) -> dict[str, Any]:
        """As JSON."""
        groups = [[*key, group.masks, group.example, count] for key, (group, count) in self.groups.items()]
        return {
            "seen": self.seen,
            "unreadable": self.unreadable,
            "hidden": self.hidden,
            "kinds": self.kinds,
            "groups": groups,
            "left_out": self.left_out,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Changes:
        """Undo ``document``."""
        made = cls(
            document["seen"],
            document["unreadable"],
            document["hidden"],
            dict(document["kinds"]),
            left_out=document["left_out"],
        )
        for *key, masks, example, count in document["groups"]:
            made.groups[tuple(key)] = (_group(key, masks, example), count)
        return made

    def sorted(self) -> list[tuple[Group, int]]:
        """The groups: what is newly denied first, and the largest of each kind."""
        order = list(Kind)
        return sorted(self.groups.values(), key=lambda each: (order.index(each[0].kind), -each[1]))


def kind_of(before: Decision, after: Decision) -> Kind | None:
    """How a decision changes; None if what it means for who asks stays the same, whichever rule says so."""
    if before.effect is not after.effect:
        return {
            Effect.DENY: Kind.DENIED,
            Effect.REQUIRE_APPROVAL: Kind.APPROVAL,
            Effect.ALLOW: Kind.ALLOWED,
        }[after.effect]
    if before.masks != after.masks:
        return Kind.MASKS
    return Kind.TERMS if before.obligations != after.obligations else None


def _group(key: Sequence[str], masks: str, example: str) -> Group:
    kind, principal, connection, verbs, old, new = key
    return Group(Kind(kind), principal, connection, verbs, old, new, masks, example)


def _masks(before: Decision, after: Decision) -> str:
    old, new = [mask.id for mask in before.masks], [mask.id for mask in after.masks]
    return " ".join(
        [*(f"-{each}" for each in old if each not in new), *(f"+{each}" for each in new if each not in old)]
    )
