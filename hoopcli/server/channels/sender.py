"""Sends what is due. Whatever a channel answers or raises is noted; nothing of it stops the others."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import httpx

from hoopcli.errors import HoopError
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.secrets import resolve
from hoopcli.server.channels import email, slack, teams, webhook
from hoopcli.server.channels.message import Message
from hoopcli.server.channels.outbox import Delivery, settle, take
from hoopcli.server.channels.settings import ChannelSettings
from hoopcli.server.database import Database
from hoopcli.settings.secret import parse_reference

SECONDS = 15.0
Compose = Callable[[Delivery, ChannelSettings], Message]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends for one server. ``compose`` makes the message of a delivery."""

    database: Database
    channels: Sequence[ChannelSettings]
    compose: Compose
    now: Callable[[], float]
    keyring: Keyring = field(default_factory=Keyring)

    def deliver(self) -> int:
        """Send some of what is due; how many were tried. Blocks."""
        if not self.channels:
            return 0
        with self.database.write() as connection:
            deliveries = take(connection, self.now())
        if not deliveries:
            return 0
        by_name = {channel.name: channel for channel in self.channels}
        with httpx.Client(timeout=SECONDS, follow_redirects=False) as client:
            for delivery in deliveries:
                error = self._try(client, delivery, by_name)
                with self.database.write() as connection:
                    settle(connection, delivery, error, self.now())
        return len(deliveries)

    def _try(self, client: httpx.Client, delivery: Delivery, channels: Mapping[str, ChannelSettings]) -> str:
        """Why it was not delivered; empty if it was. Addresses and keys are secrets: errors are named by their type."""
        channel = channels.get(delivery.channel)
        if channel is None:
            return ""  # the channel was taken out of the settings
        try:
            self._send(client, channel, self.compose(delivery, channel))
        except HoopError as error:
            return error.message
        except httpx.HTTPStatusError as error:
            return f"answered {error.response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, smtplib.SMTPException, ValueError) as error:
            return type(error).__name__
        return ""

    def _send(self, client: httpx.Client, channel: ChannelSettings, message: Message) -> None:
        secret = resolve(parse_reference(channel.secret), self.keyring) if channel.secret else ""
        match channel.kind:
            case "slack":
                _post(client, secret, json.dumps(slack.body(message)).encode())
            case "teams":
                _post(client, secret, json.dumps(teams.body(message)).encode())
            case "webhook":
                content = webhook.body(message)
                signed = webhook.headers(secret, message.identity, int(self.now()), content)
                _post(client, channel.url or "", content, signed)
            case "email":
                email.send(channel, secret, message)
            case _:
                assert_never(channel.kind)


def _post(client: httpx.Client, url: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Post it; a redirect counts as refused, for it may lead elsewhere."""
    client.post(url, content=content, headers=headers or {"content-type": "application/json"}).raise_for_status()
