"""``hoop connections``: the upstreams that can be asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection

Name = Annotated[str, typer.Argument(metavar="NAME", help="The connection's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The connections that you can ask for.", no_args_is_help=True, rich_markup_mode=None)
    group.command("ls")(ls)
    group.command("add")(add)
    group.command("show")(show)
    group.command("rm")(rm)
    app.add_typer(group, name="connections")


def ls(as_json: AsJson = False) -> None:
    """List the connections."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415 - completion imports this module

    found = [connection for _name, connection in sorted(Workspace.open().connections.items())]
    if as_json:
        output.document({"connections": [_document(connection) for connection in found]})
    elif not found:
        output.say("No connections yet. Add one: hoop connections add NAME --server HOST --database NAME")
    else:
        output.show(output.table(("NAME", "KIND", "TARGET", "AUTH"), [_row(connection) for connection in found]))


def show(name: Name, as_json: AsJson = False) -> None:
    """Show one connection, and check its options."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415

    connector, connection = Workspace.open().connector(name)
    if as_json:
        output.document(_document(connection))
    else:
        target = connector.target(connection)
        output.show(
            output.fields(
                {"name": name, "kind": connection.kind, "target": f"{target.host}:{target.port}", **connection.options}
            )
        )


def add(
    name: Name,
    server: Annotated[str | None, typer.Option(help="The host to reach.")] = None,
    kind: Annotated[str, typer.Option(help="The connector that brokers it.")] = "sql",
    port: Annotated[int | None, typer.Option(help="Its port; the connector knows the usual one.")] = None,
    database: Annotated[str | None, typer.Option(help="The database to open.")] = None,
    account: Annotated[str | None, typer.Option(help="The storage account, for --kind blob.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The URL of an account or a cluster.")] = None,
    context: Annotated[str | None, typer.Option(help="The context of the kubeconfig, for --kind kubectl.")] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="The kubeconfig of the cluster, for --kind kubectl.")] = None,
    impersonate: Annotated[
        str | None, typer.Option(help="Have a cluster know who asks: no, user, or groups for both.")
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            help="How the broker proves itself: entra, password, key, sas, token, kubeconfig, in_cluster, certificate"
            " or none.",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user, for --auth password.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Where the secret is: env:NAME, keyring:NAME, file:PATH or command:PROGRAM ARGS."),
    ] = None,
    encrypt: Annotated[str | None, typer.Option(help="TLS to the upstream: on, strict, off or none.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="The CA that signs the upstream's certificate (PEM).")] = None,
    trust_server_certificate: Annotated[
        bool, typer.Option("--trust-server-certificate", help="Do not verify the upstream. Not for production.")
    ] = False,
    flow: Annotated[
        str | None,
        typer.Option(help="How to sign in: interactive, device_code, client_credential, managed_identity, workload."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The Entra tenant.")] = None,
    client_id: Annotated[str | None, typer.Option(help="The application or managed identity to sign in as.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate and key (PEM) for --flow client_credential or --auth certificate.")
    ] = None,
    authority: Annotated[str | None, typer.Option(help="Another cloud's sign-in, e.g. a sovereign one.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for connectors with more options.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a connection of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a connection. Secrets are given by reference, never by value.

    At a terminal, a password that --secret does not name is asked for and kept in the keyring.
    """
    from hoopcli.settings import connectors  # noqa: PLC0415
    from hoopcli.settings.edit import add_connection  # noqa: PLC0415
    from hoopcli.settings.files import check_connection, config_path  # noqa: PLC0415

    values: dict[str, Any] = {
        "kind": kind,
        "server": server,
        "port": port,
        "database": database,
        "account": account,
        "endpoint": endpoint,
        "context": context,
        "kubeconfig": _kubeconfig(kubeconfig, named=context is not None),
        "impersonate": impersonate,
        "auth": auth,
        "user": user,
        "secret": secret,
        "encrypt": encrypt,
        "ca_file": str(ca_file.absolute()) if ca_file else None,
        "trust_server_certificate": "yes" if trust_server_certificate else None,
        "flow": flow,
        "tenant": tenant,
        "client_id": client_id,
        "certificate": str(certificate.absolute()) if certificate else None,
        "authority": authority,
        "options": _pairs(option or []) or None,
    }
    given = {key: value for key, value in values.items() if value is not None}
    connection = check_connection(name, given)
    connectors.load(kind).target(connection)
    if auth == "password" and secret is None and not as_json and (entry := _ask_password(name, replace=replace)):
        given["secret"] = f"keyring:{entry}"
    path = add_connection(config_path(), name, given, replace=replace)
    if as_json:
        output.document({"added": _document(connection), "file": str(path)})
    else:
        output.say(f"Added {name} to {path}. Use it: hoop connect {name}")


def rm(name: Name, as_json: AsJson = False) -> None:
    """Remove a connection."""
    from hoopcli.settings.edit import remove_connection  # noqa: PLC0415
    from hoopcli.settings.files import config_path  # noqa: PLC0415

    path = remove_connection(config_path(), name)
    if as_json:
        output.document({"removed": name, "file": str(path)})
    else:
        output.say(f"Removed {name} from {path}.")


def _ask_password(name: str, *, replace: bool) -> str:
    """Ask the person at the terminal; the entry of the keyring that now holds the password, empty if there is none."""
    from hoopcli.cli.asking import can_ask  # noqa: PLC0415
    from hoopcli.identity.keyrings import Keyring  # noqa: PLC0415
    from hoopcli.settings.files import load  # noqa: PLC0415

    settings = load()
    keyring = Keyring(enabled=settings.keyring)
    taken = name in settings.connections and not replace
    if taken or not can_ask() or not keyring.available():
        return ""
    password = typer.prompt(
        "Its password, to be kept in the keyring (Enter: not now)",
        default="",
        show_default=False,
        hide_input=True,
        err=True,
    )
    entry = f"connections.{name}"
    if password and not keyring.set(entry, password):
        raise UsageError("the keyring did not keep the password", "name another place: --secret env:NAME or file:PATH")
    return entry if password else ""


def _kubeconfig(given: Path | None, *, named: bool) -> str | None:
    """The kubeconfig that a context is of: a connection does not change with the environment it is used in."""
    found = str(given) if given else os.environ.get("KUBECONFIG", "") if named else ""
    if os.pathsep in found:
        raise UsageError("KUBECONFIG names several files", "name the one that has the context with --kubeconfig")
    return str(Path(found).expanduser().absolute()) if found else None


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("--option takes KEY=VALUE", "write for example: --option timeout=30")
        pairs[key] = value
    return pairs


def _document(connection: Connection) -> dict[str, object]:
    return {"name": connection.name, "kind": connection.kind, "options": dict(connection.options)}


def _row(connection: Connection) -> list[str]:
    options = connection.options
    server = f"{options['server']},{options['port']}" if {"server", "port"} <= set(options) else options.get("server")
    parts = (*map(options.get, ("endpoint", "context", "account")), server, options.get("database"))
    return [connection.name, connection.kind, " ".join(part for part in parts if part), options.get("auth", "")]
