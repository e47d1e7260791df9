"""Files to and from blobs, resumable: what was transferred before an interruption is not transferred again."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from hoopcli.errors import UpstreamError
from hoopcli.spi import Progress

_BLOCK = 8 * 1024 * 1024
_MOST_BLOCKS = 50_000


def download(blob: Any, target: Path, progress: Progress) -> int:
    """Fetch a blob into a file by way of ``FILE.part``, going on where an earlier try of the same version ended.

    Returns the size in bytes. Raises AzureError; the part stays for the next try.
    """
    properties = blob.get_blob_properties()
    etag, size = str(properties.etag), int(properties.size)
    part, version = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.etag")
    done = part.stat().st_size if version.exists() and part.exists() and version.read_text() == etag else 0
    version.write_text(etag)
    with progress(target.name, size) as advance, part.open("r+b" if done else "wb") as file:
        file.seek(done)
        advance(done)
        while done < size:
            length = min(_BLOCK, size - done)
            data = _range(blob, done, length, etag)
            if len(data) != length:
                raise UpstreamError(f"{len(data)} bytes came where {length} were asked for", "run the command again")
            file.write(data)
            done += length
            advance(length)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)
    version.unlink()
    return size


def _range(blob: Any, offset: int, length: int, etag: str) -> bytes:
    from azure.core import MatchConditions  # noqa: PLC0415 - half a second

    stream = blob.download_blob(offset, length, etag=etag, match_condition=MatchConditions.IfNotModified)
    return bytes(stream.readall())


def upload(blob: Any, source: Path, progress: Progress) -> int:
    """Store a file as a blob. Blocks that an earlier try has staged are not sent again: their ids are digests.

    Returns the size in bytes. Raises AzureError; staged blocks stay for the next try.
    """
    size = source.stat().st_size
    block_size = max(_BLOCK, -(-size // _MOST_BLOCKS))
    with source.open("rb") as file, progress(source.name, size) as advance:
        if size <= block_size:
            blob.upload_blob(file.read(), overwrite=True)
            advance(size)
            return size
        staged = _staged(blob)
        ids: list[str] = []
        while data := file.read(block_size):
            identity = _identity(len(ids), data)
            if staged.get(identity) != len(data):
                blob.stage_block(identity, data, length=len(data))
            ids.append(identity)
            advance(len(data))
    from azure.storage.blob import BlobBlock  # noqa: PLC0415 - half a second

    blob.commit_block_list([BlobBlock(identity) for identity in ids])
    return size


def _staged(blob: Any) -> dict[str, int]:
    """The sizes of the blocks that are staged but not committed, by id; none where nobody may see them."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - half a second

    try:
        _, uncommitted = blob.get_block_list("uncommitted")
    except HttpResponseError:
        return {}
    return {block.id: block.size for block in uncommitted}


def _identity(number: int, data: bytes) -> str:
    digest = hashlib.sha256(number.to_bytes(4, "big") + data).digest()
    return base64.b64encode(number.to_bytes(4, "big") + digest[:20]).decode()
