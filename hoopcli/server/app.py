"""The ASGI app: every router of the server, errors as problems, and no page that tells of the inside."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from hoopcli import __version__
from hoopcli.server import problems, telemetry
from hoopcli.server.services import Services

ROUTERS: Final[tuple[APIRouter, ...]] = (telemetry.router,)
"""Every area of the server. A router's lifespan runs with the app's."""


def create_app(services: Services) -> FastAPI:
    """The app over these services, which routes reach as ``request.app.state.services``."""
    app = FastAPI(title="hoop server", version=__version__, docs_url=None, redoc_url=None)
    app.state.services = services
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
