"""SAML 2.0 sign-in (Web Browser SSO Profile): requests by redirect, responses by POST. Pure but for the certificates.

Only what a signature covers is read, and only in a document of one assertion at its one place: nothing can be wrapped
around or beside it. What the profile leaves optional and an attacker could use is required here: audience, recipient,
times, and the request that a response answers.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from cryptography.x509 import Certificate, load_pem_x509_certificates
from lxml import etree
from lxml.builder import ElementMaker
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from hoopcli.errors import NotSignedInError
from hoopcli.identity.openid import SKEW

ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#"
POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
LONGEST: Final = 400_000
_NS: Final = {"a": ASSERTION, "p": PROTOCOL, "ds": SIGNATURE}
_OVERAGE: Final = "http://schemas.microsoft.com/claims/groups.link"
_METHODS: Final = frozenset(
    {
        SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
    }
)  # fmt: skip
_DIGESTS: Final = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_CONDITIONS: Final = frozenset(
    f"{{{ASSERTION}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a response must be: of whom, for whom, sent where, in answer to which request; signed by one of these."""

    idp: str
    entity_id: str
    address: str
    request: str
    certificates: Sequence[Certificate]


def request_url(sign_in: str, entity_id: str, address: str, request: str, relay: str, now: datetime) -> str:
    """Where a browser takes a request: HTTP-Redirect binding ([saml-bindings] 3.4.4.1)."""
    make = ElementMaker(namespace=PROTOCOL, nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
    issuer = ElementMaker(namespace=ASSERTION, nsmap={"saml": ASSERTION}).Issuer(entity_id)
    document = make.AuthnRequest(
        issuer,
        ID=request,
        Version="2.0",
        IssueInstant=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        Destination=sign_in,
        AssertionConsumerServiceURL=address,
        ProtocolBinding=POST,
    )
    deflated = zlib.compress(etree.tostring(document))[2:-4]
    query = urlencode({"SAMLRequest": base64.b64encode(deflated).decode(), "RelayState": relay})
    return f"{sign_in}{'&' if '?' in sign_in else '?'}{query}"


def metadata(entity_id: str, address: str) -> bytes:
    """What an administrator gives the identity provider ([saml-metadata] 2.4.4)."""
    make = ElementMaker(namespace=METADATA, nsmap={"md": METADATA})
    service = make.AssertionConsumerService(Binding=POST, Location=address, index="0", isDefault="true")
    role = make.SPSSODescriptor(service, protocolSupportEnumeration=PROTOCOL, WantAssertionsSigned="true")
    document: bytes = etree.tostring(
        make.EntityDescriptor(role, entityID=entity_id), xml_declaration=True, encoding="UTF-8"
    )
    return document


def certificates(pem: str) -> list[Certificate]:
    """The certificates of a text."""
    return load_pem_x509_certificates(pem.encode())


def claims_of(response: str, expected: Expected, now: datetime) -> dict[str, Any]:
    """The attributes of who signed in, and their ``NameID``. Raises NotSignedInError unless all of it is right."""
    document = _parsed(response)
    _check_response(document, expected)
    assertion = _signed_assertion(document, expected.certificates)
    if _text(assertion, "a:Issuer") != expected.idp:
        raise _refused("it is of another issuer")
    _check_subject(assertion, expected, now)
    _check_conditions(assertion, expected, now)
    return _claims(assertion)


def _parsed(response: str) -> Any:
    """The document of a form's field: no DTD, no entities, no comments that could cut a text in two."""
    if len(response) > LONGEST:
        raise _refused("it is too long")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        document = etree.fromstring(base64.b64decode(response.encode(), validate=False), parser)
    except (etree.XMLSyntaxError, binascii.Error, ValueError):
        raise _refused("it cannot be read") from None
    tree = document.getroottree()
    odd = next(document.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity), None)
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None or odd is not None:
        raise _refused("it holds what no response needs: a DTD, an entity, a comment or an instruction")
    return document


def _check_response(document: Any, expected: Expected) -> None:
    if document.tag != f"{{{PROTOCOL}}}Response" or document.get("Version") != "2.0":
        raise _refused("it is no response of SAML 2.0")
    if document.get("Destination") not in {None, expected.address}:
        raise _refused("it was sent to another place")
    if document.get("InResponseTo") != expected.request:
        raise _refused("it answers another sign-in, or none")
    issuer = document.find("a:Issuer", _NS)
    if issuer is not None and issuer.text != expected.idp:
        raise _refused("it is of another issuer")
    status = document.find("p:Status/p:StatusCode", _NS)
    if status is None or status.get("Value") != SUCCESS:
        raise NotSignedInError("the provider did not sign you in", "begin again")
    if document.find(".//a:EncryptedAssertion", _NS) is not None:
        raise _refused("it is encrypted; have the provider sign assertions and leave them readable")


def _signed_assertion(document: Any, trusted: Sequence[Certificate]) -> Any:
    """The assertion, as the signature covers it: its own, else that of the whole response."""
    everywhere = document.xpath("//*[local-name()='Assertion']")
    placed = document.findall("a:Assertion", _NS)
    if len(everywhere) != 1 or placed != everywhere:
        raise _refused("it has not one assertion at its place")
    identities = document.xpath("//@ID | //@Id | //@id")
    if len(set(identities)) != len(identities):
        raise _refused("two of its parts have one id")
    own = placed[0].find("ds:Signature", _NS) is not None
    covered = _covered(document, f"./{{{ASSERTION}}}Assertion/" if own else "./", trusted)
    if own and covered.tag == f"{{{ASSERTION}}}Assertion" and covered.get("ID") == placed[0].get("ID"):
        return covered
    found = covered.findall("a:Assertion", _NS)
    if own or covered.tag != document.tag or covered.get("ID") != document.get("ID") or len(found) != 1:
        raise _refused("its signature covers something else")
    return found[0]


def _covered(document: Any, location: str, trusted: Sequence[Certificate]) -> Any:
    """What the signature at a place covers, if it is by a certificate that the settings name."""
    config = SignatureConfiguration(location=location, signature_methods=_METHODS, digest_algorithms=_DIGESTS)
    data = etree.tostring(document)
    for certificate in trusted:
        try:
            result = XMLVerifier().verify(data, x509_cert=certificate, id_attribute="ID", expect_config=config)
        except (SignXMLException, etree.Error, ValueError, TypeError, KeyError, AttributeError):
            continue
        if not isinstance(result, list) and result.signed_xml is not None:
            return result.signed_xml
    raise _refused("it is not signed as it must be")


def _check_subject(assertion: Any, expected: Expected, now: datetime) -> None:
    """One confirmation must hold, of a bearer who came straight from the provider ([saml-profiles] 4.1.4.2)."""
    for confirmation in assertion.findall("a:Subject/a:SubjectConfirmation", _NS):
        data = confirmation.find("a:SubjectConfirmationData", _NS)
        if confirmation.get("Method") != BEARER or data is None or data.get("NotOnOrAfter") is None:
            continue
        for_us = (data.get("Recipient"), data.get("InResponseTo")) == (expected.address, expected.request)
        if for_us and _within(data, now):
            return
    raise _refused("it is not for this server, this sign-in or this time")


def _check_conditions(assertion: Any, expected: Expected, now: datetime) -> None:
    conditions = assertion.findall("a:Conditions", _NS)
    if len(conditions) != 1 or any(each.tag not in _CONDITIONS for each in conditions[0]):
        raise _refused("it has conditions that nobody here knows, or none")
    if not _within(conditions[0], now):
        raise _refused("it has expired or is not good yet; compare the clocks of both machines")
    audiences = conditions[0].findall("a:AudienceRestriction", _NS)
    named = [[each.text for each in restriction.findall("a:Audience", _NS)] for restriction in audiences]
    if not named or not all(expected.entity_id in each for each in named):
        raise _refused("it is for another audience")
    ends = [_time(each) for each in assertion.xpath("a:AuthnStatement/@SessionNotOnOrAfter", namespaces=_NS)]
    if assertion.find("a:AuthnStatement", _NS) is None or any(now >= end + SKEW for end in ends):
        raise _refused("it tells of no sign-in that goes on")


def _within(element: Any, now: datetime) -> bool:
    begins, ends = element.get("NotBefore"), element.get("NotOnOrAfter")
    return (begins is None or now >= _time(begins) - SKEW) and (ends is None or now < _time(ends) + SKEW)


def _claims(assertion: Any) -> dict[str, Any]:
    """Attributes by their names: a text where there is one value, else a list. Groups are made a list by the caller."""
    claims: dict[str, Any] = {"NameID": _text(assertion, "a:Subject/a:NameID")}
    for attribute in assertion.findall("a:AttributeStatement/a:Attribute", _NS):
        values = [value.text or "" for value in attribute.findall("a:AttributeValue", _NS) if not len(value)]
        if attribute.get("Name") != "NameID":
            claims.setdefault(attribute.get("Name", ""), []).extend(values)
    claims["hasgroups"] = _OVERAGE in claims
    return claims


def _text(element: Any, path: str) -> str:
    found = element.findall(path, _NS)
    return str(found[0].text or "") if len(found) == 1 and not len(found[0]) else ""


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise _refused("its times cannot be read") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _refused(why: str) -> NotSignedInError:
    return NotSignedInError(f"the provider's response is not accepted: {why}", "begin again")
