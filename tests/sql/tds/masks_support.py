"""Masks for the tests of results: secrets look like ``SECRET0042``, and a masked value is stars and a tail."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.tokens_login import UNLABELLED, Labels

SECRET = re.compile(r"SECRET\d{4}")
_WIDE = re.compile(b"S.?E.?C.?R.?E.?T", re.DOTALL)
_LENGTH = 10


@dataclass(frozen=True)
class Stars:
    """Keeps the last ``keep`` characters; ``form`` stands for all values instead if given."""

    id: str = "stars"
    keep: int = 0
    form: str | None = "unset"

    def apply(self, value: str, max_chars: int | None) -> str | None:
        if self.form != "unset":
            return self.form
        kept = value[len(value) - self.keep :]
        return ("***" + kept)[:max_chars]

    def apply_all(self, values: Sequence[str], max_chars: int | None) -> Sequence[str | None]:
        return [self.apply(value, max_chars) for value in values]


class SecretStream:
    """Masks secrets in a stream; holds back what may be the start of one."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._held = ""

    def feed(self, text: str) -> str:
        self._held, count = SECRET.subn("[hidden]", self._held + text)
        if count:
            self.counts["secret"] = self.counts.get("secret", 0) + count
        safe = max(0, len(self._held) - _LENGTH + 1)
        ready, self._held = self._held[:safe], self._held[safe:]
        return ready

    def flush(self) -> str:
        ready, self._held = self._held, ""
        return ready


@dataclass
class FakePlan:
    """Masks by column name, and the detector of secrets if ``detects``."""

    masks: Mapping[str, Stars] = field(default_factory=dict)
    detects: bool = False
    seen: list[Sequence[Column]] = field(default_factory=list)

    def columns(self, columns: Sequence[Column], labels: Sequence[Labels] = ()) -> Sequence[Stars | None]:
        self.seen.append(columns)
        said = labels or [UNLABELLED] * len(columns)
        return [
            Stars("label") if "Secret" in each.labels else self.masks.get(column.name)
            for column, each in zip(columns, said, strict=True)
        ]

    def return_value(self, name: str) -> Stars | None:
        return self.masks.get(name)

    def message(self, text: str) -> tuple[str, Mapping[str, int]]:
        return self.text(text)

    def text(self, value: str) -> tuple[str, Mapping[str, int]]:
        masked, count = SECRET.subn("[hidden]", value)
        return masked, {"secret": count} if count else {}

    def texts(self, values: Sequence[str]) -> tuple[Sequence[str], Mapping[str, int]]:
        pairs = [(value, *self.text(value)) for value in values]
        found = Counter[str]()
        for _, _, counts in pairs:
            found.update(counts)
        return [masked if counts else value for value, masked, counts in pairs], found

    def suspect(self, data: bytes) -> bool:
        return _WIDE.search(data) is not None

    def stream(self) -> SecretStream:
        return SecretStream()
