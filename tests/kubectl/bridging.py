"""The bridges of streams between a real client and the API server, with the least around them that makes it work."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from connectors.kubectl.asciicast import CastHeader, CastRecorder
from connectors.kubectl.cast_text import Commands
from connectors.kubectl.streams.channel_forward import ChannelForward
from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from connectors.kubectl.streams.events import Channel, Side
from connectors.kubectl.streams.exec_stream import ExecCodec, ExecStream
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.handshake import (
    CHANNEL_PROTOCOLS,
    PORT_FORWARD_PROTOCOLS,
    SPDY,
    SPDY_CHANNEL_PROTOCOLS,
    SPDY_PORT_FORWARD_PROTOCOLS,
    Offer,
    accept_headers,
    check_accepted,
    read_offer,
    request_headers,
)
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.portforward import PortForward
from connectors.kubectl.streams.record import ExecRecord
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec
from connectors.kubectl.tarlist import TarList
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.masking.scan import Watch
from hoopcli.model.decision import Mask
from tests.kubectl.apiserver import ApiServer, identity
from tests.kubectl.cluster.connection import TOKEN

_MASK = Mask("shapes", detectors=tuple(detector.name for detector in DETECTORS))
_WATCHES = [Watch(detector, _MASK) for detector in DETECTORS]
_NONCE = bytes(range(16))
_CHUNK = 64 * 1024
Head = tuple[str, list[tuple[str, str]]]


@dataclass
class Bridge:
    """A running bridge. ``execs`` and ``forwards`` are all streams so far."""

    upstream: ApiServer
    masked: bool = True
    url: str = ""
    execs: list[tuple[ExecStream, ExecRecord]] = field(default_factory=list)
    forwards: list[Forwards] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def last(self) -> tuple[ExecStream, ExecRecord]:
        return self.execs[-1]

    def exec_stream(self, offer: Offer, protocol: str, target: str) -> ExecStream:
        query = parse_qs(urlsplit(target).query)
        tty = query.get("tty") == ["true"]
        copies = query.get("command", [""])[0] == "tar"
        archives = {Channel.STDIN: TarList(), Channel.STDOUT: TarList()} if copies else {}
        record = ExecRecord(
            CastRecorder(CastHeader(80, 24, 0), 1_000_000), Commands() if tty else None, archives=archives
        )

        def codec(side: Side) -> ExecCodec:
            return SpdyExecCodec(side) if offer.upgrade == SPDY else ChannelCodec(side, protocol)

        outputs = (Channel.STDOUT, Channel.STDERR) if self.masked else ()
        maskers = {c: MaskedBytes(EchoMasker(_WATCHES, b"", same_length=copies)) for c in outputs}
        detect = Masking([_MASK], b"").detect
        stream = ExecStream(
            codec(Side.SERVER), codec(Side.CLIENT), record, lambda: 0.0, maskers=maskers, detect=detect, tty=tty
        )
        self.execs.append((stream, record))
        return stream

    def forward(self, offer: Offer, protocol: str, target: str) -> PortForward | ChannelForward:
        self.forwards.append(forwards := Forwards())
        if protocol == PORT_FORWARD_PROTOCOLS[1]:
            ports = parse_qs(urlsplit(target).query)["ports"]
            return ChannelForward([int(port) for part in ports for port in part.split(",")], forwards)
        tunnelled = offer.upgrade != SPDY
        return PortForward(
            client_tunnelled=tunnelled, upstream_tunnelled=tunnelled, forwards=forwards,
            refuses=lambda port: "port 22 is not for you" if port == 22 else "",
        )  # fmt: skip

    # --- a connection ------------------------------------------------------------------------------------------------

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)  # the loop itself holds a task weakly once its client is gone
        try:
            await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                line, headers = await read_head(reader)
                method, target, _ = line.split(" ")
                offer = read_offer(method, headers)
                if offer:
                    await self._stream(reader, writer, method, target, offer)
                    break
                size = int(dict(headers).get("content-length", "0"))
                body = await reader.readexactly(size)
                writer.write(await asyncio.to_thread(self._plain, method, target, dict(headers), body))
                await writer.drain()

    def _plain(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """A request that is no stream, as it is."""
        host = urlsplit(self.upstream.url)
        connection = http.client.HTTPSConnection(host.hostname or "", host.port, context=_client())
        kept = {name: value for name, value in headers.items() if name in {"accept", "content-type"}}
        connection.request(method, target, body, {**kept, "Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        head = f"HTTP/1.1 {response.status} x\r\nContent-Type: {response.getheader('content-type')}\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(answer) + answer

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, target: str, offer: Offer
    ) -> None:
        forwards, spdy = "/portforward" in target, offer.upgrade == SPDY
        if forwards:
            protocol = offer.choose(SPDY_PORT_FORWARD_PROTOCOLS if spdy else PORT_FORWARD_PROTOCOLS)
        else:
            protocol = offer.choose(SPDY_CHANNEL_PROTOCOLS if spdy else CHANNEL_PROTOCOLS)
        host = urlsplit(self.upstream.url)
        up_reader, up_writer = await asyncio.open_connection(host.hostname, host.port, ssl=_client())
        asked = request_headers(offer.upgrade, protocol, _NONCE)
        try:
            own = [("Host", "x"), ("Authorization", f"Bearer {TOKEN}")]
            up_writer.write(head(f"{method} {target} HTTP/1.1", [*own, *asked]))
            line, headers = await read_head(up_reader)
            check_accepted(offer.upgrade, protocol, _NONCE, int(line.split(" ")[1]), headers)
            writer.write(head("HTTP/1.1 101 Switching Protocols", accept_headers(offer, protocol)))
            bridge = (self.forward if forwards else self.exec_stream)(offer, protocol, target)
            await Relay(bridge, reader, writer, up_reader, up_writer).run()
        finally:
            up_writer.close()


class Relay:
    """Moves bytes through a bridge until either end is gone."""

    def __init__(
        self, bridge: ExecStream | PortForward | ChannelForward,
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        self._bridge = bridge
        self._client = (reader, writer)
        self._upstream = (up_reader, up_writer)
        self._timers: set[asyncio.TimerHandle] = set()

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._pump(asks=asks)) for asks in (True, False)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._send(self._bridge.end())
        finally:
            for timer in self._timers:
                timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, *, asks: bool) -> None:
        reader = (self._client if asks else self._upstream)[0]
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                moved = self._bridge.from_client(data) if asks else self._bridge.from_upstream(data)
                await self._send(moved)
                if moved.error:
                    raise moved.error

    async def _send(self, moved: Moved) -> None:
        with contextlib.suppress(ConnectionError):
            for (_, writer), pieces in ((self._client, moved.to_client), (self._upstream, moved.to_upstream)):
                writer.writelines(pieces)
                await writer.drain()
        if moved.release_in is not None:
            loop = asyncio.get_running_loop()
            self._timers.add(loop.call_later(moved.release_in, self._release))

    def _release(self) -> None:
        assert isinstance(self._bridge, ExecStream)
        self._client[1].writelines(self._bridge.release().to_client)


def head(line: str, headers: Sequence[tuple[str, str]]) -> bytes:
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The first line and the headers of a request or an answer."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = text.removesuffix("\r\n\r\n").split("\r\n")
    return line, [(name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in fields)]


def _client() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=identity().ca.decode())


@contextmanager
def bridge(upstream: ApiServer, *, masked: bool = True) -> Iterator[Bridge]:
    """A bridge in front of an API server, until the block ends."""
    running = Bridge(upstream, masked)

    async def start() -> asyncio.Server:
        context = identity().server_context(["http/1.1"])
        listener = await asyncio.start_server(running.accept, "127.0.0.1", 0, ssl=context)
        running.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        return listener

    async def stop(listener: asyncio.Server) -> None:
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close

    with asyncio.Runner() as runner:
        listener = runner.run(start())
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever, name="bridge")
        thread.start()
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(stop(listener), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
