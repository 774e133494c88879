"""The checks of encrypted MSCML: which texts and which transfer encodings in SIP messages are red."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from lemonade_testbed.authority import Issued
from lemonade_testbed.checks.registry import find_check
from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.evidence import Event, Evidence, NodeAddress, RecordedWorld
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.sip.message.smime import seal

SCENARIO = load_scenario(SCENARIOS / "smime-ivr.yaml")
KIND = "application/mediaservercontrol+xml"
URL = "imap://joe@imap.example.com/INBOX;UID=1;URLAUTH=anonymous:internal:fp-0123456789abcdef"
XML = (
    f'<?xml version="1.0"?><MediaServerControl version="1.0"><request><stop id="{URL}"/></request></MediaServerControl>'
)
ADDRESSES = {"client": "127.0.0.3:5060", "media": "127.0.0.2:5060"}


@pytest.fixture(scope="session")
def encrypted(smime: Callable[[str], Issued]) -> bytes:
    certificate = x509.load_pem_x509_certificate(smime("ivr@media.example.net").certificate)
    return seal(XML.encode(), KIND, certificate).octets


def told(
    body: bytes, kind: str, encoding: str = "binary", sender: str = "client", start: str = "INFO sip:ivr@x"
) -> str:
    """Return a message as a trace has it."""
    lines = (
        f"{start} SIP/2.0" if not start.startswith("SIP/") else start,
        f"Via: SIP/2.0/UDP x;branch=z9hG4bK{sender}{len(body)}{hash(body) % 997}",
        "Call-ID: 1",
        "CSeq: 2 INFO",
        f"Content-Type: {kind}",
        *([f"Content-Transfer-Encoding: {encoding}"] if encoding else []),
    )
    return "\r\n".join(lines) + "\r\n\r\n" + body.decode(errors="replace")


def check(words: str, *messages: tuple[str, str]) -> CheckResult:
    """Run a check on messages, each with its sender."""
    world = RecordedWorld({name: NodeAddress(address.rpartition(":")[0], 5060) for name, address in ADDRESSES.items()})
    events = []
    for number, (sender, text) in enumerate(messages, 1):
        target = "media" if sender == "client" else "client"
        fields: dict[str, Any] = {
            "way": "sent", "transport": "udp", "local": ADDRESSES[sender], "remote": ADDRESSES[target], "text": text,
        }  # fmt: skip
        events.append(Event(float(number), sender, number, "sip", fields))
    found, file = find_check(words)
    return found.run(SCENARIO, Evidence(world, tuple(events)), file)


ENCRYPTED, BINARY = "mscml is encrypted", "bodies are binary"


def test_encrypted_bodies_alone_are_green(encrypted: bytes) -> None:
    messages = [(who, told(encrypted, "application/pkcs7-mime; smime-type=enveloped-data")) for who in ADDRESSES]
    assert check(ENCRYPTED, *messages).ok
    assert check(BINARY, *messages).ok
    assert check(BINARY, ("client", told(encrypted, "application/pkcs7-mime", ""))).ok  # E-41


@pytest.mark.parametrize(
    ("parameter", "ok"),
    [("", True), ("; smime-type=enveloped-data", True), ('; smime-type="Enveloped-Data"', True),
     ("; smime-type=signed-data", False)],
)  # fmt: skip
def test_smime_type_is_that_of_the_content(encrypted: bytes, parameter: str, ok: bool) -> None:
    result = check("smime-type is true", ("client", told(encrypted, f"application/pkcs7-mime{parameter}")))
    assert [(one.node, one.clauses) for one in result.breaches] == ([] if ok else [("client", ("RFC8551-3.2.2",))])


@pytest.mark.parametrize("sender", ["client", "media"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (XML.encode(), KIND),
        (XML.encode("utf-16"), KIND),
        (base64.encodebytes(XML.encode()), "application/pkcs7-mime"),
        (XML.encode(), "application/pkcs7-mime"),
        (b"see " + URL.encode(), "text/plain"),
        (b"token %3AINTERNAL%3A00", "text/plain"),
    ],
    ids=["plain", "utf-16", "base64", "so-called", "url", "ticket"],
)
def test_what_a_reader_can_read_is_red(encrypted: bytes, sender: str, body: bytes, kind: str) -> None:
    good = ("client", told(encrypted, "application/pkcs7-mime"))
    (breach,) = check(ENCRYPTED, good, (sender, told(body, kind, ""))).breaches
    assert "in SIP INFO" in breach.seen
    assert (breach.node, breach.clauses) == (sender, ("LS-2.4-4", "LS-3-5"))


def test_a_url_in_a_request_uri_is_red(encrypted: bytes) -> None:
    good = ("client", told(encrypted, "application/pkcs7-mime"))
    start = "INVITE sip:annc@x;play=imap%3A%2F%2Fjoe@h"
    assert not check(ENCRYPTED, good, ("client", told(b"", "application/sdp", "", start=start))).ok


def test_where_nothing_is_encrypted_nothing_is_judged(smime: Callable[[str], Issued]) -> None:
    assert check(ENCRYPTED, ("client", told(b"Signal=5", "application/dtmf-relay"))).reached == ()
    assert check(ENCRYPTED, ("client", told(b"0 nothing at all", "application/pkcs7-mime"))).reached == ()
    # what a 493 shows is no encrypted body
    shown = smime("ivr@media.example.net").certificate
    assert check(ENCRYPTED, ("media", told(shown, "application/pkcs7-mime", start="SIP/2.0 493 No"))).reached == ()


def test_base64_is_red(encrypted: bytes) -> None:
    coded = base64.encodebytes(encrypted)
    for encoding in ("base64", "binary", ""):
        assert not check(BINARY, ("client", told(coded, "application/pkcs7-mime", encoding))).ok
    assert not check(BINARY, ("client", told(encrypted, "application/pkcs7-mime", "quoted-printable"))).ok
    assert check(ENCRYPTED, ("client", told(coded, "application/pkcs7-mime", "base64"))).ok


def test_any_body_and_any_part_in_base64_is_its_senders_breach() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: %s\r\n\r\neA==\r\n--b--"
    for body, kind, encoding in (
        (base64.encodebytes(XML.encode()), KIND, "base64"),
        (XML.encode(), KIND, "base64; decoded"),
        (part % b"BASE64", "multipart/mixed; boundary=b", "binary"),
        (part % b"quoted-printable; decoded", "multipart/mixed; boundary=b", ""),
    ):
        (breach,) = check(
            BINARY, ("client", told(b"v=0", "application/sdp")), ("media", told(body, kind, encoding))
        ).breaches
        assert (breach.node, breach.clauses) == ("media", ("SM-4-1",))
    for encoding in ("", "8bit"):
        assert check(BINARY, ("client", told(XML.encode(), KIND, encoding))).ok
    assert check(BINARY, ("client", told(b"", KIND))).reached == ()
