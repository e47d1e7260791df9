"""exec, attach and port-forward of the cluster: real processes, pseudo-terminals and sockets of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import termios
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import (
    Channel,
    Closed,
    Data,
    ErrorStatus,
    ExecEvent,
    HalfClosed,
    Opened,
    Reply,
    Resize,
    Side,
)
from connectors.kubectl.streams.exec_stream import ExecCodec
from connectors.kubectl.streams.handshake import SPDY, Offer
from connectors.kubectl.streams.spdy import DataFrame, FrameReader, FrameWriter, Ping, RstStream, SynReply, SynStream
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec
from connectors.kubectl.streams.websocket import Piece, WebSocket

_CHUNK = 64 * 1024


@dataclass(slots=True)
class Wire:
    """An upgraded connection. ``first`` is what came with the request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    first: bytes

    async def received(self) -> AsyncIterator[bytes]:
        if self.first:
            yield self.first
        with contextlib.suppress(ConnectionError, OSError):
            while data := await self.reader.read(_CHUNK):
                yield data

    async def send(self, data: bytes) -> None:
        if data:
            self.writer.write(data)
            await self.writer.drain()


def exec_codec(offer: Offer, protocol: str) -> ExecCodec:
    return SpdyExecCodec(Side.SERVER) if offer.upgrade == SPDY else ChannelCodec(Side.SERVER, protocol)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of an exec or attach asks for."""

    command: Sequence[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @staticmethod
    def of(query: Mapping[str, Sequence[str]]) -> Asked:
        def flag(name: str) -> bool:
            return query.get(name, ["false"])[0] in {"true", "1"}

        return Asked(query.get("command", []), flag("stdin"), flag("stdout"), flag("stderr"), flag("tty"))

    @property
    def channels(self) -> set[Channel]:
        wanted = {
            Channel.ERROR: True, Channel.STDIN: self.stdin, Channel.STDOUT: self.stdout,
            Channel.STDERR: self.stderr and not self.tty, Channel.RESIZE: self.tty,
        }  # fmt: skip
        return {channel for channel, is_wanted in wanted.items() if is_wanted}


class Exec:
    """One process at the end of a stream."""

    def __init__(self, wire: Wire, codec: ExecCodec, asked: Asked, folder: Path, *, spdy: bool) -> None:
        self._wire = wire
        self._codec = codec
        self._asked = asked
        self._folder = folder
        self._missing = asked.channels if spdy else set()
        self._master: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._early: deque[ExecEvent] = deque()
        self._caught_up = False

    async def run(self) -> None:
        """Serve until the process or the client ends."""
        outputs: asyncio.Task[None] | None = None
        inputs = asyncio.create_task(self._read())
        try:
            while self._missing and not inputs.done():
                await asyncio.sleep(0.001)
            outputs = asyncio.create_task(self._serve())
            await asyncio.wait({inputs, outputs}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in filter(None, (inputs, outputs)):
                task.cancel()
            await asyncio.gather(*filter(None, (inputs, outputs)), return_exceptions=True)
            self._kill()

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._master is not None:
            os.close(self._master)
            self._master = None

    async def _read(self) -> None:
        async for data in self._wire.received():
            for event in self._codec.feed(data):
                match event:
                    case Opened(channel):
                        self._missing.discard(channel)
                    case Reply(reply):
                        await self._wire.send(reply)
                    case Closed():
                        return
                    case _ if not self._caught_up:
                        self._early.append(event)
                    case _:
                        await self._input(event)

    async def _input(self, event: ExecEvent) -> None:
        assert self._process is not None
        stdin = self._process.stdin
        match event:
            case Data(Channel.STDIN, data) if self._master is not None:
                await asyncio.to_thread(os.write, self._master, data)
            case Data(Channel.STDIN, data) if stdin:
                stdin.write(data)
                with contextlib.suppress(ConnectionError):
                    await stdin.drain()
            case HalfClosed(Channel.STDIN) if stdin:
                stdin.close()
            case Resize(cols, rows) if self._master is not None:
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    async def _serve(self) -> None:
        try:
            await self._start()
        except (OSError, ValueError) as error:
            await self._finish(_failed(f"exec failed: {error}"))
            return
        assert self._process is not None
        catching_up = asyncio.create_task(self._catch_up())  # its output must be taken meanwhile
        try:
            if self._master is not None:
                await self._pump_terminal(self._master)
            else:
                streams = ((Channel.STDOUT, self._process.stdout), (Channel.STDERR, self._process.stderr))
                await asyncio.gather(*(self._pump(channel, stream) for channel, stream in streams if stream))
        finally:
            catching_up.cancel()
        await self._finish(_ended(await self._process.wait()))

    async def _catch_up(self) -> None:
        """Pass on what came before the process was there. What comes after it waits, so that nothing overtakes it."""
        while self._early:
            await self._input(self._early.popleft())
        self._caught_up = True

    async def _start(self) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "PS1": "$ ", "TERM": "xterm", "ENV": ""}
        if not self._asked.command:
            raise ValueError("no command")
        if not self._asked.tty:
            self._process = await asyncio.create_subprocess_exec(
                *self._asked.command,
                stdin=asyncio.subprocess.PIPE if self._asked.stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment, cwd=self._folder, start_new_session=True,
            )  # fmt: skip
            return
        self._master, slave = pty.openpty()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._asked.command,
                stdin=slave, stdout=slave, stderr=slave,
                env=environment, cwd=self._folder, start_new_session=True, preexec_fn=_take_terminal,
            )  # fmt: skip
        finally:
            os.close(slave)

    async def _pump(self, channel: Channel, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(_CHUNK):
            await self._wire.send(self._codec.send(Data(channel, data)))

    async def _pump_terminal(self, master: int) -> None:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes]()

        def readable() -> None:
            try:
                queue.put_nowait(os.read(master, _CHUNK))
            except OSError:  # the last process that had the terminal is gone
                queue.put_nowait(b"")

        loop.add_reader(master, readable)
        try:
            while data := await queue.get():
                await self._wire.send(self._codec.send(Data(Channel.STDOUT, data)))
        finally:
            loop.remove_reader(master)

    async def _finish(self, status: bytes) -> None:
        await self._wire.send(self._codec.send(ErrorStatus(status)))
        for channel in (Channel.STDOUT, Channel.STDERR, Channel.ERROR):
            if channel in self._asked.channels and isinstance(self._codec, SpdyExecCodec):
                await self._wire.send(self._codec.send(HalfClosed(channel)))
        await self._wire.send(self._codec.send(Closed()))


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _ended(code: int) -> bytes:
    if code == 0:
        return b'{"metadata":{},"status":"Success"}'
    code = 128 - code if code < 0 else code
    return json.dumps({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: error executing command, exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }).encode()  # fmt: skip


def _failed(message: str) -> bytes:
    return json.dumps({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500,
    }).encode()  # fmt: skip


# --- port-forward ----------------------------------------------------------------------------------------------------


class SpdyForward:
    """Port-forward over SPDY, bare or in a WebSocket."""

    def __init__(self, wire: Wire, port_of: Callable[[int], int], *, tunnelled: bool) -> None:
        self._wire = wire
        self._port_of = port_of
        self._socket = WebSocket(Side.SERVER) if tunnelled else None
        self._reader, self._writer = FrameReader(), FrameWriter()
        self._lock = asyncio.Lock()
        self._errors: dict[str, int] = {}
        self._inputs: dict[int, asyncio.Queue[bytes | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            async for data in self._wire.received():
                if self._socket is None:
                    await self._feed(data)
                    continue
                for event in self._socket.feed(data):
                    match event:
                        case Piece(piece):
                            await self._feed(piece)
                        case Reply(reply):
                            await self._wire.send(reply)
                        case Closed():
                            return
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _feed(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            match frame:
                case SynStream(number, headers):
                    await self._open(number, headers)
                case DataFrame(number, piece, fin):
                    if number in self._inputs:
                        if piece:
                            self._inputs[number].put_nowait(piece)
                        if fin:
                            self._inputs[number].put_nowait(None)
                case RstStream(number):
                    if number in self._inputs:
                        self._inputs[number].put_nowait(None)
                case Ping(number) if number % 2:
                    await self._send(frame)

    async def _send(self, frame: SynReply | DataFrame | Ping) -> None:
        async with self._lock:
            data = self._writer.encode(frame)
            await self._wire.send(self._socket.send(data) if self._socket else data)

    async def _open(self, number: int, headers: Mapping[str, str]) -> None:
        await self._send(SynReply(number))
        request = headers["requestid"]
        if headers["streamtype"] == "error":
            self._errors[request] = number
            return
        self._inputs[number] = asyncio.Queue()
        task = asyncio.create_task(self._forward(number, self._errors.pop(request), int(headers["port"])))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, number: int, error: int, port: int) -> None:
        message = b""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port_of(port))
        except OSError:
            message = f"error forwarding port {port} to pod: connection refused".encode()
        else:
            feeding = asyncio.create_task(self._feed_socket(number, writer))
            try:
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(_CHUNK):
                        await self._send(DataFrame(number, data))
            finally:
                feeding.cancel()
                writer.close()
        await self._send(DataFrame(error, message, fin=True))
        await self._send(DataFrame(number, b"", fin=True))

    async def _feed_socket(self, number: int, writer: asyncio.StreamWriter) -> None:
        while (data := await self._inputs[number].get()) is not None:
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class ChannelForward:
    """Port-forward over the channels of a WebSocket."""

    def __init__(self, wire: Wire, ports: Sequence[int], port_of: Callable[[int], int]) -> None:
        self._wire = wire
        self._ports = ports
        self._port_of = port_of
        self._socket = WebSocket(Side.SERVER)
        self._message = b""
        self._writers: list[asyncio.StreamWriter] = []

    async def run(self) -> None:
        tasks = []
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                await self._wire.send(self._socket.send(bytes((channel,)) + port.to_bytes(2, "little")))
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port_of(port))
            self._writers.append(writer)
            tasks.append(asyncio.create_task(self._pump(index, reader)))
        try:
            async for data in self._wire.received():
                for event in self._socket.feed(data):
                    await self._take(event)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    async def _pump(self, index: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            await self._wire.send(self._socket.send(bytes((2 * index,)) + data))
        await self._wire.send(self._socket.close())

    async def _take(self, event: Piece | Reply | Closed) -> None:
        match event:
            case Piece(piece, last):
                self._message += piece
                if last:
                    self._writers[self._message[0] // 2].write(self._message[1:])
                    self._message = b""
            case Reply(reply):
                await self._wire.send(reply)
