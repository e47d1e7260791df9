"""``hoop server``: the control plane that brokers and people share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import HoopError

if TYPE_CHECKING:
    from hoopcli.server.config import ServerSettings

_NEEDED = ("alembic", "fastapi", "jinja2", "prometheus_client", "psycopg", "sqlalchemy", "structlog", "uvicorn")

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
    app.add_typer(group, name="server")


def init(database: Database = None, print_witness_key: NewKey = False, as_json: AsJson = False) -> None:
    """Make what a server needs: folder, witness key, first policy, schema. Run twice it changes nothing."""
    settings = _settings(database=database)
    from hoopcli.ledger.note import Cosigner  # noqa: PLC0415

    if print_witness_key:
        output.say(Cosigner.generate(settings.witness_name).secret_text())
        return
    from hoopcli.identity.keyrings import Keyring  # noqa: PLC0415
    from hoopcli.server.setup import prepare  # noqa: PLC0415

    prepared = prepare(settings, Keyring())
    vkey = str(prepared.witness.verifier)
    if as_json:
        output.document({"witness": vkey, "data_dir": str(settings.data_dir), "policy": str(settings.policy)})
        return
    output.say(f"The server is ready in {settings.data_dir}.")
    output.say(f"Its policy is {settings.policy}" + (", a first one: read it." if prepared.made_policy else "."))
    output.say(f"Its witness key, for whoever verifies a ledger:\n  {vkey}\n")
    output.say("Next:\n  hoop server run")
    output.say(f'On each machine, in config.toml:\n  [server]\n  url = "{settings.public_url}"')
    output.say("Then sign in and send the ledger:\n  hoop login\n  hoop sync")


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
