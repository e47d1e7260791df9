"""``hoop policy push|pull|log``: the policy and the connections of the server, revision by revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.cli.workspace import Workspace
    from hoopcli.policy.bundle import Bundle
    from hoopcli.settings.model import Settings

PATH = "/v1/policy"


def register(group: typer.Typer) -> None:
    """Add the commands to ``hoop policy``."""
    group.command("push")(push)
    group.command("pull")(pull)
    group.command("log")(log)


def push(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The policy; else the server's stays.")] = None,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why; others read it in the log.")] = "",
    connection: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Hand out this connection of this machine's too.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Hand out this one no longer.")] = None,
    after: Annotated[
        int | None, typer.Option(metavar="N", help="The revision that yours follows; else the newest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a revision at the server. Every broker decides by it within seconds."""
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415 - completion imports this module
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.proxy.remote_approvals import checked  # noqa: PLC0415

    if not (file or connection or remove):
        raise UsageError("there is nothing to push", "name a policy, --connection NAME or --remove NAME")
    workspace = Workspace.open()
    text = _policy(file) if file else None
    added = {name: _handed_out(workspace.settings, name) for name in connection or ()}
    with signed_in(workspace) as server:
        answer = server.request("GET", f"{PATH}/current")
        none: dict[str, Any] = {"serial": 0, "policy": "", "connections": {}}
        now = none if answer.status_code == 404 else checked(answer)
        if text is None and not now["policy"]:
            raise UsageError("the server has no policy yet", "name one: hoop policy push FILE")
        if missing := sorted(set(remove or ()) - now["connections"].keys()):
            raise UsageError(f"the server hands out no connection {missing[0]!r}", "run: hoop connections ls")
        kept = {name: each for name, each in now["connections"].items() if name not in (remove or ())}
        draft = {
            "after": now["serial"] if after is None else after,
            "policy": text if text is not None else now["policy"],
            "connections": kept | added,
            "comment": comment,
        }
        made = checked(server.request("POST", f"{PATH}/revisions", json=draft))
    if as_json:
        output.document(made)
    else:
        output.say(f"Revision {made['serial']} decides from now on.")


def pull(
    to: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the policy there.")] = None,
    revision: Annotated[int | None, typer.Option(min=1, metavar="N", help="An earlier revision, to look at.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the server's policy, which this machine then decides by while the server is away."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.open()
    told = _revision(workspace, revision) if revision is not None else _newest(workspace)
    if to is not None:
        to.write_text(told["policy"], "utf-8")
    if as_json:
        output.document(told)
    elif to is not None:
        output.say(f"Revision {told['serial']} is in {to}.")
    elif revision is not None:
        output.say(told["policy"])
    else:
        output.say(f"Revision {told['serial']}, good until {told['expires'][:16].replace('T', ' ')} UTC.")
        output.say(f"connections: {', '.join(sorted(told['connections'])) or 'none'}")


def log(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, from the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Say who changed the policy, when and why."""
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.proxy.remote_approvals import checked  # noqa: PLC0415

    with signed_in(Workspace.open()) as server:
        found = checked(server.request("GET", f"{PATH}/revisions?limit={limit}"))
    if as_json:
        output.document({"revisions": found})
    elif not found:
        output.say("The server has no policy yet. Push one: hoop policy push FILE")
    else:
        rows = [(str(r["serial"]), r["at"][:16].replace("T", " "), r["author"], r["comment"]) for r in found]
        output.show(output.table(("REVISION", "UTC", "BY", "COMMENT"), rows))


def _policy(file: Path) -> str:
    """The text of a policy that is valid. Raises UsageError with line and column."""
    from hoopcli.policy.document import load  # noqa: PLC0415 - it brings pydantic and CEL

    load(file)
    return file.read_text("utf-8")


def _handed_out(settings: Settings, name: str) -> dict[str, Any]:
    """What others are to know of a connection: where it leads, not how this machine proves itself there."""
    from hoopcli.policy.bundle import LOCAL_KEYS  # noqa: PLC0415
    from hoopcli.settings.files import nearest  # noqa: PLC0415

    found = settings.connections.get(name)
    if found is None:
        raise UsageError(f"this machine has no connection {name!r}", nearest(name, settings.connections))
    return found.model_dump(mode="json", exclude_unset=True, exclude=set(LOCAL_KEYS))


def _newest(workspace: Workspace) -> dict[str, Any]:
    if workspace.settings.server.url is None:
        raise UsageError("no server is set", 'write into config.toml: [server] and url = "https://HOST"')
    bundle: Bundle = workspace.bundle
    return {
        "serial": bundle.serial,
        "policy": bundle.policy,
        "connections": dict(bundle.connections),
        "issued": bundle.issued.isoformat(),
        "expires": bundle.expires.isoformat(),
    }


def _revision(workspace: Workspace, serial: int) -> dict[str, Any]:
    from hoopcli.cli.remote import signed_in  # noqa: PLC0415
    from hoopcli.proxy.remote_approvals import checked  # noqa: PLC0415

    with signed_in(workspace) as server:
        return dict(checked(server.request("GET", f"{PATH}/revisions/{serial}")))
