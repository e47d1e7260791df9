"""The same bytes, cut in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from connectors.kubectl.streams.events import Data, ExecEvent

E = TypeVar("E")


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """The data cut at these places (modulo its length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


def feed_all(feed: Callable[[bytes], Iterable[E]], data: bytes, cuts: Sequence[int]) -> list[E]:
    return [event for piece in pieces(data, cuts) for event in feed(piece)]


def joined(events: Iterable[ExecEvent]) -> list[ExecEvent]:
    """Events with neighbouring data of one channel joined: how data is cut says nothing."""
    result: list[ExecEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Data) and isinstance(last, Data) and last.channel == event.channel:
            result[-1] = Data(event.channel, last.data + event.data)
        elif not isinstance(event, Data) or event.data:
            result.append(event)
    return result


CUTS = st.lists(st.integers(0, 100_000), max_size=12)
