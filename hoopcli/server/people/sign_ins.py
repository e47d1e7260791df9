"""Sign-ins under way: what a browser left for a provider with, and what it may come back with, once.

A sign-in is bound to the browser by a cookie; only its digest is kept. What a provider is told (nonce, verifier of
PKCE) is made from the cookie and the state, so that nothing here is of use to who reads the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import delete, insert, select

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.model.access import Principal
from hoopcli.server.database import Database
from hoopcli.server.people.store import document, principal
from hoopcli.server.tables.sign_ins import sign_ins

LASTS: Final = timedelta(minutes=10)
"""How long somebody may take at the provider."""
CODE_LASTS: Final = timedelta(minutes=1)
_ROW = sign_ins.c
_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}/")
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")

Stage = Literal["asked", "vouched", "code"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that signs in by way of a browser.

    Where it listens on its machine (RFC 8252 7.3), its state, the challenge of its verifier (RFC 7636), and the
    thumbprint of its key (RFC 9449 10).
    """

    redirect: str
    state: str
    challenge: str
    thumbprint: str

    def check(self) -> Program:
        """The same. Raises UsageError for anything that is no such program."""
        digests = _DIGEST.fullmatch(self.challenge) and _DIGEST.fullmatch(self.thumbprint)
        if not (_LOOPBACK.fullmatch(self.redirect) and _STATE.fullmatch(self.state) and digests):
            raise UsageError("this is no request of a program on this machine", "run: hoop login")
        return self


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a sign-in leads: to a page of this server, or to a program."""

    next: str = ""
    program: Program | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in under way. ``principal`` is known once the provider has vouched for somebody."""

    provider: str
    wanted: Wanted
    principal: Principal | None


class SignIns:
    """The sign-ins in a database. Its methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, provider: str, cookie: str, wanted: Wanted, now: datetime) -> str:
        """Leave for a provider; the state to come back with."""
        return self._put("asked", SignIn(provider, wanted, None), digest(cookie), now + LASTS, now)

    def asked(self, state: str, now: datetime) -> SignIn:
        """What somebody left for, as long as they have not come back. Raises NotSignedInError."""
        with self._database.read() as db:
            mine = _ROW.digest == digest(state), _ROW.stage == "asked"
            row = db.execute(select(sign_ins).where(*mine)).mappings().first()
        return _sign_in(row, now)

    def take(self, stage: Stage, secret: str, now: datetime, cookie: str | None = None) -> SignIn:
        """Use a secret up, in the browser with this cookie. Raises NotSignedInError."""
        mine = [_ROW.digest == digest(secret), _ROW.stage == stage]
        if cookie is not None:
            mine.append(_ROW.browser == digest(cookie))
        with self._database.write() as db:
            row = db.execute(delete(sign_ins).where(*mine).returning(*_ROW)).mappings().first()
        return _sign_in(row, now)

    def vouch(self, state: str, who: Principal, now: datetime) -> str:
        """Somebody came back by way of another site; the secret by which their own browser goes on."""
        with self._database.write() as db:
            mine = _ROW.digest == digest(state), _ROW.stage == "asked"
            row = db.execute(delete(sign_ins).where(*mine).returning(*_ROW)).mappings().first()
        before = _sign_in(row, now)
        assert row is not None
        return self._put("vouched", SignIn(before.provider, before.wanted, who), row["browser"], now + CODE_LASTS, now)

    def code(self, sign_in: SignIn, now: datetime) -> str:
        """A code for the program that the sign-in is for."""
        return self._put("code", sign_in, "", now + CODE_LASTS, now)

    def redeem(self, provider: str, code: str, verifier: str, thumbprint: str, now: datetime) -> Principal:
        """Who signed in for a program, which proves that it asked. Raises NotSignedInError."""
        found = self.take("code", code, now)
        program = found.wanted.program
        if program is None or found.principal is None or found.provider != provider:
            raise _unknown()
        right = hmac.compare_digest(program.challenge, challenge(verifier))
        if not right or not hmac.compare_digest(program.thumbprint, thumbprint):
            raise NotSignedInError("the sign-in was begun by another program", "run: hoop login")
        return found.principal

    def _put(self, stage: Stage, made: SignIn, browser: str, expires: datetime, now: datetime) -> str:
        secret = secrets.token_urlsafe(32)
        row = {
            "digest": digest(secret),
            "stage": stage,
            "provider": made.provider,
            "browser": browser,
            "wanted": asdict(made.wanted),
            "principal": document(made.principal) if made.principal else None,
            "expires": expires.timestamp(),
        }
        with self._database.write() as db:
            db.execute(delete(sign_ins).where(_ROW.expires <= now.timestamp()))
            db.execute(insert(sign_ins).values(row))
        return secret


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def derived(cookie: str, state: str, purpose: str) -> str:
    """A secret of one sign-in: only the browser that has the cookie brings what it is made of."""
    return _b64(hmac.digest(cookie.encode(), f"{purpose} {state}".encode(), hashlib.sha256))


def challenge(verifier: str) -> str:
    """The challenge of a verifier: S256 (RFC 7636 4.2)."""
    return _b64(hashlib.sha256(verifier.encode()).digest())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign_in(row: Any, now: datetime) -> SignIn:
    if row is None or row["expires"] <= now.timestamp():
        raise _unknown()
    kept = row["wanted"]
    program = Program(**kept["program"]) if kept["program"] else None
    who = principal(row["principal"]) if row["principal"] else None
    return SignIn(row["provider"], Wanted(kept["next"], program), who)


def _unknown() -> NotSignedInError:
    return NotSignedInError("this sign-in is unknown, used or too old", "begin again")
