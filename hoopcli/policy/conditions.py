"""Conditions of rules: CEL expressions, compiled once, that see one statement and who asks for it.

What an expression may name: ``statement`` (the facts of the connector, and ``verbs``, ``resources``, ``text``),
``principal`` (subject, kind, name, email, groups, on_behalf_of), ``connection`` (name, kind, options), ``session``
(reason), ``upload`` (what a statement writes: ``contains``, which says of each detector whether it found something,
``size`` in bytes, ``kind``), ``now`` (a timestamp) and ``request`` (hour 0 to 23 and weekday ``monday`` to ``sunday``,
both in UTC).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from hoopcli.masking.masker import DETECTORS
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Json, Statement
from hoopcli.policy.cel_engine import Context, compile_expression

#: The variables of a condition, and their fields where they are known beforehand.
VARIABLES: Mapping[str, frozenset[str] | None] = {
    "statement": None,
    "principal": frozenset({"subject", "kind", "name", "email", "groups", "on_behalf_of"}),
    "connection": frozenset({"name", "kind", "options"}),
    "session": frozenset({"reason"}),
    "upload": frozenset({"contains", "size", "kind"}),
    "now": None,
    "request": frozenset({"hour", "weekday"}),
}
_FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes"}
    | {"timestamp", "duration", "type", "dyn", "has"}
    | {f"get{part}" for part in ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear")}
    | {f"get{part}" for part in ("Hours", "Minutes", "Seconds", "Milliseconds")}
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST = 2000
#: The upload of a statement that has none.
_NOTHING = {"contains": {detector.name: False for detector in DETECTORS}, "size": 0, "kind": ""}
_TEXT = re.compile(r"""r?"(?:[^"\\]|\\.)*+"|r?'(?:[^'\\]|\\.)*+'""")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_FIELD = re.compile(rf"(?<![\w.])({'|'.join(VARIABLES)})\s*\.\s*(\w+)")


class ConditionError(Exception):
    """A condition could not be evaluated on a statement; the message says why."""


class Condition:
    """A compiled expression. Raises ValueError if it does not compile or names what no condition can see."""

    def __init__(self, source: str) -> None:
        if len(source) > _LONGEST:
            raise ValueError(f"a condition has at most {_LONGEST} characters")
        try:
            self._program = compile_expression(source)
        except ValueError as error:
            raise ValueError(_first_line(error)) from None
        self.source = source
        bare = _TEXT.sub("''", source)
        bound = set(_BOUND.findall(bare))
        self.variables = frozenset(self._program.variables()) - bound
        _known("variable", self.variables, VARIABLES)
        words = (name for name in self._program.functions() if name.isidentifier() and not name.startswith("_"))
        _known("function", words, _FUNCTIONS)
        for variable, field in _FIELD.findall(bare):
            if variable not in bound:
                _known(f"field of {variable!r}", (field,), VARIABLES[variable] or (field,))

    def holds(self, context: Context) -> bool:
        """Whether the expression is true. Raises ConditionError if it fails or is neither true nor false."""
        try:
            result = self._program.execute(context)
        except Exception as error:  # noqa: BLE001 - whatever the CEL engine raises, the caller must fail closed
            raise ConditionError(f"{type(error).__name__}: {_first_line(error)}") from None
        if not isinstance(result, bool):
            raise ConditionError(f"the result is {type(result).__name__}, not true or false")
        return result


def context(
    principal: Principal,
    connection: Connection,
    statement: Statement,
    now: datetime,
    reason: str,
    wanted: Iterable[str] = VARIABLES,
) -> Context:
    """What conditions see of a request; only the variables that are wanted. Raises ConditionError for bad facts."""
    moment = now.astimezone(UTC)
    build: dict[str, Callable[[], object]] = {
        "statement": lambda: _statement(statement),
        "principal": lambda: _principal(principal),
        "connection": lambda: {
            "name": connection.name,
            "kind": connection.kind,
            "options": dict(connection.options),
        },
        "session": lambda: {"reason": reason},
        "upload": lambda: statement.facts.get("upload", _NOTHING),
        "now": lambda: moment,
        "request": lambda: {"hour": moment.hour, "weekday": _WEEKDAYS[moment.weekday()]},
    }
    try:
        return Context({name: build[name]() for name in wanted})
    except Exception as error:  # noqa: BLE001 - facts of any shape must end in a refusal
        raise ConditionError(f"{type(error).__name__}: {_first_line(error)}") from None


def _statement(statement: Statement) -> dict[str, Json]:
    return {
        **statement.facts,
        "verbs": [action.verb for action in statement.actions],
        "resources": [resource for action in statement.actions for resource in action.resources],
        "text": statement.text,
    }


def _principal(principal: Principal) -> dict[str, Json]:
    return {
        "subject": principal.subject,
        "kind": principal.kind.value,
        "name": principal.name,
        "email": principal.email,
        "groups": sorted(principal.groups),
        "on_behalf_of": principal.on_behalf_of or "",
    }


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for a name that is not known, with the nearest that is."""
    known = sorted(known)
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise ValueError(f"unknown {what} {name!r} in a condition; did you mean {near[0]!r}?")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
