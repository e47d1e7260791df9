"""Whether the server lives, whether it can work, and what it has done."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hoopcli.server import migrations
from hoopcli.server.problems import Problem
from hoopcli.server.services import Served

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: Served) -> dict[str, str]:
    """The database answers and has the schema of this version; otherwise 503."""
    with services.database.read() as connection:
        if not migrations.is_current(connection):
            raise Problem(503, "not-migrated", "the database has the schema of another version of hoop")
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
def metrics(services: Served) -> Response:
    """Counters in the format of Prometheus."""
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
