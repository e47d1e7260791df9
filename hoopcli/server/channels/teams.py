"""Microsoft Teams: an Adaptive Card by an incoming webhook. What others wrote is a ``TextRun``, which has no markup."""

from __future__ import annotations

from typing import Any

from hoopcli.server.channels.message import Message


def body(message: Message) -> dict[str, Any]:
    """The JSON that an incoming webhook takes."""
    facts = [_text(f"{name}: {value}") for name, value in message.facts]
    statement = [_text(message.text, fontType="Monospace")] if message.text else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [_text(message.title, weight="Bolder", size="Large"), *facts, *statement],
        "actions": [{"type": "Action.OpenUrl", "title": "Look at it", "url": message.link}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _text(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}
