"""``hoop login|logout|whoami``: who you are at the server."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import closing
from typing import Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import NotSignedInError, UsageError

BY_INVITATION = "by invitation"
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Sign in by this one of the server's.")
]
Device = Annotated[bool, typer.Option("--device", help="Sign in by a code on another device.")]
ForAgent = Annotated[str, typer.Option("--agent", metavar="NAME", help="Let this agent act for you.")]
TokenFile = Annotated[str | None, typer.Option("--token-env", metavar="NAME", help="Take the token from a variable.")]
Workload = Annotated[bool, typer.Option("--workload", help="Sign in as this job, by its platform's token.")]
Invited = Annotated[bool, typer.Option("--invitation", help="Sign in by the code that hoop server invite gave.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("login")(login)


def login(
    provider: Provider = None,
    device: Device = False,
    agent: ForAgent = "",
    token_env: TokenFile = None,
    invitation: Invited = False,
    workload: Workload = False,
    as_json: AsJson = False,
) -> None:
    """Sign in at the server that the settings name."""
    from hoopcli.cli.remote import server_url  # noqa: PLC0415 - completion imports this module
    from hoopcli.cli.workspace import Workspace, now  # noqa: PLC0415
    from hoopcli.identity import server_session  # noqa: PLC0415
    from hoopcli.identity.dpop import ProofKey  # noqa: PLC0415
    from hoopcli.identity.login import through_server  # noqa: PLC0415

    workspace, key = Workspace.open(), ProofKey.generate()
    url = server_url(workspace)
    with closing(server_session.client(url, workspace.settings.server.ca_file)) as http:
        if invitation:
            proof = {"provider": BY_INVITATION, "token": _code()}
        else:
            chosen = _chosen(server_session.providers(http), provider, workload=workload)
            if workload:
                token, nonce = _token_of_platform(str(chosen["client_id"])), ""
            elif chosen.get("by") == "saml":
                token, nonce = through_server(url, chosen["name"], key, output.note)
            else:
                token, nonce = _token(chosen, device=device, variable=token_env)
            proof = {"provider": chosen["name"], "token": token, "nonce": nonce}
        proof |= {"agent": agent, "client": platform.node()[:300]}
        stored = server_session.begin(http, url, proof, now(), key)
    server_session.save(workspace.vault, stored)
    if workspace.vault.warning:
        output.note(f"warning: {workspace.vault.warning}")
    show(url, stored.document, as_json=as_json)


def show(url: str, session: Any, *, as_json: bool) -> None:
    """Say who is signed in."""
    if as_json:
        output.document({"server": url, **session})
        return
    who = session["principal"]
    behalf = f" on behalf of {who['on_behalf_of']}" if who["on_behalf_of"] else ""
    output.say(f"{who['subject']} ({who['kind']}){behalf} at {url}")
    output.say(f"groups: {', '.join(who['groups']) or 'none'}; until {session['ends'][:16].replace('T', ' ')} UTC")


def _code() -> str:
    """The code of an invitation, from the person at the terminal or from stdin: it is no argument that others see."""
    if sys.stdin.isatty():
        return str(typer.prompt("The invitation's code", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


def _token_of_platform(audience: str) -> str:
    from hoopcli.identity.assertions import assertion  # noqa: PLC0415
    from hoopcli.identity.flows import http_session  # noqa: PLC0415

    return assertion(os.environ, http_session(), audience)


def _chosen(found: list[dict[str, Any]], name: str | None, *, workload: bool) -> dict[str, Any]:
    found = [each for each in found if not workload or each["kind"] == "workload"]
    names = ", ".join(str(each["name"]) for each in found)
    wanted = [each for each in found if name in {None, each["name"]}]
    if not found:
        raise UsageError(
            "the server knows no provider to sign in by yet", "with an invitation: hoop login --invitation"
        )
    if len(wanted) != 1:
        raise UsageError(f"the server takes sign-ins by: {names}", "choose one with --provider NAME")
    return wanted[0]


def _token(provider: dict[str, Any], *, device: bool, variable: str | None) -> tuple[str, str]:
    """A token of the provider and its nonce."""
    import httpx  # noqa: PLC0415

    from hoopcli.identity.login import by_device, in_browser  # noqa: PLC0415
    from hoopcli.identity.openid import discover  # noqa: PLC0415

    if variable is not None:
        if not (token := os.environ.get(variable, "")):
            raise NotSignedInError(f"the variable {variable} holds no token", "have the job's platform set it")
        return token, ""
    with httpx.Client(follow_redirects=False) as http:
        endpoints = discover(http, str(provider["issuer"]))
        client, scopes, secret = str(provider["client_id"]), list(provider["scopes"]), str(provider["public_secret"])
        if device:
            return by_device(http, endpoints, client, scopes, output.note, public_secret=secret)
        return in_browser(http, endpoints, client, scopes, output.note, public_secret=secret)
