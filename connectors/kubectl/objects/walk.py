"""Masking of objects in place: fields under a mask at once, what detectors look for over many objects together.

An object within another that is a Secret is masked as one: in a list, in a template, or as text in an annotation
(``last-applied-configuration``) or in a value of a ConfigMap. Text that is a Secret and no JSON is masked as a whole,
and so is what is packed with gzip, as releases of Helm are.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from connectors.kubectl.objects.changes import found_in, identities, mark, rename
from connectors.kubectl.objects.packed import PACKED, Release
from connectors.kubectl.objects.parts import constant
from connectors.kubectl.objects.rules import SECRETS, Rulebook, Rules
from connectors.kubectl.objects.sentinel import decoded, edited, encoded, masked
from hoopcli.masking.paths import Place
from hoopcli.model.decision import Mask

_SECRET = "Secret"  # noqa: S105 - a kind of objects
_SECRET_LIST = "SecretList"  # noqa: S105
# What text has that is a Secret in YAML, or in a form that cannot be read.
_MANIFEST = tuple(map(re.compile, (r"\bSecret(?:List)?\b", r"\b(?:d|stringD)ata\b", r"\b(?:kind|apiVersion)\b")))
_OPTION = re.compile(r"--?[A-Za-z][\w.-]{0,127}")
_ENCODED_FIELDS = frozenset({"caBundle", "certificate", "request"})
_SIGNS = (_SECRET, '"kind"', "\\u", *PACKED)
_SMALLEST_NUMBER = 10**8  # below it, no detector finds anything in digits alone


@dataclass(slots=True)
class _Pending:
    """What detectors have yet to look at under some rules: texts, and where each stands. ``key``: it is a key there."""

    texts: list[str] = field(default_factory=list)
    spots: list[tuple[Any, Any, dict[str, Any], bool]] = field(default_factory=list)


class Walker:
    """Masks objects. ``walk`` each, then ``flush`` once before they are delivered. Counts into ``masked`` by mask."""

    def __init__(self, rulebook: Rulebook, masked_counts: Counter[str]) -> None:
        self.masked = masked_counts
        self._rulebook = rulebook
        self._pending: dict[Rules, _Pending] = {}
        self._marked: list[dict[str, Any]] = []

    def rules_for(self, obj: object, *, secret: bool, namespace: str = "") -> Rules:
        """The rules for an object, by the names in its metadata."""
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        metadata = metadata if isinstance(metadata, dict) else {}
        return self._rulebook.of(
            str(metadata.get("namespace") or namespace), str(metadata.get("name", "")), secret=secret
        )

    def walk(self, obj: Any, *, namespace: str = "", secret: bool = False) -> None:
        """Mask an object that stands for itself. ``secret`` says that it is a Secret, if it does not say so."""
        secret = secret or (isinstance(obj, dict) and obj.get("kind") == _SECRET)
        rules = self.rules_for(obj, secret=secret, namespace=namespace)
        if isinstance(obj, dict):
            metadata = obj["metadata"] if isinstance(obj.get("metadata"), dict) else {}
            held = identities(metadata)
            self._object(obj, rules, rules.root, rules.whole, obj, secret=secret)
            metadata.update(held)
        elif isinstance(obj, list):
            self._list(obj, rules, rules.root, rules.whole, {})

    def around(self, obj: dict[str, Any], *inner: str) -> None:
        """Mask an object but for what some of its fields hold."""
        held = {key: obj[key] for key in inner if key in obj}
        obj.update(dict.fromkeys(held))
        self.walk(obj)
        obj.update(held)

    def scale(self, obj: dict[str, Any], *, namespace: str) -> None:
        """Mask the scale of a custom resource, whose numbers and selector may be any of its fields."""
        rules = self.rules_for(obj, secret=False, namespace=namespace)
        for part in ("spec", "status"):
            if rules.columns and isinstance(obj.get(part), dict):
                self._inner(obj[part], rules, rules.root, rules.columns, obj)

    def cells(self, cells: list[Any], columns: list[tuple[str, str]], rules: Rules, *, custom: bool) -> None:
        """Mask the cells of a row. ``columns`` are names and formats; ``custom`` if anybody may have defined them."""
        root: dict[str, Any] = {}
        for i, cell in enumerate(cells):
            name, form = columns[i] if i < len(columns) else ("", "")
            mask = rules.whole or (rules.enter(rules.root, name)[1] if name else None)
            named = form == "date" or (i == 0 and form == "name")  # anybody may call the format of another column so
            if mask is None and custom and not named and not isinstance(cell, bool):
                mask = rules.columns
            if isinstance(cell, dict | list):
                self._inner(cell, rules, rules.root, mask, root)
            else:
                self._leaf(cells, i, cell, rules, mask, root)

    def flush(self) -> None:
        """Let detectors look at all that was walked."""
        while self._pending:
            pending, self._pending = self._pending, {}
            for rules, each in pending.items():
                self._unpack(rules, each)
                found = self._detect(rules, each) if rules.masking.detects else ()
                rules.clean.remember(text for i, text in enumerate(each.texts) if i not in found)
        for root in self._marked:
            mark(root)
        self._marked.clear()

    def _object(
        self, obj: dict[str, Any], rules: Rules, place: Place, mask: Mask | None, root: dict[str, Any], *, secret: bool
    ) -> None:
        telling = rules.named(obj["name"]) if "value" in obj and isinstance(obj.get("name"), str) else None
        pending = self._of(rules)
        for key, value in obj.items():
            below, under = rules.enter(place, key)
            under = mask or under
            if key not in rules.clean:
                pending.texts.append(key)
                pending.spots.append((obj, key, root, True))
            if telling and under is None and key == "value":
                under = telling
            if (key == "binaryData" or (secret and key == "data")) and isinstance(value, dict):
                self._encoded(value, rules, below, under, root)
            elif value.__class__ is dict or value.__class__ is list:
                self._inner(value, rules, below, under, root)
            elif under is None and value.__class__ is str:
                if value not in rules.clean:
                    pending.texts.append(value)
                    pending.spots.append((obj, key, root, False))
            else:
                self._leaf(obj, key, value, rules, under, root)

    def _inner(self, value: Any, rules: Rules, place: Place, mask: Mask | None, root: dict[str, Any]) -> None:
        """An object or a list within another; a Secret begins anew."""
        if value.__class__ is list:
            self._list(value, rules, place, mask, root)
        elif value.get("kind") == _SECRET and value is not root:
            own = self.rules_for(value, secret=True)
            self._object(value, own, own.root, mask or own.whole, value, secret=True)
        else:
            if value.get("kind") == _SECRET_LIST and isinstance(value.get("items"), list):
                for item in value["items"]:
                    if isinstance(item, dict):
                        item.setdefault("kind", _SECRET)
            self._object(value, rules, place, mask, root, secret=False)

    def _list(self, values: list[Any], rules: Rules, place: Place, mask: Mask | None, root: dict[str, Any]) -> None:
        option: Mask | None = None
        for i, value in enumerate(values):
            if value.__class__ is dict or value.__class__ is list:
                self._inner(value, rules, place, mask, root)
                option = None
            else:
                self._leaf(values, i, value, rules, mask or option, root)
                option = rules.named(value) if value.__class__ is str and _OPTION.fullmatch(value) else None

    def _leaf(self, holder: Any, key: Any, value: Any, rules: Rules, mask: Mask | None, root: dict[str, Any]) -> None:
        """A value that holds no others."""
        if value is None or value == "":
            return
        if isinstance(value, str):
            if mask:
                in_base64 = key in _ENCODED_FIELDS and decoded(value) is not None
                holder[key] = self._hidden(rules, mask, value, in_base64=in_base64)
            else:
                self._later(rules, value, holder, key, root)
        elif mask:
            self.masked[mask.id] += 1
            self._hide_number(holder, key, root)
        elif not isinstance(value, bool) and abs(value) >= _SMALLEST_NUMBER:
            self._later(rules, str(value), holder, key, root)

    def _encoded(
        self, data: dict[str, Any], rules: Rules, place: Place, mask: Mask | None, root: dict[str, Any]
    ) -> None:
        """Values in base64, which stay base64."""
        for key, value in data.items():
            self._later(rules, key, data, key, root, is_key=True)
            under = mask or rules.enter(place, key)[1]
            if not isinstance(value, str):
                if isinstance(value, dict | list):
                    self._inner(value, rules, place, under, root)
                else:
                    self._leaf(data, key, value, rules, under, root)
            elif under:
                data[key] = self._hidden(rules, under, value, in_base64=True)
            else:
                data[key] = self._detected(rules, value, root)

    def _detected(self, rules: Rules, value: str, root: dict[str, Any]) -> str:
        """A value in base64 with what detectors find in what it stands for masked."""
        if value.startswith(PACKED):
            return self._release(rules, value, root)
        content = decoded(value)
        if content is None or not rules.masking.detects:
            return value
        text = content.decode("utf-8", "surrogateescape")
        edits, counts = rules.masking.edits(text)
        self.masked.update(counts)
        return encoded(edited(rules.masking, text, edits)) if edits else value

    def _release(self, rules: Rules, value: str, root: dict[str, Any]) -> str:
        """A release of Helm with what it holds masked, as that would be by itself. What cannot be read is hidden."""
        inner = Walker(self._rulebook, Counter())
        try:
            metadata = root.get("metadata")
            opened = Release.read(value, str(metadata.get("namespace", "")) if isinstance(metadata, dict) else "")
            for each in opened.objects:
                inner.walk(each, namespace=opened.namespace)
            inner._object(opened.rest, rules, rules.root, rules.whole, opened.rest, secret=False)
            inner.flush()
        except (ValueError, RecursionError):
            return self._hidden(rules, SECRETS, value, in_base64=True)
        self.masked.update(inner.masked)
        return opened.written() if inner.masked else value

    def _hidden(self, rules: Rules, mask: Mask, value: str, *, in_base64: bool) -> str:
        if not value:
            return value
        self.masked[mask.id] += 1
        if not in_base64:
            return masked(rules.masking, mask, value)
        content = decoded(value)
        text = value if content is None else content.decode("utf-8", "replace")
        return encoded(masked(rules.masking, mask, text)) if text else value

    def _hide_number(self, holder: Any, key: Any, root: dict[str, Any]) -> None:
        """A number or truth value becomes 0 or false, and a mark in the annotations will say that it is not so."""
        holder[key] = False if isinstance(holder[key], bool) else 0
        self._marked.append(root)

    def _of(self, rules: Rules) -> _Pending:
        pending = self._pending.get(rules)
        if pending is None:
            pending = self._pending[rules] = _Pending()
        return pending

    def _later(
        self, rules: Rules, text: str, holder: Any, key: Any, root: dict[str, Any], *, is_key: bool = False
    ) -> None:
        if text in rules.clean:
            return
        pending = self._of(rules)
        pending.texts.append(text)
        pending.spots.append((holder, key, root, is_key))

    def _unpack(self, rules: Rules, pending: _Pending) -> None:
        """Look into texts that are objects themselves; what cannot be read is masked as a whole."""
        together = "\n".join(pending.texts)
        signs = (*_SIGNS, "{") if self._rulebook.of_secrets else _SIGNS
        if not any(sign in together for sign in signs):
            return
        for i, (text, (holder, key, root, is_key)) in enumerate(zip(pending.texts, pending.spots, strict=True)):
            if is_key or not any(sign in text for sign in signs):
                continue
            shown = self._embedded(rules, text, root)
            if shown is not None:
                holder[key] = shown
                pending.texts[i] = ""

    def _embedded(self, rules: Rules, text: str, root: dict[str, Any]) -> str | None:
        """What stands for a text that holds objects, None for one that detectors are to look at."""
        bare = text.strip()
        if bare.startswith(("{", "[")):
            try:
                value = json.loads(bare, parse_constant=constant)
            except ValueError:
                pass
            else:
                return self._shown(rules, value, text)
        if bare.startswith(PACKED) or all(sign.search(text) for sign in _MANIFEST):
            own = self.rules_for(root, secret=True)
            mask = own.enter(own.enter(own.root, "data")[0], "")[1]
            return self._hidden(own, mask, text, in_base64=False) if mask else None
        return None

    def _shown(self, rules: Rules, value: Any, text: str) -> str | None:
        """Text that was read as JSON and is masked, None if nothing is to be masked in it."""
        inner = Walker(self._rulebook, Counter())
        if isinstance(value, dict) and value.get("kind") != _SECRET:
            inner._object(value, rules, rules.root, rules.whole, value, secret=self._rulebook.of_secrets)
        else:
            inner.walk(value)
        inner.flush()
        self.masked.update(inner.masked)
        if not inner.masked and _SECRET not in text:
            return None
        end = "\n" if text.endswith("\n") else ""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + end

    def _detect(self, rules: Rules, pending: _Pending) -> Container[int]:
        """Mask what detectors find in texts, numbers and keys. Says where."""
        found: set[int] = set()
        renamed: list[tuple[dict[str, Any], str, str]] = []
        for place, edits, counts in found_in(rules.masking, pending.texts):
            found.add(place)
            self.masked.update(counts)
            holder, key, root, is_key = pending.spots[place]
            shown = edited(rules.masking, pending.texts[place], edits)
            if is_key:
                renamed.append((holder, key, shown))
            elif isinstance(holder[key], str):
                holder[key] = shown
            else:
                self._hide_number(holder, key, root)
        for holder, key, shown in renamed:
            rename(holder, key, shown)
        return found
