"""What the checks of SIP messages share: reading and comparing headers, and collecting findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lemonade_testbed.checks.facts import Signal
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.siptext import SipText, label_words
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<]|["<])+')
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s]+)", re.IGNORECASE)
_FILLED_IN = re.compile(r";\s*(?:received|rport)(?:\s*=\s*[^;\s]*)?", re.IGNORECASE)
_HOST = re.compile(
    r"(?P<scheme>sips?):(?P<user>[^@]*@)?(?P<host>\[[^\]]*\]|[^:;?]*)(?::(?P<port>[0-9]+))?", re.IGNORECASE
)

_PHRASES = {
    "100": "trying", "180": "ringing", "181": "call is being forwarded", "182": "queued", "183": "session progress",
    "200": "ok", "202": "accepted", "300": "multiple choices", "301": "moved permanently", "302": "moved temporarily",
    "305": "use proxy", "380": "alternative service", "400": "bad request", "401": "unauthorized",
    "402": "payment required", "403": "forbidden", "404": "not found", "405": "method not allowed",
    "406": "not acceptable", "407": "proxy authentication required", "408": "request timeout", "410": "gone",
    "413": "request entity too large", "414": "request-uri too long", "415": "unsupported media type",
    "416": "unsupported uri scheme", "420": "bad extension", "421": "extension required", "423": "interval too brief",
    "480": "temporarily unavailable", "481": "call/transaction does not exist", "482": "loop detected",
    "483": "too many hops", "484": "address incomplete", "485": "ambiguous", "486": "busy here",
    "487": "request terminated", "488": "not acceptable here", "491": "request pending", "493": "undecipherable",
    "500": "server internal error", "501": "not implemented", "502": "bad gateway", "503": "service unavailable",
    "504": "server time-out", "505": "version not supported", "513": "message too large", "600": "busy everywhere",
    "603": "decline", "604": "does not exist anywhere", "606": "not acceptable",
}  # fmt: skip
"""The reason phrases of RFC 3261, section 21.

A message may have another phrase, but not the phrase of another status.
"""


@dataclass
class Findings:
    """The findings of a check so far: the clauses for which there was material, and the breaches."""

    reached: set[str] = field(default_factory=set)
    breaches: list[Breach] = field(default_factory=list)

    def expect(
        self, ok: bool, clauses: str | tuple[str, ...], signal: Signal, expected: str, seen: str, *, alone: bool = True
    ) -> None:
        """Note that a message was judged by `clauses`; if it is not `ok`, its sender is charged."""
        names = (clauses,) if isinstance(clauses, str) else clauses
        self.reached.update(names)
        if not ok:
            said = f"{seen or 'none'} in {name_of(signal)}"
            self.breaches.append(Breach(signal.source, names, expected, said, signal.t, alone=alone))

    def charge(self, node: str, clause: str, expected: str, seen: str, t: float) -> None:
        """Note that `node` left out a message; an earlier breach of another node may be the cause."""
        self.reached.add(clause)
        self.breaches.append(Breach(node, (clause,), expected, seen, t))

    def result(self, requirement: str, expected: str, material: str) -> CheckResult:
        """Return the result of the check; `material` names what was missing if nothing was judged."""
        if not self.reached:
            return CheckResult.without_material(requirement, expected, f"no {material}")
        seen = "; ".join(breach.seen for breach in self.breaches) or expected
        return CheckResult(requirement, expected, seen, tuple(self.breaches), tuple(sorted(self.reached)))


def name_of(signal: Signal) -> str:
    """Return the name of a message in a finding, such as `INVITE annc` or `200 INVITE`."""
    return " ".join(str(word) for word in label_words(signal.message)[1:3] if isinstance(word, str))


def tag_of(value: str) -> str:
    """Return the tag of a From or To value; an empty text without one."""
    found = _TAG.search(re.sub(r'"(?:[^"\\]|\\.)*"|<[^>]*>', "", value))
    return found[1] if found else ""


def without_tag(value: str) -> str:
    """Return a From or To value without its tag and without white space."""
    return re.sub(r"\s", "", _TAG.sub("", value))


def values_of(message: SipText, name: str) -> tuple[str, ...]:
    """Return the values of a header that may be a list, split where one line has several (RFC 3261, section 7.3.1)."""
    return tuple(one.strip() for line in message.headers.get(name, ()) for one in _ITEM.findall(line) if one.strip())


def vias_of(message: SipText) -> tuple[str, ...]:
    """Return the Via values in lower case, without the parameters that a receiver adds (`received`, `rport`)."""
    return tuple(re.sub(r"\s+", " ", _FILLED_IN.sub("", via)).strip().lower() for via in values_of(message, "via"))


def uri_in(value: str) -> str:
    """Return the URI of a name-addr or addr-spec value; a display name may hold any characters."""
    bare = re.sub(r'^\s*"(?:[^"\\]|\\.)*"', "", value)
    bracketed = re.search(r"<([^>]*)>", bare)
    return bracketed[1].strip() if bracketed else bare.partition(";")[0].strip()


def same_uri(one: str, other: str) -> bool:
    """Tell whether two URIs are equal, ignoring the case of the host and a default port (RFC 3261, section 19.1.4)."""
    return _normal(one) == _normal(other)


def _normal(uri: str) -> tuple[str, ...]:
    found = _HOST.match(uri)
    if not found:
        return (uri,)
    rest = sorted(part.lower() for part in re.split("[;?]", uri[found.end() :]) if part)
    default = "5061" if found["scheme"].lower() == "sips" else "5060"
    return (found["scheme"].lower(), found["user"] or "", found["host"].lower(), found["port"] or default, *rest)


def number_of(message: SipText) -> int:
    """Return the number of the CSeq; -1 if it is not valid."""
    number = message.cseq.partition(" ")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 10 else -1


def request_of(response: Signal, among: Sequence[Signal]) -> Signal | None:
    """Return the request that a response answers: the earlier one of the other side with the most equal headers.

    Thus a response with one wrong header is still recognised as the answer to its request.
    """
    best, most = None, 1
    for request in among:
        if request.message.is_response or request.message.method == "ACK":
            continue
        if (request.source, request.target) != (response.target, response.source) or request.t > response.t:
            continue
        agreed = sum(
            bool(one) and one == other
            for one, other in zip(_identity(request.message), _identity(response.message), strict=True)
        )
        if agreed > most or (best is not None and agreed == most > 1):
            best, most = request, agreed
    return best


def requests_of(among: Sequence[Signal]) -> dict[int, Signal | None]:
    """Return the request of each response, by the `id` of the response."""
    return {id(one): request_of(one, among) for one in among if one.message.is_response}


def _identity(message: SipText) -> tuple[str, str, str, str]:
    number, _, method = message.cseq.partition(" ")
    return message.call_id, message.branch, f"{number} {method}", method


def contradicts_status(status: str, phrase: str) -> bool:
    """Tell whether a reason phrase is that of another status in RFC 3261, section 21; free wording is no breach."""
    said, usual = phrase.strip().lower(), _PHRASES.get(status, "")
    meant = [code for code, words in _PHRASES.items() if words == said]
    if not meant or status in meant or usual.startswith(said):
        return False
    return status[:1] != "2" or all(code[:1] != "2" for code in meant)


def is_ordered(signal: Signal, scenario: Scenario, evidence: Evidence) -> bool:
    """Tell whether the script orders this request of the client word for word, by the verb `sip`."""
    if evidence.world.kind_of(signal.source) != "client" or signal.message.is_response:
        return False
    return any(step["sip"].get("method") == signal.message.method for step in scenario.client if "sip" in step)


def orders_sdp(scenario: Scenario) -> bool:
    """Tell whether the script of the scenario has a session description (`sdp`)."""
    return any(isinstance(given, Mapping) and given.get("sdp") for step in scenario.client for given in step.values())


def arrived_body(message: SipText) -> str:
    """Return a body as its receiver reads it: octets beyond Content-Length are dropped (RFC 3261, section 18.3)."""
    length = message.header("content-length")
    octets = message.raw_body
    return (octets[: int(length)] if length.isascii() and length.isdecimal() else octets).replace("\r\n", "\n")


def calls_of(among: Sequence[Signal]) -> Iterator[list[Signal]]:
    """Yield the messages of each Call-ID, in order of sending."""
    found: dict[str, list[Signal]] = {}
    for signal in among:
        found.setdefault(signal.message.call_id, []).append(signal)
    yield from found.values()
