"""Whether a client may ask at all: every request proves that it comes from the session, in one of three ways."""

from __future__ import annotations

from datetime import datetime

from connectors.blob import bearer, sas, sharedkey
from connectors.blob.address import Address
from connectors.blob.copy import Source
from connectors.blob.errors import no_proof, not_authentic, not_permitted
from connectors.blob.operations import Operation
from connectors.blob.reference import Answer, Level, Row
from connectors.blob.sas import Need
from connectors.http.message import Request
from hoopcli.spi import SessionSecret

#: What verbs that headers add to an operation need of a SAS besides.
_ADDED_PERMISSIONS = {"blob:set-tags": "t", "blob:set-acl": "p", "blob:set-immutability": "i"}
_LISTINGS = frozenset({Answer.BLOBS, Answer.FOUND, Answer.PATHS})
_LOOPBACK = "127.0.0.1"


def authenticate(
    request: Request,
    address: Address,
    operation: Operation,
    secret: SessionSecret,
    now: datetime,
    *,
    tls: bool,
    ip: str = _LOOPBACK,
) -> None:
    """Check that a request is of this session and, if a SAS proves it, within that. Raises StorageError.

    The proof is a Shared Key signature or a SAS with the session's account key, or its secret as a bearer token; never
    two of them. Raises ProtocolError for headers that came twice.
    """
    query = dict(address.query)
    if "authorization" in request.headers and "sig" in query:
        raise not_authentic("it is signed in two ways")
    key = sharedkey.session_key(secret)
    if sharedkey.is_shared_key(request):
        sharedkey.verify(request, address.account, key, now, canonical_target=address.target(f"/{address.account}"))
    elif bearer.is_bearer(request):
        bearer.verify(request, secret)
    elif "sig" in query:
        sas.verify(query, address, _need(request, operation), key, now, tls=tls, ip=ip)
    else:
        raise no_proof("the request proves nothing of where it is from")
    if operation.source is not None:
        _check_source(operation, operation.source, query, key, now, tls=tls, ip=ip)


def _check_source(
    operation: Operation, source: Source, query: dict[str, str], key: str, now: datetime, *, tls: bool, ip: str
) -> None:
    """A source of the own account is read by its own SAS, else by what proves the request."""
    if source.address is None:
        return
    own = dict(source.sas) or ({name: value for name, value in query.items() if "sig" in query})
    if not own:
        return
    permissions = ("md", "mr") if operation.name == "Path - Rename" else ("r",)
    sas.verify(own, source.address, Need(permissions, Level.BLOB), key, now, tls=tls, ip=ip)


def _need(request: Request, operation: Operation) -> Need:
    """What a SAS must allow for an operation."""
    row = operation.row
    if row is None:
        raise not_permitted("it is not an operation of the reference")
    added = [
        _ADDED_PERMISSIONS[a.verb] for a in operation.actions if a.verb in _ADDED_PERMISSIONS and a.verb != row.verb
    ]
    return Need((_permissions(row, request, operation), *added), row.level, row.answer in _LISTINGS)


def _permissions(row: Row, request: Request, operation: Operation) -> str:
    """The letters of which one is needed. Deleting a version or for ever has letters of its own."""
    if row.name == "Delete Blob":
        if operation.facts["permanent"]:
            return "y"
        return "x" if operation.facts["version"] else "d"
    creates_only = request.headers.get("if-none-match") == "*"
    return row.sas.replace("C", "c" if creates_only else "")
