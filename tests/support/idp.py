"""A SAML identity provider of the tests: real keys, real signatures, and every mistake that a test asks for."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import methods
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

IDP = "https://idp.example.com/saml"
NS = {"a": "urn:oasis:names:tc:SAML:2.0:assertion", "p": "urn:oasis:names:tc:SAML:2.0:protocol",
      "ds": "http://www.w3.org/2000/09/xmldsig#"}  # fmt: skip
TEMPLATE = """<p:Response xmlns:p="{p}" xmlns:a="{a}" ID="_response" Version="2.0" IssueInstant="{now}"
 Destination="{address}" InResponseTo="{request}"><a:Issuer>{idp}</a:Issuer>
 <p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>
 <a:Assertion ID="_assertion" Version="2.0" IssueInstant="{now}"><a:Issuer>{idp}</a:Issuer>
  <a:Subject><a:NameID>{name}</a:NameID>
   <a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
    <a:SubjectConfirmationData Recipient="{address}" InResponseTo="{request}" NotOnOrAfter="{later}"/>
   </a:SubjectConfirmation></a:Subject>
  <a:Conditions NotBefore="{now}" NotOnOrAfter="{later}">
   <a:AudienceRestriction><a:Audience>{audience}</a:Audience></a:AudienceRestriction></a:Conditions>
  <a:AuthnStatement AuthnInstant="{now}"><a:AuthnContext>
   <a:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</a:AuthnContextClassRef>
  </a:AuthnContext></a:AuthnStatement>
  <a:AttributeStatement>{attributes}</a:AttributeStatement>
 </a:Assertion></p:Response>"""
ATTRIBUTE = '<a:Attribute Name="{name}">{values}</a:Attribute>'


def certificate(key: Any) -> x509.Certificate:
    """A certificate that the key signs itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=400))
    return made.not_valid_after(now + timedelta(days=400)).sign(key, hashes.SHA256())


def instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Idp:
    """An identity provider with its key and its certificate."""

    key: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = certificate(self.key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def document(
        self, address: str, audience: str, request: str, now: datetime, name: str = "ada@example.com", **attributes: Any
    ) -> Any:
        """A response without a signature."""
        told = "".join(
            ATTRIBUTE.format(name=each, values="".join(f"<a:AttributeValue>{v}</a:AttributeValue>" for v in values))
            for each, values in attributes.items()
        )
        later = instant(now + timedelta(minutes=5))
        text = TEMPLATE.format(
            **NS, idp=IDP, address=address, audience=audience, request=request, now=instant(now), later=later,
            name=name, attributes=told,
        )  # fmt: skip
        return etree.fromstring(text)

    def sign(
        self, document: Any, what: str = "assertion", digest: DigestAlgorithm = DigestAlgorithm.SHA256, **options: Any
    ) -> Any:
        """The document with a signature over its assertion, or over all of it."""
        curve = isinstance(self.key, ec.EllipticCurvePrivateKey)
        method = options.pop("method", SignatureMethod.ECDSA_SHA256 if curve else SignatureMethod.RSA_SHA256)
        c14n = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
        signer = XMLSigner(methods.enveloped, method, digest, c14n)
        part = document if what == "response" else document.find("a:Assertion", NS)
        place = etree.SubElement(part, f"{{{NS['ds']}}}Signature", {"Id": "placeholder"}, {"ds": NS["ds"]})
        part.insert(1, place)
        signed = signer.sign(part, key=self.key, cert=[self.certificate], reference_uri=f"#{part.get('ID')}", **options)
        if what == "response":
            return signed
        document.replace(part, signed)
        return document


def posted(document: Any) -> str:
    """A document as the form has it."""
    return base64.b64encode(document if isinstance(document, bytes) else etree.tostring(document)).decode()


@dataclass(frozen=True)
class Asked:
    """A request as the identity provider reads it."""

    id: str
    address: str
    issuer: str
    relay: str


def asked(url: str) -> Asked:
    """What a browser brings to the identity provider."""
    query = parse_qs(urlsplit(url).query)
    request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15))
    return Asked(
        request.get("ID"), request.get("AssertionConsumerServiceURL"), request.findtext("a:Issuer", namespaces=NS),
        query["RelayState"][0],
    )  # fmt: skip
