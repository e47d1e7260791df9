"""Shared access signatures made with the session's account key: checked in full, and one made for ``hoop connect``.

Source: the REST reference, "Create an account SAS" and "Create a service SAS". A signature that is narrower than the
session is honoured: the request must lie within its resource, permissions, times, protocol and addresses. Stored access
policies (``si``) and user delegation keys (``skoid``) are refused: only the service knows them. The overrides of answer
headers (``rscc`` to ``rsct``) are signed over, and not passed on.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import quote

from connectors.blob.address import Address
from connectors.blob.errors import not_authentic, not_permitted
from connectors.blob.reference import Level
from connectors.blob.sharedkey import signature

_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.[0-9]{1,7})?Z)?")
_ENCRYPTION_SCOPE_SINCE = "2020-12-06"
_SERVICE_SINCE, _ACCOUNT_SINCE, _DIRECTORY_SINCE = "2018-11-09", "2015-04-05", "2020-02-10"
_OF_THE_SERVICE = ("si", "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "sduoid", "skdutid")
_OVERRIDES = ("rscc", "rscd", "rsce", "rscl", "rsct")
_NOT_OF_AN_ACCOUNT = frozenset("pmeo")  # letters that mean something else there, or nothing


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs of a SAS: one letter of each of ``permissions`` (``*``: any) at a level of the account."""

    permissions: tuple[str, ...]
    level: Level
    listing: bool = False


def verify(
    query: Mapping[str, str], address: Address, need: Need, key: str, now: datetime, *, tls: bool, ip: str
) -> None:
    """Check that a SAS is genuine, in force, and covers a request. ``ip`` is the client's. Raises StorageError."""
    refused = next((name for name in _OF_THE_SERVICE if name in query), None)
    if refused is not None:
        raise not_authentic(f"a SAS with {refused} cannot be checked here")
    if not _VERSION.fullmatch(query.get("sv", "")):
        raise not_authentic("its SAS has no version")
    if "sr" in query:
        _check_service(query, address, need, key)
    else:
        _check_account(query, address, need, key)
    _check_times(query, now)
    _check_place(query, tls=tls, ip=ip)


def account_sas(
    account: str, key: str, *, expires: datetime, permissions: str = "rwdlacuptfix", version: str = "2022-11-02"
) -> str:
    """An account SAS for the Blob service on all levels, as the query of a URL."""
    values = {
        "sv": version,
        "ss": "b",
        "srt": "sco",
        "sp": permissions,
        "se": expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "spr": "https,http",
    }
    signed = {**values, "sig": signature(key, _account_string_to_sign(values, account))}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in signed.items())


def _check_account(query: Mapping[str, str], address: Address, need: Need, key: str) -> None:
    if query["sv"] < _ACCOUNT_SINCE or "sdd" in query:
        raise not_authentic("its account SAS is older than 2015-04-05, or of two kinds at once")
    _check_signature(query, key, _account_string_to_sign(query, address.account))
    if "b" not in query.get("ss", "") or need.level.value not in query.get("srt", ""):
        raise not_permitted("it is for other services or resource types")
    _check_permissions(query, need, unknown=_NOT_OF_AN_ACCOUNT)


def _check_service(query: Mapping[str, str], address: Address, need: Need, key: str) -> None:
    if query["sv"] < _SERVICE_SINCE or "ss" in query or "srt" in query:
        raise not_authentic("its service SAS is older than 2018-11-09, or of two kinds at once")
    scope, version = _scope(query, address)
    _check_signature(query, key, _service_string_to_sign(query, scope, version))
    if need.level is Level.ACCOUNT or (need.level is Level.CONTAINER and not need.listing):
        raise not_permitted("a SAS for a resource does not reach its container or account")
    _check_permissions(query, need)


def _scope(query: Mapping[str, str], address: Address) -> tuple[str, str]:
    """What a service SAS that covers the request must be signed for: the canonical resource, and its version."""
    container = f"/blob/{address.account}/{address.container}"
    snapshot, version = address.value("snapshot"), address.value("versionid")
    match query["sr"]:
        case "c":
            return container, ""
        case "b" if address.path and not (snapshot or version):
            return f"{container}/{address.path}", ""
        case "bs" if address.path and snapshot and not version:
            return f"{container}/{address.path}", snapshot
        case "bv" if address.path and version and not snapshot:
            return f"{container}/{address.path}", version
        case "d" if query["sv"] >= _DIRECTORY_SINCE:
            return f"{container}/{_directory(query.get('sdd', ''), address)}", ""
    raise not_permitted("it is for another kind of resource")


def _directory(depth: str, address: Address) -> str:
    """The directory of so many segments that the request lies in."""
    segments = (address.path or address.value("directory")).split("/")
    if not re.fullmatch("[1-9][0-9]?", depth) or len(segments) < int(depth):
        raise not_permitted("it is for a directory that this is not in")
    return "/".join(segments[: int(depth)])


def _account_string_to_sign(query: Mapping[str, str], account: str) -> str:
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if query["sv"] >= _ENCRYPTION_SCOPE_SINCE:
        names.append("ses")
    return "\n".join([account, *(query.get(name, "") for name in names), ""])


def _service_string_to_sign(query: Mapping[str, str], scope: str, version: str) -> str:
    head = [query.get(name, "") for name in ("sp", "st", "se")]
    middle = [query.get(name, "") for name in ("si", "sip", "spr", "sv", "sr")]
    scopes = [query.get("ses", "")] if query["sv"] >= _ENCRYPTION_SCOPE_SINCE else []
    return "\n".join([*head, scope, *middle, version, *scopes, *(query.get(name, "") for name in _OVERRIDES)])


def _check_signature(query: Mapping[str, str], key: str, text: str) -> None:
    if not hmac.compare_digest(signature(key, text).encode(), query.get("sig", "").encode()):
        raise not_authentic("the signature of its SAS does not match")


def _check_permissions(query: Mapping[str, str], need: Need, unknown: frozenset[str] = frozenset()) -> None:
    given = set(query.get("sp", "")) - unknown
    for wanted in need.permissions:
        if not given or (wanted != "*" and not given & set(wanted)):
            raise not_permitted(f"it needs one of the permissions {wanted!r}" if wanted else "no SAS is enough for it")


def _check_times(query: Mapping[str, str], now: datetime) -> None:
    if "se" not in query or now >= _moment(query["se"]):
        raise not_authentic("its SAS has expired")
    if "st" in query and now < _moment(query["st"]):
        raise not_authentic("its SAS is not in force yet")


def _moment(text: str) -> datetime:
    match = _TIME.fullmatch(text)
    try:
        if match:
            return datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}{match[3] or ':00'}+00:00")
    except ValueError:
        pass
    raise not_authentic("a time of its SAS cannot be read")


def _check_place(query: Mapping[str, str], *, tls: bool, ip: str) -> None:
    if query.get("spr", "https,http") not in {"https", "https,http"} or (query.get("spr") == "https" and not tls):
        raise not_authentic("its SAS is for https")
    first, _, last = query.get("sip", ip).partition("-")
    try:
        good = IPv4Address(first) <= IPv4Address(ip) <= IPv4Address(last or first)
    except AddressValueError:
        good = False
    if not good:
        raise not_authentic("its SAS is for other addresses")
