"""Engines by the text of their policy, kept while somebody tries one statement after another."""

from __future__ import annotations

from functools import lru_cache

from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine


@lru_cache(maxsize=8)
def engine_of(policy: str) -> Engine:
    """The engine of a policy. Raises UsageError if it is not valid."""
    return Engine(load(policy))
