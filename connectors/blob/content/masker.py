"""A masker for a content of a kind."""

from __future__ import annotations

from connectors.blob.content.base import ContentMasker, Unreadable
from connectors.blob.content.compressed import GzipMasker
from connectors.blob.content.csv import CsvMasker
from connectors.blob.content.json import JsonMasker
from connectors.blob.content.kinds import Content, Kind
from connectors.blob.content.text import TextMasker
from hoopcli.masking.masker import Masking


def open_masker(content: Content, masking: Masking) -> ContentMasker:
    """The masker of a content that can be masked as it streams by: of any kind but Parquet. Raises Unreadable."""
    match content.kind:
        case Kind.TEXT:
            return TextMasker(masking)
        case Kind.CSV:
            return CsvMasker(masking)
        case Kind.TSV:
            return CsvMasker(masking, b"\t")
        case Kind.JSON | Kind.NDJSON:
            return JsonMasker(masking)
        case Kind.GZIP:
            return GzipMasker(open_masker(Content(content.inner), masking))
        case _:
            raise Unreadable("the content is of a kind that cannot be masked as it streams by")
