from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameProtocol

from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import (
    Aborted,
    Channel,
    Data,
    ErrorStatus,
    HalfClosed,
    Opened,
    Reply,
    Resize,
    Side,
)
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.exec_events import Codec, v4, v5


def client(payload: bytes, *, fin: bool = True) -> bytes:
    """A message of a client, whatever is in it."""
    return bytes(FrameProtocol(client=True, extensions=[]).send_data(payload, fin=fin))


def server(payload: bytes) -> bytes:
    return bytes(FrameProtocol(client=False, extensions=[]).send_data(payload))


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        pytest.param(v5(Side.SERVER), b"", id="no channel"),
        pytest.param(v5(Side.SERVER), b"\x05x", id="a channel that is none"),
        pytest.param(v5(Side.SERVER), b"\xff", id="a close of nothing"),
        pytest.param(v5(Side.SERVER), b"\xff\x00\x01", id="a close of two"),
        pytest.param(v5(Side.SERVER), b"\xff\x07", id="a close of what is not there"),
        pytest.param(v4(Side.SERVER), b"\xff\x00", id="a close in v4"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'{"Width":-1,"Height":1}', id="a negative size"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'{"Width":70000}', id="too wide"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'{"Width":true}', id="wide as true"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'{"Width":1,"width":2}', id="two widths"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'{"Width":{}}', id="a size in a size"),
        pytest.param(v4(Side.SERVER), b"\x04" + b"[1]}", id="no object"),
        pytest.param(v4(Side.SERVER), b"\x04" + b'"}', id="no JSON"),
        pytest.param(v4(Side.SERVER), b"\x04" + b"{" * 2000, id="a size without end"),
    ],
)
def test_what_is_no_message_of_the_protocol_is_refused(codec: Codec, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(codec.feed(client(payload)))


def test_the_channel_may_come_in_a_fragment_of_its_own() -> None:
    codec, protocol = v5(Side.SERVER), FrameProtocol(client=True, extensions=[])
    for fragment in (b"", b"\x00", b"ls\n"):
        events = list(codec.feed(bytes(protocol.send_data(fragment, fin=False))))
    assert events == [Data(Channel.STDIN, b"ls\n")]
    list(codec.feed(bytes(protocol.send_data(b"", fin=True))))
    assert list(codec.feed(client(b"\xff\x00"))) == [HalfClosed(Channel.STDIN)]


def test_the_empty_message_by_which_a_server_says_that_it_is_there() -> None:
    codec = ChannelCodec(Side.CLIENT, "v4.channel.k8s.io")
    assert list(codec.feed(server(b"\x01"))) == [Data(Channel.STDOUT, b"")]
    assert list(codec.feed(server(b"\x03"))) == [ErrorStatus(b"")]


def test_sizes_in_any_case_and_several_in_a_message() -> None:
    sizes = b'{"width":80,"HEIGHT":24,"x":1}\n{"Width":1}'
    assert list(v5(Side.SERVER).feed(client(b"\x04" + sizes))) == [Resize(80, 24), Resize(1, 0)]


def test_it_says_nothing_of_what_it_has_no_word_for() -> None:
    codec = v5(Side.CLIENT)
    silent = (Opened(Channel.STDIN), Aborted(Channel.STDIN), Reply(b"x"))
    assert [codec.send(event) for event in silent] == [b"", b"", b""]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"status":"Success"}', 0),
        (b'{"status":"Failure","details":{"causes":[{"reason":"Other"},{"reason":"ExitCode","message":"137"}]}}', 137),
        (b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}', None),
        (b'{"status":"Failure","details":{"causes":[1]}}', None),
        (b'{"status":"Failure","details":{"causes":{}}}', None),
        (b'{"status":"Failure","details":[]}', None),
        (b"[]", None),
        (b"", None),
        (b"[" * 100_000, None),
        (b"\xff", None),
    ],
)
def test_the_exit_code_of_a_status(raw: bytes, code: int | None) -> None:
    assert ErrorStatus(raw).exit_code == code
