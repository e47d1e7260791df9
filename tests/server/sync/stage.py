"""Batches made by hand: from honest ledgers, and from those of somebody who has the key and is not honest."""

from __future__ import annotations

from collections.abc import Sequence

from hoopcli.ledger.batch import Batch
from hoopcli.ledger.merkle import CompactRange, consistency_proof, leaf_hash, tree_hash
from hoopcli.ledger.note import Checkpoint, Signer
from hoopcli.ledger.reader import PayloadRow


class MemoryTree:
    """A tree in memory, which a test may grow as it likes."""

    def __init__(self, records: Sequence[bytes] = ()) -> None:
        self.records: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._range = CompactRange()
        self.grow(records)

    @property
    def size(self) -> int:
        return len(self.records)

    def node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]

    def grow(self, records: Sequence[bytes]) -> None:
        for record in records:
            index = len(self.records)
            for level, node in enumerate(self._range.append(leaf_hash(record))):
                self._nodes[level, index >> level] = node
            self.records.append(record)

    def root(self, size: int) -> bytes:
        return tree_hash(size, self.node)

    def proof(self, first: int, second: int) -> tuple[bytes, ...]:
        return () if first in {0, second} else tuple(consistency_proof(first, second, self.node))

    def note(self, signer: Signer, size: int | None = None) -> str:
        size = self.size if size is None else size
        return str(signer.sign(str(Checkpoint(signer.name, size, self.root(size)))))

    def batch(
        self,
        signer: Signer,
        start: int = 0,
        end: int | None = None,
        size: int | None = None,
        payloads: Sequence[PayloadRow] = (),
    ) -> Batch:
        """Records ``start`` to ``end - 1`` under a checkpoint of ``size``; up to the end of the tree unless said."""
        size = self.size if size is None else size
        end = size if end is None else end
        return Batch(
            self.note(signer, size),
            start,
            self.root(start),
            self.proof(start, size),
            self.proof(end, size),
            tuple(self.records[start:end]),
            tuple(payloads),
        )


def plain(count: int, what: str = "honest") -> list[bytes]:
    """Records without payloads."""
    return [f'{{"n":{n},"type":"{what}"}}'.encode() for n in range(count)]
