"""Who asks, and for what: principals and connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PrincipalKind(StrEnum):
    """What sort of actor a principal is."""

    HUMAN = "human"
    AGENT = "agent"
    WORKLOAD = "workload"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts. ``on_behalf_of`` is the subject of the human whom an agent or a workload serves."""

    subject: str
    kind: PrincipalKind = PrincipalKind.HUMAN
    name: str = ""
    email: str = ""
    groups: frozenset[str] = frozenset()
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A configured upstream. ``kind`` names the connector; ``options`` are its settings, never a secret's value."""

    name: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
