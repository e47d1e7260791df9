"""``hoop approvals``: the requests that wait for a person, at the server if one is set, else on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson, duration
from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from hoopcli.model.approval import Request
    from hoopcli.proxy.approvals import Approvals
    from hoopcli.proxy.remote_approvals import RemoteApprovals

POLL_SECONDS = 1.0

Id = Annotated[str, typer.Argument(metavar="ID", help="The request, as `hoop approvals ls` names it.")]
Uses = Annotated[int | None, typer.Option("--uses", min=1, help="Grant fewer uses than the policy does.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="Grant it for less long, e.g. 5m.")]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why; it is recorded.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Requests that wait for a person.", no_args_is_help=True, rich_markup_mode=None)
    group.command("ls")(ls)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("deny")(deny)
    group.command("watch")(watch)
    group.command("open")(open_)
    app.add_typer(group, name="approvals")


def ls(as_json: AsJson = False) -> None:
    """List the requests that wait, oldest first."""
    from hoopcli.cli.workspace import Workspace, now  # noqa: PLC0415 - completion imports this module

    with Workspace.open().approvals() as approvals:
        pending = approvals.pending()
    if as_json:
        output.document({"requests": [document(request) for request in pending]})
    elif not pending:
        output.say("Nothing waits for approval.")
    else:
        at = now().timestamp()
        output.show(
            output.table(
                ("ID", "WHO", "CONNECTION", "RULE", "LEFT", "STATEMENT"),
                [_row(request, at) for request in pending],
                whole=("ID", "LEFT"),
            )
        )


def show(request: Id, as_json: AsJson = False) -> None:
    """Show one request, with the very statement that would run."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    with Workspace.open().approvals() as approvals:
        _print(approvals.get(request), as_json)


def approve(request: Id, comment: Comment = "", uses: Uses = None, for_: For = None, as_json: AsJson = False) -> None:
    """Let it run. Nobody can approve a request of their own."""
    from hoopcli.cli.workspace import Workspace, now  # noqa: PLC0415

    if uses is None and for_ is None:
        _answer(request, comment, as_json, yes=True)
        return
    until = now() + duration(for_, "--for") if for_ else None
    with Workspace.open().approvals() as approvals:
        at_server = _at_server(approvals)
        answered = at_server.answer(request, None, approve=True, comment=comment, uses=uses, until=until)
    _print(answered, as_json)


def deny(request: Id, comment: Comment = "", as_json: AsJson = False) -> None:
    """Refuse it."""
    _answer(request, comment, as_json, yes=False)


def watch(as_json: AsJson = False) -> None:
    """Show each request as it comes, until interrupted. With --json, one line each."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    with Workspace.open().approvals() as approvals:
        for request in _arrivals(approvals):
            if as_json:
                output.line(document(request))
            else:
                _print(request, as_json)
            output.flush()


def open_(as_json: AsJson = False) -> None:
    """Open the server's pages in a browser: the address signs it in once, within a minute."""
    from hoopcli.cli.asking import can_ask  # noqa: PLC0415
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    with Workspace.open().approvals() as approvals:
        url = _at_server(approvals).pages()
    if as_json:
        output.document({"url": url})
        return
    output.say(url)
    if can_ask():
        import webbrowser  # noqa: PLC0415

        webbrowser.open(url)


def _answer(request: str, comment: str, as_json: bool, *, yes: bool) -> None:
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.open()
    with workspace.approvals() as approvals:
        answered = approvals.answer(request, workspace.account, approve=yes, comment=comment)
    _print(answered, as_json)


def _at_server(approvals: Approvals | RemoteApprovals) -> RemoteApprovals:
    from hoopcli.proxy.remote_approvals import RemoteApprovals  # noqa: PLC0415

    if not isinstance(approvals, RemoteApprovals):
        raise UsageError("that needs a server", 'write into config.toml: [server] and url = "https://HOST"')
    return approvals


def _arrivals(approvals: Approvals | RemoteApprovals) -> Iterator[Request]:
    """Each request that waits, once, for ever."""
    seen: set[str] = set()
    for waiting in _lists(approvals):
        for request in waiting:
            if request.id not in seen:
                seen.add(request.id)
                yield request


def _lists(approvals: Approvals | RemoteApprovals) -> Iterator[list[Request]]:
    """What waits, again whenever it may have changed."""
    import time  # noqa: PLC0415

    from hoopcli.proxy.approvals import Approvals  # noqa: PLC0415

    if isinstance(approvals, Approvals):
        while True:
            yield approvals.pending()
            time.sleep(POLL_SECONDS)
    tag = "none"
    while True:
        waiting, tag = approvals.changed(tag)
        yield waiting


def document(request: Request) -> dict[str, Any]:
    """A request as JSON."""
    return {
        "id": request.id,
        "state": str(request.state),
        "session": request.session,
        "principal": request.binding.principal,
        "on_behalf_of": request.on_behalf_of,
        "connection": request.binding.connection,
        "rule": request.binding.rule,
        "reason": request.reason,
        "text": request.text,
        "touches": list(request.touches),
        "digest": request.binding.digest,
        "groups": list(request.groups),
        "needed": request.needed,
        "uses": request.uses,
        "asked": _time(request.asked),
        "expires": _time(request.expires),
        "withdrawn": None if request.withdrawn is None else _time(request.withdrawn),
        "link": request.link,
        "answers": [
            {"approver": a.approver, "approve": a.approve, "comment": a.comment, "at": _time(a.at)}
            for a in request.answers
        ],
    }


def _print(request: Request, as_json: bool) -> None:
    shown = document(request)
    if as_json:
        output.document(shown)
        return
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    said = [f"{a.approver} {'approved' if a.approve else 'denied'} {a.comment}".strip() for a in request.answers]
    keys = ("id", "state", "principal", "on_behalf_of", "connection", "rule", "reason", "expires", "withdrawn", "link")
    output.show(
        output.fields(
            {key: shown[key] for key in keys if shown[key]}
            | {"approvers": f"{request.needed} of {', '.join(request.groups) or 'anyone else'}"}
            | ({"would touch": "\n".join(request.touches)} if request.touches else {})
            | ({"answers": "\n".join(said)} if said else {})
        ),
        Panel.fit(Text(output.safe(request.text)), title="statement", title_align="left"),
    )


def _row(request: Request, at: float) -> list[str]:
    who = (
        f"{request.binding.principal} for {request.on_behalf_of}" if request.on_behalf_of else request.binding.principal
    )
    left = max(0, int(request.expires - at))
    text = output.safe_line(" ".join(request.text.split()))
    return [
        request.id,
        who,
        request.binding.connection,
        request.binding.rule,
        f"{left // 60}:{left % 60:02}",
        text if len(text) <= 60 else text[:59] + "…",
    ]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
