"""What ledgers say of their own heads: the one way to learn that a ledger was rolled back and is quiet about it."""

from __future__ import annotations

from hoopcli.ledger import statements
from hoopcli.ledger.merkle import tree_hash
from hoopcli.ledger.note import Checkpoint
from hoopcli.server.services import Services
from hoopcli.server.sync import store
from hoopcli.server.sync.alerts import Kind, raise_alert
from hoopcli.server.sync.refusals import refusals
from hoopcli.server.sync.store import Held, StoredTree


def report_head(services: Services, origin: str, statement: str) -> None:
    """Compare a signed head with what is stored; keep an alert if they contradict each other.

    Raises:
        Problem: the ledger is not enrolled (404), or the statement is not its own or not of now (422).
    """
    with services.database.read() as connection:
        held = store.find(connection, origin)
        with refusals():
            head = statements.check_head(statement, held.key, services.now())
        tree = StoredTree(connection, held.id, held.size)
        same = head.size > held.size or tree_hash(head.size, tree.node) == head.root
    if not same:
        raise_alert(
            services, origin, Kind.FORK, f"this ledger has another history before record {head.size}", statement
        )
    elif head.size < max(held.size, held.witnessed_size):
        raise_alert(services, origin, Kind.ROLLBACK, _lost(held, head), statement)


def _lost(held: Held, head: Checkpoint) -> str:
    known = max(held.size, held.witnessed_size)
    return f"this ledger had {known} records and says that it has {head.size} now"
