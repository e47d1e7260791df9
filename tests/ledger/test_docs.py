"""docs/ledger.md names every type and member that is recorded."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from hoopcli.ledger import drafts
from hoopcli.ledger.record import MEMBERS, Draft, seal
from hoopcli.model.decision import Approve
from hoopcli.model.outcome import Outcome, Piece, Status
from tests.ledger.stage import whole_story
from tests.support.clock import Clock

DOCS = Path(__file__).parents[2] / "docs" / "ledger.md"


def every_draft() -> list[Draft]:
    now = Clock().time
    return [
        *whole_story(),
        drafts.exchange_outcome("s1", Outcome("e1", Status.FAILED, errors=("x",) * 200)),
        drafts.exchange_piece("s1", Piece("e1", 0, b"x", "text/csv")),
        drafts.approval_asked("s1", "e1", "a1", "ddl", Approve(), now + timedelta(minutes=1)),
        drafts.approval_answered("s1", "e1", "a1", [drafts.Answer("nadia@example.com", False, "no", now)]),
        *(drafts.approval_ended(how, "s1", "e1", "a1") for how in ("expired", "withdrawn", "used")),
        drafts.audit_read("nadia@example.com", "session s1", 8),
        drafts.policy_changed("r1", "r2", "policy.yaml"),
        drafts.ledger_note("hello", {}),
        drafts.ledger_expired(now),
    ]


def test_every_type_and_member_is_documented() -> None:
    documented: dict[str, set[str]] = {}
    section = DOCS.read_text("utf-8").split("## Records")[1].split("## Payloads")[0]
    for line in section.splitlines():
        names = line.split("|")[1] if line.startswith("| `") else ""
        for kind in re.findall(r"`([a-z]+\.[a-z]+)`", names):
            documented[kind] = set(re.findall(r"`([a-z_]+)`", line))
    for draft in every_draft():
        body = seal(draft).body
        assert set(body) - {"v", "type", "time", "session"} <= documented[draft.type], draft.type
        for member in ("principal", "connection", "decision", "delivered", "kept", "full_text", "request"):
            inner = body.get(member)
            if isinstance(inner, dict):
                assert set(inner) <= documented[draft.type], (draft.type, member)
    assert {d.type for d in every_draft()} == set(documented)


def test_every_slot_is_documented() -> None:
    text = DOCS.read_text("utf-8")
    for slot, member in MEMBERS.items():
        assert f"| {int(slot)} | `{member}` |" in text
    assert f"{drafts.INLINE_TEXT:,}" in text
    assert f"{drafts.PREVIEW:,}" in text
