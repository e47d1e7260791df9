"""Options that several commands share."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from hoopcli.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Agent = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Act as this AI agent on behalf of you (HOOP_AGENT).")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded and policy can ask for it.")]
Ttl = Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long the session lives, e.g. 30m or 1h.")]

Session = Annotated[str, typer.Argument(metavar="SESSION", help="A session's id, the beginning of one, or `last`.")]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def duration(text: str, option: str = "--ttl") -> timedelta:
    """Read ``1h``, ``30m``, ``1h30m`` or ``90s``. Raises UsageError."""
    match = _DURATION.fullmatch(text.strip()) if len(text) < 20 else None
    if match is None or not any(match.groups()):
        raise UsageError(f"{option} {text!r} is not a duration", f"write for example: {option} 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def moment(text: str, option: str, now: datetime) -> datetime:
    """Read a date or a time (ISO 8601, local unless it says otherwise), or how long ago: ``24h``. Raises UsageError."""
    if _DURATION.fullmatch(text.strip()):
        return now - duration(text, option)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a time", f"write for example: {option} 2026-01-31 or {option} 24h"
        ) from None
