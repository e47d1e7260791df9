"""The server's policy under running sessions: it changes when the server says so, and ends when it expires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.errors import UpstreamError
from hoopcli.ledger.note import Signer
from hoopcli.policy.bundle import Bundle
from hoopcli.proxy.bundles import BundleError, Fetched
from hoopcli.proxy.policies import FollowedPolicy
from tests.proxy.test_bundles import BUNDLE, NOW, POLICY, SIGNER, bundles

NEXT = replace(BUNDLE, serial=4, policy=POLICY.replace("agents-read", "nobody-reads"))


def note(bundle: Bundle, signer: Signer = SIGNER) -> Fetched:
    return Fetched(str(signer.sign(bundle.text())), f'"{bundle.serial}"')


class Followed:
    """A policy that follows a list of answers, and what it made of them. The last answer ends it."""

    def __init__(self, folder: Path, *answers: Fetched | Exception) -> None:
        self.policy = FollowedPolicy(bundles(folder), BUNDLE, lambda: NOW)
        self.changes: list[tuple[str, str, int]] = []
        self.told: list[str] = []
        self.before = self.policy.current()
        self._answers = iter(answers)
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        with pytest.raises(NoMoreError):
            await self.policy.follow(self._fetch, lambda *change: self.changes.append(change), self.told.append)

    def _fetch(self, _etag: str) -> Fetched:
        answer = next(self._answers, NoMoreError())
        if isinstance(answer, Exception):
            raise answer
        return answer


class NoMoreError(Exception):
    """There is nothing more to answer."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are written down, and not waited for."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def test_a_new_revision_decides_from_then_on(tmp_path: Path) -> None:
    followed = Followed(tmp_path, note(BUNDLE), note(NEXT), Fetched(None, '"4"'))
    after = followed.policy.current()
    assert followed.changes == [(followed.before.revision, after.revision, 4)]
    assert after.revision != followed.before.revision


def test_the_same_policy_signed_anew_is_no_change_and_lasts_longer(tmp_path: Path) -> None:
    later = BUNDLE.expires + timedelta(hours=1)
    followed = Followed(tmp_path, note(replace(BUNDLE, issued=NOW, expires=later)))
    assert followed.changes == []
    assert followed.policy.current() is followed.before
    followed.policy._now = lambda: BUNDLE.expires
    assert followed.policy.current() is followed.before
    followed.policy._now = lambda: later
    with pytest.raises(BundleError, match="expired"):
        followed.policy.current()


def test_what_cannot_be_trusted_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    forged = note(NEXT, Signer.generate(SIGNER.verifier.name))
    back = replace(NEXT, serial=2)
    followed = Followed(tmp_path, note(BUNDLE), forged, forged, note(back), note(NEXT), forged)
    assert [text.partition(":")[0] for text in followed.told] == ["warning"] * 3
    assert "cannot be trusted" in followed.told[0]
    assert "after revision 3" in followed.told[1]
    assert "cannot be trusted" in followed.told[2], "it worked in between, and so it is told again"
    assert [serial for _, _, serial in followed.changes] == [4]


def test_a_server_that_is_away_is_asked_less_and_less_and_nobody_is_told(tmp_path: Path, at_once: list[float]) -> None:
    away: Callable[[], Exception] = lambda: UpstreamError("the server does not answer")  # noqa: E731
    followed = Followed(tmp_path, *(away() for _ in range(7)), note(BUNDLE), away())
    assert followed.told == []
    assert at_once == [1, 2, 4, 8, 16, 30, 30, 1]
