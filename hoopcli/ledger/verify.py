"""Verifying a ledger, or a bundle exported from one, with nothing but the public key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, TypeVar

from hoopcli.errors import LedgerError
from hoopcli.ledger import receipt as receipts
from hoopcli.ledger.bundle import Bundle, is_bundle
from hoopcli.ledger.completeness import Completeness
from hoopcli.ledger.integrity import Excerpt, Heads, RecordCheck, TreeCheck, WholeTree
from hoopcli.ledger.note import Verifier
from hoopcli.ledger.reader import PayloadRow, Reader, StoredRecord
from hoopcli.ledger.record import Record, parse_time
from hoopcli.ledger.report import Findings, Report

UNSIGNED_GRACE: Final = timedelta(minutes=1)
"""A checkpoint is signed within a second; records that wait for one longer were left by a crash, or forged."""
_PROGRESS_EVERY: Final = 4_096

T = TypeVar("T")
Progress = Callable[[int, int], None]


class Source(Protocol):
    """What records are read from."""

    @property
    def origin(self) -> str:
        """The name of the ledger's key."""

    @property
    def size(self) -> int:
        """About how many records there are."""

    def rows(self) -> Iterator[StoredRecord]:
        """The records in order."""

    def containing(self, member: str, value: str) -> Iterator[Record]:
        """The records whose member has this value."""


def verify(
    path: Path,
    key: Verifier,
    *,
    known: Sequence[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify a ledger or a bundle by its public key.

    Args:
        path: a ledger's file, or a bundle (a folder, or a ``.tar.zst``).
        key: the key that must have signed; whoever is given a ledger must have it from elsewhere.
        known: notes of checkpoints seen before, e.g. by an earlier verification or a witness: they show a rollback.
        now: the time, for telling sessions that go on from abandoned ones.
        progress: called now and then with the records done and their number.

    Raises:
        LedgerError: it cannot be opened at all. Whatever else is wrong is in the report.
    """
    integrity = Findings()
    now = now or datetime.now(UTC)
    with ExitStack() as stack:
        if is_bundle(path):
            bundle = stack.enter_context(Bundle.open(path))
            tree: TreeCheck = _bundle_tree(bundle, key, known, integrity)
            return _walk(bundle, bundle.payload_rows(), tree, integrity, now, progress, bundle.sessions or ())
        reader = stack.enter_context(Reader.open(path))
        kept = reader.kept_checkpoint()  # before the snapshot, so that the ledger is not the older of the two
        stack.enter_context(reader.snapshot())
        if kept is None and reader.last_checkpoint() is not None:
            integrity.add(None, "checkpoint", "", "the copy of the last checkpoint beside the ledger is missing")
        heads = Heads(
            _readable(reader.checkpoints(), "checkpoint", integrity),
            [n for n in (kept, _receipt(path, key, integrity), *known) if n is not None],
            key,
            integrity,
        )
        tree = WholeTree(heads, integrity)
        return _walk(reader, reader.payload_rows(), tree, integrity, now, progress)


def _receipt(path: Path, key: Verifier, integrity: Findings) -> str | None:
    """The checkpoint that a server has cosigned, which shows a rollback of everything else beside the ledger."""
    try:
        found = receipts.load(path, key)
    except LedgerError as error:
        integrity.add(None, "receipt", "", error.message)
        return None
    return None if found is None else found.note


def _bundle_tree(bundle: Bundle, key: Verifier, known: Sequence[str], integrity: Findings) -> TreeCheck:
    if bundle.sessions is None:
        return WholeTree(Heads([], [bundle.checkpoint, *known], key, integrity), integrity, nodes_stored=False)
    head = next(iter(Heads([], [bundle.checkpoint], key, integrity)), None)
    return Excerpt(head, Heads([], known, key, integrity), integrity)


def _walk(
    source: Source,
    payloads: Iterable[PayloadRow] | None,
    tree: TreeCheck,
    integrity: Findings,
    now: datetime,
    progress: Progress | None,
    expected: Sequence[str] = (),
) -> Report:
    gaps = Findings()
    completeness = Completeness(gaps, expected)
    payloads = None if payloads is None else _readable(payloads, "payload", integrity)
    records = RecordCheck(payloads, _expired_before(source), integrity)
    count, total, unsigned_since = 0, source.size, ""
    for row in _readable(source.rows(), "record", integrity):
        tree.feed(row)
        record = records.feed(row)
        if record is not None:
            completeness.feed(record)
            if row.index == tree.signed:
                unsigned_since = record.body["time"]
        count += 1
        if progress is not None and count % _PROGRESS_EVERY == 0:
            progress(count, total)
    tree.finish()
    records.finish()
    if progress is not None:
        progress(count, total)
    live = completeness.finish(now)
    _check_signed(count, tree, unsigned_since, now, integrity, gaps)
    return Report(
        origin=source.origin,
        records=count,
        signed=tree.signed,
        root=tree.root.hex(),
        unsigned_since=unsigned_since if tree.signed < count else "",
        checkpoints=tree.checkpoints,
        sessions=completeness.sessions,
        exchanges=completeness.exchanges,
        payloads=records.payloads,
        expired=records.expired,
        open_sessions=live,
        integrity=tuple(integrity.first),
        integrity_total=integrity.total,
        completeness=tuple(gaps.first),
        completeness_total=gaps.total,
    )


def _check_signed(count: int, tree: TreeCheck, since: str, now: datetime, integrity: Findings, gaps: Findings) -> None:
    if tree.signed >= count or not since or now - parse_time(since) <= UNSIGNED_GRACE:
        return
    if tree.signed:
        why = f"records {tree.signed} to {count - 1} are under no signature: hoop was killed, or they were added since"
        gaps.add(tree.signed, "", since, why)
    else:
        integrity.add(0, "", since, "nothing in this ledger is under a signature of this key")


def _readable(items: Iterable[T], what: str, integrity: Findings) -> Iterator[T]:
    """The same items, up to where the file is damaged, which becomes a finding."""
    try:
        yield from items
    except LedgerError as error:
        integrity.add(None, what, "", f"cannot be read any further: {error.message}")


def _expired_before(source: Source) -> str:
    """Payloads of records older than this may be gone; the records that say so are verified with all the others."""
    try:
        return max((str(r.body["before"]) for r in source.containing("type", "ledger.expired")), default="")
    except (LedgerError, KeyError):
        return ""
