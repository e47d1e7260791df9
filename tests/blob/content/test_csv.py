from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.blob.content import csv as csv_module
from connectors.blob.content.base import LONGEST, Unreadable
from connectors.blob.content.columns import Columns
from connectors.blob.content.csv import CsvMasker
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.blob.content.pieces import by_columns, by_detectors, fed, masking

SSN = masking(by_columns("ssn", method=Method("keep_last", 4)), by_detectors("email", "credit_card"))
TWO = masking(by_columns("ssn"), Mask("n", columns=("name",), method=Method("keep_first", 1)), by_detectors())
DETECTORS = masking(by_detectors())

PLAIN = ["", "a", "Ada", "123-45-6789", "987654321", "Zoë Müller", "ann@example.com", "4111 1111 1111 1111", " ", "***"]
QUOTED = ['"q"', '""', '"a,b"', '"a;b"', '"a\nb"', '"say ""hi"""', '"123-45-6789"', '"ann@example.com"', '"x\r\ny"']
STRANGE = ['5" pipe', '"a"b', 'a"b"', '"open', "\x01", "\x02", "a\tb", "; ", '"12""34""56"', '"password=""hunter2"""']
CELLS = st.sampled_from([*PLAIN, *QUOTED, *STRANGE])
ROWS = st.lists(st.lists(CELLS, min_size=0, max_size=5), max_size=8)
HEADERS = st.sampled_from(
    ["id,name,ssn", "ssn", "id,ssn", 'ssn,"name"', "a,b", "name;ssn;x", '"id","s""sn"', "ssn,ssn"]
)
BREAKS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    header, line_break = draw(HEADERS), draw(BREAKS)
    delimiter = ";" if ";" in header else ","
    width = header.count(delimiter) + 1
    rows = draw(ROWS)
    if draw(st.booleans()):
        rows = [(row + ["x"] * width)[:width] for row in rows]
    lines = [header, *(delimiter.join(row) for row in rows)]
    return (line_break.join(lines) + draw(st.sampled_from(["", line_break]))).encode()


def slow(masks: Masking, data: bytes) -> tuple[bytes, object]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Columns, "block", lambda self, data: None)
        return fed(CsvMasker(masks), data)


@settings(max_examples=200, deadline=None)
@given(tables(), st.lists(st.integers(1, 30), min_size=1, max_size=4), st.sampled_from([SSN, TWO, DETECTORS]))
@example(b"ssn\r\n12345678\r", [1], SSN)
@example(b'ssn,id\n"a""b\nc",1\n', [3], SSN)
def test_any_cut_and_any_way_give_the_same(data: bytes, sizes: list[int], masks: Masking) -> None:
    expected = outcome(lambda: slow(masks, data))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_module, "_BLOCK", 24)
        assert outcome(lambda: fed(CsvMasker(masks), data, sizes)) == expected
    assert outcome(lambda: fed(CsvMasker(masks), data)) == expected
    if not isinstance(expected, str):
        assert len(expected[0]) == len(data)


def outcome(run: Callable[[], tuple[bytes, object]]) -> tuple[bytes, object] | str:
    try:
        return run()
    except Unreadable as error:
        return str(error)


def rows_of(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_a_column_by_its_name() -> None:
    data = b"id,name,SSN,mail\r\n1,Ada,123-45-6789,ada@example.com\r\n2,Grace,,\r\n3,Edith,1,none\r\n"
    masked, counts = fed(CsvMasker(SSN), data)
    assert masked == (b"id,name,SSN,mail\r\n1,Ada,*******6789,[redacted]*****\r\n2,Grace,,\r\n3,Edith,*,none\r\n")
    assert counts == {"columns": 2, "found": 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_other_writers_write(delimiter: str, line_break: str, quoting: int, mark: bytes) -> None:
    table = [["id", "full name", "ssn"], *([str(n), f'x, {n}; "y"|\n\t é', f"{n:09d}"] for n in range(500))]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=line_break, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    data = mark + out.getvalue().encode()
    for sizes in ([len(data)], [1000]):
        masked, counts = fed(CsvMasker(SSN), data, sizes)
        assert rows_of(masked, delimiter) == [table[0], *([a, b, "*****" + c[-4:]] for a, b, c in table[1:])]
        assert counts == {"columns": 500}


def test_excel_says_its_delimiter() -> None:
    masked, _ = fed(CsvMasker(SSN), b"sep=;\r\na,b;ssn\r\n1,2;123-45-6789\r\n")
    assert masked == b"sep=;\r\na,b;ssn\r\n1,2;*******6789\r\n"


def test_a_delimiter_that_the_kind_lies_about() -> None:
    assert b"123-45" not in fed(CsvMasker(SSN, b"\t"), b"id,ssn\n1,123-45-6789\n")[0]


@pytest.mark.parametrize(
    "row",
    [
        b"1,Smith, John,123-45-6789",  # a comma that nobody quoted
        b"Smith 123-45-6789",
        b'1,Ada,x"123-45-6789',
        b'1,Ada,"123"-45-6789',
        b'"1,Ada,123-45-6789',
        b"1,Ada,x,123-45-6789,",
        b'1,"Ada\\",123-45-6789,"',
        b"1,Ada\r123-45-6789",
    ],
)
def test_a_record_of_which_nothing_can_be_told_is_masked_whole(row: bytes) -> None:
    data = b"id,name,ssn\n1,Eve,999\n" + row + b"\n"
    masked, counts = fed(CsvMasker(SSN), data)
    tail = masked[len(b"id,name,ssn\n1,Eve,***\n") :]
    assert set(tail) <= set(b'*,\r\n"')
    assert len(masked) == len(data)
    assert counts["columns"] >= 2


def test_half_a_line_break_is_none_of_the_others() -> None:
    data = b"id,ssn\r\n" + b"1,2\r123-45-6789\n3,4\r\n" * 3
    assert fed(CsvMasker(SSN), data)[0] == b"id,ssn\r\n" + b"1,*\r***********\n3,*\r\n" * 3


def test_without_masked_columns_strange_records_pass_if_nothing_is_in_them() -> None:
    data = b'id,size\n1,5" pipe\n1,2,3\n2,"a"b ann@example.com\n'
    assert (
        fed(CsvMasker(DETECTORS), data)[0]
        == b'id,size\n1,5" pipe\n1,2,3\n*,' + b"*" * len(b'"a"b ann@example.com') + b"\n"
    )


@pytest.mark.parametrize(
    "first", [b"1,Ada,123-45-6789", b"Ada,2024-01-31", b"Ada,ada@example.com", b"x,1.5", b'id,"s"sn']
)
def test_a_table_without_names_cannot_be_masked_by_them(first: bytes) -> None:
    with pytest.raises(Unreadable):
        fed(CsvMasker(SSN), first + b"\n" + first + b"\n")
    fed(CsvMasker(DETECTORS), first + b"\n" + first + b"\n")


def test_a_header_with_names_of_other_columns_is_fine() -> None:
    data = b"id,name,year 2024,\n1,Ada,3,\n"
    assert fed(CsvMasker(SSN), data)[0] == data


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"s", b"ssn", b"ssn\n", b"\n\n\n", b"\r"])
def test_next_to_nothing(data: bytes) -> None:
    for sizes in ([1], [100]):
        assert fed(CsvMasker(SSN), data, sizes)[0] == data


def test_a_value_is_masked_wherever_it_is_cut() -> None:
    data = b"id,ssn,note\r\n" + b"".join(
        b'%d,123-45-%04d,"ann@example.com, ""x"""\r\n' % (n, n + 1000) for n in range(12)
    )
    whole, counts = fed(CsvMasker(SSN), data)
    assert counts == {"columns": 12, "found": 12}
    assert b"123-45" not in whole
    assert b"ann@" not in whole
    for cut in range(len(data)):
        assert fed(CsvMasker(SSN), data, [cut or 1, len(data)])[0] == whole


@pytest.mark.parametrize(
    "long",
    [
        b"1," + b"x" * LONGEST + b",123-45-6789",
        b'1,"' + b'x""y\n' * (LONGEST // 5) + b'",123-45-6789',
        b'"1"x,' + b"x" * LONGEST + b',"a""\n",123-45-6789',
    ],
)
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_a_record_that_is_too_long_is_masked_whole(long: bytes, line_break: bytes) -> None:
    data = line_break.join([b"id,x,ssn", b"1,2,333-22-4444", long, b"5,6,777-88-9999", b""])
    expected = line_break.join([b"id,x,ssn", b"1,2,*******4444", b"*" * len(long), b"5,6,*******9999", b""])
    for sizes in ([len(data)], [65_537], [LONGEST + 30]):
        masked, counts = fed(CsvMasker(SSN), data, sizes)
        assert masked == expected
        assert counts == {"columns": 3}


def test_memory_stays_flat_in_a_record_without_an_end() -> None:
    masker = CsvMasker(SSN)
    masker.feed(b'ssn\n"')
    for _ in range(100):
        assert set(masker.feed(b'123-45-6789""\n' * 5000)) <= set(b"ssn\n*")
        assert len(masker._rest) + masker._waits < 2 * LONGEST
    assert set(masker.finish()) <= {ord("*")}


def test_a_header_without_an_end_is_refused() -> None:
    with pytest.raises(Unreadable, match="no header"):
        fed(CsvMasker(SSN), b"x" * (LONGEST * 2), [100_000])


@pytest.mark.parametrize("data", [b"id\0,ssn\n", b"id,ssn\n1,\xff\xfe\n", b"\xff\xfei\0d\0", b"id,ssn\n1,\xc3"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        fed(CsvMasker(SSN), data)


def test_names_in_the_header_are_looked_at_too() -> None:
    assert fed(CsvMasker(DETECTORS), b"ann@example.com,b\n1,2\n")[0] == b"[redacted]*****,b\n1,2\n"


def test_a_column_that_a_detector_knows_by_name() -> None:
    assert fed(CsvMasker(DETECTORS), b"user,password\nada,hunter2\n")[0] == b"user,password\nada,*******\n"
