"""Fuzz the masking of contents: good and damaged tables, documents and archives, cut anywhere.

    python tests/fuzz/fuzz_content.py --seconds 60 [--seed 1]

Stops at the first exception that is not a ProtocolError, at a result that depends on the cuts, at a length that is not
kept, and at a value of a masked column that is still there; it prints the input.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable

from connectors.blob.content.kinds import HEAD, Content, Kind, decide
from connectors.blob.content.masker import open_masker
from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask, Method
from tests.fuzz import harness
from tests.fuzz.fuzz_tds import mutated

NAMES = ["a.csv", "a.tsv", "a.json", "a.ndjson", "a.txt", "a.gz", "a.csv.gz", "a"]
VALUES = ["", "Ada", "Zoë Müller", 'say "hi"', "a,b;c|d\te", "two\r\nlines", "4111 1111 1111 1111", "ann@example.com"]
MASKS = Masking(
    [
        Mask("column", columns=("ssn", "$..card"), method=Method("keep_last", 4)),
        Mask("found", detectors=tuple(each.name for each in DETECTORS)),
    ],
    b"key",
)


def table(rng: random.Random, secret: str) -> bytes:
    """A table with a masked column that holds a secret."""
    out = io.StringIO(newline="")
    dialect = type("_Dialect", (csv.excel,), {"delimiter": rng.choice(",;\t|"), "quoting": rng.randrange(2)})
    writer = csv.writer(out, dialect, lineterminator=rng.choice(("\n", "\r\n", "\r")))
    columns = ["id", "ssn", "note"]
    rng.shuffle(columns)
    writer.writerow(columns)
    for number in range(rng.randrange(30)):
        row = {"id": str(number), "ssn": f"{secret}{number:04}", "note": rng.choice(VALUES)}
        writer.writerow([row[name] for name in columns])
    return rng.choice((b"", b"\xef\xbb\xbf")) + out.getvalue().encode()


def document(rng: random.Random, secret: str) -> bytes:
    """JSON, or lines of it, with a secret under masked keys."""
    lines = []
    for number in range(rng.randrange(1, 12)):
        deep: object = f"{secret}{number:04}"
        for _ in range(rng.randrange(4)):
            deep = rng.choice(([deep], {"x": deep}))
        value = {"id": number, rng.choice(("ssn", "SSN", "card")): deep, "note": rng.choice(VALUES)}
        lines.append(json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1))))
    return "\n".join(lines).encode()


def run(content: Content, data: bytes, cuts: random.Random | None) -> bytes | None:
    """The masked content, None if it is refused."""
    masker = open_masker(content, MASKS)
    out, at = [], 0
    try:
        while at < len(data):
            size = cuts.randint(1, 200) if cuts else len(data)
            out.append(masker.feed(data[at : at + size]))
            at += size
        return b"".join([*out, masker.finish()])
    except ProtocolError:
        return None


def check(name: str, data: bytes, rng: random.Random, secret: str) -> bool:
    """Whether a content was delivered; raises AssertionError for one that should not have been as it was."""
    content = decide("", "", name, data[:HEAD], MASKS)
    if content.opaque or content.kind is Kind.PARQUET:
        return False
    whole = run(content, data, None)
    assert run(content, data, rng) == whole, "the result depends on the cuts"
    if whole is None:
        return False
    if content.keeps_length:
        assert len(whole) == len(data), "the length is not kept"
    if secret:
        shown = gzip.decompress(whole) if content.kind is Kind.GZIP else whole
        assert secret.encode() not in shown, "a masked value is there"
    return True


def one_run(rng: random.Random) -> tuple[str, bytes, str]:
    """A name, a content, and what must not be left of it; nothing is promised of one that is damaged."""
    secret = f"S{rng.getrandbits(48):012x}"
    data = rng.choice((table, document))(rng, secret)
    if rng.random() < 0.5:
        data, secret = mutated(rng, data), ""
    if rng.random() < 0.2:
        data = gzip.compress(data, 1)
        if rng.random() < 0.3:
            data, secret = mutated(rng, data), ""
    return rng.choice(NAMES), data, secret


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""

    def choose(rng: random.Random) -> tuple[tuple[str, str], Callable[[], object]]:
        name, data, secret = one_run(rng)
        return (name, data.hex()), lambda: check(name, data, rng, secret)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command("Fuzz the masking of contents.", fuzz)
