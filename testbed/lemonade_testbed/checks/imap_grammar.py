"""The grammar of an IMAP server's lines (RFC 3501, section 9): one pattern for each kind of response."""

from __future__ import annotations

import re

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import imap_data, sender_of
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_READABLE = "RFC3501-7"
_NUMBER, _ABOVE_ZERO = r"[0-9]+", r"0*[1-9][0-9]*"
_KINDS = {
    "EXISTS": rf"{_NUMBER} EXISTS",
    "RECENT": rf"{_NUMBER} RECENT",
    "EXPUNGE": rf"{_ABOVE_ZERO} EXPUNGE",
    "FETCH": rf"{_ABOVE_ZERO} FETCH \(.+\)",
    "FLAGS": r"FLAGS \([^()]*\)",
    "SEARCH": rf"SEARCH(?: {_ABOVE_ZERO})*(?: \(MODSEQ {_NUMBER}\))?",
    "CAPABILITY": r"CAPABILITY(?: [^ ]+)+",
    "LIST": r"LIST \([^()]*\) .+",
    "LSUB": r"LSUB \([^()]*\) .+",
    "STATUS": r"STATUS .+ \([^()]*\)",
    "METADATA": r"METADATA .+",
    "GENURLAUTH": r"GENURLAUTH [^ ].*",
    "URLFETCH": r"URLFETCH [^ ].*",
    "OK": r"OK(?: .*)?",
    "NO": r"NO(?: .*)?",
    "BAD": r"BAD(?: .*)?",
    "BYE": r"BYE(?: .*)?",
    "PREAUTH": r"PREAUTH(?: .*)?",
}
"""What follows `* ` in each kind of untagged response, by the word that names the kind.

mailbox-data, message-data, resp-cond-state and capability-data of RFC 3501; genurlauth-data, urlfetch-data of RFC 4467.
"""
_UNTAGGED = {kind: re.compile(rf"\* {pattern}[\r\n ]*", re.IGNORECASE | re.DOTALL) for kind, pattern in _KINDS.items()}
_KIND = re.compile(r"\* *(?:[0-9]+ *)?([A-Za-z][A-Za-z0-9-]*)")
_TAGGED = re.compile(r"[^\s(){%*\"\\+]+ (?:OK|NO|BAD) [^ ].*", re.IGNORECASE | re.DOTALL)
"""response-tagged: a tag, the result, and a text, which is not empty."""
_GO_ON = re.compile(r"\+(?: |$)")
_NOUGHT = re.compile(r"^[^ ]+ OK \[(?:UIDVALIDITY|UIDNEXT) 0+\]", re.IGNORECASE)
"""A response code whose number is not above 0 (nz-number)."""
_HIDDEN = "***"
"""What a trace has in place of a line that shows a secret."""


def is_readable(line: str) -> bool:
    """Tell whether a line of a server is a response of RFC 3501; a kind that is not known has any content."""
    if line == _HIDDEN or _GO_ON.match(line):
        return True
    if not line.startswith("*"):
        return _TAGGED.fullmatch(line) is not None and not _NOUGHT.match(line)
    kind = _KIND.match(line)
    if kind is None:
        return False
    known = _UNTAGGED.get(kind[1].upper())
    if known is None:
        return line.startswith("* ")
    return known.fullmatch(line) is not None and not _NOUGHT.match(line)


def _can_be_read(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "each line of the IMAP server is an untagged response, a tagged response or a continuation request"
    expected, lines = "a response by the grammar of RFC 3501", list(imap_data(evidence, "client", "media"))
    if not lines:
        return CheckResult.without_material(requirement, expected, "no line of an IMAP server")
    breaches = tuple(
        Breach(sender_of(event, evidence), (_READABLE,), expected, event.text("text"), event.t, alone=True)
        for event in lines
        if not is_readable(event.text("text"))
    )
    return CheckResult(requirement, expected, f"{len(lines)} lines", breaches)


CHECKS = (
    Check(
        "imap responses can be read",
        (_READABLE,),
        "each line that an IMAP server sends is a response by the grammar of RFC 3501",
        _can_be_read,
    ),
)
