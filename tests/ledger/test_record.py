"""What is recorded of a session, and how payloads are digested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import LedgerError
from hoopcli.ledger import drafts
from hoopcli.ledger.canonical import dumps, loads
from hoopcli.ledger.record import (
    MAX_PAYLOAD,
    Draft,
    Slot,
    compress,
    decompress,
    digest,
    format_time,
    parse,
    parse_time,
    references,
    seal,
)
from hoopcli.model.decision import Approve
from hoopcli.model.outcome import Outcome, Status
from tests.ledger.stage import ALLOW, DENY, Story, statement, whole_story

TIME = "2026-03-01T09:00:00.000000Z"


def test_every_record_has_its_common_members() -> None:
    for draft in whole_story():
        record = parse(0, seal(draft).encode(TIME))
        assert record.body["v"] == 1
        assert record.type == draft.type
        assert record.session == "s1"
        assert record.time == datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_a_session_is_opened_with_who_and_where() -> None:
    body = Story().open().drafts[0].body
    assert body["principal"] == {
        "subject": "agent:claire",
        "kind": "agent",
        "name": "Claire",
        "email": "",
        "groups": [],
        "on_behalf_of": "omar@example.com",
    }
    assert body["connection"] == {"name": "azure-sql", "kind": "sql", "target": "db.example.com"}
    assert (body["policy"], body["reason"], body["expires"]) == ("r1", "ticket 7", "2026-03-01T10:00:00.000000Z")


def test_a_request_says_what_was_decided_and_digests_the_exact_bytes() -> None:
    sealed = seal(drafts.exchange_request("s1", "e1", statement(), ALLOW, shown="SELECT [redacted]"))
    body = loads(sealed.encode(TIME))
    assert body["text"] == "SELECT [redacted]"
    assert body["decision"]["effect"] == "allow"
    assert [o["kind"] for o in body["decision"]["obligations"]] == ["mask", "limit"]
    (payload,) = sealed.payloads
    assert payload.content is None
    assert body["request"] == {"size": len(statement().request), "digest": digest(payload.salt, statement().request)}
    assert seal(drafts.exchange_request("s1", "e1", statement(), DENY, shown="")).body["decision"] != body["decision"]


def test_the_same_bytes_never_have_the_same_digest() -> None:
    first, second = (
        seal(drafts.exchange_request("s", "e", statement(), ALLOW, shown="")).body["request"] for _ in "12"
    )
    assert first != second


def test_the_digest_of_what_was_delivered_cannot_be_guessed_at() -> None:
    sealed = seal(drafts.exchange_outcome("s1", Outcome("e1", Status.COMPLETED, size=3, digest="ab" * 32)))
    body = loads(sealed.encode(TIME))
    assert "ab" * 32 not in repr(body)
    assert body["delivered"]["digest"] == digest(sealed.payloads[0].salt, bytes.fromhex("ab" * 32))
    assert body["kept"] == {"size": 0, "media_type": "application/octet-stream", "all": True}


def test_a_long_text_becomes_a_payload() -> None:
    text = "SELECT '" + "é" * drafts.INLINE_TEXT + "'\ud800"
    sealed = seal(drafts.exchange_request("s1", "e1", statement(), ALLOW, shown=text))
    body = loads(sealed.encode(TIME))
    assert body["text"] == text[: drafts.PREVIEW]
    assert body["text_truncated"] is True
    stored = next(p for p in sealed.payloads if p.slot is Slot.TEXT)
    assert stored.content is not None
    assert decompress(stored.content, body["full_text"]["size"]).decode() == text.replace("\ud800", "\ufffd")


def test_errors_are_bounded() -> None:
    outcome = Outcome("e1", Status.FAILED, errors=("x" * 10_000,) * 150)
    body = drafts.exchange_outcome("s1", outcome).body
    assert len(body["errors"]) == drafts.MAX_ERRORS  # type: ignore[arg-type]
    assert body["errors_left_out"] == 50
    assert body["errors"][0] == "x" * (drafts.MAX_ERROR - 1) + "…"  # type: ignore[index]


def test_what_else_is_known_of_an_outcome() -> None:
    assert "facts" not in drafts.exchange_outcome("s1", Outcome("e1", Status.COMPLETED)).body
    stored = {"stored": {"sha256": "00", "size": 3}}
    assert drafts.exchange_outcome("s1", Outcome("e1", Status.COMPLETED, facts=stored)).body["facts"] == stored


def test_approvals_are_told_from_asking_to_use() -> None:
    now = datetime(2026, 3, 1, 9, tzinfo=UTC)
    asked = drafts.approval_asked("s1", "e1", "a1", "ddl", Approve(("dba",), 1, timedelta(minutes=5), 2), now)
    assert asked.type == "approval.asked"
    assert (asked.body["groups"], asked.body["uses"], asked.body["expires"]) == (["dba"], 2, TIME)
    said = drafts.approval_answered("s1", "e1", "a1", [drafts.Answer("nadia@example.com", True, "fine", now)])
    assert said.body["answers"] == [{"approver": "nadia@example.com", "approve": True, "comment": "fine", "at": TIME}]
    for how in ("expired", "withdrawn", "used"):
        assert drafts.approval_ended(how, "s1", "e1", "a1").type == f"approval.{how}"


def test_records_of_the_ledger_itself() -> None:
    assert drafts.audit_read("nadia@example.com", "session s1", 9).type == "audit.read"
    assert drafts.policy_changed("r1", "r2", "policy.yaml").type == "policy.changed"
    assert drafts.ledger_note("note", {"a": [1]}).body == {"note": "note", "facts": {"a": [1]}}
    assert drafts.ledger_expired(datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=1)))).body == {"before": TIME}


def test_what_a_client_sends_is_always_recordable() -> None:
    facts = {"limit": 2**70, "ratio": float("nan"), "name\ud800": "\udfff"}
    sealed = seal(drafts.exchange_request("s1", "e1", statement("\ud800", facts), ALLOW, shown="\ud800\x00"))
    assert parse(0, sealed.encode(TIME)).body["facts"] == {"limit": str(2**70), "ratio": "nan", "name\ufffd": "\ufffd"}


@given(st.binary(max_size=2000))
def test_compression_round_trips(content: bytes) -> None:
    assert decompress(compress(content), len(content)) == content


@given(st.binary(max_size=200), st.integers(-1, 300))
def test_garbage_is_not_decompressed(content: bytes, size: int) -> None:
    try:
        assert len(decompress(content, size)) == size
    except LedgerError:
        return


def test_a_bomb_is_not_unpacked() -> None:
    bomb = compress(bytes(50_000_000))
    for size in (10, MAX_PAYLOAD + 1):
        with pytest.raises(LedgerError):
            decompress(bomb, size)
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(LedgerError, match="another size"):
        decompress(streamed, 1000)
    with pytest.raises(LedgerError, match="not zstd"):
        decompress(compress(b"abc") + b"more", 3)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"v": 2, "type": "t", "time": TIME},
        {"v": 1, "time": TIME},
        {"v": 1, "type": 1, "time": TIME},
        {"v": 1, "type": "t", "time": TIME, "session": 1},
        {"v": 1, "type": "t"},
        {"v": 1, "type": "t", "time": "2026-03-01T09:00:00Z"},
        {"v": 1, "type": "t", "time": "2026-03-01T09:00:00,000000Z"},
        {"v": 1, "type": "t", "time": "2026-02-30T09:00:00.000000Z"},
    ],
)
def test_what_is_not_a_record(body: object) -> None:
    with pytest.raises(LedgerError):
        parse(0, dumps(body))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "member",
    [{"digest": 1, "size": 1}, {"digest": "ab", "size": 1}, {"digest": "a" * 64}, {"digest": "a" * 64, "size": -1}],
)
def test_malformed_references(member: object) -> None:
    with pytest.raises(LedgerError, match="malformed"):
        list(references({"kept": member}))


def test_times_are_utc_and_of_one_width() -> None:
    local = datetime(2026, 3, 1, 10, 0, 0, 7, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(local) == "2026-03-01T09:00:00.000007Z"
    assert parse_time(format_time(local)) == local


def test_a_draft_without_a_session_has_no_such_member() -> None:
    assert "session" not in seal(Draft("ledger.note", {})).body
