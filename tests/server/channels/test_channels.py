"""Messages to approvers: what they say, how they are signed, that they arrive, and that nothing in them is markup."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from hoopcli.model.access import Principal
from hoopcli.proxy.remote_approvals import PATH, asked
from hoopcli.server.approvals.desk import Desk
from hoopcli.server.approvals.lifespan import sender
from hoopcli.server.channels import email, outbox, slack, teams, webhook
from hoopcli.server.channels.message import Message
from hoopcli.server.channels.settings import ChannelSettings
from hoopcli.server.database import sqlite_url
from hoopcli.server.tables.approvals import deliveries
from tests.support.approvals import NADIA, OMAR, TERMS, Running, question, replica
from tests.support.ports import free_port
from tests.support.smtp import mailbox
from tests.support.waiting import eventually

XSS = "<!channel> *bold* [x](https://evil.example) <b>&amp;\r\nBcc: eve@example.com"
MESSAGE = Message(
    "approval-1", "asked", f"Approval wanted: {XSS}", (("Who", XSS), ("Reason", XSS)), XSS,
    "https://h/approvals/1", 1.0, {},
)  # fmt: skip
KEY = base64.b64encode(b"k" * 24).decode()


@dataclass
class Receiver:
    """Something that webhooks are sent to. It answers with each of ``answers``, then with 200."""

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, content))
            self.send_response(made.answers.pop(0) if made.answers else 200)
            self.send_header("location", f"{made.url}elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver() as made:
        monkeypatch.setenv("T_HOOK_URL", made.url)
        monkeypatch.setenv("T_HOOK_KEY", f"whsec_{KEY}")
        yield made


def channel(kind: str, **more: Any) -> ChannelSettings:
    secret = {"slack": "env:T_HOOK_URL", "teams": "env:T_HOOK_URL", "webhook": "env:T_HOOK_KEY"}.get(kind)
    return ChannelSettings.model_validate({"name": kind, "kind": kind, "secret": secret, **more})


def ask(server: Running, digest: str, **changes: Any) -> str:
    body = asked(question(digest, **changes), TERMS)
    return str(server.signed(OMAR).request("POST", PATH, json=body).json()["id"])


def answer(server: Running, person: Principal, identity: str) -> None:
    server.signed(person).request("POST", f"{PATH}/{identity}/answer", json={"approve": True, "comment": "fine"})


def errors(server: Running) -> list[tuple[str, bool]]:
    with server.services.database.read() as connection:
        return [(r.error, r.due is None) for r in connection.execute(select(deliveries).order_by(deliveries.c.id))]


def test_a_webhook_is_signed_and_leaves_the_statement_out(hook: Receiver, tmp_path: Path) -> None:
    hooks = channel("webhook", url=hook.url, events=["asked", "answered"])
    with replica(sqlite_url(tmp_path / "s.db"), channels=(hooks,)) as server:
        identity = ask(server, "01", text="DROP TABLE secret_name", facts={"tables": ["secret_name"]})
        eventually(lambda: len(hook.got) == 1)
        answer(server, NADIA, identity)
        eventually(lambda: len(hook.got) == 2)
        eventually(lambda: errors(server) == [("", True), ("", True)])
    (headers, content), (_, second) = hook.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
    expected = base64.b64encode(hmac.digest(b"k" * 24, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    document = json.loads(content)
    assert (document["type"], document["data"]["id"]) == ("approval.asked", identity)
    assert document["data"]["link"].endswith(f"/approvals/{identity}")
    assert b"secret_name" not in content
    assert json.loads(second)["data"]["answers"][0]["comment"] == "fine"


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_messages_lead_to_the_page(hook: Receiver, tmp_path: Path, kind: str) -> None:
    with replica(sqlite_url(tmp_path / "s.db"), channels=(channel(kind, show_text=True),)) as server:
        identity = ask(server, "02", text="DROP TABLE dbo.shown")
        eventually(lambda: hook.got)
        link = f"{server.url}/approvals/{identity}"
    text = hook.got[0][1].decode()
    assert link in text
    assert "DROP TABLE dbo.shown" in text


def test_what_does_not_arrive_is_sent_again_with_the_same_id_and_nothing_follows_a_redirect(
    hook: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_FIRST_PAUSE", 0.0)
    hook.answers[:] = [500, 302, 429]
    with replica(sqlite_url(tmp_path / "s.db"), channels=(channel("webhook", url=hook.url),)) as server:
        ask(server, "03")
        eventually(lambda: errors(server) == [("", True)])
    assert len(hook.got) == 4
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1


def test_it_is_given_up_in_the_end_and_others_are_not_held_up(
    hook: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(outbox, "ATTEMPTS", 2)
    dead = channel("webhook", name="dead", url=f"http://127.0.0.1:{free_port()}/")
    unset = channel("slack", name="unset", secret="env:T_NOT_SET")
    channels = (dead, unset, channel("webhook", url=hook.url))
    with replica(sqlite_url(tmp_path / "s.db"), channels=channels) as server:
        ask(server, "04")
        eventually(lambda: all(done for _, done in errors(server)))
        assert [error for error, _ in errors(server)] == ["ConnectError", "the secret env:T_NOT_SET is not there", ""]
    assert len(hook.got) == 1


def test_two_replicas_send_a_message_once(hook: Receiver, tmp_path: Path) -> None:
    channels = (channel("webhook", url=hook.url),)
    with replica(sqlite_url(tmp_path / "s.db"), channels=channels) as server:
        senders = [sender(server.services) for _ in range(4)]
        ids = [ask(server, f"05{n}") for n in range(10)]
        threads = [threading.Thread(target=each.deliver) for each in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: all(done for _, done in errors(server)))
    assert sorted(json.loads(content)["data"]["id"] for _, content in hook.got) == sorted(ids)


def test_who_hears_of_what(tmp_path: Path) -> None:
    with replica(sqlite_url(tmp_path / "s.db")) as server:
        held = Desk(server.services).load(ask(server, "06"))
    for more, hears in [
        ({}, True),
        ({"groups": ["dba", "x"]}, True),
        ({"groups": ["x"]}, False),
        ({"connections": ["azure-*"]}, True),
        ({"connections": ["aks"]}, False),
        ({"events": ["answered"]}, False),
    ]:
        assert channel("slack", **more).hears(held, "asked") is hears


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "slack"},
        {"kind": "teams"},
        {"kind": "webhook", "url": "https://h.example/x"},
        {"kind": "webhook", "secret": "env:X"},
        {"kind": "webhook", "secret": "env:X", "url": "http://h.example/x"},
        {"kind": "slack", "secret": "https://hooks.slack.example/the-secret-itself"},
        {"kind": "email"},
        {"kind": "pager"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ChannelSettings.model_validate({"name": "x", **document})
    assert "the-secret-itself" not in str(caught.value)


def test_slack_reads_nothing_as_markup() -> None:
    body = slack.body(MESSAGE)
    assert "mrkdwn" not in json.dumps(body)
    assert "<!channel>" not in body["text"]
    assert body["blocks"][-1]["elements"][0]["url"] == MESSAGE.link


def test_teams_reads_nothing_as_markup() -> None:
    card = teams.body(MESSAGE)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Look at it", "url": MESSAGE.link}]


def test_a_letter_has_the_headers_that_hoop_gives_it() -> None:
    settings = channel("email", sender="hoop@example.com", to=["dba@example.com"])
    mail = email.letter(settings, MESSAGE)
    assert mail["Bcc"] is None
    assert mail["To"] == "dba@example.com"
    assert mail.get_content_type() == "text/plain"
    assert MESSAGE.link in mail.get_content()


def test_a_letter_arrives(tmp_path: Path) -> None:
    with mailbox() as box:
        letters = channel("email", sender="hoop@example.com", to=["a@example.com", "b@example.com"], port=box.port,
                          host="127.0.0.1", tls="none")  # fmt: skip
        with replica(sqlite_url(tmp_path / "s.db"), channels=(letters,)) as server:
            ask(server, "07", reason="ticket 8")
            eventually(lambda: box.letters)
    assert "Reason: ticket 8" in box.letters[0]
    assert box.recipients == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(("tls", "error"), [("starttls", smtplib.SMTPNotSupportedError), ("tls", OSError)])
def test_a_letter_never_goes_in_the_clear_unless_it_may(tls: str, error: type[Exception]) -> None:
    with mailbox() as box:
        letters = channel("email", sender="hoop@example.com", to=["a@example.com"], port=box.port, host="127.0.0.1",
                          tls=tls, user="hoop")  # fmt: skip
        with pytest.raises(error):
            email.send(letters, "password", MESSAGE)
        assert box.letters == []


def test_a_key_without_the_prefix_is_taken_as_it_is() -> None:
    for secret, key in (("plain", b"plain"), ("whsec_not base64!", b"whsec_not base64!")):
        signature = webhook.headers(secret, "id", 1, b"{}")["webhook-signature"]
        assert signature == "v1," + base64.b64encode(hmac.digest(key, b"id.1.{}", hashlib.sha256)).decode()
