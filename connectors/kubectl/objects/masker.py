"""Masks the JSON of an answer as it comes: an object, a list, a Table, or watch events one a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from connectors.kubectl.objects.parts import LIMIT, Items, Member, Opened, Part, Parts, constant
from connectors.kubectl.objects.rules import Rulebook
from connectors.kubectl.objects.status import withhold
from connectors.kubectl.objects.walk import Walker
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.scopes import BUILT_IN_GROUPS
from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_TABLE = "Table"
_CHANGES = frozenset({"delete", "deletecollection", "patch", "update"})
_REFUSALS = "kubernetes-refusals"


class ObjectMasker:
    """Masks an answer under the masks of its decision. ``masking`` turns masks into a ``Masking``.

    ``events`` says that the answer is a stream of watch events; of Secrets that ``shown`` has patterns of, only the
    masks say what is masked. ``masked`` counts masked values by the id of the mask, ``items`` the objects of a list.
    Raises ProtocolError for what is not the JSON of objects: nothing of it is to be delivered then.
    """

    def __init__(
        self,
        info: RequestInfo,
        masks: Sequence[Mask],
        masking: Callable[[Sequence[Mask]], Masking],
        *,
        events: bool = False,
        shown: Sequence[str] = (),
    ) -> None:
        self.masked: Counter[str] = Counter()
        self.items = 0
        self._info = info
        self._rulebook = Rulebook(info, masks, masking, shown)
        self._walker = Walker(self._rulebook, self.masked)
        self._columns: list[tuple[str, str]] = []
        self._custom = info.group not in BUILT_IN_GROUPS
        self._events = events
        self._line = b""
        self._parts = Parts()
        self._head: dict[str, Any] | None = {}  # None once it was delivered
        self._kind = self._key = ""
        self._separator = b""
        self._closed = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the answer; return what can be delivered."""
        return self._guarded(data, final=False)

    def finish(self) -> bytes:
        """End the answer; return the rest of it. Raises ProtocolError if it is not complete."""
        return self._guarded(b"", final=True)

    def mask_object(self, obj: Any) -> Any:
        """Mask an object, or a list of what stands for itself (a JSON patch), in place, and return it."""
        try:
            if isinstance(obj, list):
                self._walker.walk(obj)
            else:
                self._object(obj)
            self._walker.flush()
        except RecursionError:
            raise ProtocolError("an object is nested too deeply") from None
        return obj

    def _guarded(self, data: bytes, *, final: bool) -> bytes:
        try:
            if self._events:
                return self._lines(data, final=final)
            return b"".join(map(self._part, self._parts.feed(data, final=final))) + (b"\n" if final else b"")
        except (RecursionError, ValueError) as error:
            raise ProtocolError(f"the answer has an object that cannot be masked: {type(error).__name__}") from None

    def _lines(self, data: bytes, *, final: bool) -> bytes:
        """Whole events; the rest waits for the end of its line."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > LIMIT:
            raise ProtocolError("a watch event is too large")
        if final and self._line.strip():
            raise ProtocolError("the last watch event is not complete")
        events = [json.loads(line.decode("utf-8"), parse_constant=constant) for line in lines if line.strip()]
        for event in events:
            self._event(event)
        self._walker.flush()
        return b"".join(_dumped(event) + b"\n" for event in events)

    def _event(self, event: Any) -> None:
        if not isinstance(event, dict):
            raise ProtocolError("a watch event is no object")
        self.items += 1
        if isinstance(event.get("object"), dict):
            self._object(event["object"])
            self._walker.around(event, "object")
        else:
            self._object(event)

    @property
    def may_repeat(self) -> bool:
        """Whether what is said beside the object may repeat what is hidden of it."""
        return self._info.verb in _CHANGES and self._rulebook.hides

    def _object(self, obj: Any) -> None:
        """Mask one object, which may be a list or a Table of several."""
        if not isinstance(obj, dict):
            raise ProtocolError("the answer is no object")
        kind, secret = str(obj.get("kind", "")), self._rulebook.of_secrets
        if self.may_repeat and withhold(obj):
            self.masked[_REFUSALS] += 1
        if kind == _TABLE and isinstance(obj.get("rows"), list):
            self._define(obj.get("columnDefinitions"))
            self._rows(obj["rows"])
            self._walker.around(obj, "rows")
        elif kind.endswith("List") and isinstance(obj.get("items"), list):
            self._items(obj["items"], kind)
            self._walker.around(obj, "items")
        else:
            if self._custom and self._info.subresource == "scale":
                self._walker.scale(obj, namespace=self._info.namespace)
            self._walker.walk(obj, namespace=self._info.namespace, secret=secret and kind != "Status")

    def _part(self, part: Part) -> bytes:
        match part:
            case Member(key, value) if self._head is not None:
                self._head[key] = value
                if key == "kind" and not (str(value).endswith("List") or value == _TABLE):
                    self._parts.whole()
                return b""
            case Member(key, value):
                return self._tail(key, value)
            case Opened(key):
                return self._opened(key)
            case Items(values):
                return self._delivered(values)
            case _:
                return self._ended()

    def _opened(self, key: str) -> bytes:
        """Deliver what comes before the items."""
        assert self._head is not None
        head, self._head = self._head, None
        self._kind = str(head.get("kind", ""))
        self._key = key
        self._define(head.get("columnDefinitions"))
        self._walker.walk(head)
        self._walker.flush()
        before = _dumped(head)[:-1]
        return before + (b"," if head else b"") + _dumped(key) + b":["

    def _delivered(self, values: list[Any]) -> bytes:
        if self._key == "rows":
            self._rows(values)
        else:
            self._items(values, self._kind)
        self._walker.flush()
        separator, self._separator = self._separator, b","
        return separator + _dumped(values)[1:-1]

    def _tail(self, key: str, value: Any) -> bytes:
        """Deliver a member that comes after the items."""
        if key == "columnDefinitions":
            raise ProtocolError("the answer is a Table whose columns come after its rows")
        member = {key: value}
        self._walker.walk(member)
        self._walker.flush()
        closed, self._closed = (b"," if self._closed else b"],"), True
        return closed + _dumped(member)[1:-1]

    def _ended(self) -> bytes:
        if self._head is None:
            return b"}" if self._closed else b"]}"
        self._object(self._head)
        self._walker.flush()
        return _dumped(self._head)

    def _items(self, items: list[Any], kind: str) -> None:
        secret = self._rulebook.of_secrets or kind == "SecretList"
        self.items += len(items)
        for item in items:
            if not isinstance(item, dict):
                raise ProtocolError("the answer is a list with an item that is no object")
            self._walker.walk(item, namespace=self._info.namespace, secret=secret)

    def _rows(self, rows: list[Any]) -> None:
        self.items += len(rows)
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("cells"), list):
                raise ProtocolError("the answer is a Table with a row that is none")
            obj = row.get("object")
            rules = self._walker.rules_for(obj, secret=self._rulebook.of_secrets, namespace=self._info.namespace)
            self._walker.cells(row["cells"], self._columns, rules, custom=self._custom)
            if isinstance(obj, dict):
                self._object(obj)
            self._walker.around(row, "cells", "object")

    def _define(self, definitions: Any) -> None:
        """Take the columns of a Table. Later events of a watch leave them out."""
        if isinstance(definitions, list) and definitions:
            known = (each if isinstance(each, dict) else {} for each in definitions)
            self._columns = [
                (str(each.get("name", "")), "date" if each.get("type") == "date" else str(each.get("format", "")))
                for each in known
            ]


def _dumped(value: Any) -> bytes:
    """JSON without blanks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
