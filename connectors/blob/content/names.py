"""Which mask a column or a key has: by its name, by a JSON path, or because a detector knows what it is called.

``password``, ``api_key`` or ``ssn`` say of their value what ``password=...`` says of a text. So a column or key of such
a name is masked where the mask of that detector holds.
"""

from __future__ import annotations

from hoopcli.masking.masker import Masking
from hoopcli.masking.paths import Paths, Place
from hoopcli.model.decision import Mask

_MOST_CACHED = 4096
_LONGEST_CACHED = 256
_LONGEST_PROBED = 128
# What detectors take for a value after a telling name, and find nothing in without one.
_PROBES = (("&", "=", "Zx9" * 8), ("", ": ", "219099999"))


class Names:
    """The masks of one decision by names. ``root`` is the place of a document's root, ``whole`` the mask of all."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._order = {mask: rank for rank, mask in enumerate(masking.by_column)}
        self._paths = Paths(masking.by_column)
        self._cache: dict[tuple[Place, str], tuple[Place, Mask | None]] = {}
        self.root = self._paths.root
        self.whole = self._paths.whole
        self.any = bool(masking.by_column)

    def enter(self, place: Place, name: str) -> tuple[Place, Mask | None]:
        """Go down into a column or a key: where that is, and its mask."""
        known = self._cache.get((place, name))
        if known is None:
            known = self._find(place, name)
            if len(name) <= _LONGEST_CACHED:
                if len(self._cache) >= _MOST_CACHED:
                    self._cache.clear()
                self._cache[place, name] = known
        return known

    def column(self, name: str) -> Mask | None:
        """The mask of a column of a table; a name with dots is a path too (``customer.email``)."""
        place, mask = self.root, self.whole or self.enter(self.root, name)[1]
        for part in name.split("."):
            place, found = self.enter(place, part)
            mask = mask or found
        return mask

    def _find(self, place: Place, name: str) -> tuple[Place, Mask | None]:
        below, by_path = self._paths.enter(place, name)
        bare = name.strip().strip("[]\"'`").strip()
        named = (self._masking.for_field((each,)) for each in dict.fromkeys((name, bare)) if each)
        found = [mask for mask in (by_path, *named) if mask]
        if found:
            return below, min(found, key=self._order.__getitem__)
        return below, self._telling(bare)

    def _telling(self, name: str) -> Mask | None:
        if not self._masking.detects or not 0 < len(name) <= _LONGEST_PROBED:
            return None
        for before, between, value in _PROBES:
            head = before + name + between
            for edit in self._masking.edits(head + value)[0]:
                if edit.begin >= len(head):
                    return edit.mask
        return None
