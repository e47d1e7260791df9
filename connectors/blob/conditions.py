"""Conditions on tags: where masks hold for what a tag may say, a comparison of it would tell the value step by step.

Source: the REST reference, "Find Blobs by Tags" and ``x-ms-if-tags``: names in double quotes, values in single ones,
the operators ``=``, ``<>``, ``>``, ``>=``, ``<``, ``<=``, joined by AND and OR.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from connectors.blob.asked import Asked
from connectors.blob.errors import DENIED, StorageError
from hoopcli.model.decision import Mask

_HEADERS = ("x-ms-if-tags", "x-ms-source-if-tags")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_COMPARES = re.compile(r"[<>'\"]")


def check_tag_conditions(asked: Asked, masks: Iterable[Mask]) -> None:
    """Refuse comparisons other than of equality where detectors mask what tags say. Raises StorageError.

    Equality tells only what the client has guessed as a whole.
    """
    if not any(mask.detectors for mask in masks):
        return
    headers = asked.request.headers
    said = [asked.address.value("where"), *(value for name in _HEADERS for value in headers.all(name))]
    if any(_COMPARES.search(_QUOTED.sub("", condition)) for condition in said):
        raise StorageError(
            403, DENIED, "values of tags are masked here, and comparing tells them", "use = in conditions"
        )
