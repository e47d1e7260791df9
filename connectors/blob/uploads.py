"""Bodies of requests: streamed to the upstream and digested, or read first where a decision depends on them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connectors.blob.asked import Asked
from connectors.blob.content.uploads import UploadInspector
from connectors.blob.reference import Body
from connectors.http.exchange import Exchange
from hoopcli.model.decision import Effect, Json, Statement
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

#: How much is held of a body that must be known before it is decided on.
INSPECTED_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's body that was read before the decision; ``statement`` says what it contains."""

    body: bytes
    statement: Statement


def known(context: LayerContext, exchange: Exchange, asked: Asked) -> Steps[Upload | None]:
    """Read the body where policy decides by what it contains, or people shall see the very request that will run.

    None where the body may be streamed. Raises an error for the client above ``INSPECTED_LIMIT``.
    """
    operation = asked.operation
    if operation.body is Body.NONE:
        return None
    contents = operation.body is Body.CONTENT and context.asks_about("upload", operation.actions)
    if not contents and context.preview(asked.statement()) is not Effect.REQUIRE_APPROVAL:
        return None
    body = yield from exchange.read(INSPECTED_LIMIT)
    digest = hashlib.sha256(body).hexdigest()
    facts: dict[str, Json] = {}
    if operation.body is Body.CONTENT:
        inspector = UploadInspector(asked.request.headers.get("content-type") or "", asked.address.path)
        inspector.feed(body)
        facts["upload"] = inspector.finish()
    return Upload(body, asked.statement(digest=digest, **facts))
