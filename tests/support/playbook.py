"""A dialogue with a layer: an event in, the commands that answer it out."""

from __future__ import annotations

from typing import TypeVar

from hoopcli.sansio.commands import Command, Receive, SendData
from hoopcli.sansio.events import Event, Peer
from hoopcli.sansio.layer import Layer

C = TypeVar("C")


class Playbook:
    """Steps one layer without any I/O."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.log: list[Command] = []
        self.receiving: frozenset[Peer] | None = None
        self.ended = False
        self.opening = self._run(None)

    def hear(self, event: Event) -> list[Command]:
        """Give the layer an event; the commands up to its next Receive."""
        assert not self.ended, "the layer has ended"
        return self._run(event)

    def _run(self, event: Event | None) -> list[Command]:
        commands: list[Command] = []
        reply = event
        try:
            while True:
                command = self.layer.send(reply)
                reply = None
                if isinstance(command, Receive):
                    self.receiving = command.peers
                    break
                commands.append(command)
                self.log.append(command)
        except StopIteration:
            self.ended = True
        return commands


def only(commands: list[Command], kind: type[C]) -> list[C]:
    """The commands of one kind."""
    return [c for c in commands if isinstance(c, kind)]


def sent(commands: list[Command], peer: Peer) -> bytes:
    """All bytes sent to a peer by these commands."""
    return b"".join(bytes(b) for c in only(commands, SendData) if c.peer is peer for b in c.buffers)
