"""Events of exec and attach as Hypothesis makes them, by the end that may send them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import Channel, Data, ErrorStatus, ExecEvent, HalfClosed, Opened, Resize, Side
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec

_SIZES = st.integers(0, 65535)
FROM_CLIENT = st.lists(
    st.binary(min_size=1, max_size=300).map(lambda data: Data(Channel.STDIN, data)) | st.builds(Resize, _SIZES, _SIZES),
    max_size=8,
)
FROM_SERVER = st.lists(
    st.builds(Data, st.sampled_from([Channel.STDOUT, Channel.STDERR]), st.binary(min_size=1, max_size=300)), max_size=8
)
OTHER = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}
Codec = ChannelCodec | SpdyExecCodec
MakeCodec = Callable[[Side], Codec]


def v5(side: Side) -> Codec:
    return ChannelCodec(side, "v5.channel.k8s.io")


def v4(side: Side) -> Codec:
    return ChannelCodec(side, "v4.channel.k8s.io")


def spdy(side: Side) -> Codec:
    return SpdyExecCodec(side)


MAKERS = st.sampled_from([v5, v4, spdy])


def pair(make: MakeCodec) -> tuple[Codec, Codec]:
    """A client and a server with all channels open."""
    client, server = make(Side.CLIENT), make(Side.SERVER)
    for channel in Channel:
        list(server.feed(client.send(Opened(channel))))
    return client, server


def wire(sender: Codec, events: Iterable[ExecEvent]) -> bytes:
    return b"".join(sender.send(event) for event in events)


def ending(code: int) -> list[ExecEvent]:
    """The end of a command as a server tells it."""
    raw = b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"%d"}]}}' % code
    return [ErrorStatus(raw), HalfClosed(Channel.ERROR)]
