"""A batch in the words that ``hoop policy explain`` shows: its statements, and where each column comes from."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.sql.tsql.classify import Batch, Output
from hoopcli.model.decision import Json


def described(batch: Batch) -> Mapping[str, Json]:
    """``statements`` with what each does; ``columns`` of its results with their sources, None where not known."""
    statements: list[Json] = [
        {
            "text": statement.text,
            "does": [f"{action.verb} {', '.join(action.resources)}".strip() for action in statement.actions],
        }
        for statement in batch.statements
    ]
    columns: list[Json] = [_column(output) for outputs in batch.results or () for output in outputs or ()]
    return {"statements": statements, "columns": columns}


def _column(output: Output) -> Json:
    sources = None if output.sources is None else sorted({*output.sources, *(f"{t}.*" for t in output.tables)})
    return {"name": output.name, "sources": sources}
