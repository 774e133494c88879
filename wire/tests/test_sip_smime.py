"""S/MIME bodies: encrypted and decrypted here and by the program openssl, and bodies that cannot be decrypted."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_testbed.authority import Issued
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import SipRequest, build
from lemonade_wire.sip.message.smime import MimeBody, Opening, Smime, SmimeIdentity, seal, shown_certificates

KIND = "application/mediaservercontrol+xml"
XML = b'<MediaServerControl version="1.0"/>\r\n'
ANY_OCTETS = st.binary(max_size=400) | st.just(bytes(range(256)) * 40)


@pytest.fixture(scope="session")
def ms(smime: Callable[[str], Issued]) -> SmimeIdentity:
    issued = smime("ivr@media.example.net")
    return SmimeIdentity.read(issued.certificate, issued.key)


@pytest.fixture(scope="session")
def other(smime: Callable[[str], Issued]) -> SmimeIdentity:
    issued = smime("ivr@other.example.net")
    return SmimeIdentity.read(issued.certificate, issued.key)


def message(octets: bytes, kind: str = "application/pkcs7-mime", *headers: tuple[str, str]) -> SipRequest:
    return build("INFO", "sip:ivr@media.example.net", list(headers), octets, kind)


def sent(body: MimeBody) -> SipRequest:
    return message(body.octets, body.content_type, *body.headers)


def read(request: SipRequest, identity: SmimeIdentity | None, kind: str = KIND) -> list[bytes]:
    """Return the contents of a request for a receiver that understands one media type."""
    return [part.content for part in Opening(identity).understood(request, lambda one: one.media.name == kind)]


def refusal(request: SipRequest, identity: SmimeIdentity | None, kind: str = KIND) -> int:
    with pytest.raises(SipParseError) as caught:
        read(request, identity, kind)
    assert KIND not in caught.value.reason or caught.value.status == 415
    return caught.value.status


def outcome(request: SipRequest, identity: SmimeIdentity) -> int:
    try:
        read(request, identity)
    except SipParseError as problem:
        return problem.status
    return 200


@given(ANY_OCTETS)
@settings(max_examples=60)
def test_an_encrypted_body_is_decrypted_again(ms: SmimeIdentity, content: bytes) -> None:
    body = seal(content, KIND, ms.certificate)
    assert read(sent(body), ms) == [content]
    assert len(content) < 24 or content not in body.octets


def test_the_headers_are_those_of_the_rfc(ms: SmimeIdentity) -> None:
    """RFC 3261 section 23.3, and binary by SM-4-1."""
    body = seal(XML, KIND, ms.certificate)
    assert body.content_type == "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
    assert dict(body.headers) == {
        "MIME-Version": "1.0",
        "Content-Disposition": "attachment; filename=smime.p7m; handling=required",
        "Content-Transfer-Encoding": "binary",
    }
    assert body.octets.startswith(b"\x30")


def test_two_bodies_of_one_content_differ(ms: SmimeIdentity) -> None:
    assert seal(XML, KIND, ms.certificate).octets != seal(XML, KIND, ms.certificate).octets


def test_the_encrypted_type_decides_what_is_understood(ms: SmimeIdentity) -> None:
    assert refusal(sent(seal(XML, "text/plain", ms.certificate)), ms) == 415
    optional = build(
        "INFO",
        "sip:ivr@x",
        [("Content-Disposition", "attachment; handling=optional")],
        seal(XML, "text/plain", ms.certificate).octets,
        "application/pkcs7-mime",
    )
    assert read(optional, ms) == []


def test_a_multipart_may_be_inside_and_around(ms: SmimeIdentity) -> None:
    parts = b"--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b--\r\n" % (KIND.encode(), XML)
    assert read(sent(seal(parts, "multipart/mixed;boundary=b", ms.certificate)), ms) == [XML]
    octets = seal(XML, KIND, ms.certificate).octets
    part = b"--b\r\nContent-Type: application/pkcs7-mime\r\n\r\n%s\r\n" % octets
    assert read(message(part + b"--b--", "multipart/mixed;boundary=b"), ms) == [XML]
    # each costs a computation with the private key
    assert refusal(message(part * 2 + b"--b--", "multipart/mixed;boundary=b"), ms) == 415


def test_an_envelope_in_an_envelope_is_not_opened(ms: SmimeIdentity) -> None:
    inner = seal(XML, KIND, ms.certificate)
    assert refusal(sent(seal(inner.octets, inner.content_type, ms.certificate)), ms) == 415


@pytest.mark.parametrize(
    "headers",
    [(("Content-Transfer-Encoding", "base64"),), (), (("Content-Transfer-Encoding", "binary"),)],
    ids=["told", "untold", "told-otherwise"],
)
def test_base64_is_read_too(ms: SmimeIdentity, headers: tuple[tuple[str, str], ...]) -> None:
    """SM-3-1: some peers can send only base64; E-41: without Content-Transfer-Encoding a body may be base64 or DER."""
    octets = base64.encodebytes(seal(XML, KIND, ms.certificate).octets)
    assert read(message(octets, "application/pkcs7-mime", *headers), ms) == [XML]


@pytest.mark.parametrize("kind", ["signed-data", "certs-only", "authEnveloped-data", "compressed-data"])
def test_other_kinds_are_not_understood(ms: SmimeIdentity, kind: str) -> None:
    octets = seal(XML, KIND, ms.certificate).octets
    assert refusal(message(octets, f"application/pkcs7-mime; smime-type={kind}"), ms) == 415


def test_without_a_key_encrypted_bodies_are_not_understood(ms: SmimeIdentity) -> None:
    assert refusal(sent(seal(XML, KIND, ms.certificate)), None) == 415
    assert Smime().accepted == ()
    assert Smime(ms).accepted == ("application/pkcs7-mime",)


def test_what_is_for_another_key_is_undecipherable(ms: SmimeIdentity, other: SmimeIdentity) -> None:
    request = sent(seal(XML, KIND, ms.certificate))
    assert refusal(request, other) == 493
    assert refusal(request, SmimeIdentity(ms.certificate, other.key)) == 493


@pytest.mark.parametrize("octets", [b"", b"0", b"\x30\x80", b"hello", b"MIIB", b"\xff" * 30, b"0" * 3000])
def test_what_is_no_envelope_is_undecipherable(ms: SmimeIdentity, octets: bytes) -> None:
    assert refusal(message(octets or b" "), ms) == 493


@pytest.mark.parametrize("inside", [b"no header\r\n\r\nx", b": x\r\n\r\nx", b"Content-Disposition: a;;\r\n\r\nx"])
def test_what_is_no_entity_inside_is_refused_in_the_same_words(ms: SmimeIdentity, inside: bytes) -> None:
    """Different texts would show whether a guess at the content of another's encrypted body was right."""
    with pytest.raises(SipParseError) as caught:
        read(sent(seal(XML, f"text/x\r\n{inside.decode()}", ms.certificate)), ms)
    assert (caught.value.status, caught.value.reason) == (493, "Undecipherable")


@given(st.data())
@settings(max_examples=150)
def test_a_changed_body_gives_200_415_or_493(ms: SmimeIdentity, data: st.DataObject) -> None:
    octets = bytearray(seal(XML, KIND, ms.certificate).octets)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(octets), len(octets) - 1, len(octets) // 2, 5]))
    status = outcome(message(bytes(octets[:cut])), ms)
    assert status in {200, 493, 415}  # 200: the changed octets may be in a CMS attribute that has no effect


def test_a_certificate_is_shown_and_read(ms: SmimeIdentity) -> None:
    assert shown_certificates(sent(ms.shown())) == [ms.certificate]
    assert ms.shown().content_type == "application/pkcs7-mime; smime-type=certs-only; name=smime.p7c"
    for none in (message(b"", ""), message(b"x", "text/plain"), message(b"x"), sent(seal(XML, KIND, ms.certificate))):
        assert shown_certificates(none) == []


def test_an_identity_is_a_certificate_and_its_own_key(smime: Callable[[str], Issued]) -> None:
    one, two = smime("a@x.example"), smime("b@x.example")
    assert "PRIVATE" not in repr(SmimeIdentity.read(one.certificate, one.key))
    with pytest.raises(ValueError, match="not the certificate's"):
        SmimeIdentity.read(one.certificate, two.key)
    with pytest.raises(ValueError, match="no private key"):
        SmimeIdentity.read(one.certificate, one.certificate)
    with pytest.raises(ValueError, match="no certificate"):
        SmimeIdentity.read(one.key, one.key)


@pytest.fixture
def openssl(program: Callable[[str, str], str], tmp_path: Path, smime: Callable[[str], Issued]) -> Callable[..., bytes]:
    """Return a function that runs `openssl cms` in a directory with the media server's certificate and key."""
    issued = smime("ivr@media.example.net")
    (tmp_path / "ms.pem").write_bytes(issued.certificate)
    (tmp_path / "ms.key").write_bytes(issued.key)
    path = program("openssl", "openssl")

    def run(octets: bytes, *options: str) -> bytes:
        done = subprocess.run(
            [path, "cms", *options], input=octets, capture_output=True, cwd=tmp_path, check=True, timeout=60
        )
        return done.stdout

    return run


INSIDE = b"Content-Type: application/mediaservercontrol+xml\r\nContent-Transfer-Encoding: binary\r\n\r\n" + XML
DECRYPT = ("-decrypt", "-binary", "-inform", "DER", "-inkey", "ms.key", "-recip", "ms.pem")


def test_openssl_reads_what_is_written_here(ms: SmimeIdentity, openssl: Callable[..., bytes]) -> None:
    assert openssl(seal(XML, KIND, ms.certificate).octets, *DECRYPT) == INSIDE


@pytest.mark.parametrize("cipher", ["-aes-128-cbc", "-aes-256-cbc"])
def test_what_openssl_writes_is_read_here(ms: SmimeIdentity, openssl: Callable[..., bytes], cipher: str) -> None:
    made = openssl(INSIDE, "-encrypt", "-binary", "-outform", "DER", cipher, "ms.pem")
    assert read(message(made), ms) == [XML]


def test_what_openssl_writes_for_mail_is_read_here(ms: SmimeIdentity, openssl: Callable[..., bytes]) -> None:
    """The body has its own headers, and base64 in lines."""
    head, _, body = openssl(INSIDE, "-encrypt", "-binary", "-outform", "SMIME", "-aes128", "ms.pem").partition(b"\n\n")
    assert b"base64" in head
    assert read(message(body, "application/pkcs7-mime; smime-type=enveloped-data", CTE_BASE64), ms) == [XML]


CTE_BASE64 = ("Content-Transfer-Encoding", "base64")


@pytest.mark.parametrize("options", [("-des3",), ("-aes-192-cbc",), ("-aes-128-gcm",), ("-aes128", "-keyid")])
def test_what_the_library_cannot_read_is_undecipherable(
    ms: SmimeIdentity, openssl: Callable[..., bytes], options: tuple[str, ...]
) -> None:
    """The limits of the library are listed in docs/supported.md."""
    made = openssl(INSIDE, "-encrypt", "-binary", "-outform", "DER", *options, "ms.pem")
    assert openssl(made, *DECRYPT) == INSIDE
    assert refusal(message(made), ms) == 493


def test_openssl_reads_the_certificate_that_is_shown(
    ms: SmimeIdentity, program: Callable[[str, str], str], tmp_path: Path
) -> None:
    (tmp_path / "shown").write_bytes(ms.shown().octets)
    command = [program("openssl", "openssl"), "pkcs7", "-inform", "DER", "-in", str(tmp_path / "shown")]
    told = subprocess.run([*command, "-print_certs"], capture_output=True, check=True, timeout=60).stdout
    assert x509.load_pem_x509_certificates(told) == [ms.certificate]
