"""Masking of what detectors find in many values at once, with the results of ``mask_whole`` on each.

Values that are lines of ASCII are searched as one text, so that most of the work is done by few searches in C. A
detector that sees nothing in all the lines is asked no more. One whose hits are the matches of a pattern replaces them
in one pass. Whatever is less simple goes to ``mask_whole``, value by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hoopcli.masking.detectors import LONGEST_LINE
from hoopcli.masking.methods import masked_by, redact
from hoopcli.masking.prefilter import awake
from hoopcli.masking.scan import Watch, mask_whole

_END = "\n"


def mask_all(watches: Sequence[Watch], values: Sequence[str], key: bytes) -> tuple[Sequence[str], dict[str, int]]:
    """The values with all that is found masked, and how many by the id of the mask.

    A value in which nothing is found is the very same object.
    """
    text = _END.join(values)
    if text.isascii() and text.count(_END) == len(values) - 1 and max(map(len, values)) <= LONGEST_LINE:
        return _mask_lines(watches, values, text, key)
    lines = [value for value in values if _is_line(value)]
    masked, counts = _mask_lines(watches, lines, _END.join(lines), key)
    rest = iter(masked)
    return [next(rest) if _is_line(value) else _mask_one(watches, value, key, counts) for value in values], counts


def _is_line(value: str) -> bool:
    return value.isascii() and len(value) <= LONGEST_LINE and _END not in value


def _mask_lines(
    watches: Sequence[Watch], lines: Sequence[str], text: str, key: bytes
) -> tuple[Sequence[str], dict[str, int]]:
    counts: dict[str, int] = {}
    detectors = awake((watch.detector for watch in watches), text)
    if not detectors:
        return lines, counts
    watches = [watch for watch in watches if watch.detector in detectors]
    simple = next((watch for watch in watches if watch.detector.exact is not None), None)
    quicks = [watch.detector.quick for watch in watches if watch is not simple]
    if simple is None:
        return [_mask_one(watches, line, key, counts) for line in lines], counts
    hard = {i for quick in quicks for i, line in enumerate(lines) if quick(line)}
    if hard:
        text = _END.join("" if i in hard else line for i, line in enumerate(lines))
    found = _replace(simple, text, key, counts).split(_END)
    if hard:
        for i in hard:
            found[i] = _mask_one(watches, lines[i], key, counts)
    return [old if old == new else new for old, new in zip(lines, found, strict=True)], counts


def _mask_one(watches: Sequence[Watch], value: str, key: bytes, counts: dict[str, int]) -> str:
    masked, found = mask_whole(watches, value, key)
    for id_, count in found.items():
        counts[id_] = counts.get(id_, 0) + count
    return masked if found else value


def _replace(watch: Watch, text: str, key: bytes, counts: dict[str, int]) -> str:
    """The text with every match of the detector's pattern masked."""
    assert watch.detector.exact is not None
    text, count = watch.detector.exact.subn(_replacement(watch, key), text)
    if count:
        counts[watch.mask.id] = counts.get(watch.mask.id, 0) + count
    return text


def _replacement(watch: Watch, key: bytes) -> Callable[[re.Match[str]], str]:
    """What stands for a match: its masked form in no more characters, redacted where that is NULL."""
    forms: dict[int, Callable[[str], str | None]] = {}

    def replace(match: re.Match[str]) -> str:
        secret = match[0]
        room = len(secret)
        form = forms.get(room)
        if form is None:
            form = forms[room] = masked_by(watch.mask.method, room, key)
        return form(secret) or redact(secret, room) or ""

    return replace
