"""Responses of SAML with real signatures: what is read of them, and all the ways to forge, wrap or replay one."""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from hoopcli.errors import NotSignedInError
from hoopcli.server.people.saml import Expected, certificates, claims_of, metadata, request_url
from tests.support.idp import IDP, NS, Idp, asked, instant, posted

ADDRESS = "https://hoop.example.com/sign-in/saml"
REQUEST = "_request"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OURS = Idp()
THEIRS = Idp()
SECOND = timedelta(seconds=1)
Change = Callable[[Any], None]


def expected(*trusted: Idp) -> Expected:
    return Expected(IDP, ADDRESS, ADDRESS, REQUEST, [each.certificate for each in trusted or (OURS,)])


def document(**attributes: Any) -> Any:
    return OURS.document(ADDRESS, ADDRESS, REQUEST, NOW, **attributes)


def check(made: Any, now: datetime = NOW, *trusted: Idp) -> dict[str, Any]:
    return claims_of(posted(made), expected(*trusted), now)


def refused(made: Any, why: str = "", now: datetime = NOW) -> None:
    with pytest.raises(NotSignedInError, match=why or None):
        check(made, now)


def assertion(made: Any) -> Any:
    return made.find("a:Assertion", NS)


@pytest.mark.parametrize("what", ["assertion", "response"])
def test_a_good_response_says_who_it_is(what: str) -> None:
    claims = check(OURS.sign(document(groups=["audit", "engineers"], email=["ada@example.com"]), what))
    assert claims["NameID"] == "ada@example.com"
    assert claims["groups"] == ["audit", "engineers"]
    assert claims["email"] == ["ada@example.com"]
    assert not claims["hasgroups"]


def test_both_may_be_signed() -> None:
    assert check(OURS.sign(OURS.sign(document()), "response"))["NameID"] == "ada@example.com"


def test_a_key_on_a_curve() -> None:
    idp = Idp(ec.generate_private_key(ec.SECP256R1()))
    assert check(idp.sign(document()), NOW, idp)


def test_of_several_certificates_any_may_sign() -> None:
    assert check(OURS.sign(document()), NOW, THEIRS, OURS)
    assert len(certificates(OURS.pem + THEIRS.pem)) == 2


def test_groups_that_entra_leaves_out_are_not_none() -> None:
    told = {"http://schemas.microsoft.com/claims/groups.link": ["https://graph.example.com"]}
    assert check(OURS.sign(document(**told)))["hasgroups"]


def test_what_is_not_signed_is_refused() -> None:
    refused(document(), "not signed")


def test_another_key_is_refused_though_its_certificate_comes_along() -> None:
    refused(THEIRS.sign(document()), "not signed")
    refused(THEIRS.sign(document(), "response"), "not signed")


def test_old_algorithms_are_refused() -> None:
    made = OURS.sign(document())
    text = etree.tostring(made).replace(b"2001/04/xmldsig-more#rsa-sha256", b"2000/09/xmldsig#rsa-sha1")
    refused(text, "not signed")


def test_a_shared_secret_is_no_signature() -> None:
    """The certificate is public; it must not do as the key of an HMAC."""
    made = OURS.sign(document())
    text = etree.tostring(made).replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256")
    refused(text, "not signed")


@pytest.mark.parametrize("what", ["assertion", "response"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"ada@example.com", b"eve@example.com"),
        (b">audit<", b">admin<"),
        (b"12:05:00", b"23:05:00"),
        (b"<a:AttributeStatement>", b'<a:AttributeStatement><a:Attribute Name="x"/>'),
    ],
)
def test_what_is_changed_is_refused(what: str, was: bytes, becomes: bytes) -> None:
    text = etree.tostring(OURS.sign(document(groups=["audit"]), what))
    assert was in text
    refused(text.replace(was, becomes))


def evil(made: Any) -> Any:
    """A copy of the assertion that says somebody else, without a signature."""
    copied = copy.deepcopy(assertion(made))
    copied.find(".//a:NameID", NS).text = "eve@example.com"
    copied.remove(copied.find("ds:Signature", NS))
    return copied


def beside_before(made: Any) -> None:
    forged = evil(made)
    forged.set("ID", "_evil")
    made.insert(2, forged)


def beside_after(made: Any) -> None:
    forged = evil(made)
    forged.set("ID", "_evil")
    made.append(forged)


def same_id(made: Any) -> None:
    made.insert(2, evil(made))


def within_object(made: Any) -> None:
    """The signed one hides in the signature of the forged one (XSW 7 and 8)."""
    signed, forged = assertion(made), evil(made)
    forged.set("ID", "_evil")
    signature = copy.deepcopy(signed.find("ds:Signature", NS))
    made.replace(signed, forged)
    forged.insert(1, signature)
    etree.SubElement(signature, f"{{{NS['ds']}}}Object").append(signed)


def within_forged(made: Any) -> None:
    signed, forged = assertion(made), evil(made)
    forged.set("ID", "_evil")
    made.replace(signed, forged)
    forged.append(signed)


def within_extensions(made: Any) -> None:
    signed, forged = assertion(made), evil(made)
    forged.set("ID", "_evil")
    made.replace(signed, forged)
    extensions = etree.SubElement(made, f"{{{NS['p']}}}Extensions")
    extensions.append(signed)


def signature_moved(made: Any) -> None:
    """The forged one carries the signature, the signed one lies without it elsewhere."""
    signed, forged = assertion(made), evil(made)
    signature = signed.find("ds:Signature", NS)
    signed.remove(signature)
    forged.set("ID", "_evil")
    forged.insert(1, signature)
    made.replace(signed, forged)
    etree.SubElement(made, "wrapper").append(signed)


def renamed(made: Any) -> None:
    signed, forged = assertion(made), evil(made)
    signed.tag = f"{{{NS['p']}}}Assertion"
    forged.set("ID", "_evil")
    made.append(forged)


WRAPPINGS = [
    beside_before, beside_after, same_id, within_object, within_forged, within_extensions, signature_moved, renamed,
]  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_a_signature_is_not_wrapped_around_something_else(wrap: Change) -> None:
    made = OURS.sign(document())
    wrap(made)
    refused(made)


def test_a_signed_response_is_not_wrapped_either() -> None:
    """The whole signed response within a forged one (XSW 1 and 2)."""
    signed = OURS.sign(document(), "response")
    outer = document(name="eve@example.com")
    outer.set("ID", "_outer")
    assertion(outer).set("ID", "_other")
    signature = copy.deepcopy(signed.find("ds:Signature", NS))
    outer.insert(1, signature)
    for place in (outer, signature):
        made = copy.deepcopy(outer)
        (made if place is outer else made.find("ds:Signature", NS)).append(copy.deepcopy(signed))
        refused(made)


def test_a_signature_over_nothing_of_the_assertion() -> None:
    """Two assertions were signed; here one's signature stands in the other."""
    other = OURS.sign(OURS.document(ADDRESS, ADDRESS, REQUEST, NOW, name="eve@example.com"))
    made = document()
    assertion(made).insert(1, copy.deepcopy(assertion(other).find("ds:Signature", NS)))
    refused(made)


@pytest.mark.parametrize(
    "inside",
    [
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE r [<!ENTITY x "ada"><!ENTITY y "&x;&x;&x;&x;&x;&x;">]>',
        b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/evil.dtd">',
        b"<!DOCTYPE r>",
    ],
)
def test_no_document_type(inside: bytes) -> None:
    text = etree.tostring(OURS.sign(document()))
    refused(inside + text)
    refused(inside + text.replace(b"ada@example.com", b"&x;"))


def test_no_comment_cuts_a_name_in_two() -> None:
    """Canonical XML leaves comments out, so that a signature holds with them."""
    made = OURS.sign(document(name="ada@example.com.evil.example"))
    text = etree.tostring(made)
    assert check(text)["NameID"] == "ada@example.com.evil.example"
    for odd in (b"<!---->", b"<?x?>"):
        refused(text.replace(b"ada@example.com.evil", b"ada@example.com" + odd + b".evil"), "what no response needs")


def at(path: str, name: str, value: str | None) -> Change:
    def change(made: Any) -> None:
        element = made if path == "." else made.find(path, NS)
        if name == "text":
            element.text = value
        elif value is None:
            element.attrib.pop(name)
        else:
            element.set(name, value)

    return change


def without(path: str) -> Change:
    def change(made: Any) -> None:
        element = made.find(path, NS)
        element.getparent().remove(element)

    return change


DATA = ".//a:SubjectConfirmationData"
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "change",
    [
        at(".//a:Audience", "text", "https://another.example.com"),
        at(".//a:Audience", "text", f"{ADDRESS}/"),
        without(".//a:AudienceRestriction"),
        without(".//a:Conditions"),
        without(".//a:AuthnStatement"),
        without(".//a:SubjectConfirmation"),
        without(".//a:Subject"),
        without(DATA),
        without("p:Status"),
        at(DATA, "Recipient", "https://another.example.com/saml"),
        at(DATA, "Recipient", None),
        at(DATA, "InResponseTo", "_another"),
        at(DATA, "InResponseTo", None),
        at(DATA, "NotOnOrAfter", None),
        at(DATA, "NotOnOrAfter", instant(NOW - MINUTE)),
        at(DATA, "NotOnOrAfter", "soon"),
        at(DATA, "NotBefore", instant(NOW + MINUTE + SECOND)),
        at(".//a:SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
        at(".//a:Conditions", "NotOnOrAfter", instant(NOW - MINUTE)),
        at(".//a:Conditions", "NotBefore", instant(NOW + MINUTE + SECOND)),
        at(".//a:AuthnStatement", "SessionNotOnOrAfter", instant(NOW - MINUTE)),
        at("a:Assertion/a:Issuer", "text", "https://idp.example.net"),
        at("a:Issuer", "text", "https://idp.example.net"),
        at(".", "Destination", "https://another.example.com/saml"),
        at(".", "InResponseTo", "_another"),
        at(".", "InResponseTo", None),
        at(".", "Version", "1.1"),
        at("p:Status/p:StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"),
    ],
)
@pytest.mark.parametrize("what", ["assertion", "response"])
def test_a_response_for_others_or_of_another_time(change: Change, what: str) -> None:
    made = document()
    change(made)
    refused(OURS.sign(made, what))


def test_conditions_that_nobody_knows() -> None:
    made = document()
    etree.SubElement(made.find(".//a:Conditions", NS), f"{{{NS['a']}}}Condition")
    refused(OURS.sign(made), "conditions that nobody here knows")


def test_each_restriction_of_the_audience_must_hold() -> None:
    made = document()
    more = copy.deepcopy(made.find(".//a:AudienceRestriction", NS))
    more.find("a:Audience", NS).text = "https://another.example.com"
    made.find(".//a:Conditions", NS).append(more)
    refused(OURS.sign(made), "another audience")


def test_clocks_may_differ_by_a_minute_and_no_more() -> None:
    made = OURS.sign(document())
    ends = NOW + timedelta(minutes=5)
    for good in (NOW - MINUTE, NOW, ends, ends + MINUTE - SECOND):
        assert check(made, good)
    for bad in (NOW - MINUTE - SECOND, ends + MINUTE, ends + timedelta(days=1)):
        refused(made, now=bad)


def test_what_is_encrypted_says_so() -> None:
    made = document()
    made.replace(assertion(made), etree.Element(f"{{{NS['a']}}}EncryptedAssertion"))
    refused(made, "encrypted")


def test_another_document_is_no_response() -> None:
    refused(assertion(document()), "no response of SAML")
    refused(b"<html/>", "no response of SAML")


def test_a_weak_digest_is_refused() -> None:
    made = OURS.sign(document())
    text = etree.tostring(made).replace(b"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1")
    refused(text, "not signed")
    assert check(OURS.sign(document(), digest=DigestAlgorithm.SHA512, method=SignatureMethod.RSA_SHA512))


def test_what_is_asked() -> None:
    url = request_url("https://idp.example.com/sso?x=1", "us", ADDRESS, REQUEST, "relay & state", NOW)
    request = asked(url)
    assert url.startswith("https://idp.example.com/sso?x=1&SAMLRequest=")
    assert (request.id, request.address, request.issuer, request.relay) == (REQUEST, ADDRESS, "us", "relay & state")


def test_metadata_names_this_server() -> None:
    found = etree.fromstring(metadata("us", ADDRESS))
    assert found.get("entityID") == "us"
    assert ADDRESS in etree.tostring(found).decode()


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())))
def test_garbage_is_refused_as_such(garbage: str) -> None:
    with pytest.raises(NotSignedInError):
        claims_of(garbage, expected(), NOW)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_byte_may_be_changed_and_nobody_else_is_signed_in(data: st.DataObject) -> None:
    text = bytearray(SIGNED)
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotSignedInError):
        assert check(bytes(text)) == check(SIGNED)


SIGNED = etree.tostring(OURS.sign(document(groups=["audit"])))


def test_a_response_that_is_too_long() -> None:
    with pytest.raises(NotSignedInError, match="too long"):
        claims_of("A" * 400_001, expected(), NOW)
