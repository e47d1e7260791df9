"""Printing: for people with rich, for machines as JSON, and text of others so that it cannot steer the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hoopcli.errors import HoopError
from hoopcli.model.visible import visible, visible_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPED = 1_000

safe = visible
safe_line = visible_line


def console(*, stderr: bool = False) -> Console:
    """A console of the width of the terminal, wide in a pipe; markup in data is never interpreted."""
    from rich.console import Console  # noqa: PLC0415 - only commands that print for people need it

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPED
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def show(*renderables: RenderableType) -> None:
    """Print for a person."""
    console().print(*renderables, sep="\n")


def say(line: str) -> None:
    """Print one line for a person, as it is, without wrapping it."""
    sys.stdout.write(safe(line) + "\n")


def note(line: str) -> None:
    """Tell a person something beside the output."""
    sys.stderr.write(safe(line) + "\n")
    sys.stderr.flush()


def flush() -> None:
    """Let whoever reads our output have it now."""
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print one JSON document, in ASCII so that no terminal reads anything into it."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def line(value: Mapping[str, Any]) -> None:
    """Print one line of JSON lines."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()) -> RenderableType:
    """A table for a person; cells may be rich ``Text``, anything else is shown as harmless text.

    Long cells are folded, never cut; those of the columns in ``whole`` are not folded as long as there is room.
    """
    from rich import box  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(
        *(Column(Text(safe_line(name), style="bold"), overflow="fold", no_wrap=name in whole) for name in columns),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(safe_line(_cell(cell))) for cell in row))
    return grid


def fields(pairs: Mapping[str, object]) -> RenderableType:
    """Names and values, one a line."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    for name, value in pairs.items():
        grid.add_row(Text(name, style="dim"), value if isinstance(value, Text) else Text(safe(_cell(value))))
    return grid


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Something that tells a person at a terminal how far it is; None if there is nobody."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.status import Status  # noqa: PLC0415

    with Status(what, console=console(stderr=True)) as status:
        yield lambda done, total: status.update(f"{what}: {done:,} of {total:,}")


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def error(problem: HoopError, *, as_json: bool) -> None:
    """Say what went wrong and what to do next, on stderr."""
    kind = type(problem).__name__
    if as_json:
        told = {"error": {"kind": kind, "message": problem.message, "hint": problem.hint, "code": problem.exit_code}}
        sys.stderr.write(json.dumps(told) + "\n")
        return
    red, plain = ("\x1b[1;31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    sys.stderr.write(f"{red}error:{plain} {safe(problem.message)}\n")
    if problem.hint:
        sys.stderr.write(f"  hint: {safe(problem.hint)}\n")
