"""Recorded answers as tables, for replay: objects by name, Tables as they are, logs by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from connectors.kubectl.asciicast import MEDIA_TYPE
from connectors.kubectl.playing import listed
from hoopcli.model.decision import Json
from hoopcli.spi import Table

_SHOWN = 200


def render(media_type: str, payload: bytes) -> Iterator[Table]:
    """Turn the kept part of an answer into tables. Never raises: what cannot be read is shown as text."""
    text = payload.decode("utf-8", "replace")
    kind = media_type.partition(";")[0].strip().lower()
    if kind == MEDIA_TYPE:
        yield listed(payload)
        return
    if kind != "application/json":
        yield _lines(kind, text)
        return
    try:
        yield _of(json.loads(text))
    except (ValueError, RecursionError):
        yield from _events(text)


def _events(text: str) -> Iterator[Table]:
    """Watch events, one a line; a text that ends in the middle of an object is shown as it is."""
    rows: list[list[Json]] = []
    for line in text.splitlines()[:_SHOWN]:
        try:
            event = json.loads(line)
            rows.append([str(event["type"]), *_row(event["object"])])
        except (ValueError, KeyError, TypeError, RecursionError):
            break
    yield Table(["event", *_COLUMNS], rows, f"{len(rows)} events") if rows else _lines("application/json", text)


_COLUMNS = ("kind", "namespace", "name", "status")


def _of(document: Any) -> Table:
    if not isinstance(document, dict):
        return Table(["application/json"], [[json.dumps(document)]])
    kind = str(document.get("kind", ""))
    if kind == "Table":
        return _table(document)
    if isinstance(items := document.get("items"), list):
        default = kind.removesuffix("List")
        rows = [_row(item, default) for item in items[:_SHOWN]]
        return Table(_COLUMNS, rows, _left(len(items), len(rows), "objects"))
    if kind == "Status":
        return Table(
            ["status", "reason", "message"], [[str(document.get(k, "")) for k in ("status", "reason", "message")]]
        )
    lines = json.dumps(document, indent=2, ensure_ascii=False).splitlines()
    return Table([kind or "application/json"], [[line] for line in lines[:_SHOWN]], _left(len(lines), _SHOWN, "lines"))


def _table(document: dict[str, Any]) -> Table:
    columns = [str(each.get("name", "")) for each in _dicts(document.get("columnDefinitions"))]
    rows = _dicts(document.get("rows"))
    cells: list[list[Json]] = [[_cell(cell) for cell in _list(row.get("cells"))] for row in rows[:_SHOWN]]
    return Table(columns, cells, _left(len(rows), len(cells), "rows"))


def _cell(value: Any) -> Json:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _row(item: Any, kind: str = "") -> list[Json]:
    obj = item if isinstance(item, dict) else {}
    metadata = found if isinstance(found := obj.get("metadata"), dict) else {}
    status = obj.get("status")
    phase = status.get("phase", "") if isinstance(status, dict) else ""
    named = [metadata.get("namespace", ""), metadata.get("name", "")]
    return [str(each) for each in (obj.get("kind") or kind, *named, phase)]


def _lines(kind: str, text: str) -> Table:
    lines = text.splitlines()
    return Table([kind], [[line] for line in lines[:_SHOWN]], _left(len(lines), _SHOWN, "lines"))


def _left(count: int, shown: int, what: str) -> str:
    return f"{count:,} {what}" if count <= shown else f"{count:,} {what}, of which {shown:,} are shown"
