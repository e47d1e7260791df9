"""The ledger of this machine and the server that it is sent to, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from hoopcli.cli.transport import HttpTransport
from hoopcli.cli.workspace import Workspace
from hoopcli.errors import UsageError
from hoopcli.ledger.note import Signer
from hoopcli.ledger.sync import LedgerSync
from hoopcli.ledger.witnesses import TEXT, Witness, WitnessName


@contextmanager
def syncing(workspace: Workspace, signer: Signer) -> Iterator[LedgerSync]:
    """What sends this machine's ledger. Raises UsageError if no server is set."""
    server = workspace.settings.server
    if server.url is None:
        raise UsageError("no server is set", 'write into config.toml: [server] and url = "https://HOST"')
    with ExitStack() as stack:
        transport = stack.enter_context(closing(HttpTransport(server.url, server.ca_file)))
        witnesses = [_witness(stack, WitnessName.parse(text)) for text in server.witnesses]
        path = workspace.settings.ledger_path
        yield LedgerSync(path, signer.verifier, transport, signer, witnesses=witnesses)


def _witness(stack: ExitStack, name: WitnessName) -> Witness:
    transport = stack.enter_context(closing(HttpTransport(name.url)))
    return Witness(name.verifier, lambda path, body: transport("POST", path, body, TEXT))
