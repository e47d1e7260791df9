"""The shape of the policy document. ``hoopcli.policy.document`` reads one from YAML, with the place of each error."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from hoopcli.errors import UsageError
from hoopcli.masking.detectors import by_name
from hoopcli.masking.masker import DETECTORS, JSON_PATH
from hoopcli.masking.paths import json_path
from hoopcli.model.access import PrincipalKind
from hoopcli.model.decision import Mask, Method
from hoopcli.policy.conditions import Condition

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_METHODS = ("redact", "hash", "null", None)  # YAML reads a bare null as nothing
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: Ids that decisions carry without a rule of that name.
RESERVED = frozenset(
    {
        "default-deny",
        "unresolved-lineage",
        "opaque-content",
        "policy-error",
        "conflicting-approvals",
        "masked-predicate",
        "masked-move",
        "masked-write-back",
        "kubernetes-discovery",
    }
)


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("a duration is a number with a unit, such as 90s, 15m, 1h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _condition(source: str) -> str:
    Condition(source)
    return source


def _detector(name: str) -> str:
    try:
        by_name(DETECTORS, (name,))
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return name


def _column(name: str) -> str:
    if name.startswith(JSON_PATH):
        try:
            json_path(name)
        except UsageError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None
    return name


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} is what hoop itself calls some decisions; choose another id")
    return name


Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": r"^\d{1,6}[smhd]$"})
]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)]
Resources = Annotated[tuple[Annotated[str, Field(max_length=500)], ...], Field(min_length=1, max_length=1000)]
Columns = Annotated[tuple[Annotated[Text, AfterValidator(_column)], ...], Field(min_length=1, max_length=1000)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), AfterValidator(_not_reserved)]
Count = Annotated[int, Field(ge=1, le=1000)]


class _Model(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class Who(_Model):
    """Principals: those that match every key that is given, by any of its values. ``subjects`` are globs."""

    subjects: Texts | None = None
    kinds: Annotated[tuple[PrincipalKind, ...], Field(min_length=1)] | None = None
    groups: Texts | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.subjects is None and self.kinds is None and self.groups is None:
            raise ValueError("name subjects, kinds or groups; leave the key out to mean everybody")
        return self


class Approval(_Model):
    """How many people of which groups must agree, how soon, and for how many uses."""

    groups: Texts | None = None
    count: Count = 1
    expires: Duration = timedelta(minutes=15)
    uses: Count = 1


class Rows(_Model):
    """How many rows (or items) of a result are delivered at most."""

    rows: Annotated[int, Field(ge=1)]


class Kept(_Model):
    """How many bytes of a delivered result the ledger may keep; 0 keeps only its digest."""

    bytes: Annotated[int, Field(ge=0, le=1 << 30)]


class Stream(_Model):
    """How streams such as a terminal are treated: ended after so long without a sign of life, recorded with input."""

    idle: Duration | None = None
    keep_input: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.idle is None and not self.keep_input:
            raise ValueError("say idle or keep_input; leave the key out to ask for neither")
        return self


class Rule(_Model):
    """What is allowed, denied or left to people. A key that is left out does not narrow the rule.

    The resource "" is that of a verb that acts on none.
    """

    id: Id
    description: Text | None = None
    effect: Literal["allow", "require_approval", "deny"]
    principals: Who | None = None
    connections: Texts | None = None
    verbs: Texts | None = None
    resources: Resources | None = None
    when: Annotated[str, AfterValidator(_condition)] | None = None
    approval: Approval | None = None
    limit: Rows | None = None
    keep: Kept | None = None
    stream: Stream | None = None
    show_secrets: Texts | None = None

    @model_validator(mode="after")
    def _fits_its_effect(self) -> Self:
        if self.approval is not None and self.effect != "require_approval":
            raise ValueError("only a rule with effect require_approval has an approval")
        if self.effect == "deny" and (self.limit or self.keep or self.stream or self.show_secrets):
            raise ValueError("a rule that denies has neither limit nor keep nor stream nor show_secrets")
        return self


class KeepFirst(_Model):
    """Show the first characters of a value that is at least twice as long."""

    keep_first: Count


class KeepLast(_Model):
    """Show the last characters of a value that is at least twice as long."""

    keep_last: Count


def _method(value: object) -> object:
    if value in _METHODS:
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((name, count),) = value.items()
        if name in {"keep_first", "keep_last"} and type(count) is int and 1 <= count <= 1000:
            return value
    raise ValueError("a method is redact, hash, null, {keep_first: 4} or {keep_last: 4}")


HowMasked = Annotated[Literal["redact", "hash", "null"] | KeepFirst | KeepLast | None, BeforeValidator(_method)]


class MaskRule(_Model):
    """Which values are masked, how, and for whom.

    Any of fields, columns, labels, information types and detectors is enough to mask one. Resources narrow a mask to
    what comes from there. Predicates say whether statements may compare, sort, group or compute by what is masked:
    equality is one comparison with a given value. Left out, it is equality for humans, deny for agents and workloads.
    """

    id: Id
    description: Text | None = None
    fields: Texts | None = None
    columns: Columns | None = None
    labels: Texts | None = None
    information_types: Texts | None = None
    detectors: Annotated[tuple[Annotated[str, AfterValidator(_detector)], ...], Field(min_length=1)] | None = None
    method: HowMasked = "redact"
    resources: Texts | None = None
    predicates: Literal["allow", "equality", "deny"] | None = None
    connections: Texts | None = None
    principals: Who | None = None
    except_principals: Who | None = None

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        said = (self.fields, self.columns, self.labels, self.information_types, self.detectors)
        if all(each is None for each in said):
            raise ValueError("a mask names fields, columns, labels, information_types or detectors")
        return self

    def mask(self) -> Mask:
        """The obligation that this asks for."""
        match self.method:
            case KeepFirst(keep_first=count):
                method = Method("keep_first", count)
            case KeepLast(keep_last=count):
                method = Method("keep_last", count)
            case name:
                method = Method(name or "null")
        return Mask(
            self.id,
            self.fields or (),
            self.labels or (),
            self.detectors or (),
            method,
            self.columns or (),
            self.resources or (),
            self.information_types or (),
        )


class Defaults(_Model):
    """What holds where a rule does not say. ``discovery``: everybody may ask a cluster what it can do."""

    discovery: bool = True
    keep: Kept = Kept(bytes=262_144)
    approval: Approval = Approval()


class Document(_Model):
    """A policy. What no rule allows is denied; deny beats require_approval beats allow."""

    version: Literal[1]
    description: Text | None = None
    defaults: Defaults = Defaults()
    on_unresolved: Literal["deny", "mask_all", "approve"] = "deny"
    on_opaque: Literal["deny", "allow", "approve"] = "deny"
    rules: tuple[Rule, ...] = ()
    masks: tuple[MaskRule, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the policy document, as published in ``docs/policy.schema.json``."""
    schema = Document.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:hoop:policy:1",
        **schema,
        "title": "hoop policy",
    }
