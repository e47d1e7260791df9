"""The shape of a protocol layer."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from hoopcli.sansio.commands import Command, Receive
from hoopcli.sansio.events import Event, Peer

T = TypeVar("T")

#: Takes events, yields commands, and ends when the connection is over. ``Steps[T]`` is a part of one that returns a T.
Steps: TypeAlias = Generator[Command, "Event | None", T]
Layer: TypeAlias = Generator[Command, "Event | None", None]

CLIENT = frozenset({Peer.CLIENT})
UPSTREAM = frozenset({Peer.UPSTREAM})
BOTH = frozenset(Peer)
NOBODY: frozenset[Peer] = frozenset()


def receive(peers: frozenset[Peer]) -> Steps[Event]:
    """Wait for the next event, taking data from ``peers`` only."""
    event = yield Receive(peers)
    if event is None:
        raise AssertionError("the runner answered Receive without an event")
    return event
