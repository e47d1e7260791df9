"""Masking of Parquet: columns by name, nested ones by path, and what detectors find in texts and numbers.

A Parquet file is read from its end, so it must be there as a whole; it is read and written anew in batches of rows. The
statistics and indexes of the new file are those of the masked values. Masked texts take a masked form, all else becomes
NULL. pyarrow reads and writes; without it Parquet is opaque.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO

from connectors.blob.content.base import Unreadable
from connectors.blob.content.names import Names
from hoopcli.masking.masker import Masking
from hoopcli.masking.paths import Place
from hoopcli.model.decision import Mask

_ROWS = 32_768
_LARGEST_GROUP = 4 << 30
_LEAST_NUMBER = 100_000_000  # detectors find nothing in fewer than nine digits


class ParquetMasker:
    """Masks Parquet files under its masks. ``masked`` counts masked values by the id of the mask."""

    def __init__(self, masking: Masking) -> None:
        self.masked: Counter[str] = Counter()
        self._masking = masking
        self._names = Names(masking)
        self._arrow: Any = import_module("pyarrow")

    def run(self, source: BinaryIO, sink: BinaryIO) -> Iterator[None]:
        """Mask what ``source`` (seekable) holds into ``sink``, pausing after each batch of rows. Raises Unreadable."""
        try:
            yield from self._run(source, sink)
        except (self._arrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
            raise Unreadable(f"the content is not Parquet that can be masked: {type(error).__name__}") from None

    def _run(self, source: BinaryIO, sink: BinaryIO) -> Iterator[None]:
        parquet: Any = import_module("pyarrow.parquet")
        with parquet.ParquetFile(source, pre_buffer=False) as file:
            self._check_size(file.metadata)
            schema = self._schema(file.schema_arrow)
            with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
                for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                    columns = [self._top(field.name, batch.column(n)) for n, field in enumerate(batch.schema)]
                    writer.write_batch(self._arrow.record_batch(columns, schema=schema))
                    yield

    @staticmethod
    def _check_size(metadata: Any) -> None:
        groups = (metadata.row_group(n) for n in range(metadata.num_row_groups))
        if any(group.total_byte_size > _LARGEST_GROUP for group in groups):
            raise Unreadable("the Parquet file has a row group that is too large")

    def _schema(self, schema: Any) -> Any:
        """The schema of the masked file: names and notes pass the detectors, what may become NULL is nullable."""
        fields = [
            self._arrow.field(self._seen(field.name), self._plain_type(field.type), nullable=True) for field in schema
        ]
        notes = {
            self._seen(key.decode("utf-8", "replace")): self._seen(value.decode("utf-8", "replace"))
            for key, value in (schema.metadata or {}).items()
        }
        return self._arrow.schema(fields, metadata=notes or None)

    def _plain_type(self, kind: Any) -> Any:
        """A type without what restricts it: extensions and dictionaries are read as what they hold, NULL may be all."""
        arrow, types = self._arrow, self._arrow.types
        if isinstance(kind, arrow.BaseExtensionType):
            return self._plain_type(kind.storage_type)
        if types.is_dictionary(kind):
            return self._plain_type(kind.value_type)
        if types.is_struct(kind):
            return arrow.struct([arrow.field(each.name, self._plain_type(each.type)) for each in kind])
        if types.is_map(kind):
            return arrow.map_(self._plain_type(kind.key_type), self._plain_type(kind.item_type))
        if types.is_list(kind):
            return arrow.list_(self._plain_type(kind.value_type))
        return arrow.large_list(self._plain_type(kind.value_type)) if types.is_large_list(kind) else kind

    def _seen(self, text: str) -> str:
        shown, counts = self._masking.detect(text)
        self.masked.update(counts)
        return shown

    def _top(self, name: str, array: Any) -> Any:
        """A column of the table."""
        place, _ = self._names.enter(self._names.root, name)
        kind = self._plain_type(array.type)
        if isinstance(array.type, self._arrow.BaseExtensionType):
            array = array.storage
        mask = self._names.column(name)
        if self._arrow.types.is_nested(kind):
            return self._arrow.array([self._value(place, mask, value) for value in array.to_pylist()], type=kind)
        return self._column(place, mask, array if array.type == kind else array.cast(kind))

    def _column(self, place: Place, mask: Mask | None, array: Any) -> Any:
        """A column of plain values."""
        types, kind = self._arrow.types, array.type
        if mask and not _is_text(types, kind):
            self.masked[mask.id] += len(array) - array.null_count
            return self._arrow.nulls(len(array), type=kind)
        if not self._worth_a_look(mask, array):
            return array
        return self._arrow.array([self._value(place, mask, value) for value in array.to_pylist()], type=kind)

    def _worth_a_look(self, mask: Mask | None, array: Any) -> bool:
        """Whether something of a column of plain values may have to be masked."""
        if mask or not self._masking.detects:
            return mask is not None
        types, kind = self._arrow.types, array.type
        if not (_is_text(types, kind) or _is_bytes(types, kind) or _is_number(types, kind)):
            return False
        lines = b"\n".join(_as_bytes(value) for value in array.to_pylist() if value is not None)
        return self._masking.suspect(lines)

    def _value(self, place: Place, mask: Mask | None, value: Any) -> Any:
        """Any value masked: texts take another form, all else that must be masked becomes None."""
        match value:
            case None | "" | b"":
                return value
            case dict():
                return {key: self._entered(place, mask, key, item) for key, item in value.items()}
            case list() if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
                return [(self._key(mask, key), self._entered(place, mask, key, item)) for key, item in value]
            case list():
                return [self._value(place, mask, item) for item in value]
        if mask:
            self.masked[mask.id] += 1
            return self._masking.apply(mask, value) if isinstance(value, str) else None
        return self._found(value)

    def _entered(self, place: Place, mask: Mask | None, key: Any, item: Any) -> Any:
        below, found = self._names.enter(place, str(key))
        return self._value(below, mask or found, item)

    def _key(self, mask: Mask | None, key: Any) -> Any:
        """A key of a map, which cannot be NULL."""
        if isinstance(key, str):
            return (self._masking.apply(mask, key) or "*") if mask else self._seen(key)
        if mask or self._masking.edits(str(key))[0]:
            raise Unreadable("the Parquet file has a map whose keys cannot be masked")
        return key

    def _found(self, value: Any) -> Any:
        """A value under no mask: what detectors find in it is masked."""
        if isinstance(value, str):
            return self._seen(value)
        if isinstance(value, bytes):
            return self._found_in_bytes(value)
        if isinstance(value, bool) or not hasattr(value, "__int__"):
            return value
        edits, _ = self._masking.edits(_as_bytes(value).decode())
        if not edits:
            return value
        self.masked[edits[0].mask.id] += 1
        return None

    def _found_in_bytes(self, value: bytes) -> bytes | None:
        try:
            return self._seen(value.decode()).encode()
        except UnicodeDecodeError:
            return None if self._masking.suspect(value) else value


def _as_bytes(value: Any) -> bytes:
    """A value as detectors look at it: a number without a fraction as its digits."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        return b""
    return str(abs(whole)).encode() if whole == value and abs(whole) >= _LEAST_NUMBER else b""


def _is_text(types: Any, kind: Any) -> bool:
    return any(test(kind) for test in _tests(types, "is_string", "is_large_string", "is_string_view"))


def _is_bytes(types: Any, kind: Any) -> bool:
    return any(
        test(kind) for test in _tests(types, "is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")
    )


def _is_number(types: Any, kind: Any) -> bool:
    return any(test(kind) for test in _tests(types, "is_integer", "is_floating", "is_decimal"))


def _tests(types: Any, *names: str) -> Sequence[Callable[[Any], bool]]:
    return [getattr(types, name) for name in names]
