"""Refusal of selectors that would find a hidden value out by trying: a list that is empty, or not, tells as much."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from connectors.kubectl.objects.rules import Rules
from connectors.kubectl.request_info import RequestInfo
from hoopcli.errors import DeniedError
from hoopcli.masking.masker import Masking
from hoopcli.masking.patterns import paths_overlap
from hoopcli.model.decision import Mask

_IN_SETS = re.compile(r"\([^()]*\)")
_KEY = re.compile(r"[\s!]*([^\s!=<>(),]+)")
#: What every object is found by.
_OPEN = frozenset({("metadata", "name"), ("metadata", "namespace")})


def check_selected(
    masks: Sequence[Mask], resource: str, info: RequestInfo, masking: Callable[[Sequence[Mask]], Masking]
) -> None:
    """Raise DeniedError for a request that selects objects by a field or a label under a mask."""
    paths = [path for path in _selected(info) if path not in _OPEN]
    near = [
        mask for mask in masks if not mask.resources or any(paths_overlap(each, resource) for each in mask.resources)
    ]
    if not paths or not near:
        return
    rules = Rules(masking(near))
    for path in paths:
        place, mask = rules.root, rules.whole
        for name in path:
            place, found = rules.enter(place, name)
            mask = mask or found
        if mask is not None:
            raise DeniedError(
                f"the request selects by {'.'.join(path)[:200]}, which the mask {mask.id!r} hides",
                "select by other fields or labels, and look through what is listed",
            )


def _selected(info: RequestInfo) -> Iterator[tuple[str, ...]]:
    """The paths of the fields that the selectors of a request look at."""
    for selector in info.values("fieldSelector"):
        for term in selector.split(","):
            if key := _KEY.match(term):
                yield tuple(key[1].split("."))
    for selector in info.values("labelSelector"):
        for term in _IN_SETS.sub("", selector).split(","):
            if key := _KEY.match(term):
                yield ("metadata", "labels", key[1])
