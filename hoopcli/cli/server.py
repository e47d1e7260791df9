"""``hoop server``: the control plane that brokers and people share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson, duration
from hoopcli.errors import HoopError

if TYPE_CHECKING:
    from hoopcli.server.config import ServerSettings

_NEEDED = (
    "alembic",
    "fastapi",
    "jinja2",
    "prometheus_client",
    "psycopg",
    "signxml",
    "sqlalchemy",
    "structlog",
    "uvicorn",
)

Database = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME.")
]
Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[int | None, typer.Option("--port", metavar="N", help="The port; 0 takes a free one.")]
NewKey = Annotated[
    bool, typer.Option("--print-witness-key", help="Print a new witness key for a secret store; no more.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The server of brokers and approvers.", no_args_is_help=True, rich_markup_mode=None)
    group.command("init")(init)
    group.command("run")(run)
    group.command("invite")(invite)
    app.add_typer(group, name="server")


def init(
    database: Database = None,
    admin: Annotated[str | None, typer.Option(metavar="EMAIL", help="Who may change the policy first.")] = None,
    print_witness_key: NewKey = False,
    as_json: AsJson = False,
) -> None:
    """Make what a server needs: folder, witness key, first policy, schema. Run twice it changes nothing.

    The first time it prints an invitation for the first person. Others come by a provider, or hoop server invite.
    """
    settings = _settings(database=database)
    from hoopcli.ledger.note import Cosigner  # noqa: PLC0415

    if print_witness_key:
        output.say(Cosigner.generate(settings.witness_name).secret_text())
        return
    from hoopcli.identity.keyrings import Keyring  # noqa: PLC0415
    from hoopcli.identity.principal import account  # noqa: PLC0415
    from hoopcli.server.setup import FIRST_GROUPS, prepare  # noqa: PLC0415

    prepared = prepare(settings, Keyring())
    vkey = str(prepared.witness.verifier)
    first = admin or account()
    code = _invited(settings, first, FIRST_GROUPS) if prepared.made_key or prepared.made_policy or admin else None
    if as_json:
        made = {"witness": vkey, "data_dir": str(settings.data_dir), "policy": str(settings.policy)}
        output.document(made | {"invitation": code})
        return
    output.say(f"The server is ready in {settings.data_dir}.")
    output.say(f"Its policy is {settings.policy}" + (", a first one: read it." if prepared.made_policy else "."))
    output.say(f"Its witness key, for whoever verifies a ledger:\n  {vkey}\n")
    output.say("Next:\n  hoop server run")
    output.say(f'On each machine, in config.toml:\n  [server]\n  url = "{settings.public_url}"')
    if code is None:
        output.say("Then sign in and send the ledger:\n  hoop login\n  hoop sync")
    else:
        output.say(f"Then sign in, as {first}, with this code, good once and for a day:")
        output.say(f"  hoop login --invitation\n  {code}")
        output.say("\nOthers sign in by a provider (docs/identity.md), or: hoop server invite EMAIL --group NAME")


def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Who it is for.")],
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What they belong to; may be repeated.")
    ] = None,
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="How long the code is good.")] = "24h",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Print a code that somebody signs in with once, where no provider of theirs is known: hoop login --invitation."""
    settings = _settings(database=database)
    code = _invited(settings, email, group or (), duration(lasts, "--for"))
    if as_json:
        output.document({"email": email, "groups": sorted(group or ()), "invitation": code})
    else:
        output.say(code)


def run(host: Host = None, port: Port = None, database: Database = None, as_json: AsJson = False) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = _settings(host=host, port=port, database=database)
    from hoopcli.identity.keyrings import Keyring  # noqa: PLC0415
    from hoopcli.server import logs, setup  # noqa: PLC0415
    from hoopcli.server.run import collect_less, listening_socket, uvicorn_server  # noqa: PLC0415
    from hoopcli.server.services import opened  # noqa: PLC0415

    logs.configure(as_json=as_json or not sys.stderr.isatty())
    keyring = Keyring()
    policy = setup.engine(settings.policy)
    witness = setup.prepare(settings, keyring).witness
    with (
        listening_socket(settings.host, settings.port) as listener,
        opened(settings, setup.database_url(settings, keyring), policy, witness) as services,
    ):
        server = uvicorn_server(services)
        address, number = listener.getsockname()[:2]
        scheme = "https" if settings.tls_certificate else "http"
        output.say(f"hoop server on {scheme}://{address}:{number}")
        output.flush()
        collect_less()
        with _ending_well():
            server.run(sockets=[listener])
    if not server.started:
        raise HoopError("the server could not start", "its log on stderr says why")


def _invited(settings: ServerSettings, email: str, groups: Sequence[str], lasts: timedelta | None = None) -> str:
    """An invitation's code."""
    from hoopcli.identity.keyrings import Keyring  # noqa: PLC0415
    from hoopcli.server import setup  # noqa: PLC0415
    from hoopcli.server.database import Database  # noqa: PLC0415
    from hoopcli.server.people.invitations import LASTS, Invitations  # noqa: PLC0415
    from hoopcli.server.services import utc_now  # noqa: PLC0415

    with closing(Database.open(setup.database_url(settings, Keyring()))) as database:
        return Invitations(database).make(email, groups, utc_now(), lasts or LASTS)


@contextmanager
def _ending_well() -> Iterator[None]:
    """Take no notice of the signal that stopped it: uvicorn raises it once all is closed."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda _number, _frame: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _settings(**flags: object) -> ServerSettings:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise HoopError(f"hoop server needs {', '.join(missing)}", "run: pip install 'hoop[server]'")
    from hoopcli.server.config import load_server  # noqa: PLC0415

    return load_server(flags)
