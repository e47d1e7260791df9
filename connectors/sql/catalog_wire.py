"""Reading a database's catalog over the session's own connection to it.

The last row of an answer counts the objects: an answer that has fewer is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.sql.catalog import (
    COMPUTED,
    HISTORY,
    LABEL,
    LABELLED,
    ROUTINES,
    SYNONYM,
    TABLE,
    VIEW,
    Entries,
    Entry,
    Label,
)
from connectors.sql.inquiry import inquiry
from connectors.sql.tds.headers import Headers
from connectors.sql.tds.request import RpcRequest
from connectors.sql.tds.tokens import ServerMessage, TokenType
from connectors.sql.tds.tokenstream import Row, read_tokens
from connectors.sql.tsql.called import TRIGGER
from connectors.sql.tsql.names import SYSTEM_PREFIXES, segment
from hoopcli.errors import ProtocolError

_COUNT = "#"
_COLUMNS = 5
_COUNTED = (TABLE, VIEW, SYNONYM, *sorted(ROUTINES))
_OBJECTS = ", ".join(f"'{kind}'" for kind in _COUNTED)
_ROUTINES = ", ".join(f"'{kind}'" for kind in sorted(ROUTINES))
#: Five columns each: the kind, the schema, the name, a column's name, and a definition or another name.
_QUESTION = f"""SELECT RTRIM(o.type), s.name, o.name, '', m.definition
FROM {{db}}sys.objects AS o JOIN {{db}}sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN {{db}}sys.sql_modules AS m ON m.object_id = o.object_id WHERE o.type IN ('U', 'V')
SELECT RTRIM(o.type), s.name, o.name, '', o.name
FROM {{db}}sys.objects AS o JOIN {{db}}sys.schemas AS s ON s.schema_id = o.schema_id WHERE o.type IN ({_ROUTINES})
SELECT 'SN', s.name, y.name, '', y.base_object_name
FROM {{db}}sys.synonyms AS y JOIN {{db}}sys.schemas AS s ON s.schema_id = y.schema_id
SELECT 'C', s.name, o.name, c.name, c.definition FROM {{db}}sys.computed_columns AS c
JOIN {{db}}sys.objects AS o ON o.object_id = c.object_id JOIN {{db}}sys.schemas AS s ON s.schema_id = o.schema_id
SELECT 'H', hs.name, h.name, s.name, t.name
FROM {{db}}sys.tables AS t JOIN {{db}}sys.schemas AS s ON s.schema_id = t.schema_id
JOIN {{db}}sys.tables AS h ON h.object_id = t.history_table_id
JOIN {{db}}sys.schemas AS hs ON hs.schema_id = h.schema_id
SELECT '{TRIGGER}', s.name, o.name, QUOTENAME(ps.name) + '.' + QUOTENAME(p.name), o.name
FROM {{db}}sys.triggers AS t JOIN {{db}}sys.objects AS o ON o.object_id = t.object_id
JOIN {{db}}sys.schemas AS s ON s.schema_id = o.schema_id JOIN {{db}}sys.objects AS p ON p.object_id = t.parent_id
JOIN {{db}}sys.schemas AS ps ON ps.schema_id = p.schema_id WHERE t.is_disabled = 0
IF OBJECT_ID(N'{{text}}sys.sensitivity_classifications') IS NOT NULL
AND HAS_PERMS_BY_NAME({{name}}, 'DATABASE', 'VIEW ANY SENSITIVITY CLASSIFICATION') = 1
BEGIN
SELECT '{LABEL}', s.name, o.name, c.name, CONCAT(CAST(f.label AS nvarchar(128)), CHAR(10),
CAST(f.information_type AS nvarchar(128)))
FROM {{db}}sys.sensitivity_classifications AS f JOIN {{db}}sys.objects AS o ON o.object_id = f.major_id
JOIN {{db}}sys.columns AS c ON c.object_id = f.major_id AND c.column_id = f.minor_id
JOIN {{db}}sys.schemas AS s ON s.schema_id = o.schema_id
SELECT '{LABELLED}', '', '', '', CAST(COUNT(*) AS nvarchar(20)) FROM {{db}}sys.sensitivity_classifications
END
SELECT '{_COUNT}', '', '', '', CAST(COUNT(*) AS nvarchar(20)) FROM {{db}}sys.objects WHERE type IN ({_OBJECTS})"""  # noqa: S608 - the name is delimited


_DEFINITIONS = """SELECT RTRIM(o.type), s.name, o.name, '', m.definition
FROM {db}sys.objects AS o JOIN {db}sys.schemas AS s ON s.schema_id = o.schema_id
JOIN {db}sys.sql_modules AS m ON m.object_id = o.object_id WHERE {those}"""
_UNSHADOWED = " AND NOT EXISTS (SELECT 1 FROM {db}sys.system_objects AS x WHERE x.name = o.name)"


def question(database: str, headers: Headers, *, here: bool = False) -> RpcRequest:
    """The request that asks for the catalog of a database, named by its segment, within the client's transaction.

    ``here`` says that it is the session's own, which is not named: its name may differ in case from its segment.
    """
    name = _delimited(database)
    db = "" if here else f"{name}."
    quoted = "QUOTENAME(DB_NAME())" if here else _text(name)
    return inquiry(_QUESTION.format(db=db, text=db.replace("'", "''"), name=quoted), headers)


def definitions_question(
    database: str, wanted: Mapping[str, Entry], headers: Headers, *, here: bool = False
) -> RpcRequest:
    """The request that asks for the definitions of some procedures and functions of a database.

    Where the server has a procedure of its own by that name, it runs that, so the definition is no answer.
    """
    db = "" if here else f"{_delimited(database)}."
    those = " OR ".join(
        f"(s.name = {_text(entry.schema)} AND o.name = {_text(entry.text)}"
        f"{_UNSHADOWED.format(db=db) if entry.text.lower().startswith(SYSTEM_PREFIXES) else ''})"
        for entry in wanted.values()
    )
    return inquiry(_DEFINITIONS.format(db=db, those=those), headers)


def read_definitions(database: str, payload: bytes, wanted: Iterable[str]) -> dict[str, str]:
    """The definitions by resource: empty for one that the answer does not hold, or holds twice."""
    found: dict[str, list[str]] = {resource: [] for resource in wanted}
    for _, schema, name, _, text in _rows(payload) or ():
        found.setdefault(_resource(database, schema, name), []).append(text)
    return {resource: texts[0] if len(texts) == 1 else "" for resource, texts in found.items()}


def read_answer(database: str, payload: bytes) -> Entries | None:
    """The entries that an answer holds; None if it is an error or not whole."""
    rows = _rows(payload)
    if not rows or rows[-1][0] != _COUNT:
        return None
    entries = _entries(database, rows[:-1])
    return entries if str(sum(row[0] in _COUNTED for row in rows)) == rows[-1][4] else None


def _rows(payload: bytes) -> list[Sequence[str]] | None:
    """The rows of five columns in an answer; None if it is an error or not whole."""
    rows: list[Sequence[str]] = []
    try:
        for token in read_tokens(payload):
            if isinstance(token, ServerMessage) and token.token is TokenType.ERROR:
                return None
            if isinstance(token, Row):
                rows.append([str(value or "") for value in token.values])
    except ProtocolError:
        return None
    return rows if all(len(row) == _COLUMNS for row in rows) else None


def _entries(database: str, rows: Sequence[Sequence[str]]) -> Entries:
    """The entries by resource. Two that only case tells apart are neither: their kind is empty."""
    computed: dict[str, dict[str, str]] = {}
    for kind, schema, name, column, text in rows:
        if kind == COMPUTED:
            computed.setdefault(_resource(database, schema, name), {})[segment(column)] = text
    labels, complete = _labels(database, rows)
    found: dict[str, Entry] = {database: Entry(LABELLED)} if complete else {}
    for resource, entry in _objects(database, rows, computed):
        twice = resource in found and found[resource].kind != TABLE
        found[resource] = Entry("") if twice or (resource in found and entry.kind != HISTORY) else entry
    return {resource: replace(entry, labels=labels.get(resource)) for resource, entry in found.items()}


def _labels(database: str, rows: Sequence[Sequence[str]]) -> tuple[dict[str, dict[str, Label]], bool]:
    """The labels of columns by resource and segment, and whether that are all of them."""
    found: dict[str, dict[str, Label]] = {}
    counted = [text for kind, *_, text in rows if kind == LABELLED]
    told = [row for row in rows if row[0] == LABEL]
    for _, schema, name, column, text in told:
        label, _, information_type = text.partition("\n")
        found.setdefault(_resource(database, schema, name), {})[segment(column)] = Label(label, information_type)
    return found, counted == [str(len(told))]


def _objects(
    database: str, rows: Sequence[Sequence[str]], computed: dict[str, dict[str, str]]
) -> Iterator[tuple[str, Entry]]:
    for kind, schema, name, column, text in rows:
        resource = _resource(database, schema, name)
        if kind == TABLE:
            yield resource, Entry(TABLE, schema, "", computed.get(resource))
        elif kind == HISTORY:
            yield resource, Entry(HISTORY, schema, f"[{column.replace(']', ']]')}].[{text.replace(']', ']]')}]")
        elif kind == TRIGGER:
            yield resource, Entry(kind, schema, text, parent=column)
        elif kind in (VIEW, SYNONYM, *ROUTINES):
            yield resource, Entry(kind, schema, text)


def _delimited(database: str) -> str:
    return database if database.startswith("[") else f"[{database}]"


def _text(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


def _resource(database: str, schema: str, name: str) -> str:
    return ".".join((database, segment(schema), segment(name)))
