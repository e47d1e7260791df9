"""What a request names besides its own address: sources of copies, renamed paths. Each is decided like any other.

A source is the connection's own account only where its URL is the client's own endpoint: the very ``Host`` of the
request, path-style. Anything else is somewhere else, the resource ``url:https://host/path``, which only a rule that
names it allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from connectors.blob.address import Address, blob_name, container_name, decoded, parse_query, parse_target
from connectors.http.message import Request
from hoopcli.errors import ProtocolError

_URL = re.compile(
    r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(/[!$-;=?-Z_a-z~]*)?", re.IGNORECASE
)
_PORTS = {"http": "80", "https": "443"}
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa")
_PART = re.compile(r"0x[0-9a-f]{0,8}|[0-9]{1,11}", re.IGNORECASE)
_NAT64 = IPv6Network("64:ff9b::/96")
_OF_A_SOURCE = frozenset({"snapshot", "versionid"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where a copy comes from. ``address`` is set where it is the connection's own account; its query has no SAS.

    ``url`` is another source as the client sent it, ``shown`` without its query. ``internal`` says that it is no
    public host. ``sas`` are the parameters of the SAS by which the client may read its own account's source.
    """

    address: Address | None = None
    url: str = ""
    shown: str = ""
    internal: bool = False
    sas: tuple[tuple[str, str], ...] = ()

    @property
    def resource(self) -> str:
        """The resource that policy decides: ``account/container/path``, or ``url:https://host/path``."""
        return self.address.resource if self.address else f"url:{self.shown}"


def copy_source(request: Request, account: str) -> Source:
    """The ``x-ms-copy-source`` of a request. Raises ProtocolError."""
    value = request.headers.get("x-ms-copy-source") or ""
    match = _URL.fullmatch(value)
    if not match:
        raise ProtocolError("x-ms-copy-source is not an http or https URL without user, fragment and odd characters")
    scheme, host, port, target = match[1].lower(), match[2].lower(), match[3], match[4] or "/"
    authority = host + (f":{port}" if port else "")
    if authority == (request.headers.get("host") or "").lower():
        return _own(parse_target(target, account))
    path, _, query = target.partition("?")
    parse_query(query)
    if "%2f" in path.lower():
        raise ProtocolError("the path of x-ms-copy-source has encoded slashes")
    name = blob_name(decoded(path[1:]))
    shown = f"{scheme}://{host}" + (f":{port}" if port and port != _PORTS[scheme] else "") + f"/{name}"
    return Source(url=value, shown=shown, internal=is_internal(host))


def rename_source(request: Request, account: str) -> Source:
    """The ``x-ms-rename-source`` of a request, ``/filesystem/path`` with an optional SAS. Raises ProtocolError.

    Clients of a path-style endpoint may put the account before it.
    """
    value = request.headers.get("x-ms-rename-source") or ""
    target = value if value.startswith(f"/{account}/") else f"/{account}/{value.removeprefix('/')}"
    return _own(parse_target(target, account))


def undelete_source(request: Request, container: Address) -> Address:
    """The ``x-ms-undelete-source`` of a request, a path in the same filesystem. Raises ProtocolError."""
    value = request.headers.get("x-ms-undelete-source") or ""
    path, _, query = value.partition("?")
    if [name for name, _ in parse_query(query)] != ["deletionid"]:
        raise ProtocolError("x-ms-undelete-source names no deletion")
    return Address(container.account, container.container, blob_name(decoded(path.removeprefix("/"))))


def other_container(request: Request, account: str, header: str) -> Address:
    """The container that a header names. Raises ProtocolError."""
    return Address(account, container_name(request.headers.get(header) or ""))


def _own(address: Address) -> Source:
    if not address.path:
        raise ProtocolError("the source names no blob")
    exact = tuple(pair for pair in address.query if pair[0] in _OF_A_SOURCE)
    sas = tuple(pair for pair in address.query if pair[0] not in _OF_A_SOURCE)
    if sas and not any(name == "sig" for name, _ in sas):
        raise ProtocolError("the source has parameters that are neither a version nor a SAS")
    return Source(Address(address.account, address.container, address.path, exact), sas=sas)


def is_internal(host: str) -> bool:
    """Whether a host is not one of the public internet, in any of the spellings of an address that servers accept."""
    name = host.rstrip(".").lower()
    address = _address(name)
    if address is not None:
        return not address.is_global or address.is_multicast
    last = name.rpartition(".")[2]
    return "." not in name or last in _LOCAL_NAMES or last.isdigit()


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """An address from dotted, decimal, octal, hexadecimal or shortened form, as inet_aton reads it; else None."""
    if name.startswith("["):
        try:
            address = ip_address(name.strip("[]"))
        except ValueError:
            return IPv6Address(0)
        return (isinstance(address, IPv6Address) and _inside(address)) or address
    parts = name.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return IPv4Address(0)
    room = 256 ** (5 - len(numbers))
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= room:
        return IPv4Address(0)
    return IPv4Address(sum(n << 8 * (3 - i) for i, n in enumerate(numbers[:-1])) + numbers[-1])


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") and len(part) > 1 else 10)


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one carries (mapped, 6to4, NAT64)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
