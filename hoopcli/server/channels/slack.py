"""Slack: one message by an incoming webhook, in Block Kit. Everything of others is ``plain_text``, never ``mrkdwn``."""

from __future__ import annotations

from typing import Any

from hoopcli.server.channels.message import Message


def body(message: Message) -> dict[str, Any]:
    """The JSON that an incoming webhook takes."""
    fields = [_plain(f"{name}: {value}", 2_000) for name, value in message.facts]
    statement = [{"type": "section", "text": _plain(message.text, 3_000)}] if message.text else []
    button = {"type": "button", "text": _plain("Look at it", 75), "url": message.link}
    return {
        "text": _escaped(message.title),  # what a notification shows
        "blocks": [
            {"type": "header", "text": _plain(message.title, 150)},
            {"type": "section", "fields": fields},
            *statement,
            {"type": "actions", "elements": [button]},
        ],
    }


def _plain(text: str, longest: int) -> dict[str, Any]:
    return {"type": "plain_text", "emoji": False, "text": text[:longest]}


def _escaped(text: str) -> str:
    """The three characters that Slack reads as markup in a plain string."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
