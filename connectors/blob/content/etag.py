"""ETags of masked contents: the upstream's tag with a suffix that says under which masks it was made.

A masked content is another representation than the upstream's, and so has another tag (RFC 9110 8.8.3). The suffix can
be taken off again, so conditions reach the upstream as conditions about the content that is there. A tag with the
suffix of other masks matches nothing there, as it should.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|0x[0-9A-Fa-f]+')
_LIST = re.compile(rf"[ \t]*(?:{_TAG.pattern})(?:[ \t]*,[ \t]*(?:{_TAG.pattern}))*[ \t]*")
_SUFFIX = "-hoop"
#: Changes whenever the same masks give another form, so that nobody joins pieces of both.
_REVISION = "1"
_PROBE = Mask("", method=Method("hash"))


def masks_digest(masks: Iterable[Mask], masking: Masking) -> str:
    """Sixteen hex digits that say which masks, in which order, under which key of hashes."""
    said = "\n".join([_REVISION, *(repr(mask) for mask in masks), masking.apply(_PROBE, "the key") or ""])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def masked_etag(etag: str, digest: str) -> str:
    """The tag of a masked content. Raises ProtocolError for what is no tag."""
    if not _TAG.fullmatch(etag):
        raise ProtocolError("the upstream sent an ETag that is none")
    if etag.endswith('"'):
        return f'{etag[:-1]}{_SUFFIX}{digest}"'
    return f"{etag}{_SUFFIX}{digest}"


def unmasked_condition(value: str, digest: str) -> str:
    """The value of If-Match or If-None-Match as the upstream must see it: ``*``, or tags. Raises ProtocolError."""
    suffix = _SUFFIX + digest
    bare = value.replace(f'{suffix}"', '"')
    if bare.strip(" \t").endswith(suffix):  # a tag without quotes, as clients of old send it
        bare = bare.strip(" \t").removesuffix(suffix)
    if bare.strip(" \t") != "*" and not _LIST.fullmatch(bare):
        raise ProtocolError("a condition has ETags that are none")
    return bare
