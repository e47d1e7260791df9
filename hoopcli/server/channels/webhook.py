"""Webhooks signed as the Standard Webhooks specification says, so that receivers verify them with its libraries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime

from hoopcli.server.channels.message import Message

_PREFIX = "whsec_"


def body(message: Message) -> bytes:
    """The JSON of one event."""
    at = datetime.fromtimestamp(message.at, UTC).isoformat()
    event = {"type": f"approval.{message.event}", "timestamp": at, "data": message.document}
    return json.dumps(event, separators=(",", ":")).encode()


def headers(secret: str, identity: str, at: int, content: bytes) -> dict[str, str]:
    """The three headers: HMAC-SHA256 over ``id.timestamp.body`` (Standard Webhooks, signature scheme ``v1``)."""
    signed = hmac.digest(_key(secret), f"{identity}.{at}.".encode() + content, hashlib.sha256)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "content-type": "application/json",
    }


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 after ``whsec_``, else the text itself."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
