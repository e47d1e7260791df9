"""Fuzz the streams of Kubernetes: damaged WebSocket messages, SPDY frames, recordings, archives and terminal output.

    python tests/fuzz/fuzz_streams.py --seconds 60 [--seed 1]

Stops at the first exception that is not a ProtocolError and prints the input that caused it.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable

from connectors.kubectl.asciicast import CastHeader, CastRecorder, read_cast
from connectors.kubectl.cast_text import Lines, sanitised
from connectors.kubectl.streams.channel_forward import ChannelForward
from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from connectors.kubectl.streams.events import Channel, Closed, Data, ErrorStatus, HalfClosed, Opened, Resize, Side
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.portforward import PortForward
from connectors.kubectl.streams.spdy import DataFrame, FrameWriter, GoAway, Ping, RstStream, SynStream
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec
from connectors.kubectl.streams.websocket import WebSocket
from connectors.kubectl.tarlist import TarList
from hoopcli.masking.masker import DETECTORS
from hoopcli.masking.scan import Watch
from hoopcli.model.decision import Mask
from tests.fuzz import harness
from tests.fuzz.fuzz_tds import mutated

_WATCHES = [Watch(detector, Mask("m", detectors=(detector.name,))) for detector in DETECTORS]
_TERMINAL = b"$ \x1b[?2004hls\r\n\x1b]0;title\x07\x1b[31mred\x1b[0m 4111111111111111 ann@example.com\x1b[2K\r\x1b[5;5H"
Decoder = Callable[[bytes], object]


def _exec_events(codec: ChannelCodec | SpdyExecCodec, side: Side) -> bytes:
    """What a peer of this side sends: a client, or a server whose channels are open."""
    if side is Side.CLIENT:
        opened = b"".join(codec.send(Opened(channel)) for channel in Channel)
        events = (Data(Channel.STDIN, b"ls\n"), Resize(80, 24), HalfClosed(Channel.STDIN), Closed())
        return opened + b"".join(codec.send(event) for event in events)
    answers = (
        Data(Channel.STDOUT, b"x" * 200),
        ErrorStatus(b'{"status":"Success"}'),
        HalfClosed(Channel.ERROR),
        Closed(),
    )
    return b"".join(codec.send(event) for event in answers)


def _open_server() -> SpdyExecCodec:
    server, client = SpdyExecCodec(Side.SERVER), SpdyExecCodec(Side.CLIENT)
    for channel in Channel:
        list(server.feed(client.send(Opened(channel))))
    return server


def _open_client() -> SpdyExecCodec:
    client = SpdyExecCodec(Side.CLIENT)
    for channel in Channel:
        client.send(Opened(channel))
    return client


def _forward() -> PortForward:
    return PortForward(client_tunnelled=False, upstream_tunnelled=False, forwards=Forwards(), refuses=lambda _: "")


def _frames() -> bytes:
    writer = FrameWriter()
    headers = {"port": "80", "requestid": "0"}
    frames = (
        SynStream(1, {"streamtype": "error", **headers}), DataFrame(1, b"", fin=True),
        SynStream(3, {"streamtype": "data", **headers}), DataFrame(3, b"GET /"), Ping(1), RstStream(3), GoAway(0),
    )  # fmt: skip
    return b"".join(writer.encode(frame) for frame in frames)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a", "d/" * 80 + "long"):
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(b"x" * 700))
    return buffer.getvalue()


def _recording() -> bytes:
    recorder = CastRecorder(CastHeader(80, 24, 1, "sh", {"TERM": "xterm"}), 10_000)
    recorder.output(0.5, _TERMINAL)
    recorder.resize(1, 100, 30)
    return recorder.kept


def _drain(feed: Callable[[bytes], object]) -> Decoder:
    """Feed in three parts and take every event."""

    def run(data: bytes) -> None:
        third = len(data) // 3
        for part in (data[:third], data[third : 2 * third], data[2 * third :]):
            events = feed(part)
            if hasattr(events, "__next__"):
                list(events)  # type: ignore[call-overload]

    return run


def _masker(data: bytes) -> None:
    masked = MaskedBytes(EchoMasker(_WATCHES, b"", same_length=True))
    third = len(data) // 3
    parts = [data[:third], data[third : 2 * third], data[2 * third :]]
    out = b"".join(masked.feed(part) + masked.show() for part in parts) + masked.flush()
    assert len(out) == len(data)


def _terminal(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    list(Lines().feed(text))
    assert sanitised(sanitised(text)) == sanitised(text)


def _tar(data: bytes) -> None:
    tar = TarList()
    tar.feed(data)
    tar.manifest()


def targets() -> list[tuple[Callable[[], Decoder], bytes]]:
    """What is fuzzed: how to make a fresh decoder, and a good input."""

    def v5(side: Side) -> ChannelCodec:
        return ChannelCodec(side, "v5.channel.k8s.io")

    channels = b"".join(WebSocket(Side.CLIENT).send(message) for message in (b"\x00GET /", b"\x02x"))
    return [
        (lambda: _drain(v5(Side.SERVER).feed), _exec_events(v5(Side.CLIENT), Side.CLIENT)),
        (lambda: _drain(v5(Side.CLIENT).feed), _exec_events(v5(Side.SERVER), Side.SERVER)),
        (lambda: _drain(SpdyExecCodec(Side.SERVER).feed), _exec_events(SpdyExecCodec(Side.CLIENT), Side.CLIENT)),
        (lambda: _drain(_open_client().feed), _exec_events(_open_server(), Side.SERVER)),
        (lambda: _drain(_forward().from_client), _frames()),
        (lambda: _drain(_forward().from_upstream), _frames()),
        (lambda: _drain(ChannelForward([80, 443], Forwards()).from_client), channels),
        (lambda: lambda data: list(read_cast(data)[1]), _recording()),
        (lambda: _tar, _archive()),
        (lambda: _terminal, _TERMINAL),
        (lambda: _masker, _TERMINAL * 8),
    ]


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""
    corpus = targets()

    def choose(rng: random.Random) -> tuple[str, Callable[[], object]]:
        make, good = rng.choice(corpus)
        data = mutated(rng, good)
        return data.hex(), lambda: make()(data)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command("Fuzz the streams of Kubernetes.", fuzz)
