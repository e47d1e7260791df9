"""Patterns over dotted and slashed names: resources of policy, fields of masks, labels.

A name has segments, parted by ``.`` or ``/``; a segment in brackets (``[a.b]``, a ``]`` in it doubled) may hold either.
A ``*`` in a pattern stands for any characters of one segment. A last segment that is only ``*`` stands for one or more
segments. Nothing else is special, and case is ignored. In a pattern of resources that has a ``/``, only ``/`` parts
segments: there a dot and brackets are characters of a file's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

_SEGMENT = re.compile(r"\[(?:[^\]]|\]\])*+\]|(?:[^./])+|(?<=[./])(?=[./]|$)")
_IN_PATH = r"[^/]*"
_IN_SEGMENT = r"(?>\[(?:[^\]]|\]\])*+\]|[^./])*"
_CACHE = 4096
_LONGEST_CACHED = 512


def segments(name: str) -> tuple[str, ...]:
    """The segments of a name, in lower case."""
    return tuple(_SEGMENT.findall(name.lower()))


@lru_cache(maxsize=_CACHE)
def resource_matcher(pattern: str, *, exact_case: bool = False) -> Callable[[str], object]:
    """A test of resources, true where the whole resource matches the pattern."""
    any_part, ends = (_IN_PATH, "/*") if "/" in pattern else (_IN_SEGMENT, ".*")
    head, last = (pattern[:-1], ".+") if pattern == "*" or pattern.endswith(ends) else (pattern, "")
    source = any_part.join(re.escape(part) for part in head.split("*")) + last
    return re.compile(source, re.DOTALL if exact_case else re.DOTALL | re.IGNORECASE).fullmatch


@lru_cache(maxsize=_CACHE)
def text_matcher(pattern: str) -> Callable[[str], object]:
    """A test of plain texts (labels, verbs, subjects), where a ``*`` stands for any characters."""
    source = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.compile(source, re.IGNORECASE | re.DOTALL).fullmatch


def paths_overlap(pattern: str, path: str) -> bool:
    """Whether a pattern and a path with parts that nobody knows (``*``) may mean the same thing. Errs on True."""
    ours, theirs = pattern.lower().split("/"), path.lower().split("/")
    for place, (wanted, known) in enumerate(zip(ours, theirs, strict=False), 1):
        if (wanted == "*" and place == len(ours)) or (known == "*" and place == len(theirs)):
            return True
        both_open = "*" in wanted and "*" in known
        if not (both_open or text_matcher(wanted)(known) or text_matcher(known)(wanted)):
            return False
    return len(ours) == len(theirs)


def field_matches(pattern: str, name: str) -> bool:
    """Whether a field pattern may mean a name, aligned at the column; errs on True where either is the shorter.

    A ``*`` segment in the name is one that is not known, and matches any.
    """
    if len(name) > _LONGEST_CACHED:
        return _aligned(segments(pattern), segments(name))
    return _cached(pattern, name)


@lru_cache(maxsize=_CACHE)
def _cached(pattern: str, name: str) -> bool:
    return _aligned(segments(pattern), segments(name))


def _aligned(pattern: tuple[str, ...], name: tuple[str, ...]) -> bool:
    if not name or pattern in ((), ("*",)):
        return True
    if pattern[-1] != "*":
        return _ends_match(pattern, name)
    lengths = range(1, len(name) + (len(name) < len(pattern)))
    return any(_ends_match(pattern[:-1], name[:-length]) for length in lengths)


def _ends_match(pattern: Sequence[str], name: Sequence[str]) -> bool:
    """Whether the trailing segments match as far as both go."""
    pairs = zip(reversed(pattern), reversed(name), strict=False)
    return all(known == "*" or text_matcher(wanted)(known) for wanted, known in pairs)
