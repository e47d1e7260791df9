"""The server that this machine's settings name, as whoever is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.cli.workspace import Workspace
    from hoopcli.identity.server_session import ServerSession


def server_url(workspace: Workspace) -> str:
    """The server's address. Raises UsageError if none is set."""
    if workspace.settings.server.url is None:
        raise UsageError("no server is set", 'write into config.toml: [server] and url = "https://HOST"')
    return workspace.settings.server.url


@contextmanager
def signed_in(workspace: Workspace) -> Iterator[ServerSession]:
    """The session at the server; without a sign-in each use of it is refused, not the opening."""
    from hoopcli.cli.workspace import now  # noqa: PLC0415
    from hoopcli.identity.server_session import ServerSession, client  # noqa: PLC0415 - it brings httpx

    url = server_url(workspace)
    with closing(client(url, workspace.settings.server.ca_file)) as http:
        yield ServerSession(workspace.vault, url, http, now)
