"""What is allowed to be written in a policy, but is probably not meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hoopcli.masking.patterns import resource_matcher, text_matcher
from hoopcli.policy.document import Policy, load
from hoopcli.policy.matching import is_unreadable, verb_matches
from hoopcli.policy.schema import MaskRule, Rule


class Level(StrEnum):
    """How much a finding weighs."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: ``rule`` is the id of the rule or mask, ``place`` is ``name:line:column``."""

    level: Level
    rule: str
    place: str
    message: str


def check(source: str | Path, verbs: Collection[str] = ()) -> list[Finding]:
    """Check a policy. ``verbs`` are all that connectors know. Raises UsageError if it is not valid at all."""
    policy = load(source)
    findings: list[Finding] = []
    for index, rule in enumerate(policy.rules):
        place = policy.source.place(("rules", index, "id"))
        findings += [Finding(level, rule.id, place, text) for level, text in _about_rule(policy, index, rule, verbs)]
    for index, mask in enumerate(policy.masks):
        place = policy.source.place(("masks", index, "id"))
        findings += [Finding(level, mask.id, place, text) for level, text in _about_mask(policy, index, mask)]
    if not any(rule.effect != "deny" for rule in policy.rules):
        place = policy.source.place(("rules",))
        findings.append(Finding(Level.WARNING, "", place, "no rule allows anything: every statement is denied"))
    return findings


def _about_rule(policy: Policy, index: int, rule: Rule, verbs: Collection[str]) -> Iterator[tuple[Level, str]]:
    if rule.effect == "allow" and not (rule.principals or rule.resources or rule.verbs or rule.when):
        yield Level.WARNING, "it allows everybody everything that can be read"
    elif rule.verbs is None and rule.effect != "deny":
        yield Level.WARNING, "it names no verbs, so it is about every verb, also those of later connectors"
    for verb in rule.verbs or ():
        if is_unreadable(verb) and rule.effect == "allow":
            yield Level.WARNING, f"it allows {verb!r}: statements that nobody can read"
        if verbs and not any(text_matcher(verb)(known) for known in verbs):
            yield Level.WARNING, f"no connector knows a verb like {verb!r}"
    if rule.effect == "require_approval" and not (rule.approval or policy.document.defaults.approval).groups:
        yield Level.WARNING, "it names no groups, so anybody but the one who asks may approve"
    for n, other in enumerate(policy.rules):
        if n != index and _hides(other, rule, earlier=n < index):
            yield Level.WARNING, f"it never decides anything: rule {other.id!r} covers all that it is about"


def _about_mask(policy: Policy, index: int, mask: MaskRule) -> Iterator[tuple[Level, str]]:
    if "method" not in policy.source.value["masks"][index]:
        yield Level.NOTE, "it names no method, so it redacts"
    for pattern in mask.fields or ():
        if "." not in pattern and pattern != "*":
            yield Level.NOTE, f"the field {pattern!r} is any column of that name, of any table"


_STRENGTH = {"allow": 0, "require_approval": 1, "deny": 2}


def _hides(other: Rule, rule: Rule, *, earlier: bool) -> bool:
    """Whether a rule covers, without a condition, all that another is about, and beats it or says the same."""
    if other.when is not None or _STRENGTH[other.effect] < _STRENGTH[rule.effect]:
        return False
    if other.effect == rule.effect and (not earlier or _terms(other) != _terms(rule)):
        return False
    return (
        (other.principals is None or other.principals == rule.principals)
        and _texts_cover(other.connections, rule.connections)
        and _verbs_cover(other, rule)
        and _resources_cover(other.resources, rule.resources)
    )


def _terms(rule: Rule) -> tuple[object, ...]:
    return rule.approval, rule.limit, rule.keep, rule.stream, rule.show_secrets


def _texts_cover(wide: Sequence[str] | None, narrow: Sequence[str] | None) -> bool:
    if wide is None:
        return True
    return narrow is not None and all(any(text_matcher(each)(pattern) for each in wide) for pattern in narrow)


def _verbs_cover(wide: Rule, narrow: Rule) -> bool:
    if narrow.verbs is None:
        return wide.verbs is None
    return all(verb_matches(wide, verb) for verb in narrow.verbs)


def _resources_cover(wide: Sequence[str] | None, narrow: Sequence[str] | None) -> bool:
    if wide is None or "*" in wide:
        return True
    return narrow is not None and all(any(resource_matcher(each)(pattern) for each in wide) for pattern in narrow)
