"""``hoop whoami``: who you are, to the server if one is set, else to this machine."""

from __future__ import annotations

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import NotSignedInError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("whoami")(whoami)


def whoami(as_json: AsJson = False) -> None:
    """Say who you are, what you belong to, and until when."""
    from hoopcli.cli.login import show  # noqa: PLC0415 - completion imports this module
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.open()
    url = workspace.settings.server.url
    if url is None:
        _local(workspace.account, as_json=as_json)
        return
    with signed_in(workspace) as server:
        answer = server.request("GET", "/v1/sessions/current")
    if answer.status_code != 200:
        raise NotSignedInError(f"you are not signed in at {url}", "run: hoop login")
    show(url, answer.json(), as_json=as_json)


def _local(who: object, *, as_json: bool) -> None:
    from dataclasses import asdict, is_dataclass  # noqa: PLC0415

    assert is_dataclass(who)
    told = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(who).items()}  # type: ignore[arg-type]
    if as_json:
        output.document({"server": None, "principal": told})
    else:
        output.say(f"{told['subject']} ({told['kind']}) on this machine; no server is set")
