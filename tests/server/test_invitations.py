"""Invitations: a code signs in once, as whom it was made for, and nobody else can be made of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from hoopcli.errors import HoopError, NotSignedInError
from hoopcli.identity import server_session
from hoopcli.identity.server_session import Stored
from hoopcli.server.people.invitations import PROVIDER, Invitations
from hoopcli.server.people.settings import ProviderSettings
from hoopcli.server.tables.invitations import invitations
from tests.support.place import Place, place_of

NOBODY = "version: 1\nrules:\n  - {id: none, effect: deny, verbs: ['*']}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(tmp_path_factory.mktemp("server"), NOBODY) as running:
        yield running


@pytest.fixture
def http(place: Place) -> Iterator[httpx.Client]:
    with closing(server_session.client(place.url)) as client:
        yield client


def store(place: Place) -> Invitations:
    assert place.services is not None
    return Invitations(place.services.database)


def use(place: Place, http: httpx.Client, code: str, **more: str) -> Stored:
    proof = {"provider": PROVIDER, "token": code} | more
    return server_session.begin(http, place.url, proof, place.now())


def test_a_code_signs_in_once(place: Place, http: httpx.Client) -> None:
    code = store(place).make("ada@example.com", ["hoop-admins"], place.now())
    ada = use(place, http, code).principal
    assert (ada.subject, ada.email, str(ada.kind), ada.groups) == (
        "ada@example.com", "ada@example.com", "human", {"hoop-admins"},
    )  # fmt: skip
    with pytest.raises(NotSignedInError, match="used"):
        use(place, http, code)


def test_of_many_at_once_one_signs_in(place: Place, http: httpx.Client) -> None:
    code = store(place).make("ada@example.com", [], place.now())

    def attempt(_number: int) -> bool:
        try:
            return bool(use(place, http, code))
        except HoopError:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [False] * 7 + [True]


def test_it_expires(place: Place, http: httpx.Client) -> None:
    late = store(place).make("ada@example.com", [], place.now() - timedelta(hours=24, seconds=1))
    with pytest.raises(NotSignedInError, match="expired"):
        use(place, http, late)


@pytest.mark.parametrize("code", ["", "x", "%", "' OR '1'='1", "0" * 64])
def test_what_is_no_code_signs_nobody_in(place: Place, http: httpx.Client, code: str) -> None:
    store(place).make("ada@example.com", [], place.now())
    with pytest.raises(HoopError):
        use(place, http, code)


def test_what_the_database_holds_is_no_code(place: Place, http: httpx.Client) -> None:
    store(place).make("ada@example.com", [], place.now())
    assert place.services is not None
    with place.services.database.read() as db:
        digests = list(db.execute(select(invitations.c.digest)).scalars())
    with ExitStack() as stack:
        for digest in digests:
            stack.enter_context(pytest.raises(NotSignedInError))
            use(place, http, digest)
    assert digests


def test_an_agent_of_somebody_invited_has_none_of_their_groups(place: Place, http: httpx.Client) -> None:
    code = store(place).make("ada@example.com", ["hoop-admins"], place.now())
    agent = use(place, http, code, agent="claire").principal
    assert (str(agent.kind), agent.on_behalf_of, agent.groups) == ("agent", "ada@example.com", {"ai-agents"})


def test_no_provider_can_have_its_name() -> None:
    with pytest.raises(ValueError, match="pattern"):
        ProviderSettings(name=PROVIDER, issuer="https://login.example.com", client_id="hoop")


def test_old_ones_are_forgotten(tmp_path: Path) -> None:
    with place_of(tmp_path, NOBODY) as place:
        store(place).make("ada@example.com", [], place.now() - timedelta(days=2))
        store(place).make("omar@example.com", [], place.now())
        assert place.services is not None
        with place.services.database.read() as db:
            assert [row["subject"] for row in db.execute(select(invitations.c.principal)).scalars()] == [
                "omar@example.com"
            ]
