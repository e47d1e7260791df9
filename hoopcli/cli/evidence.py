"""Reading the ledger for a person: every reading is recorded in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from hoopcli.cli import output
from hoopcli.cli.workspace import Workspace
from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import drafts
from hoopcli.ledger.keys import load_or_create, read_vkey, system_keyring
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.receipt import load
from hoopcli.ledger.search import Index
from hoopcli.ledger.store import Ledger

_MANY = 10_000


@contextmanager
def reading(workspace: Workspace) -> Iterator[tuple[Reader, Index]]:
    """The ledger and its index. Raises UsageError if there is none yet, LedgerError if it cannot be read."""
    path = workspace.settings.ledger_path
    if not path.exists():
        raise UsageError(f"there is no ledger at {path} yet", "the first session makes it: hoop connect NAME")
    with Reader.open(path) as reader, Index(reader) as index:
        yield reader, index


@contextmanager
def writing(workspace: Workspace) -> Iterator[Ledger]:
    """The ledger, to append to. Raises LedgerError."""
    path = workspace.settings.ledger_path
    key = load_or_create(path.parent, system_keyring() if workspace.settings.keyring else None)
    ledger = Ledger.open(path, key.signer)
    try:
        yield ledger
        ledger.sign()
    finally:
        ledger.close()


def check_receipt(workspace: Workspace, before: datetime) -> None:
    """Where there is a server, nothing is removed that it has not cosigned. Raises UsageError, LedgerError."""
    if workspace.settings.server.url is None:
        return
    path = workspace.settings.ledger_path
    receipt = load(path, read_vkey(path.parent))
    with Reader.open(path) as reader:
        end = reader.index_at(before)
    if end > (receipt.size if receipt is not None else 0):
        raise UsageError("the server does not have all records before that time yet", "run: hoop sync")


def record_reading(workspace: Workspace, what: str, records: int) -> None:
    """Record that someone read. A ledger that cannot be written can still be read, but not without saying so."""
    try:
        with writing(workspace) as ledger:
            ledger.append([drafts.audit_read(workspace.account.subject, what, records)])
    except LedgerError as error:
        output.note(f"warning: this reading could not be recorded: {error.message}")


def find_session(index: Index, text: str) -> str:
    """The id of a session given by its id, the beginning of it, or ``last``. Raises UsageError."""
    if text == "last":
        found = [row.id for row in index.sessions(limit=1)]
    else:
        found = [row.id for row in index.sessions(limit=_MANY) if row.id.startswith(text)]
        found = [text] if text in found else found
    if len(found) == 1:
        return found[0]
    what = "there is no session" if not found else f"{len(found)} sessions begin with"
    raise UsageError(f"{what} {text!r}", "run: hoop audit sessions")
