"""Running the app with uvicorn: one process, stopped gracefully by SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import socket
from typing import Final

import uvicorn

from hoopcli.errors import UsageError
from hoopcli.server.app import create_app
from hoopcli.server.limits import PatientProtocol
from hoopcli.server.services import Services
from hoopcli.server.wake import Wake

BACKLOG: Final = 4096
GRACE_SECONDS: Final = 10
"""How long requests may go on after a signal; those that wait longer are cut, and their clients ask again."""
KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept: a little longer than the longest poll."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises UsageError if it cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"port {port} on {host} cannot be opened: {error.strerror or error}", "choose another with --port"
        ) from error
    listener.setblocking(False)
    return listener


def collect_less() -> None:
    """Let the collector of cycles look at what start-up left behind no more, and seldom at what requests allocate."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class _Server(uvicorn.Server):
    """Answers those who wait before it stops, so that it need not cut them."""

    def __init__(self, config: uvicorn.Config, wake: Wake) -> None:
        super().__init__(config)
        self._wake = wake

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let requests end, and close."""
        self._wake.release()
        await super().shutdown(sockets)


def uvicorn_server(services: Services) -> uvicorn.Server:
    """The server of an app over these services; ``run(sockets=[...])`` serves until it is stopped."""
    settings = services.settings
    config = uvicorn.Config(
        create_app(services),
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )
    return _Server(config, services.wake)
