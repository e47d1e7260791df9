"""Helpers: contents in pieces, masks by a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from connectors.blob.content.base import ContentMasker
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask, Method

ALL = tuple(each.name for each in DETECTORS)
KEY = b"key of the test"


def masking(*masks: Mask) -> Masking:
    return Masking(masks, KEY)


def by_detectors(*names: str, method: Method | None = None) -> Mask:
    return Mask("found", detectors=names or ALL, method=method or Method())


def by_columns(*names: str, method: Method | None = None) -> Mask:
    return Mask("columns", columns=names, method=method or Method())


def fed(masker: ContentMasker, data: bytes, sizes: Sequence[int] = (1 << 20,)) -> tuple[bytes, Counter[str]]:
    """What a masker makes of a content cut into pieces of these sizes, in turns."""
    out, at, turn = [], 0, 0
    while at < len(data):
        size = max(1, sizes[turn % len(sizes)])
        out.append(masker.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    out.append(masker.finish())
    return b"".join(out), masker.masked
