"""Bars for long work, on stderr, where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far ``total`` bytes have come; the value is to be called with the bytes just done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.progress import (  # noqa: PLC0415 - slow to import
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from hoopcli.cli.output import console, safe_line  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(safe_line(title), total=total)
        yield lambda done: bar.advance(task, done)
