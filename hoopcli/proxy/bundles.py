"""The policy bundle that a broker decides by: fetched with its ETag, verified, kept for when the server is away.

A bundle that is not signed by the server's key, that has expired, or that is older than one seen before is refused:
then nothing is decided by it, and so everything is denied.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hoopcli.errors import HoopError, LedgerError, UsageError
from hoopcli.ledger.note import Note, Verifier
from hoopcli.policy.bundle import Bundle, parse

_AGAIN = "run: hoop policy pull"
_SKEW = timedelta(minutes=1)
LIMIT = 4 * 1024 * 1024


class BundleError(HoopError):
    """There is no bundle to decide by."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the server answered: the note and its ETag, or ``note`` None where what is kept is the newest."""

    note: str | None
    etag: str


#: Asks the server for its bundle, given the ETag of the kept one or "". Raises HoopError if it cannot be reached.
Fetch = Callable[[str], Fetched]


class Bundles:
    """The bundle in a folder. ``verifier`` is the server's key, ``now`` the clock."""

    def __init__(self, folder: Path, verifier: Verifier, now: Callable[[], datetime]) -> None:
        self._file = folder / "policy.bundle"
        self._verifier = verifier
        self._now = now

    def current(self) -> Bundle:
        """The bundle that is kept. Raises BundleError if there is none, or it cannot be trusted or has expired."""
        kept = self._kept()
        if kept is None:
            raise BundleError("this machine has no policy from the server yet", _AGAIN)
        bundle = self._verified(kept[1])
        if self._now() >= bundle.expires:
            raise BundleError(f"the policy from the server expired at {bundle.expires:%Y-%m-%d %H:%M} UTC", _AGAIN)
        return bundle

    def refresh(self, fetch: Fetch) -> Bundle:
        """Ask the server, keep what is new, and return the bundle that holds. Raises BundleError, HoopError."""
        kept = self._kept()
        fetched = fetch(kept[0] if kept else "")
        if fetched.note is None:
            return self.current()
        bundle = self._verified(fetched.note)
        if self._now() >= bundle.expires:
            raise BundleError("the server sent a policy that has expired", "compare the clocks of both machines")
        if (newest := self._kept()) is not None:  # another process may have been here meanwhile
            self._compare(bundle, newest[1])
        self._keep(fetched)
        return bundle

    def _verified(self, note: str) -> Bundle:
        try:
            parsed = Note.parse(note)
            self._verifier.open(parsed)
            bundle = parse(parsed.text)
        except (LedgerError, UsageError) as error:
            raise BundleError(f"the policy of the server cannot be trusted: {error.message}", error.hint) from error
        if bundle.issued > self._now() + _SKEW:
            raise BundleError("the policy of the server is dated in the future", "compare the clocks of both machines")
        return bundle

    def _compare(self, bundle: Bundle, note: str) -> None:
        """Refuse an older revision, and another one under the same number."""
        known = self._verified(note)
        if bundle.serial < known.serial or bundle.issued < known.issued:
            raise BundleError(
                f"the server sent revision {bundle.serial} of the policy after revision {known.serial}",
                "tell who runs the server: it was set back",
            )
        if bundle.serial == known.serial and (bundle.policy, bundle.connections) != (known.policy, known.connections):
            raise BundleError(f"the server sent two policies as revision {bundle.serial}", "tell who runs the server")

    def _kept(self) -> tuple[str, str] | None:
        """The ETag and the note."""
        try:
            etag, _, note = self._file.read_text("utf-8").partition("\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{self._file} cannot be read: {error}", _AGAIN) from error
        return etag, note

    def _keep(self, fetched: Fetched) -> None:
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{fetched.etag}\n{fetched.note}")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise BundleError(f"the policy cannot be kept in {self._file}: {error}", "free some space") from error
