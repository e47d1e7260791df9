"""``hoop sync``: send the ledger to the server, and keep the server's receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.cli.workspace import Workspace
    from hoopcli.ledger.note import Signer
    from hoopcli.ledger.receipt import Receipt


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(sync)


def sync(as_json: AsJson = False) -> None:
    """Send what the server does not have yet. The first time this enrols the ledger: be signed in."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415 - completion imports this module
    from hoopcli.ledger.keys import load_or_create, system_keyring  # noqa: PLC0415

    workspace = Workspace.open()
    path = workspace.settings.ledger_path
    if not path.exists():
        raise UsageError(f"there is no ledger at {path} yet", "the first session makes it: hoop connect NAME")
    signer = load_or_create(path.parent, system_keyring() if workspace.settings.keyring else None).signer
    receipt, unwitnessed = _run(workspace, signer)
    for why in unwitnessed:
        output.note(f"warning: {why}")
    if as_json:
        output.document(_document(receipt, unwitnessed))
    elif receipt is None:
        output.say("Nothing is signed yet: there is nothing to send.")
    else:
        output.say(f"The server has all {receipt.size:,} records, and {receipt.witness.name} has cosigned them.")


def _run(workspace: Workspace, signer: Signer) -> tuple[Receipt | None, list[str]]:
    from hoopcli.cli.syncing import syncing  # noqa: PLC0415
    from hoopcli.ledger.sync import NotEnrolledError  # noqa: PLC0415

    with syncing(workspace, signer) as ledger, output.progress("Sending records") as progress:
        try:
            receipt = ledger.run(progress or (lambda _done, _total: None))
        except NotEnrolledError:
            _enrol(workspace, ledger.enrolment(signer))
            receipt = ledger.run(progress or (lambda _done, _total: None))
        return receipt, ledger.unwitnessed


def _enrol(workspace: Workspace, enrolment: dict[str, str]) -> None:
    """Have the server know this ledger's key, in the name of who is signed in. Raises NotSignedInError, DeniedError."""
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415
    from hoopcli.proxy.remote_approvals import checked  # noqa: PLC0415

    with signed_in(workspace) as server:
        checked(server.request("POST", "/v1/ledgers", json=enrolment))


def _document(receipt: Receipt | None, unwitnessed: list[str]) -> dict[str, object]:
    if receipt is None:
        return {"records": 0, "checkpoint": None, "witness": None, "unwitnessed": unwitnessed}
    return {
        "records": receipt.size,
        "checkpoint": receipt.note,
        "witness": str(receipt.witness),
        "unwitnessed": unwitnessed,
    }
