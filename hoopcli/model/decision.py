"""What is asked, and what was decided about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Action:
    """One verb and the resources it acts on, e.g. ``sql:select`` on ``shop.dbo.customers``.

    An action without resources (``sql:set``) is matched by rules on its verb, with the resource ``""``.
    """

    verb: str
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """The unit that is authorised, as a connector classified it.

    ``request`` is the exact bytes that will be forwarded (approvals bind to their digest); ``text`` is what a person
    reads. ``facts`` feed conditions as ``statement.<name>``. ``media_type`` says how to highlight ``text``. With
    ``exact_case``, names that differ in case name different things: a rule that allows one does not allow the other.
    ``meaning`` is a digest of what its names stood for when it was classified, to which approvals bind as well; empty
    where its bytes say all.
    """

    text: str
    request: bytes
    actions: tuple[Action, ...]
    facts: Mapping[str, Json] = field(default_factory=dict)
    media_type: str = "text/plain"
    exact_case: bool = False
    meaning: str = ""

    @property
    def digest(self) -> str:
        """What an approval is bound to: of the exact bytes, and of what they mean where that can change."""
        said = hashlib.sha256(self.request)
        return hashlib.sha256(said.digest() + self.meaning.encode()).hexdigest() if self.meaning else said.hexdigest()


class Effect(StrEnum):
    """What a decision says, weakest first: deny beats require_approval beats allow."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Method:
    """How a value is masked: ``redact``, ``keep_first``/``keep_last`` (with ``count``), ``hash`` or ``null``."""

    name: str = "redact"
    count: int = 0


@dataclass(frozen=True, slots=True)
class Mask:
    """Obligation: values of these fields, labels or shapes leave masked.

    ``fields`` are patterns such as ``*.dbo.customers.ssn``, ``columns`` names of columns or keys wherever they stand
    (``ssn``) or JSON paths (``$.customer.email``), ``labels`` and ``information_types`` match what the source itself
    says of its columns, ``detectors`` name shapes of values. ``resources`` narrow a mask to what comes from there;
    without them it holds everywhere. ``located`` are tables whose columns of such labels are all among ``fields``.
    """

    kind: ClassVar[str] = "mask"
    id: str
    fields: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    method: Method = field(default_factory=Method)
    columns: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    information_types: tuple[str, ...] = ()
    located: tuple[str, ...] = ()

    @property
    def by_label(self) -> bool:
        """Whether it goes by what the source itself says of its columns."""
        return bool(self.labels or self.information_types)


@dataclass(frozen=True, slots=True)
class Limit:
    """Obligation: end the result after so many rows (or items) and say that it was cut."""

    kind: ClassVar[str] = "limit"
    rows: int


@dataclass(frozen=True, slots=True)
class Streaming:
    """Obligation for streams such as a terminal: end one after ``idle`` without a sign of life; keep what is typed."""

    kind: ClassVar[str] = "stream"
    idle: timedelta | None = None
    keep_input: bool = False


@dataclass(frozen=True, slots=True)
class Approve:
    """Obligation: ``count`` people of ``groups`` must agree within ``expires``; the PEP discharges it itself."""

    kind: ClassVar[str] = "approve"
    groups: tuple[str, ...] = ()
    count: int = 1
    expires: timedelta = timedelta(minutes=15)
    uses: int = 1


@dataclass(frozen=True, slots=True)
class ShowSecrets:
    """Obligation: values of these Secrets of a cluster are no longer masked for being those of Secrets."""

    kind: ClassVar[str] = "show_secrets"
    resources: tuple[str, ...] = ()


Obligation = Mask | Limit | Streaming | ShowSecrets | Approve


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of one statement, and why.

    ``rule`` is the id of the deciding rule (``default-deny`` when none matched); ``reason`` is a sentence for a
    person; ``keep`` is how many bytes of the delivered result the ledger may keep; ``revision`` is the digest of the
    policy document that decided.
    """

    effect: Effect
    rule: str
    reason: str = ""
    obligations: tuple[Obligation, ...] = ()
    keep: int = 262_144
    revision: str = ""

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The masks among the obligations, in the order of the document."""
        return tuple(o for o in self.obligations if isinstance(o, Mask))

    @property
    def shown_secrets(self) -> tuple[str, ...]:
        """Patterns of the Secrets whose values may be shown."""
        return tuple(name for o in self.obligations if isinstance(o, ShowSecrets) for name in o.resources)
