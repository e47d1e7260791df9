"""What the demo's server does to its own answers when it is told to misbehave."""

from __future__ import annotations

from connectors.sql.demo.options import Options
from connectors.sql.tds.tokens import ServerMessage

_UNKNOWN = b"\x01"  # no token has this number
_LONG = b"\xab\xff\xff"  # an INFO that says it has 65,535 bytes, and has none


class Faults:
    """Spoils one answer as the options ask."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._left = options.cut_after
        self._pieces = 0

    def spoil(self, piece: bytes) -> tuple[bytes, bool]:
        """A piece of the answer as it shall be sent, and whether the connection is lost after it."""
        self._pieces += 1
        if self._pieces == 1:
            piece = self._options.inject + piece
        if self._options.malformed:
            piece = _UNKNOWN + piece
        if self._options.overlong:
            piece += _LONG
        if self._options.error_after == self._pieces:
            piece += ServerMessage(8180, "The server ran into an error in the middle of a result.").encode()
        if self._left is None:
            return piece, False
        piece, self._left = piece[: self._left], self._left - len(piece)
        return piece, self._left <= 0
