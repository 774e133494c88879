"""Checks of MSCML that is encrypted end to end: what a reader of the SIP messages can see (RFC 3261, section 23)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import sender_of
from lemonade_testbed.evidence import Event, Evidence
from lemonade_testbed.ladder.observe import ends_of
from lemonade_testbed.ladder.siptext import DECODED, SipText, label_words, read_sip
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

PKCS7_MIME = "application/pkcs7-mime"
ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703").decode(errors="replace")
"""The object identifier of enveloped-data (RFC 5652, section 6.1), in the form of a trace, which is text."""
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702").decode(errors="replace")
"""The object identifier of signed-data (RFC 5652, section 5.1)."""
_SEQUENCE = "0"
"""The first octet of DER, as text."""
_IDENTITIES = frozenset({"", "binary", "8bit", "7bit"})
"""The transfer encodings that leave the octets of the content unchanged (RFC 2045, section 6.2)."""
_SECRETS = {
    "MSCML": re.compile(r"<\s*MediaServerControl", re.IGNORECASE),
    "a URL": re.compile(r"imaps?(?::|%3a)(?:/|%2f)", re.IGNORECASE),
    "a ticket": re.compile(r"(?::|%3a)internal(?::|%3a)", re.IGNORECASE),
}
_CONTENTS = {ENVELOPED_DATA: "enveloped-data", _SIGNED_DATA: "signed-data"}
_ALSO = {"signed-data": ("certs-only",)}
"""Further values of smime-type for a content: signed-data without a content may be certs-only."""
_SMIME_TYPE = re.compile(r';\s*smime-type\s*=\s*"?([^";\s]+)', re.IGNORECASE)
_NAMED = ("RFC8551-3.2.2",)
_ENCRYPTED = ("LS-2.4-4", "LS-3-5")
_BINARY = ("SM-4-1",)


def _messages(evidence: Evidence) -> Iterator[tuple[Event, SipText]]:
    """Yield every copy of every SIP message between client and media server, as it was sent."""
    for event in evidence.of("sip"):
        if event.text("way") == "sent" and {evidence.world.kind_of(end) for end in ends_of(event, evidence.world)} == {
            "client",
            "media",
        }:
            yield event, read_sip(event.text("text"))


def _find_secrets(text: str, body: str) -> list[str]:
    """Return what the text of a message reveals, also in base64 in its body, and in UTF-16."""
    readable = text.replace("\0", "")
    with suppress(binascii.Error, ValueError):  # most bodies are not base64
        readable += base64.b64decode("".join(body.split()), validate=True).decode(errors="replace").replace("\0", "")
    return [what for what, pattern in _SECRETS.items() if pattern.search(readable)]


def _name(message: SipText) -> str:
    return " ".join(map(str, label_words(message)[:3]))


def _is_encrypted(message: SipText) -> bool:
    return message.content_type == PKCS7_MIME and (
        ENVELOPED_DATA in message.body or message.header("content-transfer-encoding").lower().startswith("base64")
    )


def _mscml_is_encrypted(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "the SIP messages show no MSCML, no URL and no ticket, and encrypted MSCML was sent"
    expected = "encrypted bodies alone"
    breaches: list[Breach] = []
    encrypted = 0
    for event, message in _messages(evidence):
        secrets = ", ".join(_find_secrets(event.text("text"), message.body))
        if secrets:
            breaches.append(
                Breach(sender_of(event, evidence), _ENCRYPTED, expected, f"{secrets} in {_name(message)}", event.t)
            )
        encrypted += message.method == "INFO" and not message.is_response and _is_encrypted(message)
    if not encrypted and not breaches:
        return CheckResult.without_material(requirement, expected, "no INFO with an encrypted body")
    return CheckResult(requirement, expected, f"{encrypted} encrypted bodies", tuple(breaches))


def _bodies_are_binary(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "bodies of SIP messages, and their parts, are sent without base64 and the like"
    found = [(event, message) for event, message in _messages(evidence) if message.body]
    if not found:
        return CheckResult.without_material(requirement, "binary", "no body")
    breaches = tuple(
        Breach(sender_of(event, evidence), _BINARY, "binary", f"{_name(message)}: {encodings}", event.t, alone=True)
        for event, message in found
        if (encodings := ", ".join(_encodings(message)))
    )
    return CheckResult(requirement, "binary", f"binary, {len(found)} times", breaches)


def _encodings(message: SipText) -> Iterator[str]:
    """Yield each transfer encoding that changes the octets of a part, and `not DER` for a part that must be DER."""
    for part in message.parts:
        encoding = part.encoding.removesuffix(DECODED)
        if encoding not in _IDENTITIES:
            yield encoding
        elif part.content_type == PKCS7_MIME and not part.text.startswith(_SEQUENCE):
            yield "not DER"


def _smime_type_is_true(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement, expected = "the parameter smime-type names the content of the body", "the type of the content"
    seen, breaches = [], []
    for event, message in _messages(evidence):
        said = _SMIME_TYPE.search(message.header("content-type"))
        places = {message.body.find(oid): name for oid, name in _CONTENTS.items() if oid in message.body}
        if message.content_type != PKCS7_MIME or said is None or not places:
            continue
        content = places[min(places)]
        seen.append(said[1])
        if said[1].lower() not in {content, *_ALSO.get(content, ())}:
            found = f"{said[1]} in {_name(message)}"
            breaches.append(Breach(sender_of(event, evidence), _NAMED, content, found, event.t, alone=True))
    if not seen:
        return CheckResult.without_material(requirement, expected, "no body with smime-type")
    return CheckResult(requirement, expected, ", ".join(dict.fromkeys(seen)), tuple(breaches))


CHECKS = (
    Check(
        "smime-type is true",
        _NAMED,
        "the parameter smime-type of a body names the type of its content",
        _smime_type_is_true,
    ),
    Check(
        "mscml is encrypted",
        _ENCRYPTED,
        "no SIP message shows MSCML, a URL or a ticket, and encrypted MSCML was sent",
        _mscml_is_encrypted,
        general=False,
    ),
    Check(
        "bodies are binary", _BINARY, "no body, and no part of one, is sent in base64 or the like", _bodies_are_binary
    ),
)
