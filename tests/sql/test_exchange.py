"""The loop after the login as a dialogue: what the client says, what is asked, what goes where."""

from __future__ import annotations

import hashlib

import pytest

from connectors.sql.exchange import DENIED
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.packet import MessageReader, PacketType, Status, packetize
from connectors.sql.tds.request import (
    BulkLoad,
    RpcCall,
    RpcRequest,
    SqlBatch,
    encode_request,
)
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokenstream import OutputValue, write_row
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from connectors.sql.tds.values import encode_value
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.model.decision import Limit
from hoopcli.model.outcome import Status as Ending
from hoopcli.sansio.commands import Authorize, Record
from hoopcli.sansio.events import DataReceived, Peer
from tests.sql.dialogue import (
    CUSTOMERS,
    KEEP_LAST,
    SHAPES,
    SSN,
    Dialogue,
    delivered,
    done_proc,
    error_in,
    execute,
    handle_out,
    prepare,
    result,
    statements_of,
    tokens_of,
)
from tests.support.playbook import only, sent
from tests.support.tds import INT, NVARCHAR


def test_nothing_goes_upstream_before_the_permit_and_then_the_very_bytes() -> None:
    dialogue = Dialogue()
    request = SqlBatch("SELECT id FROM orders")
    kind, payload = encode_request(request)
    asked = dialogue.ask(request)
    assert [type(c) for c in asked] == [Authorize]
    assert only(asked, Authorize)[0].statement.request == payload
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    [message] = list(MessageReader().feed(forwarded))
    assert (message.type, message.payload) == (kind, payload)


@pytest.mark.parametrize("cut", [1 << 20, 1, 13])
def test_a_result_is_delivered_masked_and_described_exactly(cut: int) -> None:
    got = Dialogue().run(
        "SELECT id, ssn, city FROM customers", result(CUSTOMERS, (1, SSN, "Oslo"), (2, None, "Lima")),
        masks=[KEEP_LAST], cut=cut,
    )  # fmt: skip
    assert got.rows[0][1] != SSN
    assert str(got.rows[0][1]).endswith("1120")
    assert got.rows[1] == (2, None, "Lima")
    outcome = got.outcome
    assert (outcome.status, outcome.rows, dict(outcome.masked)) == (Ending.COMPLETED, 2, {"ssn": 1})
    assert (outcome.size, outcome.digest) == (len(got.payload), hashlib.sha256(got.payload).hexdigest())
    assert (outcome.kept, outcome.kept_all) == (got.payload, True)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SELECT id, ssn, '' FROM customers", "*******1120"),
        ("SELECT id, c.ssn AS q, '' FROM customers c JOIN orders o ON o.id = c.id", "*******1120"),
        ("SELECT * FROM customers", "*******1120"),
        ("SELECT id, ssn, '' FROM customers UNION SELECT id, ssn, '' FROM old.dbo.customers", "*******1120"),
        ("SELECT id, REVERSE(ssn), '' FROM customers", "[redacted]"),
        ("SELECT id, SUBSTRING(ssn, 1, 8), '' FROM customers", "[redacted]"),
        ("SELECT id, x.ssn, '' FROM (SELECT id, REVERSE(ssn) AS ssn FROM customers) x", "[redacted]"),
        ("WITH x AS (SELECT id, LEFT(ssn, 9) AS s FROM customers) SELECT id, s, '' FROM x", "[redacted]"),
        ("SELECT id, ssn, '' FROM customers UNION SELECT id, REVERSE(ssn), '' FROM customers", "[redacted]"),
        ("SELECT x.* FROM (SELECT id, REVERSE(ssn) AS ssn, '' AS c FROM customers) x", "[redacted]"),
    ],
)
def test_a_part_is_kept_of_a_plain_column_only(text: str, kept: str) -> None:
    got = Dialogue().run(text, result(CUSTOMERS, (1, SSN, "")), masks=[KEEP_LAST])
    assert got.rows[0][1] == kept


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, ssn AS city, city AS ssn FROM customers",
        "SELECT id, x.s, 'a' FROM (SELECT id, ssn s FROM customers) x",
        "WITH c AS (SELECT ssn AS q, id FROM customers) SELECT id, q + '', 'x' FROM c",
        "SELECT id, REVERSE(c.ssn), 'x' FROM shop.dbo.customers AS c",
        "SELECT id, CASE WHEN 1 = 1 THEN ssn END, '' FROM customers",
        "SELECT 1, name, '' FROM employees UNION ALL SELECT 2, ssn, '' FROM customers",
        "SELECT * FROM customers",
        "SELECT c.* FROM customers c JOIN orders o ON o.id = c.id",
    ],
)
def test_a_masked_column_is_masked_however_it_is_spelled(text: str) -> None:
    columns = [Column("id", INT), Column("ssn" if "*" in text else "whatever", NVARCHAR), Column("city", NVARCHAR)]
    got = Dialogue().run(text, result(columns, (1, SSN, "Oslo")), masks=[KEEP_LAST])
    assert SSN.encode("utf-16-le") not in got.payload
    assert got.rows[0][2] == "Oslo"
    assert dict(got.outcome.masked) == {"ssn": 1}


def test_a_result_that_is_not_what_the_statement_said_is_blocked() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id, city FROM customers"))
    dialogue.permit(KEEP_LAST)
    wire = b"".join(packetize(PacketType.TABULAR_RESULT, [result(CUSTOMERS, (1, SSN, "Oslo"))]))
    with pytest.raises(HoopError, match="3 columns"):
        dialogue.play.hear(DataReceived(Peer.UPSTREAM, wire))
    assert SSN.encode("utf-16-le") not in sent(dialogue.play.log, Peer.CLIENT)
    assert only(dialogue.play.log, Record)[0].outcome.status is Ending.BLOCKED


def test_detectors_look_at_every_text_also_of_errors() -> None:
    got = Dialogue().run(
        "SELECT note FROM notes",
        result([Column("note", NVARCHAR)], (f"call {SSN} now",)),
        masks=[SHAPES],
    )
    assert SSN not in str(got.rows)
    said = Dialogue().run(
        "SELECT 1", ServerMessage(245, f"cannot convert '{SSN}'").encode(), Done(2).encode(), masks=[SHAPES]
    )
    assert SSN not in str(said.tokens)
    assert said.outcome.status is Ending.FAILED


def test_the_error_of_a_statement_that_reads_a_masked_column_says_nothing() -> None:
    got = Dialogue().run(
        "SELECT CAST(ssn AS int) FROM customers",
        ServerMessage(245, "Conversion failed when converting 'qwerty' to int").encode(),
        Done(2).encode(),
        masks=[KEEP_LAST],
    )
    assert "qwerty" not in str(got.tokens)
    assert "qwerty" not in str(got.outcome)


def test_a_denied_statement_is_answered_in_tds_and_never_forwarded() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("DROP TABLE customers"))
    commands = dialogue.deny()
    assert sent(dialogue.play.log, Peer.UPSTREAM) == b""
    error = error_in(commands)
    assert (error.number, error.server) == (DENIED, "hoop")
    assert "no-drops" in error.text
    assert error.text.endswith("ask nadia")
    last = tokens_of(commands)[-1]
    assert isinstance(last, Done)
    assert last.status == DoneStatus.ERROR
    dialogue.ask(SqlBatch("SELECT 1"))  # the connection lives on
    assert sent(dialogue.permit(), Peer.UPSTREAM)


def test_a_denied_procedure_ends_with_doneproc() -> None:
    dialogue = Dialogue()
    dialogue.ask(RpcRequest((RpcCall("xp_cmdshell"),)))
    last = tokens_of(dialogue.deny())[-1]
    assert isinstance(last, Done)
    assert last.token is TokenType.DONEPROC


def test_a_limit_ends_the_rows_and_says_so() -> None:
    got = Dialogue().run("SELECT id FROM orders", result([Column("id", INT)], (1,), (2,), (3,)), masks=[Limit(2)])
    assert got.rows == [(1,), (2,)]
    assert got.outcome.rows == 2


def test_what_is_kept_is_limited_and_says_so() -> None:
    dialogue = Dialogue()
    dialogue.ask(SqlBatch("SELECT id FROM orders"))
    dialogue.permit(keep=10)
    got = delivered(dialogue.answer(result([Column("id", INT)], (1,))))
    assert (got.outcome.kept, got.outcome.kept_all) == (got.payload[:10], False)


def test_a_prepared_handle_is_followed_to_its_text() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("DELETE FROM orders"))
    dialogue.permit()
    got = dialogue.answer(handle_out(7), done_proc())
    assert any(isinstance(t, OutputValue) and t.value == 7 for t in tokens_of(got))
    [statement] = statements_of(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:delete"]


def test_a_handle_given_out_beside_an_error_stands_for_its_text_too() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1 DROP TABLE t"))
    dialogue.permit()
    dialogue.answer(handle_out(7), ServerMessage(8134, "Divide by zero").encode(), done_proc(2))
    [statement] = statements_of(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:drop", "sql:select"]


def test_a_handle_that_comes_back_null_is_not_the_next_value() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(ReturnValue(0, "", INT).encode() + encode_value(INT, None), handle_out(7), done_proc())
    [statement] = statements_of(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]


def test_a_handle_given_out_twice_for_different_texts_stands_for_neither() -> None:
    dialogue = Dialogue()
    for text in ("SELECT 1", "DELETE FROM orders", "SELECT 1"):
        dialogue.ask(prepare(text))
        dialogue.permit()
        dialogue.answer(handle_out(7), done_proc())
    [statement] = statements_of(dialogue.ask(execute(7)))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]


def test_a_reset_that_was_denied_happens_with_the_next_request_that_is_forwarded() -> None:
    dialogue = Dialogue()
    dialogue.run("USE other", EnvChange(EnvType.DATABASE, "other", "shop").encode(), Done().encode())
    dialogue.ask(SqlBatch("DROP TABLE t"), Status.RESET_CONNECTION_SKIP_TRAN)
    dialogue.deny()
    dialogue.ask(SqlBatch("DROP TABLE t"), Status.RESET_CONNECTION)
    dialogue.deny()
    [statement] = statements_of(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert statement.actions[0].resources == ("shop.dbo.t",)
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    assert forwarded[1] == Status.EOM | Status.RESET_CONNECTION
    dialogue.answer(Done().encode())
    dialogue.ask(SqlBatch("SELECT a FROM t"))
    assert sent(dialogue.permit(), Peer.UPSTREAM)[1] == Status.EOM


def test_a_long_value_keeps_no_part_because_textsize_can_cut_it_anywhere() -> None:
    dialogue = Dialogue()
    column = Column("ssn", TypeInfo(TypeId.NVARCHAR, MAX, collation=LATIN1))
    result = write_columns([column]) + write_row([column], [SSN[:6]])
    told = dialogue.run("SELECT ssn FROM customers", result, Done().encode(), masks=[KEEP_LAST])
    [(value,)] = told.rows
    assert value is None or not set(SSN) & set(str(value))


def test_a_reset_connection_forgets_handles_and_database() -> None:
    dialogue = Dialogue()
    dialogue.ask(prepare("SELECT 1"))
    dialogue.permit()
    dialogue.answer(handle_out(7), done_proc())
    dialogue.run("USE other", EnvChange(EnvType.DATABASE, "other", "shop").encode(), Done().encode())
    [inside] = statements_of(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert inside.actions[0].resources == ("other.dbo.t",)
    dialogue.permit()
    dialogue.answer(Done().encode())
    [statement] = statements_of(dialogue.ask(execute(7), Status.RESET_CONNECTION))
    assert [a.verb for a in statement.actions] == ["sql:unclassified"]
    forwarded = sent(dialogue.permit(), Peer.UPSTREAM)
    assert forwarded[1] & Status.RESET_CONNECTION
    dialogue.answer(Done().encode())
    [after] = statements_of(dialogue.ask(SqlBatch("SELECT a FROM t")))
    assert after.actions[0].resources == ("shop.dbo.t",)


def test_rows_in_bulk_need_their_insert_bulk_right_before() -> None:
    dialogue = Dialogue()
    dialogue.run("INSERT BULK dbo.big (a int)", Done().encode())
    [bulk] = statements_of(dialogue.ask(BulkLoad(b"\x81\x00\x00")))
    assert [(a.verb, a.resources) for a in bulk.actions] == [("sql:bulk-insert", ("shop.dbo.big",))]
    dialogue.permit()
    dialogue.answer(Done().encode())
    [again] = statements_of(dialogue.ask(BulkLoad(b"\x81\x00\x00")))
    assert [a.verb for a in again.actions] == ["sql:unclassified"]


def test_a_message_given_up_midway_is_answered_and_not_forwarded() -> None:
    dialogue = Dialogue()
    kind, payload = encode_request(SqlBatch("DROP TABLE customers"))
    wire = bytearray(b"".join(packetize(kind, [payload])))
    wire[1] |= Status.IGNORE
    commands = dialogue.client(bytes(wire))
    assert only(commands, Authorize) == []
    assert sent(commands, Peer.UPSTREAM) == b""
    assert isinstance(tokens_of(commands)[-1], Done)


def test_garbage_of_a_client_ends_it_before_anything_is_asked() -> None:
    for garbage in (b"\x07" * 40, b"GET / HTTP/1.1\r\n", b"\x01\x01\x00\x04abcd"):
        dialogue = Dialogue()
        with pytest.raises(ProtocolError):
            dialogue.client(garbage)
        assert dialogue.play.log == []
