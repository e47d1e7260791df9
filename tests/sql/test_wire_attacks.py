"""More ways over the wire to a masked value, or past the policy: odd shapes of answers, parameters and messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import AltColumn, AltMetadata, Column, write_columns
from connectors.sql.tds.packet import PacketType, Status, packetize
from connectors.sql.tds.request import Parameter, ProcId, RpcCall, RpcRequest, SqlBatch, encode_request
from connectors.sql.tds.rpc import Separator
from connectors.sql.tds.tokens import Done, DoneStatus, Order, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokenstream import write_nbcrow, write_row
from connectors.sql.tds.tvp import TableColumn, TableType, TableValue
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from connectors.sql.tds.values import Variant, encode_value
from hoopcli.errors import HoopError
from hoopcli.model.decision import Mask, Method
from hoopcli.sansio.commands import CancelAuthorize, Command
from hoopcli.sansio.events import DataReceived, Peer
from tests.sql.dialogue import (
    ATTENTION,
    CUSTOMERS,
    KEEP_LAST,
    SSN,
    Dialogue,
    done_proc,
    execute,
    handle_out,
    prepare,
    result,
    statements_of,
    wire,
)
from tests.support.playbook import only, sent
from tests.support.tds import NVARCHAR

READ = "SELECT id, ssn, city FROM dbo.customers"
T = TypeId
VARCHAR = TypeInfo(T.BIGVARCHAR, 40, collation=LATIN1)
LONG = TypeInfo(T.NVARCHAR, MAX, collation=LATIN1)
VARIANT = TypeInfo(T.SSVARIANT, 8009)
IMAGE = TypeInfo(T.IMAGE, 1 << 30)
TEXT = TypeInfo(T.TEXT, 1 << 30, collation=LATIN1)
BINARY = TypeInfo(T.BIGVARBINARY, 40)
LONG_BINARY = TypeInfo(T.BIGVARBINARY, MAX)
COLUMN = replace(KEEP_LAST, method=Method("redact"))
#: As on_unresolved asks for, without which no statement may put a masked value out.
EVERYTHING = Mask("unresolved", fields=("*",))
RAW = SSN.encode()
MORE = Done(DoneStatus.MORE).encode()
ROW = (1, SSN, "Oslo")


def typed(info: TypeInfo) -> list[Column]:
    table = ("dbo", "customers") if info in (IMAGE, TEXT) else ()
    return [CUSTOMERS[0], Column("ssn", info, table=table), CUSTOMERS[2]]


def output(info: TypeInfo, value: object, name: str = "@out") -> bytes:
    return ReturnValue(0, name, info).encode() + encode_value(info, value)  # type: ignore[arg-type]


def cell(info: TypeInfo, value: object) -> bytes:
    return result(typed(info), (1, value, "Oslo"))  # type: ignore[arg-type]


def total() -> bytes:
    metadata = AltMetadata(7, (), (AltColumn(0x52, 2, Column("", NVARCHAR)),))
    row = b"\xd3\x07\x00" + encode_value(NVARCHAR, SSN)
    return write_columns(CUSTOMERS) + metadata.encode() + row + Done().encode()


def said(text: str, token: TokenType = TokenType.ERROR, procedure: str = "") -> bytes:
    return ServerMessage(245, text, procedure=procedure, server=SSN, token=token).encode() + Done(2).encode()


SHAPES = {
    "an output value": output(NVARCHAR, SSN) + Done().encode(),
    "an output value named like another column": output(NVARCHAR, SSN, "@city") + Done().encode(),
    "an output value without a name": output(VARCHAR, SSN, "") + Done().encode(),
    "a long output value": output(LONG, SSN) + Done().encode(),
    "a variant as output value": output(VARIANT, Variant(VARCHAR, SSN)) + Done().encode(),
    "bytes as output value": output(BINARY, RAW) + Done().encode(),
    "an output value after the result": result(CUSTOMERS, ROW)[:-13] + MORE + output(NVARCHAR, SSN) + Done().encode(),
    "a variant of text": cell(VARIANT, Variant(NVARCHAR, SSN)),
    "a variant of 8-bit text": cell(VARIANT, Variant(VARCHAR, SSN)),
    "a variant of bytes": cell(VARIANT, Variant(BINARY, RAW)),
    "a long text": cell(LONG, SSN),
    "an old text": cell(TEXT, SSN),
    "an image": cell(IMAGE, RAW),
    "bytes": cell(BINARY, RAW),
    "long bytes": cell(LONG_BINARY, RAW),
    "a compressed row": write_columns(CUSTOMERS) + write_nbcrow(CUSTOMERS, (None, SSN, None)) + Done().encode(),
    "a compressed row with all bits of its bitmap": write_columns(CUSTOMERS)
    + b"\xd2\xfd"
    + encode_value(NVARCHAR, SSN)
    + Done().encode(),
    "a total": total(),
    "a second result": result(CUSTOMERS, (1, None, "Oslo"))[:-13] + MORE + result(CUSTOMERS, ROW),
    "a second result of one column": result(CUSTOMERS, ROW)[:-13] + MORE + result([Column("id", NVARCHAR)], (SSN,)),
    "rows after their end": result(CUSTOMERS, (1, None, "Oslo"))[:-13] + MORE + write_row(CUSTOMERS, ROW),
    "rows of columns that are said to be known": result(CUSTOMERS)[:-13] + MORE + write_columns(None)
    + write_row(CUSTOMERS, ROW) + Done().encode(),
    "more columns than were asked for": result([*CUSTOMERS, Column("x", NVARCHAR)], (*ROW, SSN)),
    "fewer columns": result([Column("id", NVARCHAR)], (SSN,)),
    "an error": said(f"Conversion failed for '{SSN}'"),
    "an error of a procedure of that name": said("x", procedure=SSN),
    "an information": said(SSN, TokenType.INFO),
    "an order and then a row": write_columns(CUSTOMERS) + Order((2,)).encode() + write_row(CUSTOMERS, ROW)
    + Done().encode(),
}  # fmt: skip


@pytest.mark.parametrize("cut", [1 << 20, 7])
@pytest.mark.parametrize("answer", SHAPES.values(), ids=SHAPES.keys())
def test_a_masked_value_leaves_in_no_shape(answer: bytes, cut: int) -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch(READ))
    dialogue.permit(
        EVERYTHING if answer[0] == TokenType.RETURNVALUE or "@out".encode("utf-16-le") in answer else COLUMN
    )
    heard: list[Command] = []
    data = b"".join(packetize(PacketType.TABULAR_RESULT, [answer]))
    try:
        for at in range(0, len(data), cut):
            heard += dialogue.play.hear(DataReceived(Peer.UPSTREAM, data[at : at + cut]))
    except HoopError:
        heard = dialogue.play.log  # it ended there: what was sent before counts
    delivered = sent(heard, Peer.CLIENT)
    for form in (RAW, SSN.encode("utf-16-le"), RAW[:7], SSN[:7].encode("utf-16-le"), SSN[4:].encode("utf-16-le")):
        assert form not in delivered


FORM = "[redacted]"
CELLS = (TableColumn("ssn", NVARCHAR),)


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter(NVARCHAR, FORM, "@p"),
        Parameter(VARCHAR, "*******6789", "@p"),
        Parameter(VARIANT, Variant(NVARCHAR, FORM), "@p"),
        Parameter(VARIANT, Variant(VARCHAR, FORM), "@p"),
        Parameter(BINARY, FORM.encode(), "@p"),
        Parameter(BINARY, FORM.encode("utf-16-le"), "@p"),
        Parameter(TableType(name="t"), TableValue(CELLS, (("x",), (FORM,))), "@p"),
        Parameter(TableType(name="t"), TableValue((TableColumn("v", VARIANT),), ((Variant(VARCHAR, FORM),),)), "@p"),
    ],
    ids=[
        "a text",
        "8 bits",
        "a variant",
        "a variant of 8 bits",
        "bytes",
        "wide bytes",
        "a table",
        "a table of variants",
    ],
)
def test_a_masked_form_is_not_written_back_in_any_type(parameter: Parameter) -> None:
    text = Parameter(NVARCHAR, "UPDATE dbo.customers SET ssn = @p WHERE id = 1")
    request = RpcRequest(
        (RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(text, Parameter(NVARCHAR, ""), parameter)),)
    )
    facts = statements_of(Dialogue().ask(request))[0].facts
    assert facts["written_back"] == ["shop.dbo.customers.ssn"]


def reading(text: str) -> RpcCall:
    return RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(Parameter(NVARCHAR, text),), separator=Separator.BATCH)


def test_of_several_calls_nobody_can_say_whose_a_result_is() -> None:
    request = RpcRequest((reading("SELECT city FROM dbo.customers"), reading(READ)))
    [statement] = statements_of(Dialogue().ask(request))
    assert statement.facts["unresolved"] is True


def test_several_calls_compare_more_than_once() -> None:
    look = reading("SELECT id FROM dbo.customers WHERE ssn = '1'")
    [statement] = statements_of(Dialogue().ask(RpcRequest((look, look))))
    assert "shop.dbo.customers.ssn" in list(statement.facts["predicates"])  # type: ignore[arg-type]


def test_a_handle_does_not_outlive_a_reset() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(handle_out(5) + done_proc())
    [statement] = statements_of(dialogue.ask(execute(5), Status.RESET_CONNECTION))
    assert statement.actions[0].verb == "sql:unclassified"


@pytest.mark.parametrize("value", [True, 5.0, "5", None, b"\x05"])
def test_a_handle_is_an_integer(value: object) -> None:
    info = {bool: TypeInfo(T.BITN, 1), float: TypeInfo(T.FLTN, 8), bytes: BINARY}.get(type(value), NVARCHAR)
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(handle_out(5) + done_proc())
    call = RpcCall(proc_id=ProcId.SP_EXECUTE, parameters=(Parameter(info, value),))  # type: ignore[arg-type]
    [statement] = statements_of(dialogue.ask(RpcRequest((call,))))
    assert statement.actions[0].verb == "sql:unclassified"


def test_a_cancel_in_pieces_withdraws_what_waits() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch(READ))
    dialogue.client(ATTENTION[:3])
    assert only(dialogue.client(ATTENTION[3:]), CancelAuthorize)


def test_a_request_behind_a_cancel_is_not_run_while_it_waits() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch(READ))
    with pytest.raises(HoopError):
        dialogue.client(ATTENTION + wire(SqlBatch("SELECT 1")))
    assert sent(dialogue.play.log, Peer.UPSTREAM) == b""


def test_a_database_that_an_answer_names_is_where_the_next_request_reads() -> None:
    dialogue = Dialogue()
    dialogue.run("USE hr", EnvChange(EnvType.DATABASE, "hr", "shop").encode() + Done().encode())
    [statement] = statements_of(dialogue.ask(SqlBatch("SELECT id FROM dbo.people")))
    assert statement.actions[0].resources == ("hr.dbo.people",)


def test_a_reset_goes_back_to_the_first_database() -> None:
    dialogue = Dialogue()
    dialogue.run("USE hr", EnvChange(EnvType.DATABASE, "hr", "shop").encode() + Done().encode())
    [statement] = statements_of(dialogue.ask(SqlBatch("SELECT id FROM dbo.people"), Status.RESET_CONNECTION_SKIP_TRAN))
    assert statement.actions[0].resources == ("shop.dbo.people",)


def test_a_request_of_packets_that_change_their_mind_is_refused() -> None:
    kind, payload = encode_request(SqlBatch(READ))
    first = bytes((kind, 0)) + (8 + 40).to_bytes(2, "big") + bytes(4) + payload[:40]
    second = bytes((PacketType.RPC, 1)) + (8 + len(payload) - 40).to_bytes(2, "big") + bytes(4) + payload[40:]
    dialogue = Dialogue()
    with pytest.raises(HoopError):
        dialogue.client(first + second)
