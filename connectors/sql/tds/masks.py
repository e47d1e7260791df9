"""What the filter of a response asks of the policy's masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.tokens_login import Labels
from hoopcli.errors import HoopError


class BlockedError(HoopError):
    """A result must not be delivered: what it is does not agree with what was decided about its statement."""

    exit_code = 4


class CellMask(Protocol):
    """How the values of one column are masked."""

    @property
    def id(self) -> str:
        """The mask's id, to count by."""

    def apply(self, value: str, max_chars: int | None) -> str | None:
        """The masked form of a value in at most ``max_chars`` characters; ``None`` for NULL."""

    def apply_all(self, values: Sequence[str], max_chars: int | None) -> Sequence[str | None]:
        """``apply`` to each of many values."""


class TextStream(Protocol):
    """Detectors over one value that comes in pieces; the result does not depend on where it was cut."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What was masked so far, by mask id."""

    def feed(self, text: str) -> str:
        """Take a piece, return what is safe to pass."""

    def flush(self) -> str:
        """The value has ended: return the rest."""


class Plan(Protocol):
    """The masks that hold for one response."""

    @property
    def detects(self) -> bool:
        """Whether values are looked at for what they look like."""

    def columns(self, columns: Sequence[Column], labels: Sequence[Labels] = ()) -> Sequence[CellMask | None]:
        """The mask of each column of a result, of which the server says ``labels``, if it says any.

        Raises BlockedError if it must not be delivered at all.
        """

    def return_value(self, name: str) -> CellMask | None:
        """The mask of an output parameter."""

    def message(self, text: str) -> tuple[str, Mapping[str, int]]:
        """An error or info text as the client may see it, and what was masked in it."""

    def text(self, value: str) -> tuple[str, Mapping[str, int]]:
        """A value with all that the detectors find in it masked, and the counts by mask id."""

    def texts(self, values: Sequence[str]) -> tuple[Sequence[str], Mapping[str, int]]:
        """``text`` of each of many values; one in which nothing is found stays the very same object."""

    def suspect(self, data: bytes) -> bool:
        """Whether a detector may find something in text inside these bytes, UTF-16 or 8-bit; never wrongly false."""

    def stream(self) -> TextStream:
        """The detectors for a value that comes in pieces."""
