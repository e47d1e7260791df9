from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds.cells import CHUNK_END, PLP_UNKNOWN_LENGTH
from connectors.sql.tds.collation import LATIN1, UTF8, Collation
from connectors.sql.tds.colmetadata import AltColumn, AltMetadata, Column, ColumnFlag, write_columns
from connectors.sql.tds.response import CUT_OFF, BlockedError, ResponseFilter
from connectors.sql.tds.rowscan import WHOLE
from connectors.sql.tds.tokens import (
    Done,
    DoneStatus,
    Offset,
    Order,
    ReturnStatus,
    ReturnValue,
    ServerMessage,
    TokenType,
)
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import LoginAck, SessionState
from connectors.sql.tds.tokenstream import ColMetadata, OutputValue, Row, read_tokens, write_nbcrow, write_row
from connectors.sql.tds.types import MAX, Layout, TypeId, TypeInfo, UdtInfo
from connectors.sql.tds.values import Variant, encode_value
from hoopcli.errors import ProtocolError
from tests.sql.tds.masks_support import FakePlan, Stars
from tests.sql.tds.value_support import typed_values

T = TypeId
SECRET = "SECRET4711"
ID = Column("id", TypeInfo(T.INT4, 4), flags=0)
NAME = Column("name", TypeInfo(T.NVARCHAR, 40, collation=LATIN1))
SUM = Column("sum", TypeInfo(T.DECIMALN, 9, 18, 2))
COLUMNS = (ID, NAME, SUM)
ROWS = [(i, f"name {i}" if i % 3 else None, Decimal(i)) for i in range(30)]
MASKED = FakePlan({"name": Stars("n", 1), "id": Stars("i")})


def run(response, plan, cuts=(), **options):
    """Feed a response cut at these places; return the filter and all that it delivered."""
    found, out = ResponseFilter(plan=plan, **options), []
    for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(response)), len(response)]):
        out += [bytes(piece) for piece in found.feed(response[start:end])]
    found.finish()
    return found, b"".join(out)


def result(columns, rows, encode=write_row, status=DoneStatus.COUNT):
    done = Done(status, 0xC1, len(rows))
    return write_columns(columns) + b"".join(encode(columns, row) for row in rows) + done.encode()


def values_of(payload):
    return [token.values for token in read_tokens(payload) if isinstance(token, Row)]


def state_of(found):
    return found.rows, found.dropped, found.masked, found.errors, found.done, found.handles, found.database


# --- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [write_row, write_nbcrow])
@pytest.mark.parametrize("detects", [False, True])
def test_rows_without_masks_pass_unchanged(encode, detects):
    response = result(COLUMNS, ROWS, encode)
    found, out = run(response, FakePlan(detects=detects))
    assert out == response
    assert (found.rows, found.masked, found.done.rows) == (30, {}, 30)


@pytest.mark.parametrize("encode", [write_row, write_nbcrow])
def test_masked_columns(encode):
    found, out = run(result(COLUMNS, ROWS, encode), MASKED)
    assert values_of(out) == [(None, name and "***" + name[-1], total) for _, name, total in ROWS]
    assert found.masked == {"n": 20, "i": 30}
    (metadata,) = (token for token in read_tokens(out) if isinstance(token, ColMetadata))
    assert metadata.columns == (Column("id", TypeInfo(T.INTN, 4), ColumnFlag.NULLABLE), NAME, SUM)


@pytest.mark.parametrize("encode", [write_row, write_nbcrow])
@pytest.mark.parametrize("detects", [False, True])
@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 1200), max_size=8))
def test_any_cut_delivers_the_same(encode, detects, cuts):
    rows = [(i, SECRET if i == 20 else name, total) for i, name, total in ROWS]
    response = result(COLUMNS, rows, encode) + result((NAME,), [(SECRET,)])
    plan = FakePlan({"id": Stars("i")}, detects=detects)
    (whole, expected), (parts, out) = run(response, plan), run(response, plan, cuts)
    assert out == expected
    assert state_of(parts) == state_of(whole)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(typed_values(), min_size=1, max_size=6),
    masked=st.sets(st.integers(0, 5)),
    detects=st.booleans(),
    count=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 6000), max_size=4),
    limit=st.sampled_from((None, 0, 3, 9)),
)
def test_every_type_at_any_cut(pairs, masked, detects, count, cuts, limit):
    columns = tuple(Column(f"c{i}", info) for i, (info, _) in enumerate(pairs))
    row = tuple(value for _, value in pairs)
    plan = FakePlan({f"c{i}": Stars("m") for i in masked}, detects=detects)
    response = result(columns, [row] * count)
    (whole, expected), (parts, out) = run(response, plan, row_limit=limit), run(response, plan, cuts, row_limit=limit)
    assert out == expected
    assert state_of(parts) == state_of(whole)
    delivered = values_of(out)
    assert len(delivered) == whole.rows == count - whole.dropped == min(count, count if limit is None else limit)
    for values in delivered:
        for index, (value, new) in enumerate(zip(row, values, strict=True)):
            if index not in masked:
                assert new == value
            elif not isinstance(value, str | Variant):
                assert new is None


def carriers():
    """Every kind of column that can hold the secret as text, by name."""
    latin, utf8 = LATIN1, UTF8
    yield "varchar", TypeInfo(T.BIGVARCHAR, 40, collation=latin), SECRET
    yield "varchar of exactly its size", TypeInfo(T.BIGVARCHAR, len(SECRET), collation=latin), SECRET
    yield "varchar utf-8", TypeInfo(T.BIGVARCHAR, 40, collation=utf8), SECRET + "é"
    yield "char", TypeInfo(T.BIGCHAR, 20, collation=latin), SECRET
    yield "nvarchar", TypeInfo(T.NVARCHAR, 400, collation=latin), f"x {SECRET} y"
    yield "nchar", TypeInfo(T.NCHAR, 2 * len(SECRET), collation=latin), SECRET
    yield "legacy varchar", TypeInfo(T.VARCHAR, 40), SECRET
    yield "legacy char", TypeInfo(T.CHAR, 40), SECRET
    yield "legacy binary", TypeInfo(T.VARBINARY, 40), SECRET.encode()
    yield "text", TypeInfo(T.TEXT, 99, collation=latin), SECRET
    yield "ntext", TypeInfo(T.NTEXT, 99, collation=latin), SECRET
    yield "image", TypeInfo(T.IMAGE, 99), SECRET.encode()
    yield "varbinary", TypeInfo(T.BIGVARBINARY, 40), SECRET.encode()
    yield "varbinary of utf-16", TypeInfo(T.BIGVARBINARY, 40), SECRET.encode("utf-16-le")
    yield "varbinary of utf-16 at odd places", TypeInfo(T.BIGVARBINARY, 40), b"\x07" + SECRET.encode("utf-16-le")
    yield "binary", TypeInfo(T.BIGBINARY, 40), SECRET.encode()
    yield "varchar(max)", TypeInfo(T.BIGVARCHAR, MAX, collation=latin), SECRET
    yield "nvarchar(max)", TypeInfo(T.NVARCHAR, MAX, collation=latin), SECRET
    yield "varbinary(max)", TypeInfo(T.BIGVARBINARY, MAX), SECRET.encode()
    yield "long varchar(max)", TypeInfo(T.BIGVARCHAR, MAX, collation=latin), "x" * WHOLE + SECRET + "y" * 20_000
    yield "long nvarchar(max)", TypeInfo(T.NVARCHAR, MAX, collation=latin), "x" * WHOLE + SECRET + "y" * 9
    yield "long text", TypeInfo(T.TEXT, 1 << 30, collation=latin), "x" * WHOLE + SECRET
    yield "long ntext", TypeInfo(T.NTEXT, 1 << 30, collation=latin), SECRET + "x" * WHOLE
    yield "xml", TypeInfo(T.XML, MAX), f"<a>{SECRET}</a>"
    yield "json", TypeInfo(T.JSON, MAX), f'{{"a": "{SECRET}"}}'
    yield "variant of text", TypeInfo(T.SSVARIANT, 8009), Variant(TypeInfo(T.BIGVARCHAR, 40, collation=latin), SECRET)
    yield "variant of wide text", TypeInfo(T.SSVARIANT, 8009), Variant(TypeInfo(T.NVARCHAR, 40), SECRET)
    yield "variant of bytes", TypeInfo(T.SSVARIANT, 8009), Variant(TypeInfo(T.BIGVARBINARY, 40), SECRET.encode())


CARRIERS = list(carriers())


def leaks(payload):
    return any(SECRET.encode(codec) in payload for codec in ("ascii", "utf-16-le"))


@pytest.mark.parametrize(("info", "value"), [c[1:] for c in CARRIERS], ids=[c[0] for c in CARRIERS])
@pytest.mark.parametrize("plan", [FakePlan({"c": Stars("m")}), FakePlan(detects=True)], ids=["masked", "detected"])
@pytest.mark.parametrize("encode", [write_row, write_nbcrow])
def test_no_type_carries_a_secret_out(info, value, plan, encode):
    columns = (ID, Column("c", info), NAME)
    response = result(columns, [(1, value, "a"), (2, None, None), *[(3, value, "b")] * 12], encode)
    assert leaks(response)
    found, out = run(response, plan)
    assert not leaks(out)
    assert sum(found.masked.values()) == 13
    rows = values_of(out)
    assert [row[0::2] for row in rows] == [(1, "a"), (2, None), *[(3, "b")] * 12]
    assert rows[1][1] is None
    for cut in (7, 80, len(response) // 2, len(response) - 30):
        assert run(response, plan, [cut])[1] == out


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([c for c in CARRIERS if "long" in c[0]]), st.lists(st.integers(0, 170_000), max_size=6))
def test_long_values_at_any_cut(carrier, cuts):
    _, info, value = carrier
    response = result((Column("c", info),), [(value,)] * 2)
    plan = FakePlan(detects=True)
    found, out = run(response, plan, cuts)
    expected = value.replace(SECRET, "[hidden]")
    if info.layout is Layout.TEXT:
        expected = expected.ljust(len(value))
    assert values_of(out) == [(expected,)] * 2
    assert out == run(response, plan)[1]
    assert found.masked == {"secret": 2}


def test_long_values_stream():
    column = Column("c", TypeInfo(T.NVARCHAR, MAX, collation=LATIN1))
    header = write_columns((column,)) + b"\xd1" + PLP_UNKNOWN_LENGTH.to_bytes(8, "little")
    found = ResponseFilter(plan=FakePlan(detects=True))
    found.feed(header)
    chunk = (60_000).to_bytes(4, "little") + b"x\x00" * 30_000
    sizes = [sum(map(len, found.feed(chunk))) for _ in range(20)]
    assert sizes[0] == 0  # it could yet be whole
    assert min(sizes[2:]) > 50_000
    assert not found.between_tokens
    found.feed(CHUNK_END + Done().encode())
    found.finish()
    assert found.between_tokens


def test_long_values_without_masks_pass_as_they_came():
    info = TypeInfo(T.UDT, 892, udt=UdtInfo("d", "sys", "geometry"))
    column = Column("c", info)
    cell = b"\xfe" + b"\xff" * 7 + b"".join(n.to_bytes(4, "little") + b"x" * n for n in (1, 70_000, 3)) + CHUNK_END
    response = write_columns((column,)) + (b"\xd1" + cell) * 10 + Done().encode()
    for cuts in ((), (30, 40, 60_000), range(0, 700_000, 5_000)):
        assert run(response, FakePlan(detects=True), cuts)[1] == response


def test_a_long_value_masked_by_its_column_becomes_null():
    for info in (TypeInfo(T.NVARCHAR, MAX, collation=LATIN1), TypeInfo(T.NTEXT, 1 << 30, collation=LATIN1)):
        response = result((Column("c", info), ID), [("x" * WHOLE, 7)])
        found, out = run(response, FakePlan({"c": Stars("m")}), range(0, 120_000, 999))
        assert values_of(out) == [(None, 7)]
        assert found.masked == {"m": 1}


@pytest.mark.parametrize("form", [None, "much too long for its column", "\u2588\u2588"])
def test_a_form_that_does_not_fit_is_null(form):
    column = Column("c", TypeInfo(T.BIGVARCHAR, 6, collation=LATIN1))
    _, out = run(result((column,), [("abc",)] * 10), FakePlan({"c": Stars("m", form=form)}))
    assert values_of(out) == [("??" if form and len(form) == 2 else None,)] * 10


def test_what_a_detector_makes_longer_is_cut_in_whole_characters():
    class Longer(FakePlan):
        def text(self, value):
            return "é" * 20, {"secret": 1}

    column = Column("c", TypeInfo(T.BIGVARCHAR, 11, collation=UTF8))
    _, out = run(result((column,), [(SECRET,)] * 10), Longer(detects=True))
    assert values_of(out) == [("é" * 5,)] * 10


def test_a_padded_value_is_masked_without_its_blanks():
    column = Column("c", TypeInfo(T.NCHAR, 20, collation=LATIN1))
    found, out = run(result((column,), [("abcdef",), ("",), (None,)] * 4), FakePlan({"c": Stars("m", 4)}))
    assert values_of(out) == [("***cdef   ",), (" " * 10,), (None,)] * 4
    assert found.masked == {"m": 4}


def test_a_suspicion_that_proves_wrong_changes_nothing():
    rows = [(i, "SECRETARY", Decimal(i)) for i in range(40)]
    response = result(COLUMNS, rows)
    found, out = run(response, FakePlan(detects=True))
    assert out == response
    assert found.masked == {}


def test_bytes_under_suspicion_only_stay():
    binary = TypeInfo(T.BIGVARBINARY, 40)
    variants = [Variant(binary, b"SECRET"), Variant(NAME.type, "SECRET"), Variant(ID.type, 7)]
    columns = (Column("b", binary), Column("v", TypeInfo(T.SSVARIANT, 8009)), ID)
    rows = [(b"SECRETARY", variant, 1) for variant in variants] * 5
    found, out = run(result(columns, rows), FakePlan(detects=True))
    assert values_of(out) == rows
    assert found.masked == {}


def test_suspicion_is_not_asked_where_it_does_not_hold():
    class Unsuspecting(FakePlan):
        def suspect(self, data):
            return False

    japanese = TypeInfo(T.BIGVARCHAR, 40, collation=Collation(b"\x11\x04\xd0\x00\x00"))
    variant = TypeInfo(T.SSVARIANT, 8009)
    columns = (Column("c", japanese), Column("v", variant), NAME)
    rows = [(SECRET, Variant(japanese, SECRET), "x")] * 20
    found, out = run(result(columns, rows), Unsuspecting(detects=True))
    assert not leaks(out)
    assert found.masked == {"secret": 40}


@pytest.mark.parametrize("cut", [None, 16_384])
def test_a_column_cools_down_and_heats_up_again(cut):
    rows = [(i, SECRET if i // 300 in (1, 3) else f"name {i}", Decimal(i)) for i in range(1500)]
    response = result(COLUMNS, rows)
    found, out = run(response, FakePlan(detects=True), range(0, len(response), cut) if cut else ())
    assert values_of(out) == [(i, name.replace(SECRET, "[hidden]"), total) for i, name, total in rows]
    assert found.masked == {"secret": 600}


def test_detectors_find_what_turns_up_late():
    rows = [(i, SECRET if i == 900 else f"name {i}", Decimal(i)) for i in range(1000)]
    response = result(COLUMNS, rows)
    found, out = run(response, FakePlan({"id": Stars("i")}, detects=True), range(0, len(response), 4096))
    assert not leaks(out)
    assert found.masked == {"secret": 1, "i": 1000}


def test_names_of_columns_are_looked_at_too():
    column = Column(f"total of {SECRET}", ID.type)
    found, out = run(result((column,), [(1,)]), FakePlan(detects=True))
    (metadata,) = (token for token in read_tokens(out) if isinstance(token, ColMetadata))
    assert metadata.columns[0].name == "total of [hidden]"
    assert found.masked == {"secret": 1}


def test_views_of_memory_are_taken_too():
    response = result(COLUMNS, ROWS)
    found = ResponseFilter(plan=FakePlan())
    halves = memoryview(response)[:99], memoryview(response)[99:]
    assert b"".join(piece for half in halves for piece in found.feed(half)) == response


def test_very_wide_results():
    columns = tuple(Column(f"column {i}", TypeInfo(T.INTN, 4)) for i in range(4096))
    rows = [tuple(range(4096))] * 12
    response = result(columns, rows)
    plan = FakePlan({"column 4095": Stars("m")})
    found, out = run(response, plan, range(0, len(response), 7000))
    assert values_of(out) == [(*range(4095), None)] * 12
    assert found.masked == {"m": 12}


def test_columns_of_only_null():
    columns = (ID, Column("c", TypeInfo(T.NULL)))
    response = result(columns, [(1, None)] * 20)
    for cut in range(len(response)):
        assert run(response, FakePlan({"c": Stars("m")}, detects=True), [cut])[1] == response


# --- limits and counts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 3, 10, 29])
def test_row_limit(limit):
    response = result(COLUMNS, ROWS) + result((NAME,), [("x",)] * 9)
    found, out = run(response, MASKED, row_limit=limit)
    tokens = list(read_tokens(out))
    assert len(values_of(out)) == found.rows == limit
    assert found.dropped == 39 - limit
    assert [token.rows for token in tokens if isinstance(token, Done)] == [limit, 0]
    (said,) = (token for token in tokens if isinstance(token, ServerMessage))
    assert (said.number, said.severity, said.token) == (CUT_OFF, 10, TokenType.INFO)
    assert found.masked.get("i", 0) == limit
    for cuts in (range(0, len(response), 50), [len(response) - 1]):
        assert run(response, MASKED, cuts, row_limit=limit)[1] == out


def test_a_limit_that_is_not_reached_says_nothing():
    response = result(COLUMNS, ROWS)
    assert run(response, FakePlan(), row_limit=30)[1] == response


def test_a_count_of_something_else_stays():
    response = write_columns((NAME,)) + write_row((NAME,), ("x",)) * 5 + Done(DoneStatus.COUNT, 0xC3, 77).encode()
    found, _ = run(response, FakePlan(), row_limit=2)
    assert found.done.rows == 77


def test_counts_can_be_hidden():
    found, _ = run(result(COLUMNS, ROWS), FakePlan(), hide_counts=True)
    assert (found.done.rows, found.done.status & DoneStatus.COUNT) == (0, 0)


# --- other tokens -------------------------------------------------------------------------------------------------


def test_messages_are_masked_and_do_not_name_the_upstream():
    """Nor, once anything in it is masked, the procedure: a name is text that nobody read."""
    error = ServerMessage(245, f"Conversion failed for {SECRET}", server="db7.example.org", procedure="p", line=3)
    info = ServerMessage(0, f"printed {SECRET}", 0, server="db7.example.org", token=TokenType.INFO)
    found, out = run(error.encode() + info.encode() + Done(DoneStatus.ERROR).encode(), FakePlan())
    said = [token for token in read_tokens(out) if isinstance(token, ServerMessage)]
    assert [(m.text, m.server, m.procedure, m.line) for m in said] == [
        ("Conversion failed for [hidden]", "hoop", "", 3),
        ("printed [hidden]", "hoop", "", 1),
    ]
    assert found.errors == ["Conversion failed for [hidden]"]
    assert found.masked == {"secret": 2}


def test_error_texts_are_kept_up_to_a_number():
    found, _ = run(ServerMessage(1, "x").encode() * 100, FakePlan())
    assert len(found.errors) == 32


def test_a_masked_message_is_cut_to_what_its_token_holds():
    class Longer(FakePlan):
        def message(self, text):
            return text * 40, {}

    found, _ = run(ServerMessage(1, "x" * 1000).encode(), Longer())
    assert len(found.errors[0]) == 16_000


def test_harmless_tokens_pass():
    response = b"".join(t.encode() for t in (Order((1,)), Offset(1, 2), ReturnStatus(0), Done(DoneStatus.ATTENTION)))
    found, out = run(response, FakePlan())
    assert out == response
    assert found.attention_acknowledged


def test_environment():
    changes = [
        EnvChange(EnvType.DATABASE, "shop", "master"),
        EnvChange(EnvType.PACKET_SIZE, "4096", "32768"),
        EnvChange(EnvType.MIRRORING_PARTNER, "db8.example.org", ""),
        EnvChange(EnvType.BEGIN_TRANSACTION, b"12345678", b""),
    ]
    found, out = run(b"".join(change.encode() for change in changes), FakePlan())
    assert list(read_tokens(out)) == [changes[0], changes[3]]
    assert found.database == "shop"
    assert run(Done().encode(), FakePlan())[0].database == ""


def output(name, info, value):
    return ReturnValue(1, name, info).encode() + encode_value(info, value)


@pytest.mark.parametrize(("info", "value"), [c[1:] for c in CARRIERS], ids=[c[0] for c in CARRIERS])
@pytest.mark.parametrize("plan", [FakePlan({"@c": Stars("m")}), FakePlan(detects=True)], ids=["masked", "detected"])
def test_output_values_are_masked(info, value, plan):
    response = output("@c", info, value) + Done().encode()
    found, out = run(response, plan)
    assert not leaks(out)
    assert sum(found.masked.values()) == 1
    assert isinstance(next(read_tokens(out)), OutputValue)
    assert run(response, plan, range(0, len(response), 1 + len(response) // 50))[1] == out


def test_handles_are_the_unmasked_integers_in_their_places():
    response = (
        output("@h", TypeInfo(T.INTN, 4), 7) + output("@s", NAME.type, "x") + output("@n", TypeInfo(T.INTN, 4), None)
    )
    response += output("@i", TypeInfo(T.INT4, 4), -8) + output("@m", TypeInfo(T.INT4, 4), 9)
    found, out = run(response, FakePlan({"@m": Stars("m")}))
    assert found.handles == [7, None, None, -8, None]
    assert [token.value for token in read_tokens(out)] == [7, "x", None, -8, None]
    for cut in range(len(response)):
        assert run(response, FakePlan({"@m": Stars("m")}), [cut])[1] == out


def test_totals_are_masked_as_their_columns():
    totals = AltMetadata(5, (), (AltColumn(0x51, 2, Column("", NAME.type)), AltColumn(0x4D, 3, Column("", SUM.type))))
    row = b"\xd3\x05\x00" + encode_value(NAME.type, SECRET) + encode_value(SUM.type, Decimal(5))
    response = write_columns(COLUMNS) + totals.encode() + write_row(COLUMNS, ROWS[1]) + row + Done().encode()
    found, out = run(response, FakePlan({"name": Stars("n")}))
    assert values_of(out)[-1] == ("***", Decimal(5))
    assert found.rows == 2
    for cut in range(len(response)):
        assert run(response, FakePlan({"name": Stars("n")}), [cut])[1] == out


# --- what ends it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"\x00", "no response has: 0x00"),
        (LoginAck("x", (1, 2, 3, 4)).encode(), "no response has"),
        (SessionState(1, 1, ()).encode(), "no response has"),
        (b"\xa3\x00\x00", "no response has"),
        (EnvChange(EnvType.ROUTING, Routing("db9.example.org", 1433)).encode(), "elsewhere"),
        (write_row((NAME,), ("x",)), "without metadata"),
        (b"\xd3\x01\x00", "without metadata"),
        (result((NAME,), []) + write_row((NAME,), ("x",)), "without metadata"),
        (write_columns(None) + write_row((NAME,), ("x",)), "without metadata"),
        (AltMetadata(1, (), (AltColumn(0x4D, 1, ID),)).encode(), "does not exist"),
    ],
)
def test_refused(payload, why):
    for cut in range(len(payload)):
        with pytest.raises(ProtocolError, match=why):
            run(payload, FakePlan(), [cut])


def test_what_came_before_is_delivered_and_the_error_raised_after():
    found = ResponseFilter(plan=FakePlan())
    sound = result(COLUMNS, ROWS)
    assert b"".join(found.feed(sound + b"\x00")) == sound
    assert (found.rows, found.between_tokens) == (30, True)
    with pytest.raises(ProtocolError, match="0x00"):
        found.feed(Done().encode())
    with pytest.raises(ProtocolError, match="0x00"):
        found.finish()


def test_the_end_inside_a_token():
    for payload in (Done().encode()[:-1], result((NAME,), [("x",)])[:-14]):
        with pytest.raises(ProtocolError, match="ends inside a token"):
            run(payload, FakePlan())


def test_a_blocked_result_delivers_nothing():
    class Blocking(FakePlan):
        def columns(self, columns, labels=()):
            raise BlockedError("not what was decided")

    found = ResponseFilter(plan=Blocking())
    with pytest.raises(BlockedError):
        found.feed(result(COLUMNS, ROWS))
    assert (found.rows, found.between_tokens) == (0, True)


def test_metadata_has_a_limit():
    columns = tuple(Column("x" * 100, TypeInfo(T.INTN, 4)) for _ in range(100))
    found = ResponseFilter(plan=FakePlan(), max_token=4096)
    with pytest.raises(ProtocolError, match="more than 4096 bytes"):
        found.feed(write_columns(columns)[:5000])


def test_a_wrong_length_among_many_rows():
    columns = (Column("a", TypeInfo(T.INTN, 4)),)
    response = write_columns(columns) + b"\xd1\x04abcd" * 40 + b"\xd1\x03abc" + b"\xd1\x04abcd" * 5000
    found = ResponseFilter(plan=FakePlan())
    out = b"".join(found.feed(response))
    assert out == write_columns(columns) + b"\xd1\x04abcd" * 40 + b"\xd1"
    assert not found.between_tokens
    with pytest.raises(ProtocolError, match="3 bytes in int"):
        found.finish()


@pytest.mark.parametrize(
    "cell",
    [
        (100_000).to_bytes(8, "little") + (100_001).to_bytes(4, "little") + b"x" * 100_001 + CHUNK_END,
        (100_000).to_bytes(8, "little") + (99_999).to_bytes(4, "little") + b"x" * 99_999 + CHUNK_END,
        (5).to_bytes(8, "little") + (4).to_bytes(4, "little") + b"xxxx" + CHUNK_END,
    ],
)
@pytest.mark.parametrize("plan", [FakePlan(), FakePlan(detects=True), FakePlan({"c": Stars()})])
def test_chunks_that_do_not_add_up(cell, plan):
    columns = (Column("c", TypeInfo(T.NVARCHAR, MAX, collation=LATIN1)),)
    with pytest.raises(ProtocolError, match="declared with"):
        run(write_columns(columns) + b"\xd1" + cell + Done().encode(), plan)


def test_a_long_text_of_half_a_character():
    columns = (Column("c", TypeInfo(T.NTEXT, 1 << 30, collation=LATIN1)),)
    cell = b"\x01p" + b"t" * 8 + (100_001).to_bytes(4, "little") + b"x" * 100_001
    with pytest.raises(ProtocolError, match="not utf-16-le"):
        run(write_columns(columns) + b"\xd1" + cell + Done().encode(), FakePlan(detects=True))


@settings(max_examples=100)
@given(st.data())
def test_noise_raises_one_error(data):
    rows = [(SECRET, 1), ("a", 2)] * 8
    columns = (Column("c", TypeInfo(T.NVARCHAR, MAX, collation=LATIN1)), ID)
    noisy = bytearray(result(columns, rows) + output("@h", NAME.type, "x"))
    for _ in range(data.draw(st.integers(1, 3))):
        noisy[data.draw(st.integers(0, len(noisy) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, out = run(bytes(noisy), FakePlan({"id": Stars()}, detects=True))
    except ProtocolError:
        return
    assert list(read_tokens(out))
