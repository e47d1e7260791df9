"""The server that this machine's settings name, as whoever is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from hoopcli.errors import NotSignedInError

if TYPE_CHECKING:
    from hoopcli.cli.workspace import Workspace
    from hoopcli.proxy.remote_approvals import Server


class Nobody:
    """A session of nobody: whatever is asked of the server needs a sign-in first."""

    def __init__(self, url: str) -> None:
        self._url = url

    def request(self, method: str, path: str, *, json: Any = None) -> NoReturn:
        """Refuse. Raises NotSignedInError."""
        raise NotSignedInError(f"you are not signed in at {self._url}", "run: hoop login")

    async def arequest(self, method: str, path: str, *, json: Any = None) -> NoReturn:
        """Refuse. Raises NotSignedInError."""
        self.request(method, path, json=json)


@contextmanager
def signed_in(workspace: Workspace) -> Iterator[Server]:
    """The session at the server; without a sign-in each use of it is refused, not the opening."""
    yield Nobody(workspace.settings.server.url or "the server")
