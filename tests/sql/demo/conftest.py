"""One engine for all tests of a module; each test has a session of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.sql.demo.engine import Engine, Session
from connectors.sql.demo.procedures import Procedures


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    session = Session(engine, "sa", 51)
    yield session
    session.close()


@pytest.fixture
def procedures(session: Session) -> Procedures:
    return Procedures(session)
