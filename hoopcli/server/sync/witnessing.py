"""The witness's own routes: its public key, and ``add-checkpoint`` as C2SP tlog-witness has it, for any client of that.

Clients of that protocol read status codes and one media type, and no problem documents.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from hoopcli.errors import HoopError, LedgerError, ProtocolError
from hoopcli.server.problems import Problem
from hoopcli.server.services import Served, Services
from hoopcli.server.sync import store, witness
from hoopcli.server.sync.alerts import Kind, raise_alert
from hoopcli.server.sync.ingest import origin_of
from hoopcli.server.sync.proving import ForkError, StaleError, UnsignedError

MAX_BODY: Final = 70_000
MAX_PROOF: Final = 63
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT: Final = "text/plain; charset=utf-8"

_STATUSES: Final[tuple[tuple[type[HoopError], int], ...]] = (
    (ProtocolError, 400),
    (witness.OldSizeError, 400),
    (UnsignedError, 403),
    (ForkError, 409),
    (LedgerError, 422),
)

router = APIRouter(prefix="/witness", tags=["witness"])
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of ``add-checkpoint``."""

    old: int
    proof: tuple[bytes, ...]
    note: str


@router.get("", response_class=Response)
def key(services: Served) -> Response:
    """The witness's public key, as a vkey."""
    return Response(f"{services.witness.verifier}\n", media_type=TEXT)


@router.post("/add-checkpoint", response_class=Response, openapi_extra=_BODY)
async def add_checkpoint(request: Request, services: Served) -> Response:
    """Cosign a checkpoint. 400, 403, 404, 409 with the size, and 422 mean what tlog-witness says."""
    data = await request.body()
    return await to_thread.run_sync(_answer, services, data)


def parse(data: bytes) -> Submission:
    """Read a submission. Raises ProtocolError if it is malformed."""
    try:
        head, separator, note = data.decode().partition("\n\n")
        first, *lines = head.split("\n")
        word, _, size = first.partition(" ")
        if len(data) > MAX_BODY or not separator or word != "old" or len(lines) > MAX_PROOF:
            raise ProtocolError("malformed submission")
        if not size.isdecimal() or size != str(int(size[:19])):
            raise ProtocolError("malformed submission: its old size is not a number")
        proof = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise ProtocolError("malformed submission") from error
    if any(len(node) != 32 for node in proof):
        raise ProtocolError("malformed submission: its proof is not of hashes")
    return Submission(int(size), proof, note)


def _answer(services: Services, data: bytes) -> Response:
    try:
        return Response(_cosigned(services, parse(data)), media_type=TEXT)
    except StaleError as error:
        return Response(f"{error.size}\n", 409, {"content-type": SIZE_TYPE})  # exactly that, without a charset
    except (ProtocolError, LedgerError) as error:
        status = next(status for kind, status in _STATUSES if isinstance(error, kind))
        return Response(f"{error.message}\n", status, media_type=TEXT)
    except Problem as error:
        return Response(f"{error.message}\n", error.status, media_type=TEXT)


def _cosigned(services: Services, submission: Submission) -> str:
    origin = origin_of(submission.note)
    try:
        with services.database.write() as connection:
            held = store.find(connection, origin, lock=True)
            cosigned = witness.add_checkpoint(
                connection, held, services.witness, submission.note, submission.old, submission.proof, services.now()
            )
    except ForkError as error:
        raise_alert(services, origin, Kind.FORK, error.message, submission.note)
        raise
    services.metrics.cosignatures.inc()
    return cosigned.line
