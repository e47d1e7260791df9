"""Bodies of requests: streamed to the upstream and digested, or read first where a decision depends on them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connectors.blob.asked import Asked
from connectors.blob.content.uploads import UploadInspector
from connectors.blob.reference import Body
from connectors.http.exchange import Exchange, RefusedError
from hoopcli.model.decision import Effect, Json, Statement
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.spool import SpoolFile
from hoopcli.spi import LayerContext

#: The longest body that is held, in the spool, until it is decided on.
INSPECTED_LIMIT = 1 << 30
#: The one request that carries a whole content, with its type.
_WHOLE = "Put Blob"


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's body that was read before the decision; ``statement`` says what it contains. To be closed."""

    body: SpoolFile
    sha256: str
    statement: Statement


def known(context: LayerContext, exchange: Exchange, asked: Asked) -> Steps[Upload | None]:
    """Read the body where policy decides by what it contains, or people shall see the very request that will run.

    None where the body may be streamed. Raises RefusedError above ``INSPECTED_LIMIT``.
    """
    operation = asked.operation
    if operation.body is Body.NONE:
        return None
    contents = operation.body is Body.CONTENT and context.asks_about("upload", operation.actions)
    if not contents and context.preview(asked.statement()) is not Effect.REQUIRE_APPROVAL:
        return None
    if context.spool is None:
        raise RefusedError(413, "RequestBodyTooLarge", "there is no spool to hold the body until it is decided on")
    file = context.spool.scratch()
    try:
        return (yield from _read(exchange, asked, file))
    except BaseException:
        file.close()
        raise


def _read(exchange: Exchange, asked: Asked, file: SpoolFile) -> Steps[Upload]:
    digest = hashlib.sha256()
    inspector = _inspector(asked) if asked.operation.body is Body.CONTENT else None
    while (data := (yield from exchange.chunk())) is not None:
        if file.size + len(data) > INSPECTED_LIMIT:
            hint = "send it in blocks that are shorter"
            raise RefusedError(413, "RequestBodyTooLarge", "the body is too long to be held until it is decided", hint)
        file.append(data)
        digest.update(data)
        if inspector is not None:
            inspector.feed(data)
    file.finish({})
    facts: dict[str, Json] = {"upload": inspector.finish()} if inspector is not None else {}
    return Upload(file, digest.hexdigest(), asked.statement(digest=digest.hexdigest(), **facts))


def _inspector(asked: Asked) -> UploadInspector:
    """What looks into the body as it will be stored. The type of a part is only that of a body in transit."""
    headers = asked.request.headers
    if asked.operation.name != _WHOLE:
        return UploadInspector("", "", asked.address.path)
    kind, coding = headers.get("content-type") or "", headers.get("content-encoding") or ""
    stored_as = headers.get("x-ms-blob-content-type") or kind, headers.get("x-ms-blob-content-encoding") or coding
    return UploadInspector(*stored_as, asked.address.path)
