"""``hoop logout``: end the session at the server, here and there."""

from __future__ import annotations

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import NotSignedInError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("logout")(logout)


def logout(as_json: AsJson = False) -> None:
    """End the session at the server. What runs in it ends within seconds."""
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415 - completion imports this module
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.identity import server_session  # noqa: PLC0415

    workspace = Workspace.open()
    with signed_in(workspace) as server:
        try:
            server.request("DELETE", "/v1/sessions/current")
        except NotSignedInError:
            pass  # it has ended already
        finally:
            server_session.forget(workspace.vault)
    if as_json:
        output.document({"signed_in": False})
    else:
        output.say("You are signed out.")
