"""Contents put together of parts: what masks hold for must not come to be read in another way.

A table without its header is text, and a value that is cut in two is none. So whoever sees a content masked may neither
take parts of it elsewhere, nor put its blocks together anew, nor write over the pages of a table.
"""

from __future__ import annotations

import re

from connectors.blob.asked import Asked
from connectors.blob.errors import DENIED, StorageError
from connectors.http.message import Request
from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import about
from hoopcli.model.decision import Mask

#: The longest list of blocks: 50,000 of them.
LONGEST_LIST = 8 << 20
_FROM_PARTS = frozenset({"Put Block From URL", "Append Block From URL", "Put Page From URL"})
_PAGES = frozenset({"Put Page", "Clear Page"})
_CHECKSUMS = ("content-md5", "x-ms-content-crc64")
_BLOCK = rb"\s*<(Latest|Uncommitted|Committed)>\s*([A-Za-z0-9+/]{1,128}={0,2})\s*</\1>"
_BLOCKS = re.compile(_BLOCK)
_DECLARATION = (
    rb"""<\?xml\s+version=["']1\.0["'](?:\s+encoding=["'](?i:utf-8)["'])?(?:\s+standalone=["']yes["'])?\s*\?>"""
)
_LIST = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:" + _DECLARATION + rb")?\s*"
    rb"<BlockList\s*(?:/>|>((?:" + _BLOCK.replace(rb"\1", rb"\2") + rb")*)\s*</BlockList>)\s*"
)


def check_parts(asked: Asked, masks: tuple[Mask, ...]) -> None:
    """Refuse what takes parts out of, or writes parts into, what masks hold for. Raises StorageError."""
    operation = asked.operation
    if operation.name in _FROM_PARTS and operation.source and about(masks, operation.source.resource):
        raise StorageError(
            403, DENIED, "a part of a masked blob may be readable where it is not whole", "copy the whole blob"
        )
    if operation.name in _PAGES and any(mask.columns for mask in about(masks, asked.resource)):
        raise StorageError(
            403, DENIED, "columns are masked here, and pages may be written over their names", "use a block blob"
        )


def lists_blocks(asked: Asked) -> bool:
    """Whether a request makes a blob of blocks that are there already."""
    return asked.operation.name == "Put Block List"


def only_new_blocks(document: bytes) -> bytes:
    """The list of blocks of Put Block List, which takes none of those that the blob has.

    ``Latest`` becomes ``Uncommitted``: the service refuses the list if there is no such block. Raises StorageError for
    ``Committed``, ProtocolError for what is no list.
    """
    match = _LIST.fullmatch(document)
    if match is None:
        raise ProtocolError("the list of blocks cannot be read")
    blocks = _BLOCKS.findall(match[1] or b"")
    if any(kind == b"Committed" for kind, _ in blocks):
        raise StorageError(
            403, DENIED, "it puts blocks of a masked blob together anew", "upload all blocks of the blob"
        )
    items = b"".join(b"<Uncommitted>%s</Uncommitted>" % name for _, name in blocks)
    return b'<?xml version="1.0" encoding="utf-8"?><BlockList>%s</BlockList>' % items


def with_document(request: Request, document: bytes) -> Request:
    """A request that carries another document than it came with."""
    headers = request.headers.without(*_CHECKSUMS).with_("Content-Length", str(len(document)))
    return Request(request.method, request.target, headers)
