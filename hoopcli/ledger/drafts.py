"""What hoop records, one function a type of record. Each gives a ``Draft``; the ledger adds index and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hoopcli.ledger.canonical import plain, text
from hoopcli.ledger.record import Draft, Slot, format_time
from hoopcli.ledger.tally import Tally
from hoopcli.model.decision import (
    Approve,
    Decision,
    Json,
    Limit,
    Mask,
    Obligation,
    ShowSecrets,
    Statement,
    Streaming,
)
from hoopcli.model.outcome import Outcome, Piece
from hoopcli.model.session import Session

INLINE_TEXT: Final = 16_384
"""Characters of a statement that a record holds itself; a longer text becomes a payload."""
PREVIEW: Final = 2_048
MAX_ERRORS: Final = 100
MAX_ERROR: Final = 2_048


@dataclass(frozen=True, slots=True)
class Answer:
    """What one approver said, and when."""

    approver: str
    approve: bool
    comment: str
    at: datetime


def session_open(session: Session, *, target: str, revision: str, version: str) -> Draft:
    """``session.open``: ``target`` is the upstream's host, ``revision`` the policy's, ``version`` hoop's."""
    principal = session.principal
    who: dict[str, Json] = {
        "subject": principal.subject,
        "kind": str(principal.kind),
        "name": principal.name,
        "email": principal.email,
        "groups": sorted(principal.groups),
    }
    if principal.on_behalf_of is not None:
        who["on_behalf_of"] = principal.on_behalf_of
    connection = session.connection
    body: dict[str, Json] = {
        "principal": who,
        "connection": {"name": connection.name, "kind": connection.kind, "target": target},
        "reason": session.reason,
        "expires": format_time(session.expires_at),
        "policy": revision,
        "hoop": version,
    }
    return _draft("session.open", session.id, body)


def session_heartbeat(session: str, statements: int) -> Draft:
    """``session.heartbeat``: the session is alive, and has made so many requests."""
    return _draft("session.heartbeat", session, {"statements": statements})


def session_close(session: str, why: str, tally: Tally) -> Draft:
    """``session.close``: the counts let anyone see that no exchange of the session is missing."""
    return _draft("session.close", session, {"why": why, **tally.counts()})


def exchange_request(session: str, exchange: str, statement: Statement, decision: Decision, *, shown: str) -> Draft:
    """``exchange.request``: a statement and what was decided. ``shown`` is its text as it may be kept (redacted)."""
    body: dict[str, Json] = {
        "exchange": exchange,
        "text": shown,
        "media_type": statement.media_type,
        "request": {"size": len(statement.request)},
        "actions": [{"verb": a.verb, "resources": list(a.resources)} for a in statement.actions],
        "facts": statement.facts,
        "decision": {
            "effect": str(decision.effect),
            "rule": decision.rule,
            "reason": decision.reason,
            "obligations": [_obligation(o) for o in decision.obligations],
            "revision": decision.revision,
        },
    }
    if statement.meaning:
        body["meaning"] = statement.meaning
    payloads = {Slot.REQUEST: statement.request}
    if len(shown) > INLINE_TEXT:
        whole = text(shown).encode()
        body.update(text=shown[:PREVIEW], text_truncated=True, full_text={"size": len(whole)})
        payloads[Slot.TEXT] = whole
    return _draft("exchange.request", session, body, payloads)


def exchange_outcome(session: str, outcome: Outcome) -> Draft:
    """``exchange.outcome``: what reached the client. The digest of all that did is salted once more."""
    body: dict[str, Json] = {
        "exchange": outcome.exchange,
        "status": str(outcome.status),
        "rows": outcome.rows,
        "masked": dict(outcome.masked),
        "errors": [_shortened(e) for e in outcome.errors[:MAX_ERRORS]],
        "delivered": {"size": outcome.size},
        "kept": {"size": len(outcome.kept), "media_type": outcome.media_type, "all": outcome.kept_all},
    }
    if len(outcome.errors) > MAX_ERRORS:
        body["errors_left_out"] = len(outcome.errors) - MAX_ERRORS
    if outcome.facts:
        body["facts"] = outcome.facts
    payloads = {}
    if outcome.digest:
        payloads[Slot.DELIVERED] = bytes.fromhex(outcome.digest)
    if outcome.kept:
        payloads[Slot.KEPT] = outcome.kept
    return _draft("exchange.outcome", session, body, payloads)


def exchange_piece(session: str, piece: Piece) -> Draft:
    """``exchange.piece``: a part of what the outcome will keep, for the case that there will be none."""
    body: dict[str, Json] = {
        "exchange": piece.exchange,
        "number": piece.number,
        "kept": {"size": len(piece.kept), "media_type": piece.media_type},
    }
    return _draft("exchange.piece", session, body, {Slot.KEPT: piece.kept})


def approval_asked(session: str, exchange: str, request: str, rule: str, terms: Approve, expires: datetime) -> Draft:
    """``approval.asked``: a statement waits; ``request`` is the id that approvers see, ``expires`` the absolute end."""
    body: dict[str, Json] = {
        "exchange": exchange,
        "request_id": request,
        "rule": rule,
        "groups": list(terms.groups),
        "count": terms.count,
        "uses": terms.uses,
        "expires": format_time(expires),
    }
    return _draft("approval.asked", session, body)


def approval_answered(session: str, exchange: str, request: str, answers: Sequence[Answer]) -> Draft:
    """``approval.answered``: who said what."""
    said: list[Json] = [
        {"approver": a.approver, "approve": a.approve, "comment": a.comment, "at": format_time(a.at)} for a in answers
    ]
    return _draft("approval.answered", session, {"exchange": exchange, "request_id": request, "answers": said})


def approval_ended(how: Literal["expired", "withdrawn", "used"], session: str, exchange: str, request: str) -> Draft:
    """``approval.expired``, ``approval.withdrawn`` or ``approval.used``."""
    return _draft(f"approval.{how}", session, {"exchange": exchange, "request_id": request})


def audit_read(principal: str, what: str, records: int) -> Draft:
    """``audit.read``: someone read ``records`` records; ``what`` is the query in words."""
    return _draft("audit.read", "", {"principal": principal, "what": what, "records": records})


def policy_changed(previous: str, revision: str, source: str) -> Draft:
    """``policy.changed``: another revision decides from here on; ``source`` says where it came from."""
    return _draft("policy.changed", "", {"previous": previous, "revision": revision, "source": source})


def ledger_note(note: str, facts: Mapping[str, Json]) -> Draft:
    """``ledger.note``: something about the ledger itself that an auditor should know."""
    return _draft("ledger.note", "", {"note": note, "facts": facts})


def ledger_expired(before: datetime) -> Draft:
    """``ledger.expired``: the payloads of all records older than ``before`` may be gone from here on."""
    return _draft("ledger.expired", "", {"before": format_time(before)})


def _draft(kind: str, session: str, body: Mapping[str, Json], payloads: Mapping[Slot, bytes] | None = None) -> Draft:
    plain_body = plain(body)
    assert isinstance(plain_body, dict)
    return Draft(kind, plain_body, session, payloads)


def _obligation(obligation: Obligation) -> Json:
    match obligation:
        case Mask():
            return {
                "kind": obligation.kind,
                "id": obligation.id,
                "fields": list(obligation.fields),
                "columns": list(obligation.columns),
                "labels": list(obligation.labels),
                **({"information_types": list(obligation.information_types)} if obligation.information_types else {}),
                "detectors": list(obligation.detectors),
                "method": {"name": obligation.method.name, "count": obligation.method.count},
                "resources": list(obligation.resources),
            }
        case Limit():
            return {"kind": obligation.kind, "rows": obligation.rows}
        case Streaming(idle, keep_input):
            seconds = None if idle is None else int(idle.total_seconds())
            return {"kind": obligation.kind, "idle_seconds": seconds, "keep_input": keep_input}
        case ShowSecrets(resources):
            return {"kind": obligation.kind, "resources": list(resources)}
        case Approve():
            return {
                "kind": obligation.kind,
                "groups": list(obligation.groups),
                "count": obligation.count,
                "expires_seconds": int(obligation.expires.total_seconds()),
                "uses": obligation.uses,
            }


def _shortened(error: str) -> str:
    return error if len(error) <= MAX_ERROR else error[: MAX_ERROR - 1] + "…"
