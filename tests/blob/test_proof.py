from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.errors import StorageError
from connectors.blob.sas import account_sas
from connectors.blob.sharedkey import session_key, signature
from connectors.http.message import Request
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.spi import SessionSecret
from tests.blob.requests import ACCOUNT, HOST, KEY, NOW, SECRET, proves, request, signed_by

SAS = account_sas(ACCOUNT, KEY, expires=NOW + timedelta(hours=1))
BASE = {"sv": "2022-11-02", "ss": "b", "srt": "sco", "sp": "rwdl", "se": "2026-11-23T13:00:00Z"}
SERVICE = {"sv": "2022-11-02", "sr": "c", "sp": "rwdl", "se": "2026-11-23T13:00:00Z"}
ACCOUNT_FIELDS = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses")


def account(key: str = KEY, **changes: str) -> str:
    """An account SAS with some fields set, signed by the rules of 2020-12-06."""
    values = {**BASE, **changes}
    text = "\n".join([ACCOUNT, *(values.get(name, "") for name in ACCOUNT_FIELDS), ""])
    return urlencode({**values, "sig": signature(key, text)})


def service(resource: str, key: str = KEY, version: str = "", **changes: str) -> str:
    """A service SAS for a canonical resource."""
    values = {**SERVICE, **changes}
    fields = ("sp", "st", "se"), ("si", "sip", "spr", "sv", "sr"), ("rscc", "rscd", "rsce", "rscl", "rsct")
    first, middle, last = ([values.get(name, "") for name in names] for names in fields)
    scopes = [values.get("ses", "")] if values["sv"] >= "2020-12-06" else []
    text = "\n".join([*first, f"/blob/{ACCOUNT}/{resource}", *middle, version, *scopes, *last])
    return urlencode({**values, "sig": signature(key, text)})


def with_sas(sas: str, target: str = "/acme/docs/a", method: str = "GET", **headers: str) -> Request:
    return request(method, f"{target}{'&' if '?' in target else '?'}{sas}", **headers)


def refused(asked: Request, *, tls: bool = False) -> StorageError:
    with pytest.raises(StorageError) as caught:
        proves(asked, tls=tls)
    return caught.value


def test_three_ways_to_prove_it() -> None:
    proves(signed_by(request("GET", "/acme/docs/a")))
    proves(with_sas(SAS))
    proves(request("GET", "/acme/docs/a", Authorization=f"Bearer {SECRET.value}"))
    proves(request("GET", "/acme/docs/a", Authorization=f"bearer {SECRET.value}"))


def test_no_proof() -> None:
    error = refused(request("GET", "/acme/docs/a"))
    assert (error.status, error.code) == (401, "NoAuthenticationInformation")
    assert refused(request("GET", "/acme/docs/a", Authorization="Basic YTpi")).status == 401
    assert refused(request("GET", "/acme/docs/a?sv=2022-11-02&sp=r")).status == 401
    assert refused(request("OPTIONS", "/acme/docs/a", Origin="https://globex.example")).status == 401


@pytest.mark.parametrize("token", ["x", SECRET.value + "x", SECRET.value[:-1], KEY, "é"])
def test_another_token(token: str) -> None:
    assert refused(request("GET", "/acme/docs/a", Authorization=f"Bearer {token}")).code == "AuthenticationFailed"


def test_two_proofs_are_none() -> None:
    refused(with_sas(SAS, Authorization=f"Bearer {SECRET.value}"))
    refused(signed_by(with_sas(SAS)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"se": "2026-11-23T12:00:00Z"}, "expired"),
        ({"se": "2026-11-23"}, "expired"),
        ({"se": "soon"}, "cannot be read"),
        ({"se": "2026-13-01"}, "cannot be read"),
        ({"st": "2026-11-23T12:00:01Z"}, "not in force"),
        ({"spr": "https"}, "https"),
        ({"spr": "http"}, "https"),
        ({"sip": "10.0.0.1"}, "other addresses"),
        ({"sip": "127.0.0.2-127.0.0.9"}, "other addresses"),
        ({"sip": "::1"}, "other addresses"),
        ({"sip": ""}, "other addresses"),
        ({"ss": "qtf"}, "other services"),
        ({"srt": "sc"}, "other services"),
        ({"sp": "wdl"}, "'r'"),
        ({"sp": ""}, "'r'"),
        ({"sv": "2014-02-14"}, "2015-04-05"),
        ({"sv": "new"}, "no version"),
        ({"sdd": "1"}, "two kinds"),
        ({"si": "policy"}, "si"),
        ({"skoid": "x"}, "skoid"),
        ({"saoid": "x"}, "saoid"),
    ],
)
def test_an_account_sas_that_is_not_enough(changes: dict[str, str], reason: str) -> None:
    assert reason in refused(with_sas(account(**changes))).message


def test_an_account_sas_that_is_enough() -> None:
    for changes in (
        {"spr": "https,http"}, {"sip": "127.0.0.1"}, {"sip": "127.0.0.0-127.0.0.255"}, {"st": "2026-11-23T11:59Z"},
        {"st": "2026-11-23"}, {"se": "2026-11-23T13:00:00.1234567Z"}, {"ses": "scope"}, {"sp": "r"}, {"srt": "o"},
    ):  # fmt: skip
        proves(with_sas(account(**changes)))
    proves(with_sas(account(spr="https")), tls=True)
    old = {**BASE, "sv": "2019-12-12"}
    text = "\n".join([ACCOUNT, *(old.get(name, "") for name in ACCOUNT_FIELDS[:-1]), ""])
    proves(with_sas(urlencode({**old, "sig": signature(KEY, text)})))


def test_no_field_of_a_sas_can_change() -> None:
    wide = {"sp": "rwdlacup", "srt": "sco", "ss": "bqtf", "se": "2027-01-01", "sip": "127.0.0.1", "ses": "x"}
    for name, value in {**wide, "sv": "2024-11-04"}.items():
        changed = {**dict(parse_qsl(account(sp="r", srt="o"))), name: value}
        assert "signature" in refused(with_sas(urlencode(changed))).message
    assert "signature" in refused(with_sas(account(key=session_key(SessionSecret("other"))))).message


@pytest.mark.parametrize(
    ("target", "method", "sp", "good"),
    [
        ("/acme/docs/a", "GET", "r", True),
        ("/acme/docs/a", "HEAD", "w", False),
        ("/acme/docs/a", "DELETE", "d", True),
        ("/acme/docs/a", "DELETE", "rwl", False),
        ("/acme/docs/a?versionid=v", "DELETE", "d", False),
        ("/acme/docs/a?versionid=v", "DELETE", "x", True),
        ("/acme/docs/a?snapshot=s&deletetype=permanent", "DELETE", "dx", False),
        ("/acme/docs/a?snapshot=s&deletetype=permanent", "DELETE", "y", True),
        ("/acme/docs/a?comp=tags", "GET", "r", False),
        ("/acme/docs/a?comp=tags", "GET", "t", True),
        ("/acme/?comp=list", "GET", "l", True),
        ("/acme/?comp=list", "GET", "r", False),
        ("/acme/?restype=service&comp=userdelegationkey", "POST", "rwdlacuptfix", False),
        ("/acme/docs?restype=container&comp=acl", "PUT", "rwdlacuptfix", False),
        ("/acme/docs/a?action=setAccessControl", "PATCH", "rwdlacuptfixmeo", False),  # p is another right there
        ("/acme/docs?restype=account&comp=properties", "GET", "w", True),
    ],
)
def test_permissions_of_operations(target: str, method: str, sp: str, good: bool) -> None:
    asked = with_sas(account(sp=sp), target, method)
    if good:
        proves(asked)
    else:
        assert refused(asked).code == "AuthorizationPermissionMismatch"


def test_creating_is_not_overwriting() -> None:
    put = {"target": "/acme/docs/a", "method": "PUT", "x_ms_blob_type": "BlockBlob"}
    refused(with_sas(account(sp="c"), **put))
    proves(with_sas(account(sp="c"), **put, if_none_match="*"))
    proves(with_sas(account(sp="w"), **put))
    refused(with_sas(account(sp="w"), **put, x_ms_tags="a=b"))
    proves(with_sas(account(sp="wt"), **put, x_ms_tags="a=b"))
    refused(with_sas(account(sp="w"), **put, x_ms_legal_hold="true"))


def test_what_is_unknown_needs_more_than_a_sas() -> None:
    assert refused(with_sas(account(sp="rwdlacuptfix"), "/acme/docs")).code == "AuthorizationPermissionMismatch"


@pytest.mark.parametrize(
    ("resource", "changes", "target", "good"),
    [
        ("docs", {}, "/acme/docs/a", True),
        ("docs", {}, "/acme/docs/d/b", True),
        ("docs", {}, "/acme/docs?restype=container&comp=list", True),
        ("docs", {}, "/acme/docs?restype=container", False),
        ("docs", {}, "/acme/other/a", False),
        ("", {}, "/acme/?comp=list", False),
        ("docs/a", {"sr": "b"}, "/acme/docs/a", True),
        ("docs/a", {"sr": "b"}, "/acme/docs/b", False),
        ("docs/a", {"sr": "b"}, "/acme/docs/a/b", False),
        ("docs/a", {"sr": "b"}, "/acme/docs/a?snapshot=s", False),
        ("docs/a", {"sr": "b"}, "/acme/docs?restype=container&comp=list", False),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs/d/a", True),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs/d", True),
        ("docs/d/e", {"sr": "d", "sdd": "2"}, "/acme/docs/d/e/a", True),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs?resource=filesystem&directory=d%2Fe&recursive=true", True),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs?resource=filesystem&recursive=true", False),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs?restype=container&comp=list&prefix=d", False),
        ("docs/d", {"sr": "d", "sdd": "1"}, "/acme/docs/dd/a", False),
        ("docs/d", {"sr": "d", "sdd": "2"}, "/acme/docs/d", False),
        ("docs/", {"sr": "d", "sdd": "0"}, "/acme/docs/d", False),
        ("docs/d", {"sr": "d"}, "/acme/docs/d/a", False),
        ("docs/d", {"sr": "d", "sdd": "1", "sv": "2019-12-12"}, "/acme/docs/d/a", False),
        ("docs", {"sv": "2018-11-09"}, "/acme/docs/a", True),
        ("docs", {"sv": "2018-03-28"}, "/acme/docs/a", False),
        ("docs", {"sr": "s"}, "/acme/docs/a", False),
        ("docs", {"ss": "b"}, "/acme/docs/a", False),
        ("docs", {"srt": "o"}, "/acme/docs/a", False),
        ("docs", {"si": "policy"}, "/acme/docs/a", False),
        ("docs", {"ses": "scope", "rsct": "text/html"}, "/acme/docs/a", True),
    ],
)
def test_the_scope_of_a_service_sas(resource: str, changes: dict[str, str], target: str, good: bool) -> None:
    asked = with_sas(service(resource, **changes), target)
    if good:
        proves(asked)
    else:
        refused(asked)


def test_snapshots_and_versions_have_a_sas_of_their_own() -> None:
    proves(with_sas(service("docs/a", version="s1", sr="bs"), "/acme/docs/a?snapshot=s1"))
    proves(with_sas(service("docs/a", version="v1", sr="bv"), "/acme/docs/a?versionid=v1"))
    refused(with_sas(service("docs/a", version="s1", sr="bs"), "/acme/docs/a?snapshot=s2"))
    refused(with_sas(service("docs/a", version="s1", sr="bs"), "/acme/docs/a?snapshot=s1&versionid=v1"))
    refused(with_sas(service("docs/a", version="v1", sr="bv"), "/acme/docs/a?snapshot=v1"))


def copy(source: str, proof: str, name: str = "/acme/docs/new") -> Request:
    return with_sas(proof, name, "PUT", x_ms_copy_source=source)


def test_a_copy_does_not_read_what_its_sas_does_not() -> None:
    source = f"http://{HOST}/acme/docs/secret"
    writes = service("docs/new", sr="b", sp="w")
    refused(copy(source, writes))
    refused(copy(f"{source}?{service('docs/secret', sr='b', sp='w')}", writes))
    refused(copy(f"{source}?{service('docs/other', sr='b', sp='r')}", writes))
    proves(copy(f"{source}?{service('docs/secret', sr='b', sp='r')}", writes))
    proves(copy(source, service("docs", sp="rw")))
    refused(copy(source, service("docs", sp="w")))
    refused(copy(f"http://{HOST}/acme/other/a", service("docs", sp="rw")))
    proves(signed_by(request("PUT", "/acme/docs/new", x_ms_copy_source=source)))
    with pytest.raises(StorageError):
        proves(signed_by(request("PUT", "/acme/docs/new", x_ms_copy_source=f"{source}?sig=forged&sv=2022-11-02&sr=b")))
    proves(copy("https://globex.example/a?sig=theirs", writes))  # read with their own proof; policy decides


def test_a_rename_needs_rights_on_both_ends() -> None:
    def rename(sas: str) -> Request:
        return with_sas(sas, "/acme/docs/new", "PUT", x_ms_rename_source="/docs/old")

    refused(rename(service("docs/new", sr="b", sp="wm")))
    refused(rename(service("docs", sp="w")))
    proves(rename(service("docs", sp="m")))
    proves(rename(service("docs", sp="rwd")))


@given(
    st.dictionaries(
        st.sampled_from(
            ["sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "sig", "ses", "sdd", "rscc", "snapshot"]
        ),
        st.text(),
    )
)
def test_garbage_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(HoopError) as caught:
        proves(request("GET", f"/acme/docs/a?{urlencode({**query, 'sig': query.get('sig', 'x')}, errors='replace')}"))
    assert isinstance(caught.value, StorageError | ProtocolError)
