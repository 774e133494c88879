"""Checks of each SIP message, and of each response against its request (RFC 3261, sections 8, 18 and 20)."""

from __future__ import annotations

import re

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.exchanges import MSCML
from lemonade_testbed.checks.facts import Signal, copies_of, is_relayed, signals
from lemonade_testbed.checks.sip import (
    Findings,
    contradicts_status,
    is_ordered,
    number_of,
    request_of,
    tag_of,
    uri_in,
    values_of,
    vias_of,
    without_tag,
)
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import DECODED, SipText
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult
from lemonade_wire.redaction import FINGERPRINT

COOKIE = "z9hG4bK"
"""The beginning of the branch of every request since RFC 3261."""
_MANDATORY = ("to", "from", "cseq", "call-id", "max-forwards", "via")
_HEADER = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+[ \t]*:")
_WARNING = re.compile(r'[0-9]{3} [^\s",]+ "(?:[^"\\]|\\.)*"')
_TRANSPORT = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z]+)", re.IGNORECASE)
_RPORT = re.compile(r";\s*rport(?:\s*=\s*([^;\s]*))?", re.IGNORECASE)
_RECEIVED = re.compile(r";\s*received\s*=\s*([^;\s]*)", re.IGNORECASE)
_RETRY_AFTER = re.compile(r"[0-9]+\s*(?:\([^()]*\)\s*)?(?:;.*)?")
WHOLE = (
    "RFC3261-7", "RFC3261-8.1.1", "RFC3261-8.1.1.5", "RFC3261-8.1.1.7", "RFC3261-8.1.1.8", "RFC3261-12.1.1",
    "RFC3261-18.1.1", "RFC3261-18.3", "RFC3261-20.15", "RFC3261-20.43", "RFC3261-7.2",
    "RFC3261-8.1.1.6", "RFC3261-20.33",
)  # fmt: skip
REPEATED = ("RFC3261-8.2.6.2", "RFC3261-8.2.6.2-2", "RFC3581-4")


def _check_headers(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    for signal in signals(evidence):
        message = signal.message
        if is_ordered(signal, scenario, evidence):
            continue
        strange = next((line for line in message.raw_lines[1:] if not _HEADER.match(line)), "")
        found.expect(not strange, "RFC3261-7", signal, "NAME: VALUE in each header line", strange)
        found.expect(
            "SIP/2.0" in message.start.split(), "RFC3261-7", signal, "SIP/2.0 in the start line", message.start
        )
        if message.is_response:
            _judge_response(found, signal)
        else:
            _judge_request(found, signal)
        if message.body.strip():
            kind = message.header("content-type")
            found.expect(bool(kind), "RFC3261-20.15", signal, "Content-Type with a body", "a body without it")
            if message.body.startswith("v=0\n"):
                fits = not kind or message.content_type == "application/sdp"
                found.expect(fits, "RFC3261-20.15", signal, "Content-Type: application/sdp", f"Content-Type: {kind}")
            length = message.header("content-length")
            if length and (octets := _octets(message)):
                expected = f"Content-Length: {octets[-1]}"
                found.expect(length in map(str, octets), "RFC3261-18.3", signal, expected, length)
        elif length := message.header("content-length"):
            found.expect(length.strip("0") == "", "RFC3261-18.3", signal, "Content-Length: 0", length)
        transports = {evidence.events[place].text("transport").lower() or "udp" for place in signal.events}
        if not message.is_response and (via := _TRANSPORT.match(message.header("via"))) and len(transports) == 1:
            expected, named = f"a Via of {transports.copy().pop().upper()}", via[1].lower()
            # a capture shows the content of TLS as TCP
            fits = named in transports or (named == "tls" and "tcp" in transports)
            found.expect(fits, "RFC3261-18.1.1", signal, expected, message.header("via"))
        if "tcp" in transports:
            length = message.header("content-length")
            found.expect(length.isdecimal(), "RFC3261-18.3", signal, "Content-Length over TCP", length)
    return found.result("each SIP message has the headers that it must have", "whole messages", "SIP message")


def _octets(message: SipText) -> range:
    """Return the lengths that the body may have had; empty if unknown, because a trace leaves secrets out.

    The lines of a document may end in LF, which not every trace shows.
    """
    is_document = message.content_type == MSCML and not FINGERPRINT.search(message.body)
    known = message.content_type == "application/sdp" or is_document
    if not known or not message.body.isascii() or message.header("content-transfer-encoding").endswith(DECODED):
        return range(0)
    most = len(message.body) + message.body.count("\n")
    return (
        range(len(message.body), most + 1) if is_document else range(len(message.raw_body), len(message.raw_body) + 1)
    )


def _judge_request(found: Findings, signal: Signal) -> None:
    message = signal.message
    missing = [name for name in _MANDATORY if not message.header(name)]
    hops = message.header("max-forwards")
    if hops.isdecimal():
        found.expect(int(hops) > 0, "RFC3261-8.1.1.6", signal, "Max-Forwards: 70", f"Max-Forwards: {hops}")
    wrong = ", ".join([f"no {name}" for name in missing] + ([] if tag_of(message.header("from")) else ["no From tag"]))
    if hops and not (hops.isdecimal() and int(hops) <= 255):
        wrong += f" Max-Forwards: {hops}"
    found.expect(not wrong, "RFC3261-8.1.1", signal, "To, From with a tag, CSeq, Call-ID, Max-Forwards, Via", wrong)
    if message.header("cseq"):
        fits = 0 <= number_of(message) < 2**31 and message.cseq.partition(" ")[2] == message.method
        expected = f"CSeq: (below 2**31) {message.method}"
        found.expect(fits, "RFC3261-8.1.1.5", signal, expected, f"CSeq: {message.cseq}")
    if message.header("via"):
        has_cookie = message.branch.startswith(COOKIE) and len(message.branch) > len(COOKIE)
        found.expect(has_cookie, "RFC3261-8.1.1.7", signal, f"a branch that begins with {COOKIE}", message.branch)
    if message.method == "INVITE":
        found.expect(_is_sip(message), "RFC3261-8.1.1.8", signal, "one Contact with a SIP URI", _contacts(message))


def _judge_response(found: Findings, signal: Signal) -> None:
    message = signal.message
    if message.status.startswith("2") and message.method == "INVITE":
        found.expect(_is_sip(message), "RFC3261-12.1.1", signal, "one Contact with a SIP URI", _contacts(message))
    for line in message.headers.get("warning", ()):
        fits = all(_WARNING.fullmatch(one) for one in values_of(message, "warning"))
        found.expect(fits, "RFC3261-20.43", signal, 'Warning: code agent "text"', f"Warning: {line}")
    for line in message.headers.get("retry-after", ()):
        fits = _RETRY_AFTER.fullmatch(line) is not None
        found.expect(fits, "RFC3261-20.33", signal, "Retry-After: seconds", f"Retry-After: {line}")
    _, _, phrase = message.start.partition(f" {message.status} ")
    contradicts = contradicts_status(message.status, phrase)
    found.expect(not contradicts, "RFC3261-7.2", signal, f"a reason phrase for {message.status}", message.start)


def _is_sip(message: SipText) -> bool:
    contacts = values_of(message, "contact")
    return len(contacts) == 1 and re.match(r"sips?:[^\s<>]+$", uri_in(contacts[0]), re.IGNORECASE) is not None


def _contacts(message: SipText) -> str:
    return ", ".join(values_of(message, "contact")) or "no Contact"


def _check_responses(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    found = Findings()
    all_signals = signals(evidence)
    tags: dict[int, str] = {}
    for signal in all_signals:
        request = request_of(signal, all_signals) if signal.message.is_response else None
        if request is None or is_ordered(request, scenario, evidence):
            continue
        _judge_copies(found, request, signal)
        _judge_tag(found, request, signal, tags, evidence)
        _judge_source(found, request, signal, evidence)
    return found.result(
        "a response repeats Via, From, To, Call-ID and CSeq of its request", "the values of the request", "response"
    )


def _judge_source(found: Findings, request: Signal, response: Signal, evidence: Evidence) -> None:
    """Judge rport and received in the topmost Via of a response: the port and the address that the request came from.

    Behind a relay both are the relay's, and only their presence is judged.
    """
    asked = _RPORT.search(next(iter(values_of(request.message, "via")), ""))
    if not asked or asked[1]:
        return
    via = next(iter(values_of(response.message, "via")), "")
    ports, hosts = _RPORT.search(via), _RECEIVED.search(via)
    port, host = (ports[1] or "") if ports else "", hosts[1].strip("[]") if hosts else ""
    events = [evidence.events[place] for place in request.events]
    came_from = {one.text("remote") for one in events if one.text("way") == "received"}
    if is_relayed(evidence) or not came_from:
        fits, expected = port.isdecimal() and 0 < int(port) < 65536 and bool(host), "rport and received"
    else:
        fits = f"{host}:{port}" in came_from
        address, _, number = min(came_from).rpartition(":")
        expected = f"rport={number};received={address}"
    found.expect(fits, "RFC3581-4", response, expected, f"rport={port};received={host}")


def _judge_copies(found: Findings, request: Signal, response: Signal) -> None:
    asked, answered = request.message, response.message
    pairs = {
        "Via": (", ".join(vias_of(asked)), ", ".join(vias_of(answered))),
        "From": (asked.header("from"), answered.header("from")),
        "To": (without_tag(asked.header("to")), without_tag(answered.header("to"))),
        "Call-ID": (asked.call_id, answered.call_id),
        "CSeq": (asked.cseq, answered.cseq),
    }
    wrong = {name: pair for name, pair in pairs.items() if re.sub(r"\s", "", pair[0]) != re.sub(r"\s", "", pair[1])}
    expected = ", ".join(f"{name}: {pair[0]}" for name, pair in wrong.items()) or "as in the request"
    seen = ", ".join(f"{name}: {pair[1]}" for name, pair in wrong.items())
    found.expect(not wrong, "RFC3261-8.2.6.2", response, expected, seen)


def _judge_tag(found: Findings, request: Signal, response: Signal, tags: dict[int, str], evidence: Evidence) -> None:
    """Judge the To tag.

    It is the tag of the request. If the request has none, every response but 100 has a tag, and all responses to one
    request, and all copies of them, have the same.
    """
    given = tag_of(request.message.header("to"))
    seen = [tag_of(copy.header("to")) for copy in copies_of(response, evidence)]
    if response.message.status == "100":
        return
    before = given or tags.setdefault(id(request), seen[0])
    tag = next((one for one in seen if one != before), before)
    expected = f"To tag {before}" if before else "a To tag"
    found.expect(bool(tag) and tag == before, "RFC3261-8.2.6.2-2", response, expected, f"To tag {tag or 'none'}")


CHECKS = (
    Check(
        "sip messages are whole",
        WHOLE,
        "messages have their headers, a branch with its cookie, Contact, Content-Type and Warning as in RFC 3261",
        _check_headers,
    ),
    Check(
        "responses repeat their request",
        REPEATED,
        "a response has the Via, From, To, Call-ID and CSeq of its request, a To tag, and rport where it was asked for",
        _check_responses,
    ),
)
