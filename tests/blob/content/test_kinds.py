from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest

from connectors.blob.content.base import Unreadable
from connectors.blob.content.kinds import HEAD, Content, Kind, decide
from connectors.blob.content.masker import open_masker
from tests.blob.content.pieces import by_columns, by_detectors, fed, masking

MASKS = masking(by_columns("ssn", "$.card"), by_detectors("email"))
DETECTORS = masking(by_detectors())
CSV = b"id,ssn\r\n1,123-45-6789\r\n"
TSV = b"id\tname\n1\tAda\n"
JSON = b'{"ssn": "123-45-6789"}'
LINES = JSON + b"\n" + JSON + b"\n"
PROSE = "Write to Zoë, please; or not: as you like.\n".encode()


def kind(content_type: str, name: str, head: bytes, encoding: str = "") -> Kind:
    return decide(content_type, encoding, name, head, MASKS).kind


@pytest.mark.parametrize(
    ("content_type", "name", "head", "expected"),
    [
        ("text/csv", "a", CSV, Kind.CSV),
        ("text/csv; charset=utf-8", "a", b"\xef\xbb\xbf" + CSV, Kind.CSV),
        ("application/octet-stream", "a.CSV", CSV, Kind.CSV),
        ("application/vnd.ms-excel", "a.csv", CSV, Kind.CSV),
        ("", "dir.csv/a.tsv", TSV, Kind.TSV),
        ("text/tab-separated-values", "a", TSV, Kind.TSV),
        ("application/json", "a", JSON, Kind.JSON),
        ("application/problem+json", "a", JSON, Kind.JSON),
        ("", "a.ndjson", LINES, Kind.NDJSON),
        ("", "a.jsonl", LINES, Kind.NDJSON),
        ("application/json", "a", b'"text"', Kind.JSON),
        ("text/plain", "a.txt", PROSE, Kind.TEXT),
        ("", "a.yaml", b"a: 1\n", Kind.TEXT),
        ("image/svg+xml", "a.svg", b"<svg/>", Kind.TEXT),
        ("", "noname", PROSE, Kind.TEXT),
        ("application/octet-stream", "a.log", b"[2026-11-23] started\n", Kind.TEXT),
        ("text/csv", "a.csv", b"", Kind.TEXT),
    ],
)
def test_what_is_what_it_is_called(content_type: str, name: str, head: bytes, expected: Kind) -> None:
    assert kind(content_type, name, head) is expected


@pytest.mark.parametrize(
    ("content_type", "name", "head", "expected"),
    [
        ("text/plain", "a.txt", CSV, Kind.CSV),
        ("text/plain", "a.txt", CSV.replace(b",", b"|"), Kind.CSV),
        ("application/octet-stream", "a", b"sep=;\nx;ssn\n", Kind.CSV),
        ("text/csv", "a.csv", JSON, Kind.JSON),
        ("text/plain", "a.txt", b"\xef\xbb\xbf \n" + LINES, Kind.JSON),
        ("text/tab-separated-values", "a.tsv", b" [1, 2]", Kind.JSON),
        ("text/html", "a.csv", CSV, Kind.CSV),
        ("text/plain", "a.gz", gzip.compress(CSV, mtime=0), Kind.GZIP),
        ("text/csv", "a.csv", gzip.compress(CSV, mtime=0), Kind.GZIP),
        ("text/csv", "a.csv", b"PAR1....", Kind.PARQUET),
    ],
)
def test_another_name_or_type_does_not_hide_what_it_is(
    content_type: str, name: str, head: bytes, expected: Kind
) -> None:
    assert kind(content_type, name, head) is expected


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("people.csv", CSV)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content_type", "name", "head"),
    [
        ("image/png", "a.png", PROSE),
        ("application/pdf", "a.pdf", PROSE),
        ("", "a.txt", b"\x89PNG\r\n\x1a\n"),
        ("", "a.xlsx", archive()),
        ("text/plain", "a.txt", archive()),
        ("text/csv", "a.csv", CSV.decode().encode("utf-16")),
        ("text/csv", "a.csv", CSV.decode().encode("utf-16-le")),
        ("text/csv", "a.csv", "näme,ssn\n".encode("cp1252")),
        ("text/plain", "a.txt", b"a\0b"),
        ("text/csv", "a.csv", b"1,Ada,123-45-6789\n2,Bob,987-65-4321\n"),
        ("application/json", "a.json", CSV),
        ("application/json", "a.json", b"{'ssn': 1}"),
        ("application/json", "a.json", b""" {"a": 1"""),
        ("", "a.parquet", CSV),
        ("", "a.json", b'"id"\t"ssn"\n"1"\t"123-45-6789"\n'),
        ("", "a.gz", CSV),
        ("", "a.txt", b"%PDF-1.7"),
    ],
)
def test_what_cannot_be_read_is_opaque(content_type: str, name: str, head: bytes) -> None:
    content = decide(content_type, "", name, head, MASKS)
    assert content.opaque
    with pytest.raises(Unreadable):
        open_masker(content, MASKS)


@pytest.mark.parametrize("before", [b"# made by the export\n", b"Report\r\n\r\n", b"a;b\n", b"\n", b'"a title"\n' * 20])
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.tsv"])
def test_a_header_that_is_not_the_first_line(name: str, before: bytes) -> None:
    assert kind("", name, before + CSV) is Kind.OPAQUE
    assert kind("", name, before + b"ssn\tx\n") is Kind.OPAQUE
    assert decide("", "", name, before + CSV, masking(by_detectors("email"))).kind is not Kind.OPAQUE


def test_names_in_prose_are_no_header() -> None:
    assert kind("", "a.txt", b"Columns:\nid, ssn, and so on.\nMore of it.\n") is Kind.TEXT


def test_encodings() -> None:
    assert kind("text/csv", "a", gzip.compress(CSV, mtime=0), "gzip") is Kind.GZIP
    assert kind("text/csv", "a", CSV, "br") is Kind.OPAQUE
    assert kind("text/csv", "a", CSV, "Identity") is Kind.CSV


@pytest.mark.parametrize(
    ("name", "content_type", "inner", "expected"),
    [
        ("a.csv.gz", "application/gzip", CSV, Kind.CSV),
        ("a.csv.gz", "text/csv", CSV, Kind.CSV),
        ("a.gz", "", CSV, Kind.CSV),
        ("a.json.GZ", "", JSON, Kind.JSON),
        ("a.txt.gz", "", PROSE, Kind.TEXT),
        ("a.gz", "", b"abc", Kind.TEXT),
        ("a.tar.gz", "", b"x\0y", Kind.OPAQUE),
        ("a.gz.gz", "", gzip.compress(CSV, mtime=0), Kind.OPAQUE),
        ("a.parquet.gz", "", CSV, Kind.OPAQUE),
        ("a.json.gz", "", CSV, Kind.OPAQUE),
    ],
)
def test_what_is_in_gzip(name: str, content_type: str, inner: bytes, expected: Kind) -> None:
    content = decide(content_type, "", name, gzip.compress(inner, mtime=0), MASKS)
    assert content == Content(Kind.GZIP, expected)
    assert content.opaque is (expected is Kind.OPAQUE)
    assert not content.keeps_length


def test_damaged_gzip_is_opaque() -> None:
    assert decide("", "", "a.gz", b"\x1f\x8b\xff\xff\xff", MASKS).opaque


def test_a_head_may_end_anywhere() -> None:
    rows = CSV + "2,Zoë Müller\r\n".encode() * HEAD
    for end in range(HEAD, HEAD + 14):
        assert kind("text/csv", "a.csv", rows[:end]) is Kind.CSV
    lines = json.dumps([{"ssn": "é", "n": [1.5, True]}] * 9000, ensure_ascii=False).encode()
    for end in range(HEAD, HEAD + 30):
        assert kind("", "a", lines[:end]) is Kind.JSON
    assert kind("", "a.txt", PROSE * HEAD) is Kind.TEXT


def test_a_first_line_without_an_end() -> None:
    assert kind("", "a.txt", b"x" * HEAD) is Kind.OPAQUE
    assert decide("", "", "a.txt", b"x" * HEAD, DETECTORS).kind is Kind.TEXT
    assert kind("", "a.csv", b"x" * HEAD) is Kind.CSV


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (Content(Kind.TEXT), PROSE),
        (Content(Kind.CSV), CSV),
        (Content(Kind.TSV), CSV.replace(b",", b"\t")),
        (Content(Kind.JSON), JSON),
        (Content(Kind.NDJSON), LINES),
    ],
)
def test_each_kind_has_its_masker(content: Content, data: bytes) -> None:
    masked, _ = fed(open_masker(content, MASKS), data)
    assert content.keeps_length
    assert len(masked) == len(data)
    assert b"123-45" not in masked
    compressed, _ = fed(open_masker(Content(Kind.GZIP, content.kind), MASKS), gzip.compress(data, mtime=0))
    assert gzip.decompress(compressed) == masked


def test_parquet_is_opaque_where_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.blob.content.kinds.find_spec", lambda _: None)
    assert decide("", "", "a.parquet", b"PAR1", MASKS).opaque
