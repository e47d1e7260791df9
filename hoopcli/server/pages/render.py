"""Templates to HTML: escaped always, with the text of others made visible, and with the headers of every page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from hoopcli.model.visible import visible, visible_line
from hoopcli.server.pages.security import HEADERS
from hoopcli.server.pages.static import versioned


def page(template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page, or a part of one that htmx puts in place."""
    return HTMLResponse(environment().get_template(template).render(context), status, headers=dict(HEADERS))


@cache
def environment() -> Environment:
    """The templates. A name that is not given is an error, never an empty place."""
    made = Environment(
        loader=PackageLoader("hoopcli.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        visible=visible,
        line=visible_line,
        excerpt=excerpt,
        time=shown_time,
        minute=minute,
        iso=iso,
        left=left,
        ago=ago,
        count=count,
        pretty=pretty,
    )
    made.globals.update(static=versioned)
    return made


def excerpt(text: str, longest: int = 160) -> str:
    """The beginning of a text on one line."""
    line = visible_line(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def shown_time(seconds: float) -> str:
    """A time for a person, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def minute(seconds: float) -> str:
    """A time in a list."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(seconds: float) -> str:
    """A time for ``<time datetime>``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def left(seconds: float) -> str:
    """How long is left, as ``4:32`` or ``1:04:32``."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """How long ago, as ``just now``, ``12 min ago``, ``3 h ago`` or ``5 days ago``."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    days = int(seconds // 86_400)
    return f"{days} day{'s' if days != 1 else ''} ago"


def count(number: int) -> str:
    """A number with its thousands set apart by narrow spaces."""
    return f"{number:,}".replace(",", "\u202f")


def pretty(value: Any) -> str:
    """A fact as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return visible_line(", ".join(value)) or "none"
    return visible_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
