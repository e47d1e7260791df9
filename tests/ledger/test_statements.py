"""Statements by a ledger's key: of one purpose, by one key, and only for a few minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hoopcli.errors import LedgerError
from hoopcli.ledger import statements
from hoopcli.ledger.merkle import EMPTY_ROOT
from hoopcli.ledger.note import Checkpoint, Signer
from tests.support.clock import Clock

NOW = Clock().time
SIGNER = Signer.generate("hoop.example/ledger/1")
KEY = SIGNER.verifier


def test_an_enrolment() -> None:
    note = statements.enrolment(SIGNER, NOW)
    statements.check_enrolment(note, KEY, NOW + timedelta(minutes=4))
    for wrong in (Signer.generate(KEY.name).verifier, Signer.generate("other").verifier):
        with pytest.raises(LedgerError):
            statements.check_enrolment(note, wrong, NOW)
    for minutes in (-6, 6):
        with pytest.raises(LedgerError, match="too old"):
            statements.check_enrolment(note, KEY, NOW + timedelta(minutes=minutes))


def test_a_head() -> None:
    note = statements.head(SIGNER, 7, EMPTY_ROOT, NOW)
    assert statements.check_head(note, KEY, NOW) == Checkpoint(KEY.name, 7, EMPTY_ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "hoop.example/ledger-enrolment/v1\nhoop.example/ledger/1\nmore\n1\n",
        "hoop.example/ledger-enrolment/v1\nhoop.example/ledger/2\n1\n",
        "hoop.example/ledger-enrolment/v1\nhoop.example/ledger/1\nnow\n",
        "hoop.example/ledger-enrolment/v1\n",
        "hoop.example/ledger/1\n7\nAAAA\n",
    ],
)
def test_one_signature_does_not_serve_two_purposes(text: str) -> None:
    note = str(SIGNER.sign(text.replace("\n1\n", f"\n{int(NOW.timestamp())}\n")))
    with pytest.raises(LedgerError):
        statements.check_enrolment(note, KEY, NOW)
    with pytest.raises(LedgerError):
        statements.check_head(note, KEY, NOW)


def test_a_checkpoint_is_no_statement_of_a_head() -> None:
    note = str(SIGNER.sign(str(Checkpoint(KEY.name, 7, EMPTY_ROOT))))
    with pytest.raises(LedgerError):
        statements.check_head(note, KEY, NOW)
    with pytest.raises(LedgerError):
        statements.check_head(statements.enrolment(SIGNER, NOW), KEY, NOW)
