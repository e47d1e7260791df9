"""The text of a terminal: lines as a person saw them, the commands that were typed, and a form that is safe to replay.

A small model of a line is enough for that: what is printed, carriage return, backspace, tab and the sequences by which
shells edit a line ([ECMA-48] 8.3). Everything else that a program may say to a terminal is left out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

_MOST_LINE = 4096
_MOST_PENDING = 16
_MOST_COMMAND = 1024

# Control characters, and those that change the direction of text.
_CONTROL = "\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
# What begins with ESC: CSI; a string (OSC, DCS, SOS, PM, APC) up to BEL, ST or any other control character, for else
# a string that never ends would hide all that follows; or two or three characters.
_STRING = f"[]PX^_][^{_CONTROL}]{{0,4096}}+"
_SEQUENCE = re.compile(
    "\x1b(?:\\[[0-?]{0,64}[ -/]{0,4}[@-~]"
    f"|{_STRING}(?:\x07|\x1b\\\\|\x9c|(?=\x1b[^\\\\]|[^\x1b]))"
    "|[ -/]{1,2}[0-~]"
    "|[0-OQ-WYZ\\\\`-~])"
)
_UNFINISHED = re.compile(f"\x1b(?:\\[[0-?]{{0,64}}[ -/]{{0,4}}|{_STRING}\x1b?|[ -/]{{0,2}})\\Z")
_TOKEN = re.compile(f"[{_CONTROL}]|[^{_CONTROL}]+")
# What may be replayed: colours, moves of the cursor, erasing. No queries, no modes, no window, no clipboard.
_SAFE_CSI = re.compile("(?:[0-9]{1,4}(?:[;:][0-9]{0,4}){0,16})?[@A-HJKLMPSTXdfm]")
_SAFE_CONTROLS = frozenset("\b\t\n\r")
_EDIT = re.compile("(?P<count>[0-9]{0,4})(?:;[0-9]{0,4}){0,2}(?P<final>[@A-HJKPXdf])")
_ESC = "\x1b"


class Tokens:
    """Cuts a terminal's output into text, control characters and sequences, however it comes."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> Iterator[str]:
        """Take text; iterate its tokens. Of an ESC that begins no sequence, what follows is text."""
        text = self._rest + text
        self._rest = ""
        at = 0
        while match := _SEQUENCE.match(text, at) or _TOKEN.match(text, at):
            if match[0] == _ESC and _UNFINISHED.match(text, at):
                self._rest = text[at:]
                return
            at = match.end()
            yield match[0]


class Sanitiser:
    """Leaves of a terminal's output what can be replayed to another terminal without steering it."""

    def __init__(self) -> None:
        self._tokens = Tokens()

    def feed(self, text: str) -> str:
        """Take text; return the safe part of it."""
        return "".join(filter(_is_safe, self._tokens.feed(text)))


def _is_safe(token: str) -> bool:
    if token.startswith(_ESC):
        return token.startswith("\x1b[") and _SAFE_CSI.fullmatch(token, 2) is not None
    return token in _SAFE_CONTROLS or _is_text(token)


def _is_text(token: str) -> bool:
    return re.match(f"[{_CONTROL}]", token) is None


def sanitised(text: str) -> str:
    """A whole text, safe to show on a terminal."""
    return Sanitiser().feed(text)


class Lines:
    """The lines of a terminal as they stood when they ended. Of a line, the first 4096 characters count.

    ``cols`` is the width of the terminal, at which a long line goes on in the next row; it may be changed.
    """

    def __init__(self, cols: int = 80) -> None:
        self.cols = cols
        self._tokens = Tokens()
        self._cells: list[str] = []
        self._cursor = 0

    @property
    def current(self) -> str:
        """The line that has not ended yet."""
        return "".join(self._cells).rstrip()

    def feed(self, text: str) -> Iterator[str]:
        """Take output; iterate the lines that it ends."""
        for token in self._tokens.feed(text):
            if token == "\n":  # noqa: S105 - a line feed, no password
                yield self._end()
            elif token.startswith("\x1b["):
                yield from self._edit(token[2:])
            elif token in _SAFE_CONTROLS:
                self._move(token)
            elif _is_text(token):
                self._print(token)

    def _end(self) -> str:
        line = self.current
        self._cells.clear()
        self._cursor = 0
        return line

    def _move(self, control: str) -> None:
        if control == "\r":
            self._cursor -= self._cursor % max(self.cols, 1)
        elif control == "\b":
            self._cursor = max(0, self._cursor - 1)
        else:
            self._go_to(self._cursor - self._cursor % 8 + 8)

    def _go_to(self, column: int) -> None:
        self._cursor = min(column, _MOST_LINE)
        self._cells += " " * (self._cursor - len(self._cells))

    def _print(self, text: str) -> None:
        self._cells[self._cursor : self._cursor + len(text)] = text
        del self._cells[_MOST_LINE:]
        self._cursor = min(self._cursor + len(text), _MOST_LINE)

    def _edit(self, sequence: str) -> Iterator[str]:
        match = _EDIT.fullmatch(sequence)
        if match is None:
            return
        count, final = match["count"], match["final"]
        number = min(int(count or 1) or 1, _MOST_LINE)
        if final in "BEFHdf" or (final == "J" and count in {"2", "3"}):
            if line := self._end():  # the cursor leaves the line: a program paints the screen
                yield line
        elif final in "ACDG":
            self._move_cursor(final, number)
        else:
            self._change(final, number, count)

    def _move_cursor(self, final: str, number: int) -> None:
        at, cols = self._cursor, max(self.cols, 1)
        match final:
            case "A":
                self._cursor = max(at - number * cols, at % cols)
            case "C":
                self._go_to(at + number)
            case "D":
                self._cursor = max(0, at - number)
            case _:
                self._go_to(at - at % cols + number - 1)

    def _change(self, final: str, number: int, which: str) -> None:
        at = self._cursor
        match final:
            case "P":
                del self._cells[at : at + number]
            case "@":
                self._cells[at:at] = " " * number
                del self._cells[_MOST_LINE:]
            case "X":
                self._cells[at : at + number] = " " * len(self._cells[at : at + number])
            case _ if which in {"", "0"}:  # K and J: erase to the end, to the begin, all
                del self._cells[at:]
            case _:
                end = at + 1 if which == "1" else len(self._cells)
                self._cells[:end] = " " * len(self._cells[:end])


class Commands:
    """The command lines of an interactive shell, as the terminal echoed them: what is typed unseen is never among them.

    A line of output is a command if Enter was pressed for it and it shows what was typed; where keys were pressed that
    edit the line, it is the next line that ends. ``mask`` is what output goes through: what it changes of a line may
    look otherwise as it is typed, so only what comes before that is looked for.
    """

    def __init__(self, cols: int = 80, mask: Callable[[str], str] = str) -> None:
        self.lines = Lines(cols)
        self._mask = mask
        self._typed = ""
        self._edited = False
        self._pending: deque[str | None] = deque(maxlen=_MOST_PENDING)

    def typed(self, text: str) -> None:
        """Take input."""
        for char in text:
            if char in "\r\n":
                self._pending.append(None if self._edited else self._as_shown().strip())
                self._typed, self._edited = "", False
            elif char < " " or char == "\x7f":
                self._edited = True
            elif len(self._typed) < _MOST_COMMAND:
                self._typed += char

    def _as_shown(self) -> str:
        """What was typed, up to where masking changes it."""
        masked = self._mask(self._typed)
        same = (place for place, (one, other) in enumerate(zip(self._typed, masked, strict=False)) if one != other)
        return self._typed[: next(same, min(len(self._typed), len(masked)))]

    def shown(self, text: str) -> Iterator[str]:
        """Take output; iterate the command lines in it, with their prompt."""
        for line in self.lines.feed(text):
            if self._answers(line):
                yield line[:_MOST_COMMAND]

    def _answers(self, line: str) -> bool:
        """Whether a line is the echo of a pending command; the ones before it were typed unseen."""
        for place, typed in enumerate(self._pending if line else ()):
            if typed is None or (typed and typed in line):
                for _ in range(place + 1):
                    self._pending.popleft()
                return True
        return False
