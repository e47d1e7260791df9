"""Signed notes, tree checkpoints and cosignatures: C2SP signed-note, tlog-checkpoint, tlog-cosignature.

A checkpoint is a signed note whose text names the ledger (its origin), the number of its records and the root of
their Merkle tree. Any tool that speaks these formats can verify it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hoopcli.errors import LedgerError

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04
MAX_NOTE: Final = 65_536
MAX_SIGNATURES: Final = 100

_SIGNATURE_LINE = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile("0|[1-9][0-9]{0,17}")
_PRIVATE: Final = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose (name and 4-byte key id), and its bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {_b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, with its final newline, and who signed it. Nothing of it is trusted before a verifier opened it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Take a signed note apart. Raises LedgerError if it is malformed."""
        if len(note) > MAX_NOTE or _CONTROL.search(note):
            raise LedgerError("malformed note: too long, or control characters in it")
        text, separator, lines = note.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise LedgerError("malformed note: no signatures after the last empty line")
        signatures = tuple(_parse_signature(line) for line in lines[:-1].split("\n"))
        if len(signatures) > MAX_SIGNATURES:
            raise LedgerError("malformed note: too many signatures")
        return cls(text + "\n", signatures)

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and the name it signs under; ``str()`` is its vkey, which anyone may have."""

    name: str
    algorithm: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a vkey: name, key id and key, joined by plus signs. Raises LedgerError if it is malformed."""
        name, key_id, key = _split_key(vkey.strip())
        if len(key) != 33 or key[0] not in {ED25519, COSIGNATURE_V1}:
            raise LedgerError("malformed verifier key: neither an Ed25519 nor a cosignature/v1 key")
        verifier = cls(name, key[0], key[1:])
        if verifier.key_id != key_id:
            raise LedgerError("malformed verifier key: its key id does not match")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, algorithm, public key)."""
        return _key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([self.algorithm]) + self.public)}"

    def open(self, note: Note) -> int:
        """Verify this key's signatures on a note; the time of a cosignature in POSIX seconds, else 0.

        Raises:
            LedgerError: this key has not signed the note, or one of its signatures is wrong.
        """
        mine = [s for s in note.signatures if (s.name, s.key_id) == (self.name, self.key_id)]
        if not mine:
            raise LedgerError(f"the note is not signed by {self.name} ({self.key_id.hex()})")
        return max(self._check(note.text, signature.signature) for signature in mine)

    def _check(self, text: str, signature: bytes) -> int:
        time = 0
        if self.algorithm == COSIGNATURE_V1:
            time, signature = int.from_bytes(signature[:8]), signature[8:]
            text = f"cosignature/v1\ntime {time}\n{text}"
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature as error:
            raise LedgerError(f"the signature of {self.name} is wrong") from error
        return time


class Signer:
    """A private Ed25519 key and the name it signs under."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.name = _checked_name(name)
        self._private = private
        self.verifier = Verifier(name, ED25519, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Signer:
        """A new random key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, skey: str) -> Signer:
        """Read what ``secret_text`` wrote. Raises LedgerError if it is malformed."""
        name, private = _parse_private(skey, ED25519)
        return cls(name, private)

    def secret_text(self) -> str:
        """The private key as text, in the form that Go's note package reads."""
        return _private_text(self.verifier, self._private)

    def sign(self, text: str) -> Note:
        """Sign a text, which must end in a newline."""
        signature = self._private.sign(text.encode())
        return Note(text, (Signature(self.name, self.verifier.key_id, signature),))

    def __repr__(self) -> str:
        return f"Signer({self.name!r}, <hidden>)"


class Cosigner:
    """A witness's private Ed25519 key and the name it cosigns under (tlog-cosignature, cosignature/v1)."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.name = _checked_name(name)
        self._private = private
        self.verifier = Verifier(name, COSIGNATURE_V1, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Cosigner:
        """A new random key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, skey: str) -> Cosigner:
        """Read what ``secret_text`` wrote. Raises LedgerError if it is malformed."""
        name, private = _parse_private(skey, COSIGNATURE_V1)
        return cls(name, private)

    def secret_text(self) -> str:
        """The private key as text, in the same form as a signer's."""
        return _private_text(self.verifier, self._private)

    def cosign(self, text: str, time: int) -> Signature:
        """Say that at this time, in POSIX seconds, no other tree than that of this checkpoint was cosigned."""
        signature = self._private.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        return Signature(self.name, self.verifier.key_id, time.to_bytes(8) + signature)

    def __repr__(self) -> str:
        return f"Cosigner({self.name!r}, <hidden>)"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the ledger's origin, how many records it has, and the root hash over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint note. Raises LedgerError if it is malformed."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise LedgerError("malformed checkpoint: it needs an origin, a size and a root")
        origin, size, root = lines[:3]
        if not _SIZE.fullmatch(size):
            raise LedgerError("malformed checkpoint: the size is not a number")
        digest = _unb64(root)
        if len(digest) != 32:
            raise LedgerError("malformed checkpoint: the root is not a SHA-256 hash")
        return cls(origin, int(size), digest)

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


def open_checkpoint(note: str, verifier: Verifier, witnesses: Iterable[Verifier] = ()) -> Checkpoint:
    """Verify a checkpoint note by the ledger's own key and by every witness given.

    Raises:
        LedgerError: malformed, wrongly signed, or of another ledger.
    """
    parsed = Note.parse(note)
    for key in (verifier, *witnesses):
        key.open(parsed)
    checkpoint = Checkpoint.parse(parsed.text)
    if checkpoint.origin != verifier.name:
        raise LedgerError(f"the checkpoint is of another ledger: {checkpoint.origin}")
    return checkpoint


def _parse_private(skey: str, algorithm: int) -> tuple[str, Ed25519PrivateKey]:
    if not skey.startswith(_PRIVATE):
        raise LedgerError("malformed signing key")
    name, key_id, key = _split_key(skey.strip().removeprefix(_PRIVATE))
    if len(key) != 33 or key[0] != algorithm:
        raise LedgerError("malformed signing key: not an Ed25519 key of this use")
    private = Ed25519PrivateKey.from_private_bytes(key[1:])
    if _key_id(name, algorithm, private.public_key().public_bytes_raw()) != key_id:
        raise LedgerError("malformed signing key: its key id does not match")
    return name, private


def _private_text(verifier: Verifier, private: Ed25519PrivateKey) -> str:
    key = bytes([verifier.algorithm]) + private.private_bytes_raw()
    return f"{_PRIVATE}{verifier.name}+{verifier.key_id.hex()}+{_b64(key)}"


def _parse_signature(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise LedgerError("malformed note: a signature line is not one")
    raw = _unb64(match[2])
    if len(raw) < 5:
        raise LedgerError("malformed note: a signature is too short")
    return Signature(_checked_name(match[1]), raw[:4], raw[4:])


def _split_key(text: str) -> tuple[str, bytes, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, key = rest.partition("+")
    if not re.fullmatch("[0-9a-f]{8}", key_id):
        raise LedgerError("malformed key: its key id is not 8 hexadecimal digits")
    return _checked_name(name), bytes.fromhex(key_id), _unb64(key)


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(c.isspace() for c in name) or not name.isprintable():
        raise LedgerError("malformed key name: it is empty, or has spaces or plus signs")
    return name


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LedgerError("malformed base64") from error
    if _b64(data) != text:  # only one spelling is taken
        raise LedgerError("malformed base64")
    return data
