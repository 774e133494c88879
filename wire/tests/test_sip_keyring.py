"""Certificates of peers, found by SIP address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lemonade_testbed.authority import Issued
from lemonade_wire.sip.message.keyring import Keyring, named, read_certificates, records
from lemonade_wire.sip.message.uri import SipUri

NOW = datetime.now(UTC)
EC = ec.generate_private_key(ec.SECP256R1())
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
RSA = rsa.generate_private_key(65537, 2048)


def issued(
    *names: x509.GeneralName, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = RSA, usage: str = ""
) -> bytes:
    """Return a self-signed certificate; `usage` is the only key usage that it allows."""
    subject = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if usage:
        made = made.add_extension(x509.KeyUsage(**(dict.fromkeys(USAGES, False) | {usage: True})), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("sip:ivr@media.example.net", "one"),
        ("sip:ivr@MEDIA.example.net:5070;x=y", "one"),
        ("sips:ivr@media.example.net", "one"),
        ("sip:IVR@media.example.net", None),  # RFC 3261 section 19.1.4: user parts compare with case
        ("sip:annc@media.example.net", None),
        ("sip:media.example.net", None),
        ("sip:anybody@second.example.net", "two"),
        ("sip:second.example.net", "two"),
        ("sip:x@sub.second.example.net", None),
        ("sip:%69vr@media.example.net", "one"),
        ("sip:joe@example.org", "two"),
    ],
)
def test_a_certificate_is_found_by_its_names(asked: str, found: str | None) -> None:
    ring = Keyring.of(
        [
            issued(uri("sip:ivr@media.example.net")),
            issued(uri("sip:second.example.net"), uri("http://x.example/"), x509.RFC822Name("joe@Example.org")),
        ],
        NOW,
    )
    one, two = ring.certificates
    assert ring.find(SipUri.parse(asked)) == {"one": one, "two": two, None: None}[found]


def test_the_certificate_of_the_user_is_preferred_to_that_of_the_host() -> None:
    ring = Keyring.of([issued(uri("sip:x.example")), issued(uri("sip:ivr@x.example"))], NOW)
    assert ring.find(SipUri.parse("sip:ivr@x.example")) == ring.certificates[1]
    assert ring.find(SipUri.parse("sip:annc@x.example")) == ring.certificates[0]


def test_an_empty_keyring_finds_nothing() -> None:
    assert Keyring().find(SipUri.parse("sip:ivr@x.example")) is None


def test_one_file_may_have_several_certificates() -> None:
    text = issued(uri("sip:a@x.example")) + issued(uri("sip:b@x.example"))
    assert len(Keyring.of([text], NOW).certificates) == 2


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        (b"", NOW, "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", NOW, "no certificate"),
        (issued(uri("sip:a@x.example")), NOW + timedelta(days=2), "a@x.example is not valid now"),
        (issued(uri("sip:a@x.example")), NOW - timedelta(days=2), "a@x.example is not valid now"),
        (issued(), NOW, "no sip: URI"),
        (issued(x509.DNSName("x.example")), NOW, "no sip: URI"),
        (issued(uri("sip:a@x.example"), key=EC), NOW, "the key of a@x.example is not RSA"),
    ],
    ids=["none", "rubbish", "over", "not-yet", "nobody", "host", "ec"],
)
def test_unusable_certificates_are_refused_with_the_reason(text: bytes, at: datetime, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Keyring.of([text], at)


def test_a_certificate_for_something_else_is_refused() -> None:
    names, usages = (uri("sip:a@x.example"),), ("digital_signature", "key_encipherment")
    signing, enciphering = (issued(*names, usage=usage) for usage in usages)
    assert len(Keyring.of([enciphering], NOW).certificates) == 1
    with pytest.raises(ValueError, match="is not for encryption"):
        Keyring.of([signing], NOW)


def test_the_addresses_of_a_certificate_are_read(smime: Callable[[str], Issued]) -> None:
    (certificate,) = read_certificates(smime("ivr@a.example,annc@a.example").certificate)
    assert records(certificate) == [("ivr", "a.example"), ("annc", "a.example")]
    assert named(certificate) == "ivr@a.example, annc@a.example"
