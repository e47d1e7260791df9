"""Email: one plain text by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from hoopcli.server.channels.message import Message
from hoopcli.server.channels.settings import ChannelSettings

SECONDS = 20.0


def letter(channel: ChannelSettings, message: Message) -> EmailMessage:
    """The letter. What others wrote cannot add a header."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.title.split())
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Message-ID"] = f"<{message.identity}@hoop.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = [f"{name}: {' '.join(value.split())}" for name, value in message.facts]
    statement = ["", message.text] if message.text else []
    mail.set_content("\n".join([*lines, *statement, "", f"Look at it: {message.link}", ""]))
    return mail


def send(channel: ChannelSettings, password: str, message: Message) -> None:
    """Hand the letter to the mail server. Blocks. Raises OSError, SMTPException."""
    context = ssl.create_default_context()
    with _client(channel, context) as client:
        if channel.tls == "starttls":
            client.starttls(context=context)
        if channel.user:
            client.login(channel.user, password)
        client.send_message(letter(channel, message))


def _client(channel: ChannelSettings, context: ssl.SSLContext) -> smtplib.SMTP:
    if channel.tls == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=SECONDS, context=context)
    return smtplib.SMTP(channel.host, channel.port, timeout=SECONDS)
