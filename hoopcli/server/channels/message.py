"""What a message says, in plain text. Each channel puts it in its own form, never as markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hoopcli.server.approvals.held import Held

_LONGEST = 1_500
_HEADS = {"asked": "Approval wanted", "answered": "Approval answered", "expired": "Approval expired"}


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a request for people. ``identity`` is the same at every attempt; ``text`` is empty unless shown."""

    identity: str
    event: str
    title: str
    facts: tuple[tuple[str, str], ...]
    text: str
    link: str
    at: float
    document: dict[str, Any]


def compose(
    identity: str, event: str, held: Held, *, link: str, show_text: bool, at: float, document: dict[str, Any]
) -> Message:
    """The message about an event. The statement is in it only if ``show_text`` says so."""
    request, binding = held.request, held.request.binding
    who = f"{binding.principal} for {request.on_behalf_of}" if request.on_behalf_of else binding.principal
    verbs = ", ".join(dict.fromkeys(action.verb for action in held.question.actions))
    said = "; ".join(
        f"{a.approver} {'approved' if a.approve else 'denied'}" + (f": {a.comment}" if a.comment else "")
        for a in request.answers
    )
    facts = (
        ("Who", who),
        ("Connection", binding.connection),
        ("Rule", binding.rule),
        ("Does", verbs),
        ("Would touch", "; ".join(request.touches) if show_text else ""),
        ("Reason", request.reason),
        ("State", f"{request.state.value} ({said})" if said else request.state.value),
        ("Until", datetime.fromtimestamp(request.expires, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
    )
    text = request.text if show_text else ""
    kept = document if show_text else {**document, "text": None, "facts": None}
    return Message(
        identity,
        event,
        f"{_HEADS[event]}: {binding.connection} ({request.id})",
        tuple((name, _short(value)) for name, value in facts if value),
        _short(text),
        link,
        at,
        kept,
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
