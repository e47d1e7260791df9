"""Which fields of an object are masked: by path, by name, or because a detector knows what they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from connectors.kubectl.request_info import RequestInfo
from hoopcli.masking.masker import Masking, about
from hoopcli.masking.paths import Paths, Place
from hoopcli.masking.patterns import resource_matcher
from hoopcli.model.decision import Mask

#: The mask of Secrets that holds without being asked for. A mask about a Secret with such a path takes its place.
SECRETS = Mask("kubernetes-secrets", columns=("$.data.*", "$.stringData.*"))
_SECRETS_NAME = "secrets"
_MOST_CACHED = 4096
_LONGEST_CACHED = 256
_LONGEST_PROBED = 128
# What detectors take for a value after a telling name, and find nothing in without one.
_PROBES = (("&", "=", "Zx9" * 8), ("", ": ", "219099999"))


class Clean(set[str]):
    """Short texts in which nothing was found, as most come again and again. They are forgotten when they are many."""

    def remember(self, texts: Iterable[str]) -> None:
        """Take note of some more."""
        if len(self) >= _MOST_CACHED:
            self.clear()
        self.update(text for text in texts if len(text) <= _LONGEST_PROBED)


class Rules:
    """The masks of one decision as far as they are about one resource. ``root`` is the place of an object's root.

    ``columns`` is the mask of cells that may show a field under a mask, in a Table whose columns anybody may define.
    """

    def __init__(self, masking: Masking) -> None:
        self.masking = masking
        self.clean = Clean()
        self._order = {mask: rank for rank, mask in enumerate(masking.by_column)}
        self._paths = Paths(masking.by_column)
        self._cache: dict[tuple[Place, str], tuple[Place, Mask | None]] = {}
        self.root = self._paths.root
        self.whole = self._paths.whole
        self.columns = next((mask for mask in masking.by_column if mask.columns and mask.id != SECRETS.id), None)

    def enter(self, place: Place, name: str) -> tuple[Place, Mask | None]:
        """Go down into a field: where that is, and its mask."""
        known = self._cache.get((place, name))
        if known is None:
            known = self._find(place, name)
            if len(name) <= _LONGEST_CACHED:
                if len(self._cache) >= _MOST_CACHED:
                    self._cache.clear()
                self._cache[place, name] = known
        return known

    def named(self, name: str) -> Mask | None:
        """The mask of what has a name of its own, such as a variable of an environment or an option of a command."""
        return self.enter(frozenset(), name.lstrip("-"))[1]

    def _find(self, place: Place, name: str) -> tuple[Place, Mask | None]:
        below, by_path = self._paths.enter(place, name)
        found = [mask for mask in (by_path, self.masking.for_field((name,)) if name else None) if mask]
        return below, min(found, key=self._order.__getitem__) if found else self._telling(name)

    def _telling(self, name: str) -> Mask | None:
        if not self.masking.detects or not 0 < len(name) <= _LONGEST_PROBED:
            return None
        for before, between, value in _PROBES:
            head = before + name + between
            for edit in self.masking.edits(head + value)[0]:
                if edit.begin >= len(head):
                    return edit.mask
        return None


class Rulebook:
    """The rules for each resource of an answer.

    Values of Secrets are masked even where no mask asks for it, but for those that ``shown`` has patterns of.
    """

    def __init__(
        self,
        info: RequestInfo,
        masks: Sequence[Mask],
        masking: Callable[[Sequence[Mask]], Masking],
        shown: Sequence[str] = (),
    ) -> None:
        self._info = info
        self._masks = tuple(masks)
        self._masking = masking
        self._shown = [resource_matcher(pattern, exact_case=True) for pattern in shown]
        self._narrow = bool(shown) or any(mask.resources for mask in masks)
        self._rules: dict[tuple[Mask, ...], Rules] = {}
        self._known: dict[bool, Rules] = {}
        self.of_secrets = info.kind_name == _SECRETS_NAME
        self.hides = bool(masks) or self.of_secrets

    def of(self, namespace: str, name: str, *, secret: bool) -> Rules:
        """The rules for an object by its namespace and its name."""
        if self._narrow:
            kind = _SECRETS_NAME if secret else self._info.kind_name
            resource = f"{namespace or '-'}/{kind}/{name or '*'}"
            hides = secret and not any(shows(resource) for shows in self._shown)
            return self._made(about(self._masks, resource), hides)
        rules = self._known.get(secret)
        if rules is None:
            rules = self._known[secret] = self._made(self._masks, secret)
        return rules

    def _made(self, masks: tuple[Mask, ...], hides: bool) -> Rules:
        if hides:
            left = tuple(column for column in SECRETS.columns if not any(column in mask.columns for mask in masks))
            masks = (*masks, replace(SECRETS, columns=left)) if left else masks
        rules = self._rules.get(masks)
        if rules is None:
            rules = self._rules[masks] = Rules(self._masking(masks))
        return rules
