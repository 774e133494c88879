"""Checks of MSCML that is encrypted end to end: what anybody on the way could have read (RFC 3261 section 23)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress

from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.model import ROLES
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.siptext import SipText, label_words, read_sip
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult

PKCS7_MIME = "application/pkcs7-mime"
ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703").decode(errors="replace")
"""Its object identifier (RFC 5652 section 6.1), as it stands in a trace, which is text."""
_SEQUENCE = "0"
"""What DER begins with, as text."""
_TELLING = {
    "MSCML": re.compile(r"<\s*MediaServerControl", re.IGNORECASE),
    "a URL": re.compile(r"imaps?(?::|%3a)(?:/|%2f)", re.IGNORECASE),
    "a ticket": re.compile(r"(?::|%3a)internal(?::|%3a)", re.IGNORECASE),
}


def _messages(evidence: Evidence) -> Iterator[tuple[Event, SipText]]:
    """Yield every copy of every SIP message between client and media server, as it was sent."""
    for event in evidence.of("sip", *ROLES):
        if event.text("way") == "sent" and set(ends_of(event, evidence.world)) == {"client", "media"}:
            yield event, read_sip(event.text("text"))


def _told(text: str, body: str) -> list[str]:
    """Return what a message tells to who reads it, its body's base64 undone too, and UTF-16 read."""
    readable = text.replace("\0", "")
    with suppress(binascii.Error, ValueError):  # most bodies are no base64
        readable += base64.b64decode("".join(body.split()), validate=True).decode(errors="replace").replace("\0", "")
    return [what for what, pattern in _TELLING.items() if pattern.search(readable)]


def _name(message: SipText) -> str:
    return " ".join(map(str, label_words(message)[:3]))


def _is_encrypted(message: SipText) -> bool:
    return message.content_type == PKCS7_MIME and (
        ENVELOPED_DATA in message.body or message.header("content-transfer-encoding").lower() == "base64"
    )


def _mscml_is_encrypted(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "who reads the SIP messages sees no MSCML, no URL and no ticket, and MSCML was sent"
    leaks: list[str] = []
    encrypted = 0
    for event, message in _messages(evidence):
        told = _told(event.text("text"), message.body)
        leaks += [f"{what} in {_name(message)}" for what in told]
        encrypted += message.method == "INFO" and not message.is_response and _is_encrypted(message)
    seen = ", ".join(dict.fromkeys(leaks)) or f"{encrypted} encrypted bodies"
    return CheckResult(not leaks and encrypted > 0, requirement, "encrypted bodies alone", seen)


def _encrypted_is_binary(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "encrypted bodies, and certificates, go as the octets that they are"
    found = [message for _, message in _messages(evidence) if message.content_type == PKCS7_MIME]
    coded = [
        f"{_name(message)}: {message.header('content-transfer-encoding') or 'not DER'}"
        for message in found
        if message.header("content-transfer-encoding").lower() not in {"", "binary"}
        or not message.body.startswith(_SEQUENCE)
    ]
    seen = ", ".join(dict.fromkeys(coded)) or (f"binary, {len(found)} times" if found else "no encrypted body")
    return CheckResult(bool(found) and not coded, requirement, "binary", seen)


CHECKS = (
    Check(
        "mscml is encrypted",
        ("LS-2.4-4", "LS-3-5"),
        "no SIP message shows MSCML, a URL or a ticket, and encrypted MSCML was sent",
        _mscml_is_encrypted,
    ),
    Check("encrypted bodies are binary", ("SM-4-1",), "S/MIME bodies are sent without base64", _encrypted_is_binary),
)
