"""Signed notes, against a note of Go's reference tests and every malformed shape."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import LedgerError
from hoopcli.ledger.note import (
    COSIGNATURE_V1,
    MAX_SIGNATURES,
    Checkpoint,
    Note,
    Signature,
    Signer,
    Verifier,
    open_checkpoint,
)

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SIGNER = Signer("hoop.example/ledger/1", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
CHECKPOINT = Checkpoint(SIGNER.name, 42, bytes(range(32)))


def cosign(key: Ed25519PrivateKey, name: str, note: Note, time: int) -> Signature:
    verifier = Verifier(name, COSIGNATURE_V1, key.public_key().public_bytes_raw())
    signature = key.sign(f"cosignature/v1\ntime {time}\n{note.text}".encode())
    return Signature(name, verifier.key_id, time.to_bytes(8) + signature)


def test_the_reference_note_opens() -> None:
    verifier = Verifier.parse(VKEY)
    note = Note.parse(NOTE)
    assert verifier.open(note) == 0
    assert str(verifier) == VKEY
    assert str(note) == NOTE
    assert note.text == "This is an example message.\n"


def test_a_changed_text_does_not_open() -> None:
    with pytest.raises(LedgerError, match="wrong"):
        Verifier.parse(VKEY).open(Note.parse(NOTE.replace("an example", "another")))


def test_checkpoints_round_trip() -> None:
    note = str(SIGNER.sign(str(CHECKPOINT)))
    assert open_checkpoint(note, SIGNER.verifier) == CHECKPOINT
    assert Checkpoint.parse(str(CHECKPOINT) + "an extension\n") == CHECKPOINT


def test_a_signer_survives_its_text() -> None:
    assert Signer.parse(SIGNER.secret_text() + "\n").verifier == SIGNER.verifier
    assert Verifier.parse(str(SIGNER.verifier)) == SIGNER.verifier
    assert "PRIVATE" not in repr(SIGNER)


def test_a_witness_cosigns() -> None:
    witness = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
    verifier = Verifier("witness.example/1", COSIGNATURE_V1, witness.public_key().public_bytes_raw())
    note = SIGNER.sign(str(CHECKPOINT))
    cosigned = Note(note.text, (*note.signatures, cosign(witness, verifier.name, note, 1_700_000_000)))
    assert Verifier.parse(str(verifier)).open(Note.parse(str(cosigned))) == 1_700_000_000
    assert open_checkpoint(str(cosigned), SIGNER.verifier, [verifier]) == CHECKPOINT
    with pytest.raises(LedgerError, match="not signed by witness"):
        open_checkpoint(str(note), SIGNER.verifier, [verifier])
    stale = cosigned.signatures[1]
    forged = Signature(stale.name, stale.key_id, (1).to_bytes(8) + stale.signature[8:])
    with pytest.raises(LedgerError, match="wrong"):
        verifier.open(Note(note.text, (forged,)))


def test_signatures_of_strangers_are_passed_over_and_of_the_known_all_checked() -> None:
    note = SIGNER.sign(str(CHECKPOINT))
    stranger = Signer.generate("stranger.example").sign(note.text).signatures[0]
    assert open_checkpoint(str(Note(note.text, (stranger, *note.signatures))), SIGNER.verifier) == CHECKPOINT
    spoilt = Signature(SIGNER.name, SIGNER.verifier.key_id, bytes(64))
    with pytest.raises(LedgerError, match="wrong"):
        open_checkpoint(str(Note(note.text, (*note.signatures, spoilt))), SIGNER.verifier)


def test_another_key_of_the_same_name_is_another_key() -> None:
    impostor = Signer.generate(SIGNER.name)
    with pytest.raises(LedgerError, match="not signed"):
        open_checkpoint(str(impostor.sign(str(CHECKPOINT))), SIGNER.verifier)


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    other = Checkpoint("hoop.example/ledger/2", 1, bytes(32))
    with pytest.raises(LedgerError, match="another ledger"):
        open_checkpoint(str(SIGNER.sign(str(other))), SIGNER.verifier)


def line(raw: bytes, name: str = "a.example") -> str:
    return f"— {name} {base64.b64encode(raw).decode()}\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a.example AAAA\n",
        "text\n\n— a.example AAAAAAAA",
        "text\n\n- a.example AAAAAAAA\n",
        "text\n\n— a.example ????????\n",
        "text\n\n— a.example AAAAAAB=\n",
        "text\n\n— a+b AAAAAAAA\n",
        "text\n\n— \u00a0 AAAAAAAA\n",
        "te\txt\n\n" + line(bytes(68)),
        "text\n\n" + line(bytes(68)) * (MAX_SIGNATURES + 1),
        "x" * 70_000 + "\n\n" + line(bytes(68)),
    ],
)
def test_malformed_notes(note: str) -> None:
    with pytest.raises(LedgerError, match="malformed"):
        Note.parse(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n1\nAAAA\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 43 + "=\n\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(LedgerError, match="malformed"):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+530d903a",
        "name+XYZ+AA==",
        VKEY.replace("530d", "530e"),
        VKEY[:-8],
        VKEY.replace("+Ae", "+Be"),
        " +530d903a+AA==",
    ],
)
def test_malformed_keys(vkey: str) -> None:
    with pytest.raises(LedgerError, match="malformed"):
        Verifier.parse(vkey)


@pytest.mark.parametrize(
    "skey",
    [
        "",
        VKEY,
        "PRIVATE+KEY+a+00000000+AA==",
        SIGNER.secret_text().replace("+AW", "+BW"),
        SIGNER.secret_text().replace("/1+", "/2+"),
    ],
)
def test_malformed_signing_keys(skey: str) -> None:
    with pytest.raises(LedgerError, match="malformed"):
        Signer.parse(skey)


@given(st.text(max_size=60) | st.text("—\n +=aA0", max_size=60))
def test_garbage_raises_one_error(text: str) -> None:
    for parse in (Note.parse, Checkpoint.parse, Verifier.parse, Signer.parse):
        try:
            parse(text)
        except LedgerError:
            continue
