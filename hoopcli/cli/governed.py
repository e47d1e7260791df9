"""The policy and the connections of the server that the settings name, which hold in place of this machine's own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hoopcli.cli import output
from hoopcli.cli.remote import server_url, signed_in
from hoopcli.errors import HoopError, LedgerError, UpstreamError, UsageError
from hoopcli.ledger.note import Verifier
from hoopcli.model.access import Connection
from hoopcli.policy.bundle import OWN_KEYS, Bundle
from hoopcli.proxy.bundles import Bundles, Fetch, Fetched
from hoopcli.proxy.policies import FollowedPolicy, PolicySource
from hoopcli.proxy.remote_approvals import checked
from hoopcli.proxy.sign_out import signed_out
from hoopcli.settings.edit import write_private
from hoopcli.settings.files import check_connection
from hoopcli.settings.model import ConnectionSettings

if TYPE_CHECKING:
    from hoopcli.cli.workspace import Workspace
    from hoopcli.identity.server_session import ServerSession
    from hoopcli.proxy.session import LiveSession

POLL_SECONDS: Final = 50


def newest(workspace: Workspace) -> Bundle:
    """The server's bundle, fetched if the server answers. Raises BundleError, NotSignedInError, UpstreamError."""
    with _served(workspace) as (server, bundles):
        try:
            return bundles.refresh(fetch(server))
        except UpstreamError:
            return bundles.current()


def followed(workspace: Workspace, bundle: Bundle) -> FollowedPolicy:
    """A policy that starts from a bundle."""
    from hoopcli.cli.workspace import now  # noqa: PLC0415 - it imports this module

    with _served(workspace) as (_server, bundles):
        return FollowedPolicy(bundles, bundle, now)


def fetch(server: ServerSession, seconds: int = 0) -> Fetch:
    """Asks a server for its bundle; with ``seconds`` it waits so long for one that is newer."""

    def ask(etag: str) -> Fetched:
        headers = {"If-None-Match": etag} if etag else {}
        answer = server.request("GET", f"/v1/policy/bundle?seconds={seconds if etag else 0}", headers=headers)
        if answer.status_code == 304:
            return Fetched(None, etag)
        if answer.status_code != 200:
            checked(answer)
            raise UpstreamError(f"the server answered {answer.status_code} for its policy", "check server.url")
        return Fetched(answer.text, answer.headers.get("etag", ""))

    return ask


def connections(bundle: Bundle, own: Mapping[str, ConnectionSettings]) -> dict[str, Connection]:
    """The server's connections, with what this machine adds to each. Raises UsageError if it would lead elsewhere."""
    return {name: _connection(name, settings, own.get(name)) for name, settings in bundle.connections.items()}


@asynccontextmanager
async def kept_true(workspace: Workspace, live: LiveSession, policy: PolicySource) -> AsyncIterator[None]:
    """While the block runs: the session ends with the sign-in, and decides by the server's newest policy."""
    from hoopcli.cli.workspace import now  # noqa: PLC0415

    with signed_in(workspace) as server:
        chores: list[asyncio.Task[Any]] = [asyncio.create_task(signed_out(server, now))]
        if isinstance(policy, FollowedPolicy):
            following = policy.follow(fetch(server, POLL_SECONDS), live.policy_changed, output.note)
            chores.append(asyncio.create_task(following))
        for chore in chores:
            chore.add_done_callback(lambda done: None if done.cancelled() else live.end(_why(done)))
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.wait(chores)


def _why(done: asyncio.Task[Any]) -> str:
    """Why nothing keeps a session true any longer. Whatever it was, the session ends."""
    error = done.exception()
    if error is None:
        return str(done.result())
    return error.message if isinstance(error, HoopError) else f"the server said what cannot be followed ({error!r})"


def _connection(name: str, settings: Mapping[str, Any], own: ConnectionSettings | None) -> Connection:
    said = own.model_dump(exclude_unset=True, mode="json") if own is not None else {}
    elsewhere = sorted(key for key in said.keys() - OWN_KEYS if said[key] != settings.get(key))
    if elsewhere:
        raise UsageError(
            f"the connection {name!r} is the server's, and this machine sets its {', '.join(elsewhere)}",
            f"leave out all but {', '.join(sorted(OWN_KEYS))}: hoop connections rm {name}",
        )
    return check_connection(name, {**settings, **{key: value for key, value in said.items() if key in OWN_KEYS}})


@contextmanager
def _served(workspace: Workspace) -> Iterator[tuple[ServerSession, Bundles]]:
    from hoopcli.cli.workspace import now  # noqa: PLC0415

    url = server_url(workspace)
    folder = workspace.state("servers", hashlib.sha256(url.encode()).hexdigest()[:16])
    with signed_in(workspace) as server:
        yield server, Bundles(folder, _key(workspace, folder, server), now)


def _key(workspace: Workspace, folder: Path, server: ServerSession) -> Verifier:
    """The key that the server signs bundles with: the one of the settings, else that of the first time."""
    if workspace.settings.server.key is not None:
        return _parsed(workspace.settings.server.key, "server.key")
    file = folder / "server.vkey"
    if file.exists():
        return _parsed(file.read_text("ascii", errors="replace").strip(), str(file))
    told = checked(server.request("GET", "/v1/policy/key")).get("key")
    key = _parsed(str(told), "the server's answer")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, f"{told}\n".encode())
    return key


def _parsed(text: str, where: str) -> Verifier:
    try:
        return Verifier.parse(text)
    except LedgerError as error:
        raise UsageError(
            f"the server's key in {where} cannot be read: {error.message}", "ask who runs the server"
        ) from error
