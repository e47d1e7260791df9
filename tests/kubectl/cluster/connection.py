"""One client's connection: HTTP/1.1, objects, watches, logs, and the upgrade to a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h11

from connectors.kubectl.streams.handshake import (
    CHANNEL_PROTOCOLS,
    PORT_FORWARD_PROTOCOLS,
    SPDY,
    SPDY_CHANNEL_PROTOCOLS,
    SPDY_PORT_FORWARD_PROTOCOLS,
    Offer,
    accept_headers,
    read_offer,
)
from hoopcli.errors import ProtocolError
from tests.kubectl.cluster import discovery, streams, views
from tests.kubectl.cluster.requests import Place, Request, load, place_of
from tests.kubectl.cluster.store import Object, StatusError, Store, patched

TOKEN = "the-upstream-token"
_BOOKMARK_SECONDS = 1.0


@dataclass
class Cluster:
    """What all connections share. ``forwards`` say which local port a port of a pod is; ``seen`` are all requests.

    ``denied`` are paths that are forbidden, as the cluster's own RBAC would.
    """

    folder: Path
    url: str = ""
    store: Store = field(default_factory=Store)
    seen: list[Request] = field(default_factory=list)
    logs: dict[str, list[bytes]] = field(default_factory=dict)
    forwards: dict[int, int] = field(default_factory=dict)
    refuses_websockets: bool = False
    denied: set[str] = field(default_factory=set)


def _longer(lines: Sequence[bytes], count: int) -> bool:
    return len(lines) > count


def _newer(store: Store, revision: int) -> bool:
    return store.revision > revision


class Connection:
    """One client's connection, one request after the other."""

    def __init__(self, server: Cluster, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=128 * 1024)

    async def run(self) -> None:
        while (request := await self._next_request()) is not None:
            self._server.seen.append(request)
            try:
                offer = self._authorized(request)
                if offer:
                    await self._stream(request, offer)
                    return
                await self._answer(request)
            except StatusError as error:
                await self._json(error.code, error.status)
            except ProtocolError as error:
                await self._json(400, StatusError(400, "BadRequest", error.message).status)
            if self._http.our_state is h11.MUST_CLOSE:
                return
            self._http.start_next_cycle()

    async def _next_request(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._http.receive_data(await self._reader.read(256 * 1024))
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage():
                    assert head is not None
                    headers = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
                    return Request(head.method.decode(), head.target.decode(), headers, bytes(body))
                case _:
                    return None

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

    async def _json(self, code: int, document: Any, media_type: str = "application/json") -> None:
        body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        headers = [("Content-Type", media_type), ("Content-Length", str(len(body)))]
        self._writer.write(self._http.send(h11.Response(status_code=code, headers=headers)) or b"")
        self._writer.write(self._http.send(h11.Data(data=body)) or b"")
        await self._send(h11.EndOfMessage())

    def _authorized(self, request: Request) -> Offer | None:
        if request.header("authorization") != f"Bearer {TOKEN}":
            raise StatusError(401, "Unauthorized", "Unauthorized")
        if request.path in self._server.denied:
            raise StatusError(403, "Forbidden", f"{request.path} is forbidden")
        offer = read_offer(request.method, request.headers)
        if offer and offer.upgrade != SPDY and self._server.refuses_websockets:
            raise StatusError(403, "Forbidden", "websockets are not allowed here")
        return offer

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> None:
        if request.path in {"/healthz", "/livez", "/readyz"}:
            await self._text([b"ok"])
        elif request.path == "/openapi/v2" and "protobuf" in request.header("accept"):
            await self._text([discovery.openapi_protobuf()], "application/octet-stream")
        elif document := discovery.document(request.path, request.header("accept"), self._server.url):
            await self._json(200, document, discovery.media_type(document))
        elif request.path.startswith("/apis/authorization.k8s.io/v1/"):
            await self._review(request)
        else:
            await self._objects(request, place_of(request.path))

    async def _review(self, request: Request) -> None:
        review = load(request)
        if review["kind"] == "SelfSubjectRulesReview":
            every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            review["status"] = {"resourceRules": [every], "nonResourceRules": [], "incomplete": False}
        else:
            asked = review["spec"].get("resourceAttributes") or {}
            review["status"] = {"allowed": asked.get("resource") != "nodes"}
        await self._json(201, review)

    async def _objects(self, request: Request, place: Place) -> None:
        if place.subresource == "log":
            await self._log(request, place)
        elif place.subresource == "scale":
            await self._scale(request, place)
        elif place.subresource not in {"", "status", "ephemeralcontainers"}:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        elif request.method == "GET" and not place.name and request.flag("watch"):
            await self._watch(request, place)
        else:
            code, document = self._change(request, place)
            await self._json(code, document)
            await self._server.store.notify()

    async def _scale(self, request: Request, place: Place) -> None:
        store = self._server.store
        obj = store.get(place.resource, place.namespace, place.name)
        if request.method in {"PUT", "PATCH"}:
            spec = {**obj["spec"], "replicas": load(request)["spec"]["replicas"]}
            obj = store.update(place.resource, place.namespace, place.name, {**obj, "spec": spec})
            await store.notify()
        replicas = {"replicas": obj["spec"]["replicas"]}
        scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": obj["metadata"]}
        await self._json(200, {**scale, "spec": replicas, "status": replicas})

    def _change(self, request: Request, place: Place) -> tuple[int, Object]:
        store, (resource, namespace, name) = self._server.store, (place.resource, place.namespace, place.name)
        form, dry_run = views.wants(request.header("accept")), bool(request.single.get("dryRun"))
        code = 200
        match request.method, bool(name):
            case "GET", False:
                return 200, self._list(request, place, form)
            case "DELETE", False:
                return 200, self._delete_all(request, place)
            case "GET", True:
                obj = store.get(resource, namespace, name)
            case "POST", False:
                code, obj = 201, store.create(resource, namespace, load(request), dry_run=dry_run)
            case "PUT", True:
                obj = store.update(resource, namespace, name, load(request), dry_run=dry_run)
            case "PATCH", True:
                code, obj = self._patch(request, place, dry_run=dry_run)
            case "DELETE", True:
                obj = store.delete(resource, namespace, name, dry_run=dry_run)
            case _:
                raise StatusError(405, "MethodNotAllowed", "the server does not allow this method")
        return code, views.shown(resource, obj, form, request.single)

    def _delete_all(self, request: Request, place: Place) -> Object:
        store = self._server.store
        gone = store.select(place.resource, place.namespace, request.single)
        for obj in gone:
            store.delete(place.resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        return views.shown_list(place.resource, gone, str(store.revision), "", request.single)

    def _list(self, request: Request, place: Place, form: str) -> Object:
        store, query = self._server.store, request.single
        items = store.select(place.resource, place.namespace, query)
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
        page = items[start : start + limit] if limit else items[start:]
        shown = views.shown_list(place.resource, page, str(store.revision), form, query)
        if limit and start + limit < len(items):
            shown["metadata"]["continue"] = str(start + limit)
            shown["metadata"]["remainingItemCount"] = len(items) - start - limit
        return shown

    def _patch(self, request: Request, place: Place, *, dry_run: bool) -> tuple[int, Object]:
        store, (resource, namespace, name) = self._server.store, (place.resource, place.namespace, place.name)
        media_type = request.header("content-type").split(";")[0]
        applies = media_type == "application/apply-patch+yaml"
        try:
            old = store.get(resource, namespace, name)
        except StatusError:
            if not applies:
                raise
            return 201, store.create(resource, namespace, load(request), dry_run=dry_run)
        updated = store.update(resource, namespace, name, patched(old, media_type, request.body), dry_run=dry_run)
        return 200, updated

    async def _text(self, pieces: Sequence[bytes], media_type: str = "text/plain") -> None:
        await self._begin(media_type)
        for piece in pieces:
            await self._send(h11.Data(data=piece))
        await self._send(h11.EndOfMessage())

    async def _begin(self, media_type: str) -> None:
        headers = [("Content-Type", media_type), ("Transfer-Encoding", "chunked")]
        await self._send(h11.Response(status_code=200, headers=headers))

    async def _log(self, request: Request, place: Place) -> None:
        self._server.store.get(place.resource, place.namespace, place.name)
        lines = self._server.logs.setdefault(place.name, [])
        tail = int(request.single.get("tailLines") or len(lines))
        await self._begin("text/plain")
        at = max(0, len(lines) - tail)
        while True:
            for line in lines[at:]:
                await self._send(h11.Data(data=line))
            at = len(lines)
            if not request.flag("follow"):
                break
            await self._until_changed(partial(_longer, lines, at))
        await self._send(h11.EndOfMessage())

    async def _until_changed(self, condition: Callable[[], bool], seconds: float = 3600) -> bool:
        """Wait for a change. Raises ConnectionError when the client hangs up meanwhile."""
        changed = self._server.store.changed

        async def wait() -> None:
            async with changed:
                await changed.wait_for(condition)

        waiting = asyncio.create_task(wait())
        hearing = asyncio.create_task(self._reader.read(1))
        try:
            done, _ = await asyncio.wait({waiting, hearing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if hearing in done:
                raise ConnectionResetError
            return waiting in done
        finally:
            for task in (waiting, hearing):
                task.cancel()
            await asyncio.gather(waiting, hearing, return_exceptions=True)

    async def _watch(self, request: Request, place: Place) -> None:
        store, query, form = self._server.store, request.single, views.wants(request.header("accept"))
        from_revision = int(query.get("resourceVersion") or 0)
        initial = request.flag("sendInitialEvents") or from_revision == 0
        await self._begin("application/json")
        if not initial and from_revision < store.oldest:
            gone = StatusError(410, "Expired", f"too old resource version: {from_revision} ({store.oldest})")
            await self._event("ERROR", gone.status)
            await self._send(h11.EndOfMessage())
            return
        first = True
        revision = store.revision if initial else from_revision
        if initial:
            for obj in store.select(place.resource, place.namespace, query):
                await self._event("ADDED", views.shown(place.resource, obj, form, query, first=first))
                first = False
        if request.flag("sendInitialEvents"):
            await self._bookmark(place, form, {"k8s.io/initial-events-end": "true"})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + float(query.get("timeoutSeconds") or 3600)
        while (left := deadline - loop.time()) > 0:
            for change in list(store.since(revision, place.resource, place.namespace, query)):
                shown = views.shown(place.resource, change.object, form, query, first=first)
                await self._event(change.type, shown)
                first = False
            revision = store.revision
            changed = await self._until_changed(partial(_newer, store, revision), min(left, _BOOKMARK_SECONDS))
            if not changed and request.flag("allowWatchBookmarks"):
                await self._bookmark(place, form, {})
        await self._send(h11.EndOfMessage())

    async def _bookmark(self, place: Place, form: str, annotations: Mapping[str, str]) -> None:
        metadata: Object = {"resourceVersion": str(self._server.store.revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = dict(annotations)
        mark: Object = {"kind": place.resource.kind, "apiVersion": place.resource.api_version, "metadata": metadata}
        if form == "Table":
            mark = {
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [],
                "metadata": {"resourceVersion": metadata["resourceVersion"]}, "rows": [{"cells": [], "object": mark}],
            }  # fmt: skip
        await self._event("BOOKMARK", mark)

    async def _event(self, kind: str, obj: Object) -> None:
        line = json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"
        await self._send(h11.Data(data=line))

    # --- streams -----------------------------------------------------------------------------------------------------

    async def _stream(self, request: Request, offer: Offer) -> None:
        place = place_of(request.path)
        if place.subresource not in {"exec", "attach", "portforward"}:
            raise StatusError(400, "BadRequest", "Upgrade request required")
        self._server.store.get(place.resource, place.namespace, place.name)
        forwards, spdy = place.subresource == "portforward", offer.upgrade == SPDY
        if forwards:
            protocol = offer.choose(SPDY_PORT_FORWARD_PROTOCOLS if spdy else PORT_FORWARD_PROTOCOLS)
        else:
            protocol = offer.choose(SPDY_CHANNEL_PROTOCOLS if spdy else CHANNEL_PROTOCOLS)
        await self._send(h11.InformationalResponse(status_code=101, headers=list(accept_headers(offer, protocol))))
        wire = streams.Wire(self._reader, self._writer, self._http.trailing_data[0])
        if not forwards:
            asked = streams.Asked.of(request.query)
            if place.subresource == "attach":
                asked = streams.Asked(["cat"], asked.stdin, asked.stdout, asked.stderr, asked.tty)
            codec = streams.exec_codec(offer, protocol)
            await streams.Exec(wire, codec, asked, self._server.folder, spdy=spdy).run()
        elif protocol == PORT_FORWARD_PROTOCOLS[1]:
            ports = [int(port) for ports in request.query.get("ports", []) for port in ports.split(",")]
            await streams.ChannelForward(wire, ports, self._port_of).run()
        else:
            await streams.SpdyForward(wire, self._port_of, tunnelled=not spdy).run()

    def _port_of(self, port: int) -> int:
        return self._server.forwards.get(port, 1)  # port 1: nobody listens
