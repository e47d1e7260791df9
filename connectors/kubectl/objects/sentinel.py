"""What stands for a masked value in an API object: ``[hoop:redacted]``, ``[hoop:h:0123456789abcdef]``.

It can be told from any value that is not masked, so that an object that was read through a mask is not written back.
Where the schema wants base64, it is the base64 of that.
"""

from __future__ import annotations

import base64
import binascii
import re

from hoopcli.masking.keeping import Edit
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_BEGIN, _END = "[hoop:", "]"
_REDACTED = "redacted"
_PLAIN = re.compile(r"[\[\]\"\\]")
#: What stands for a value of which nothing is shown.
REDACTED = f"{_BEGIN}{_REDACTED}{_END}"
#: A masked value in a text.
MASKED = re.compile(r"\[hoop:[ !#-Z^-~]{1,64}\]")
#: How a masked value begins in base64.
ENCODED = base64.b64encode(_BEGIN.encode()).decode()
#: A number or a truth value that is masked is this, and an annotation of its object says so.
MARK = ("hoop/masked", f"{_BEGIN}numbers{_END}")


def masked(masking: Masking, mask: Mask, value: str) -> str:
    """What stands for a value. An empty one stays empty, one that is masked stays as it is."""
    if not value or MASKED.fullmatch(value):
        return value
    shown = None if mask.method.name in {"redact", "null"} else masking.apply(mask, value)
    return f"{_BEGIN}{_PLAIN.sub('*', shown) if shown and shown != '[redacted]' else _REDACTED}{_END}"


def encoded(text: str) -> str:
    """Text as base64; bytes that are no UTF-8 are surrogates in it."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def decoded(value: str) -> bytes | None:
    """What base64 stands for, None for what is no base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def edited(masking: Masking, text: str, edits: list[Edit]) -> str:
    """A text with parts of it masked."""
    pieces, at = [], 0
    for edit in edits:
        secret = text[edit.begin : edit.end]
        pieces += [
            text[at : edit.begin],
            f"{_BEGIN}{_REDACTED}{_END}" if edit.plain else masked(masking, edit.mask, secret),
        ]
        at = edit.end
    return "".join([*pieces, text[at:]])
