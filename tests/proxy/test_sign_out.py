"""Whether a sign-in still holds: asked of the server as long as a session runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.proxy.sign_out import WATCH, signed_out

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LIVE, ENDED = httpx.Response(200, json={"live": True}), httpx.Response(200, json={"live": False})
AWAY = UpstreamError("the server does not answer")


class SignedIn:
    """A sign-in whose server answers by a list; the clock goes on by a minute with each."""

    def __init__(self, answers: Sequence[httpx.Response | Exception], lasts: timedelta = timedelta(hours=1)) -> None:
        self.expires = NOW + lasts
        self.asked = 0
        self._answers = answers

    def now(self) -> datetime:
        return NOW + timedelta(minutes=self.asked)

    async def arequest(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        assert (method, path, json) == ("GET", WATCH, None)
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def why(session: SignedIn) -> str:
    return asyncio.run(signed_out(session, session.now))


def test_it_waits_as_long_as_the_session_is_live(at_once: list[float]) -> None:
    session = SignedIn([LIVE] * 50 + [ENDED])
    assert why(session) == "signed out at the server"
    assert (session.asked, at_once) == (51, [])


def test_a_token_that_cannot_be_refreshed_ends_it() -> None:
    ended = NotSignedInError("the session at https://hoop.example.com has ended", "run: hoop login")
    assert why(SignedIn([LIVE, ended])) == ended.message


@pytest.mark.parametrize(
    "failing",
    [
        AWAY,
        httpx.Response(500),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(404, json={"live": True}),
    ],
    ids=["away", "500", "no json", "404"],
)
def test_a_server_that_does_not_answer_leaves_the_token_and_no_longer(
    failing: httpx.Response | Exception, at_once: list[float]
) -> None:
    session = SignedIn([LIVE, failing], timedelta(minutes=10))
    assert "ran out" in why(session)
    assert session.asked == 10
    assert at_once[:5] == [0.5, 1, 2, 4, 5]


@pytest.mark.parametrize("said", [{}, {"live": 1}, {"live": "true"}, {"live": None}])
def test_an_answer_that_does_not_say_that_it_is_live_ends_it(said: Any) -> None:
    assert why(SignedIn([LIVE, httpx.Response(200, json=said)])) == "signed out at the server"


def test_a_pause_is_short_again_after_an_answer(at_once: list[float]) -> None:
    session = SignedIn([AWAY, AWAY, LIVE, AWAY, ENDED])
    why(session)
    assert at_once == [0.5, 1, 0.5]


@pytest.mark.parametrize("said", [b"[]", b"null", b"7"])
def test_an_answer_of_another_shape_is_no_answer(said: bytes, make: Callable[[bytes], SignedIn]) -> None:
    assert "ran out" in why(make(said))


@pytest.fixture
def make() -> Callable[[bytes], SignedIn]:
    return lambda said: SignedIn([httpx.Response(200, content=said)], timedelta(minutes=3))
