"""Results as tables for people, or as JSON or CSV for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from hoopcli.cli import output
from hoopcli.model.decision import Json
from hoopcli.spi import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def write_results(tables: Iterable[Table], style: Format, *, session: str, guard: bool = False) -> None:
    """Print results as they come; JSON is one document and so comes at the end.

    CSV is faithful: a cell is the value and nothing else, NULL is empty. ``guard`` puts an apostrophe before the cells
    that a spreadsheet would take for a formula.
    """
    if style is Format.JSON:
        results = [{"columns": list(t.columns), "rows": [list(r) for r in t.rows], "note": t.note} for t in tables]
        output.document({"session": session, "results": results})
        return
    for number, table in enumerate(tables):
        if style is Format.CSV:
            _write_csv(table, guard=guard, separate=number > 0)
        else:
            output.show(*as_renderables(table))


def as_renderables(table: Table) -> list[RenderableType]:
    """A result for a person: its rows, then its note."""
    from rich.text import Text  # noqa: PLC0415 - only people need it

    null = Text("NULL", style="dim italic")
    rows = [[null if cell is None else cell for cell in row] for row in table.rows]
    grid = [output.table(table.columns, rows)] if table.columns else []
    note = [Text(output.safe(f"({table.note})"), style="dim")] if table.note else []
    return [*grid, *note]


def _write_csv(table: Table, *, guard: bool, separate: bool) -> None:
    if not table.columns:
        output.note(table.note)
        return
    if separate:
        sys.stdout.write("\n")
    for row in (table.columns, *table.rows):
        cells = [_quoted(_cell(cell, guard=guard)) for cell in row]
        sys.stdout.write((",".join(cells) or '""') + "\n")  # one empty cell is not an empty line


def _cell(value: Json, *, guard: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not guard or isinstance(value, int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _quoted(cell: str) -> str:
    """As RFC 4180 quotes; the csv module leaves a lone carriage return bare when lines end with a line feed."""
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\r\n') else cell
