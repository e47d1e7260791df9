"""Playing a recorded session: at the speed at which it happened, as text that cannot steer the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from hoopcli.cli import output
from hoopcli.cli.policy import EFFECT_STYLES
from hoopcli.cli.results import as_renderables
from hoopcli.errors import HoopError
from hoopcli.ledger.replay import Answered, Closed, Content, Event, Opened, Requested, Waited
from hoopcli.settings import connectors
from hoopcli.spi import Connector, Player, Table

#: Longer texts are shown without colours.
_HIGHLIGHTED = 20_000
_LEXERS = {"sql": "tsql", "json": "json", "yaml": "yaml", "xml": "xml"}
#: Another screen of the terminal, empty; and back to the first one, without colours.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[2J\x1b[H", "\x1b[0m\x1b[?1049l"
_MISSING = {
    Content.BEGINNING: "only the beginning of the result was kept",
    Content.CUT: "its end is not on record: the broker was killed, or it goes on; this is what was recorded until then",
    Content.NONE: "the policy keeps no results here; the digest of what was delivered stays",
    Content.EXPIRED: "the result has expired; the digest of what was delivered stays",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to play: ``speed`` times as fast as it happened (0: without pauses), no pause over ``longest`` seconds.

    With ``step`` a person presses Enter before each statement instead.
    """

    speed: float = 1.0
    longest: float = 0.0
    step: bool = False
    sleep: Callable[[float], None] = time.sleep
    enter: Callable[[], str] = sys.stdin.readline

    def before(self, event: Event, seconds: float) -> None:
        """Let the time pass that passed before an event."""
        if self.step:
            if isinstance(event, Requested):
                output.note("Enter for the next statement")
                self.enter()
        else:
            self.wait(seconds)

    @property
    def instant(self) -> bool:
        """Whether no time passes."""
        return self.speed <= 0

    def wait(self, seconds: float) -> None:
        """Let so much of the recorded time pass."""
        if self.speed > 0:
            pause = seconds / self.speed
            self.sleep(min(pause, self.longest) if self.longest else pause)


def play(events: Iterable[Event], pace: Pace, *, rows: int = 0, console: Console | None = None) -> None:
    """Show the events, one after another, and of each result the first ``rows`` (0: all)."""
    stage = _Stage(console or output.console(), rows)
    before = 0.0
    for event in events:
        if isinstance(event, Answered):
            before += stage.perform(event, pace)
        pace.before(event, max(0.0, event.offset - before))
        before = event.offset
        stage.show(event)


def describe(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """The events as plain data, results as tables."""
    connector: Connector | None = None
    for event in events:
        told = {"event": type(event).__name__.lower(), **asdict(event)}
        told.pop("payload", None)
        if isinstance(event, Opened):
            connector = _connector(event)
        elif isinstance(event, Answered):
            tables = _tables(connector, event)
            told["results"] = [{"columns": list(t.columns), "rows": list(t.rows), "note": t.note} for t in tables]
        yield told


class _Stage:
    """Where a session is played."""

    def __init__(self, console: Console, rows: int) -> None:
        self._console = console
        self._rows = rows
        self._connector: Connector | None = None

    def perform(self, event: Answered, pace: Pace) -> float:
        """Play a recording of a terminal as it happened; how many seconds it took then, 0 where there is none.

        It has a screen of its own, so that it cannot paint over what is told of it.
        """
        player = _player(self._connector)
        frames = player.frames(event.media_type, event.payload) if player and event.payload else None
        if frames is None or not self._console.is_terminal or pace.instant:
            return 0.0
        time, screen = 0.0, self._console.file
        screen.write(_ENTER)
        try:
            for frame in frames:
                pace.wait(frame.time - time)
                time = frame.time
                screen.write(frame.text)
                screen.flush()
        except HoopError:
            pass  # where it is damaged is told with its lines
        finally:
            screen.write(_LEAVE)
        return time

    def show(self, event: Event) -> None:
        match event:
            case Opened():
                self._connector = _connector(event)
                self._opened(event)
            case Requested():
                self._requested(event)
            case Waited():
                self._console.print(_stamp(event), Text(_waited(event), style="yellow"))
            case Answered():
                self._answered(event)
            case Closed():
                counts = ", ".join(f"{value:,} {name}" for name, value in event.counts.items())
                self._line(event, f"session ended ({event.why}): {counts}", "bold")

    def _line(self, event: Event, text: str, style: str = "") -> None:
        self._console.print(_stamp(event), Text(output.safe_line(text), style=style))

    def _opened(self, event: Opened) -> None:
        who = event.principal
        actor = f"{who['subject']} for {who['on_behalf_of']}" if who.get("on_behalf_of") else who["subject"]
        start = event.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        reason = f": {event.reason}" if event.reason else ""
        self._line(event, f"{actor} ({who['kind']}) on {event.connection['name']}, {start}{reason}", "bold cyan")

    def _requested(self, event: Requested) -> None:
        decided = (
            f"denied by {event.rule}: {event.reason}" if event.effect == "deny" else f"{event.effect} by {event.rule}"
        )
        self._console.print()
        self._line(event, decided, EFFECT_STYLES.get(event.effect, ""))
        self._console.print(Padding(self._text(event), (0, 0, 0, 2), expand=False))
        if not event.whole:
            self._console.print(Text("  the rest of the text has expired", style="dim italic"))

    def _text(self, event: Requested) -> Syntax | Text:
        """The statement, in colours if the terminal has them and hoop knows the language."""
        shown = output.safe(event.text)
        lexer = next((lexer for name, lexer in _LEXERS.items() if name in event.media_type), None)
        if lexer is None or len(shown) > _HIGHLIGHTED or not self._console.is_terminal:
            return Text(shown)
        return Syntax(shown, lexer, theme="ansi_dark", background_color="default", word_wrap=True)

    def _answered(self, event: Answered) -> None:
        for table in _tables(self._connector, event):
            for part in as_renderables(_beginning(table, self._rows)):
                self._console.print(Padding(part, (0, 0, 0, 2), expand=False))
        if event.content in _MISSING:
            self._console.print(Text(f"  {_MISSING[event.content]}", style="dim italic"))
        for error in event.errors:
            self._console.print(Text(f"  {output.safe_line(error)}", style="red"))
        masked = ", ".join(f"{count:,} masked by {mask}" for mask, count in event.masked.items())
        parts = [event.status, f"{event.rows:,} rows", f"{event.size:,} bytes", *([masked] if masked else [])]
        self._line(event, ", ".join(parts), "dim")


def _stamp(event: Event) -> Text:
    minutes, seconds = divmod(event.offset, 60)
    return Text(f"+{int(minutes):02}:{seconds:04.1f}", style="dim")


def _waited(event: Waited) -> str:
    body: Mapping[str, Any] = event.body
    if event.what == "asked":
        said = f"waits for {body['count']} of {', '.join(body['groups']) or 'anyone else'} (rule {body['rule']})"
    elif event.what == "answered":
        said = "; ".join(
            f"{a['approver']} {'approved' if a['approve'] else 'denied'}"
            + (f": {a['comment']}" if a["comment"] else "")
            for a in body["answers"]
        )
    else:
        said = f"the approval was {event.what}" if event.what != "expired" else "nobody answered in time"
    return output.safe_line(f"⧗ {said}")


def _connector(event: Opened) -> Connector | None:
    try:
        return connectors.load(str(event.connection["kind"]))
    except HoopError:
        return None


def _player(connector: object) -> Player | None:
    return connector if isinstance(connector, Player) else None


def _beginning(table: Table, rows: int) -> Table:
    """The first rows of a result; its note says how many are not shown."""
    if not 0 < rows < len(table.rows):
        return table
    more = f"{len(table.rows) - rows:,} more rows"
    return Table(table.columns, table.rows[:rows], f"{more}; {table.note}" if table.note else more)


def _tables(connector: Connector | None, event: Answered) -> list[Table]:
    """The results as the connector shows them; what it cannot read becomes a note."""
    if not event.payload:
        return []
    if connector is None:
        return [Table([], [], "the connector that could show this result is not installed")]
    try:
        return list(connector.render(event.media_type, event.payload))
    except HoopError as error:
        return [Table([], [], f"the result cannot be shown: {error.message}")]
