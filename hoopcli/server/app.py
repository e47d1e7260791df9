"""The ASGI app: every router of the server, errors as problems, and no page that tells of the inside."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from hoopcli import __version__
from hoopcli.server import problems, telemetry
from hoopcli.server.approvals import routes as approvals
from hoopcli.server.catalog import routes as catalog
from hoopcli.server.limits import BodyLimits
from hoopcli.server.observing import Observing
from hoopcli.server.pages import (
    by_provider,
    connections,
    home,
    inbox,
    policy,
    policy_draft,
    policy_explain,
    sessions,
    signin,
    static,
)
from hoopcli.server.pages import ledgers as ledger_pages
from hoopcli.server.pages import people as people_pages
from hoopcli.server.pages.layout import no_such_page
from hoopcli.server.people import routes as people
from hoopcli.server.records import routes as records
from hoopcli.server.services import Services
from hoopcli.server.sync import routes as ledgers
from hoopcli.server.sync import witnessing

ROUTERS: Final[tuple[APIRouter, ...]] = (
    telemetry.router,
    ledgers.router,
    witnessing.router,
    approvals.router,
    catalog.router,
    records.router,
    people.router,
    home.router,
    inbox.router,
    sessions.router,
    ledger_pages.router,
    connections.router,
    policy.router,
    policy_explain.router,
    policy_draft.router,
    people_pages.router,
    signin.api,
    signin.pages,
    by_provider.router,
    static.router,
)
"""Every area of the server. A router's lifespan runs with the app's."""


def create_app(services: Services) -> FastAPI:
    """The app over these services, which routes reach as ``request.app.state.services``."""
    app = FastAPI(title="hoop server", version=__version__, docs_url=None, redoc_url=None)
    app.state.services = services
    problems.install(app)
    app.add_exception_handler(404, no_such_page)
    app.add_middleware(BodyLimits, limit=services.settings.body_limit)
    app.add_middleware(Observing, metrics=services.metrics)
    for router in ROUTERS:
        app.include_router(router)
    return app
