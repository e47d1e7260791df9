"""A server and two sessions before it, in a process of their own.

Some drivers hold the interpreter while they wait for rows; a broker in the same process could then not send them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from hoopcli.spi import Listen
from tests.support.backend import backend
from tests.support.broker import AGENT, DBA, broker
from tests.support.ledger import Recorded

_START_SECONDS = 60.0
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an agent and a database administrator reach the server, and what is known behind them.

    ``slow`` is a statement that takes longer than any test; empty if the server has no WAITFOR.
    """

    agent: Listen
    dba: Listen
    database: str
    slow: str
    ledger: Recorded
    _pipe: Connection

    def never_saw(self, text: str) -> bool:
        """Whether the server saw no statement with this text in it; taken as so of a real one, which cannot tell."""
        self._pipe.send(text)
        assert self._pipe.poll(_ANSWER_SECONDS), "the process of the server does not answer"
        answer: bool = self._pipe.recv()
        return answer


@contextmanager
def stage(folder: Path, policy: str) -> Iterator[Stage]:
    """Run the process until the block ends."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(folder, policy, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(_START_SECONDS), "the process of the server did not start"
        agent, dba, database, slow = ours.recv()
        yield Stage(agent, dba, database, slow, Recorded(folder / "agent" / "ledger.db"), ours)
    finally:
        ours.close()
        process.join(_ANSWER_SECONDS)


def _serve(folder: Path, policy: str, pipe: Connection) -> None:
    with (
        backend() as server,
        broker(_made(folder / "agent"), server.options, policy, principal=AGENT, credential=server.credential) as agent,
        broker(_made(folder / "dba"), server.options, policy, principal=DBA, credential=server.credential) as dba,
    ):
        pipe.send((agent.listen, dba.listen, server.database, server.slow))
        try:
            while True:
                pipe.send(server.never_saw(pipe.recv()))
        except EOFError:
            return


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
