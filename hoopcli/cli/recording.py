"""The writer of this machine's ledger for sessions, with the syncing that the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hoopcli.cli import output
from hoopcli.cli.workspace import Workspace
from hoopcli.ledger.note import Signer
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import SIGN_SECONDS, LedgerWriter
from hoopcli.proxy.journal import Writer


@contextmanager
def recording(workspace: Workspace, signer: Signer) -> Iterator[Writer]:
    """A writer that is closed at the end of the block, and what it signed sent as far as the server can be reached.

    Raises LedgerError, UsageError.
    """
    server, path = workspace.settings.server, workspace.settings.ledger_path
    if server.url is None or server.sync == "off":
        with LedgerWriter(Ledger.open(path, signer)) as writer:
            yield writer
        return
    from hoopcli.cli.syncing import syncing  # noqa: PLC0415 - it brings httpx, which only a server needs
    from hoopcli.ledger.background import BackgroundSync, StrictWriter  # noqa: PLC0415

    strict = server.sync == "strict"
    with (
        syncing(workspace, signer) as ledger_sync,
        BackgroundSync(ledger_sync.run, output.note) as background,
        LedgerWriter(
            Ledger.open(path, signer), sign_seconds=0.0 if strict else SIGN_SECONDS, signed=background.wake
        ) as writer,
    ):
        yield StrictWriter(writer, background, seconds=server.strict_seconds) if strict else writer
