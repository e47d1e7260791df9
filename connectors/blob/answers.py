"""Answers of the upstream on their way to the client: headers, errors, documents and listings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from connectors.blob.asked import Asked
from connectors.blob.content.etag import masked_etag, masks_digest
from connectors.blob.errors import StorageError
from connectors.blob.listing import Listing, ListingRules
from connectors.blob.listing_json import listing_of
from connectors.blob.markers import Markers, continued
from connectors.blob.reference import Answer
from connectors.http.delivery import Delivery
from connectors.http.exchange import Exchange
from connectors.http.message import Headers, Response
from hoopcli.errors import UpstreamError
from hoopcli.masking.masker import Masking, about
from hoopcli.model.decision import Action, Effect, Mask, Statement
from hoopcli.sansio.events import Permit
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext

_CONTINUATION = "x-ms-continuation"
_LONGEST_DOCUMENT = 4 << 20
_OK = 200
#: So many pages in a row of which nothing may be seen are passed over.
_MOST_EMPTY = 256
#: Headers of answers that hold words of users, beside metadata.
_FREE = frozenset(
    {
        "content-disposition",
        "content-language",
        "cache-control",
        "content-type",
        "content-encoding",
        "x-ms-copy-status-description",
        "x-ms-properties",
        "x-ms-tags",
        "location",
    }
)
#: Headers that speak of content as it is stored, not as it is delivered masked.
OF_STORED = ("content-md5", "x-ms-blob-content-md5", "x-ms-content-crc64")
LISTINGS = frozenset({Answer.CONTAINERS, Answer.BLOBS, Answer.FOUND, Answer.FILESYSTEMS, Answer.PATHS})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a permit asks of an answer. ``masks`` are those about the resource, ``all`` those of the decision."""

    all: tuple[Mask, ...]
    masks: tuple[Mask, ...]
    masking: Masking

    @classmethod
    def of(cls, context: LayerContext, permit: Permit, resource: str) -> Terms:
        """The terms for what comes from a resource."""
        masks = about(permit.decision.masks, resource)
        return cls(permit.decision.masks, masks, context.masking(masks))


def headers_for(response: Response, masking: Masking, delivery: Delivery) -> Headers:
    """The headers of an answer with the words of users in them masked, and without proofs of sources."""
    before = list(response.headers)
    shown = [(name, _shown(name.lower(), value, masking, delivery)) for name, value in before]
    return response.headers if shown == before else Headers(shown)


def _shown(name: str, value: str, masking: Masking, delivery: Delivery) -> str:
    if name == "x-ms-copy-source":
        return value.partition("?")[0]
    if name.startswith("x-ms-meta-") or name in _FREE:
        shown, found = masking.detect(value)
        delivery.count(found)
        return shown
    return value


def pass_on(exchange: Exchange, response: Response, terms: Terms, delivery: Delivery) -> Steps[None]:
    """Deliver an answer that holds no content of a blob: as it streams."""
    delivery.media_type = response.headers.get("content-type") or delivery.media_type
    headers = headers_for(response, terms.masking, delivery)
    yield from exchange.begin(Response(response.status, response.reason, headers))
    while (data := (yield from exchange.upstream_chunk())) is not None:
        yield from exchange.send(delivery.note(data))
    yield from exchange.end()


def pass_text(exchange: Exchange, response: Response, terms: Terms, delivery: Delivery) -> Steps[None]:
    """Deliver a short document (an error, tags) with what detectors find in it masked."""
    body = yield from exchange.upstream_read(_LONGEST_DOCUMENT)
    shown, found = terms.masking.detect(body.decode("utf-8", "replace")) if terms.masking.detects else ("", {})
    if found:
        body = shown.encode()
        delivery.count(found)
    delivery.media_type = response.headers.get("content-type") or delivery.media_type
    headers = headers_for(response, terms.masking, delivery).without("content-length", *OF_STORED)
    if exchange.request.method == "HEAD":
        yield from exchange.begin(Response(response.status, response.reason, headers.with_("Content-Length", "0")))
        yield from exchange.end()
        return
    yield from exchange.respond(response.status, headers, delivery.note(body))


@dataclass(frozen=True, slots=True)
class _EntryTerms:
    """What masks the values of an entry, and the digest of the masks; empty where none is about it."""

    masking: Masking
    digest: str


class Listings:
    """Listings as a principal may see them."""

    def __init__(self, context: LayerContext, endpoint: Callable[[Exchange], str]) -> None:
        self._context = context
        self.markers = Markers(context.secret)
        self._endpoint = endpoint

    def check(self, asked: Asked) -> None:
        """Refuse what would tell hidden names piece by piece. Raises StorageError."""
        if asked.address.value("delimiter") not in {"", "/"}:
            raise StorageError(
                400, "InvalidQueryParameterValue", "a delimiter other than / tells parts of names", "list without it"
            )

    def pass_on(
        self,
        exchange: Exchange,
        asked: Asked,
        response: Response,
        terms: Terms,
        delivery: Delivery,
        ask: Callable[[Asked], Steps[Response]],
    ) -> Steps[None]:
        """Deliver a page of a listing as it streams, without what may not be seen.

        A page of which nothing stays is passed over for the next one, so that it does not tell that something is there.
        """
        rules = self._rules(asked, terms, delivery)
        hidden = 0
        for _ in range(_MOST_EMPTY):
            page = listing_of(asked.operation.answer, rules, asked.address.container, self._endpoint(exchange))
            held = yield from self._first_shown(exchange, page)
            following = page.next_marker or response.headers.get(_CONTINUATION) or ""
            if page.shown or not following:
                break
            hidden += page.hidden
            asked = replace(asked, address=continued(asked.address, following))
            response = yield from ask(asked)
            if response.status != _OK:
                raise UpstreamError("the upstream broke its listing off", "list again")
        yield from self._deliver(exchange, asked, response, terms, delivery, page, held)
        delivery.rows = page.shown
        delivery.facts["hidden"] = hidden + page.hidden

    def _first_shown(self, exchange: Exchange, page: Listing) -> Steps[bytes]:
        """Read a page until an entry of it stays, or to its end; what may go on so far."""
        held: list[bytes] = []
        while not page.shown:
            data = yield from exchange.upstream_chunk()
            if data is None:
                held.append(page.finish())
                break
            held.append(page.feed(data))
        return b"".join(held)

    def _deliver(
        self,
        exchange: Exchange,
        asked: Asked,
        response: Response,
        terms: Terms,
        delivery: Delivery,
        page: Listing,
        held: bytes,
    ) -> Steps[None]:
        delivery.media_type = response.headers.get("content-type") or "application/xml"
        headers = headers_for(response, terms.masking, delivery).without("content-length", *OF_STORED)
        if (marker := headers.get(_CONTINUATION)) is not None:
            headers = headers.with_(_CONTINUATION, self.markers.seal(marker, asked.resource))
        yield from exchange.begin(Response(response.status, response.reason, headers))
        yield from exchange.send(delivery.note(held))
        if not page.ended:
            while (data := (yield from exchange.upstream_chunk())) is not None:
                if shown := page.feed(data):
                    yield from exchange.send(delivery.note(shown))
            if shown := page.finish():
                yield from exchange.send(delivery.note(shown))
        yield from exchange.end()

    def _entry_terms(self, account: str, terms: Terms) -> Callable[[str], _EntryTerms]:
        """What holds for the values of an entry: the masks that are about it, which may not be about its container."""
        made: dict[tuple[str, ...], _EntryTerms] = {}

        def made_of(masks: tuple[Mask, ...]) -> _EntryTerms:
            key = tuple(mask.id for mask in masks)
            if key not in made:
                made[key] = _EntryTerms(
                    self._context.masking(masks), masks_digest(masks, terms.masking) if masks else ""
                )
            return made[key]

        if not any(mask.resources for mask in terms.all):
            everywhere = made_of(terms.all)
            return lambda _entry: everywhere
        return lru_cache(maxsize=1)(lambda entry: made_of(about(terms.all, f"{account}/{entry}")))

    def _rules(self, asked: Asked, terms: Terms, delivery: Delivery) -> ListingRules:
        account, container = asked.address.account, asked.address.container
        terms_of = self._entry_terms(account, terms)
        listed = Statement("", b"", (Action("blob:list"),), asked.operation.facts, exact_case=True)
        effect_on = self._context.preview_each(listed)

        def visible(container: str, name: str) -> bool:
            resource = f"{account}/{container}/{name}" if name else f"{account}/{container}"
            return effect_on(resource) is not Effect.DENY

        def visible_below(container: str, prefix: str) -> bool:
            return effect_on(f"{account}/{container}/{prefix.rstrip('/')}/*") is not Effect.DENY

        def mask(entry: str, _what: str, value: str) -> str:
            shown, found = terms_of(entry).masking.detect(value)
            if found:
                delivery.count(found)
            return shown

        def rewrite(name: str, prop: str, value: str) -> str | None:
            digest = terms_of(f"{container}/{name}").digest
            if not digest:
                return value
            return masked_etag(value, digest) if prop.lower() == "etag" else None

        rewritten = frozenset({"Etag", "etag", "Content-MD5", "Content-CRC64"})
        seal = partial(self.markers.seal, resource=asked.resource)
        return ListingRules(visible, visible_below, mask, rewrite, rewritten, seal)
