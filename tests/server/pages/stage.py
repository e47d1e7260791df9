"""A server with ledgers, connections, a policy and people, for the tests of its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from hoopcli.ledger import drafts, statements
from hoopcli.ledger.batch import encode
from hoopcli.ledger.note import Signer
from hoopcli.ledger.reader import PayloadRow
from hoopcli.ledger.record import SLOTS, Draft, format_time, seal
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Decision, Effect, Statement
from hoopcli.model.session import Session
from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.database import sqlite_url
from hoopcli.server.people.store import Held, Sessions
from hoopcli.server.sync import store
from hoopcli.server.sync.heads import report_head
from hoopcli.server.sync.ingest import ingest
from tests.server.sync.stage import MemoryTree
from tests.support.approvals import Running, replica

SERVER_POLICY = """
version: 1
rules:
  - id: everybody-enrols
    effect: allow
    verbs: ["ledger:enrol"]
    resources: ["*"]
  - id: dbas-look-after-it
    effect: allow
    principals: {groups: [dba]}
    verbs: ["approvals:answer", "audit:read", "ledger:resolve", "policy:*", "people:read", "people:revoke"]
    resources: ["*"]
  - id: auditors-read
    effect: allow
    principals: {groups: [audit]}
    verbs: ["approvals:read", "audit:read", "policy:read", "people:read"]
    resources: ["*"]
"""
POLICY = """\
# Who may do what with the shop.
version: 1
rules:
  - id: everybody-reads
    description: reading is for all
    effect: allow
    verbs: ["sql:select"]
    resources: ["shop.dbo.*"]
  - id: ddl-needs-a-human
    effect: require_approval
    verbs: ["sql:drop", "sql:create"]
    approval: {groups: [dba], count: 2, expires: 15m}
  - id: no-agents-in-salaries
    effect: deny
    principals: {kinds: [agent]}
    resources: ["shop.dbo.salaries"]
masks:
  - id: ssn
    fields: ["*.dbo.customers.ssn"]
    method: {keep_last: 4}
"""
CONNECTIONS = {
    "azure-sql": {"kind": "sql", "server": "shop.database.windows.net", "database": "shop"},
    "invoices-blob": {"kind": "blob", "account": "invoices"},
}


@contextmanager
def looked_after(folder: Path) -> Iterator[Running]:
    """A server whose policy lets the groups ``dba`` and ``audit`` see its pages."""
    with replica(sqlite_url(folder / "server.db"), policy=SERVER_POLICY, silent_after=300) as running:
        yield running


def publish(server: Running, policy: str = POLICY, author: str = "nadia@example.com", comment: str = "") -> int:
    """Another revision; its number."""
    catalog = Catalog(server.services.database)
    newest = next(iter(catalog.history(None, 1)), None)
    serial = newest.serial + 1 if newest else 1
    catalog.add(serial - 1, Revision(serial, policy, CONNECTIONS, author, comment, server.services.now()))
    return serial


def signed_in_session(server: Running, person: Principal, client: str = "laptop-7") -> Held:
    """A session of somebody's."""
    store = Sessions(server.services.database, server.services.settings.sessions)
    return store.begin(person, "thumbprint", "corp", client, server.services.now())[1]


CLAIRE = Principal(
    "agent:claire", PrincipalKind.AGENT, groups=frozenset({"ai-agents"}), on_behalf_of="omar@example.com"
)
OMAR = Principal("omar@example.com", name="Omar", groups=frozenset({"engineers"}))


class Machine:
    """A machine whose ledger is enrolled."""

    def __init__(self, server: Running, name: str, owner: str = "omar@example.com") -> None:
        self.server = server
        self.signer = Signer.generate(name)
        self.tree = MemoryTree()
        with server.services.database.write() as connection:
            self.number = store.enrol(connection, self.signer.verifier, owner, server.services.now().timestamp()).id

    def record(self, *records: Draft, at: datetime | None = None) -> None:
        """Write records, all at one time, and send them."""
        start, time = self.tree.size, format_time(at or self.server.services.now())
        sealed = [seal(draft) for draft in records]
        payloads = [
            PayloadRow(index * SLOTS + each.slot, each.salt, each.content)
            for index, one in enumerate(sealed, start)
            for each in one.payloads
        ]
        self.tree.grow([one.encode(time) for one in sealed])
        ingest(self.server.services, encode(self.tree.batch(self.signer, start, payloads=payloads)))

    def open(self, name: str, who: Principal = OMAR, connection: str = "azure-sql", at: datetime | None = None) -> None:
        """Begin a session."""
        began = at or self.server.services.now()
        opened = Session(name, who, Connection(connection, "sql"), began, began + timedelta(hours=1), "ticket 7")
        self.record(drafts.session_open(opened, target="db.example.com", revision="r1", version="0.1.0"), at=at)

    def say_head(self, size: int, root: bytes) -> None:
        """Say how far the ledger is, true or not."""
        services = self.server.services
        report_head(services, self.signer.name, statements.head(self.signer, size, root, services.now()))


def asked(session: str, text: str, verb: str = "sql:select", resource: str = "shop.dbo.orders") -> Draft:
    """A statement that was allowed."""
    statement = Statement(text, text.encode(), (Action(verb, (resource,)),), {"tables": [resource]}, "application/sql")
    decision = Decision(Effect.ALLOW, "everybody-reads", "rule 'everybody-reads' allows it", revision="r1")
    return drafts.exchange_request(session, "x", statement, decision, shown=text)
