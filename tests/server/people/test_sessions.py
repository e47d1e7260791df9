"""Sessions in a database: a token is spent by its refresh, and nothing outlives the sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hoopcli.errors import NotSignedInError
from hoopcli.identity.dpop import ProofKey, Proved, check
from hoopcli.model.access import Principal
from hoopcli.server import migrations
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.people.settings import SessionSettings
from hoopcli.server.people.store import Sessions

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://hoop.example.com/v1/sessions/current"
ADA = Principal("ada@example.com", groups=frozenset({"audit"}))
KEY = ProofKey.generate()


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    with closing(Database.open(sqlite_url(tmp_path / "server.db"))) as database:
        migrations.upgrade(database)
        yield Sessions(database, SessionSettings())


def proved(token: str, now: datetime = NOW, key: ProofKey = KEY) -> Proved:
    return check(key.proof("GET", URL, now, token), "GET", URL, now, token)


def test_a_token_is_spent_by_its_refresh(sessions: Sessions) -> None:
    token, held = sessions.begin(ADA, KEY.thumbprint, "corp", "here", NOW)
    later = NOW + timedelta(minutes=50)
    again, newer = sessions.refresh(held, later)
    assert newer.expires == later + timedelta(hours=1)
    with pytest.raises(NotSignedInError, match="ended"):
        sessions.of_token(token, proved(token, later), later)
    with pytest.raises(NotSignedInError, match="another process"):
        sessions.refresh(held, later)
    assert sessions.of_token(again, proved(again, later), later).principal == ADA


def test_no_refresh_outlives_the_sign_in(sessions: Sessions) -> None:
    _token, held = sessions.begin(ADA, KEY.thumbprint, "corp", "here", NOW)
    late = held.ends - timedelta(minutes=1)
    _again, newer = sessions.refresh(held, late)
    assert newer.expires == held.ends
    with pytest.raises(NotSignedInError, match="sign-in has ended"):
        sessions.refresh(newer, held.ends)


def test_a_session_that_was_ended_is_not_refreshed(sessions: Sessions) -> None:
    _token, held = sessions.begin(ADA, KEY.thumbprint, "corp", "here", NOW)
    assert sessions.end(subject="ada@example.com") == [held.id]
    with pytest.raises(NotSignedInError, match="was ended"):
        sessions.refresh(held, NOW)
    with pytest.raises(NotSignedInError):
        sessions.get(held.id, NOW)
    assert not sessions.is_live(held.id, NOW)
    assert sessions.every(NOW) == []


def test_a_proof_and_a_nonce_are_used_once(sessions: Sessions) -> None:
    token, _held = sessions.begin(ADA, KEY.thumbprint, "corp", "here", NOW)
    proof = proved(token)
    assert sessions.of_token(token, proof, NOW)
    with pytest.raises(NotSignedInError, match="used before"):
        sessions.of_token(token, proof, NOW)
    sessions.use_up_nonce("https://one.example.com", "n", NOW + timedelta(minutes=5), NOW)
    sessions.use_up_nonce("https://two.example.com", "n", NOW + timedelta(minutes=5), NOW)
    with pytest.raises(NotSignedInError, match="used before"):
        sessions.use_up_nonce("https://one.example.com", "n", NOW + timedelta(minutes=5), NOW)


def test_a_session_without_a_key_is_of_no_token(sessions: Sessions) -> None:
    """What a browser has: should its token leak, no proof has its thumbprint."""
    token, _held = sessions.begin(ADA, "", "corp", "browser", NOW)
    with pytest.raises(NotSignedInError, match="another key"):
        sessions.of_token(token, proved(token), NOW)
