"""The demo's server as a program: ``python -m connectors.sql.demo``. Its first line says where it is, as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

from connectors.sql.demo.options import Options
from connectors.sql.demo.server import DemoServer
from hoopcli.certificates import issue


async def _main(port: int, options: Options) -> None:
    identity = issue("demo", datetime.now(UTC), timedelta(days=1))
    server = DemoServer(partial(identity.server_context, ["tds/8.0"]), options)
    await server.start(port)
    said = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": options.user,
        "password": options.secret,
        "ca": identity.ca.decode(),
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.stop()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sql.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--encrypt", choices=("off", "on", "none", "strict"), default="off")
    parser.add_argument("--canned", action="store_true", help="serve dbo.big and dbo.huge at the speed of the socket")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.port, Options(encrypt=arguments.encrypt, canned=arguments.canned)))


if __name__ == "__main__":
    main()
