"""Checks of what URLFETCH returns: the part that the URL names, decoded and described."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.imap_exchanges import ImapExchange, TicketUrl, UntaggedResponse, exchanges
from lemonade_testbed.checks.structures import of_leaf
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import LiteralText, UrlData, as_text
from lemonade_testbed.ladder.model import Url
from lemonade_testbed.mailparts import MailPart, parts_by_section
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult

_DECODED = ("RFC5524-3.2-2", "LS-2.8-10", "LS-2.8-11", "LS-2.1-10")
_STRUCTURED = ("RFC5524-3.2-1", "LS-2.1-11", "LS-2.8-10")
_NAMED = ("RFC5092-6-1", "LS-2.8-11")
_RANGE = ("RFC5092-6-2", "LS-2.8-11")
_LITERAL8 = ("RFC5524-3.1",)
_ENCODING = 5
"""The index of the encoding in the BODYSTRUCTURE of a part."""


@dataclass(frozen=True)
class _Answer:
    """The content of one URL in an answer to URLFETCH, and the part of the mail that the URL names."""

    server: str
    line: UntaggedResponse
    data: UrlData
    url: TicketUrl
    part: MailPart
    binary: bool
    structured: bool

    @property
    def section(self) -> bytes | None:
        """The octets of the whole section in the form that was asked for; None if they cannot be decoded."""
        return self.part.decoded if self.binary else self.part.stored

    @property
    def octets(self) -> bytes | None:
        """The octets that the answer must have: those of the section, or the range that PARTIAL names."""
        whole, start = self.section, self.url.offset or 0
        return None if whole is None else whole[start:][: self.url.length]


def _answers(evidence: Evidence) -> Iterator[_Answer]:
    """Yield the URLs that were answered with content, if they name a part of the run's mail."""
    for one in exchanges(evidence):
        for line, data in one.fetched() if one.command.name == "URLFETCH" else ():
            answer = _answer(one, line, data, evidence.message or b"")
            if answer is not None:
                yield answer


def _answer(one: ImapExchange, line: UntaggedResponse, data: UrlData, mail: bytes) -> _Answer | None:
    url = TicketUrl.parse(Url.parse(data.url).text)
    part = parts_by_section(mail).get(url.section) if url else None
    if url is None or part is None or part.is_multipart or part.parts or data.content is None:
        return None
    asked = [text for text in one.asked() if text.lower() == data.url.lower()]
    wants = one.wants(asked[0]) if asked else frozenset()
    return _Answer(one.server, line, data, url, part, "BINARY" in wants, "BODYPARTSTRUCTURE" in wants)


def _part_is_decoded(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH returns the octets that the URL names, BINARY without transfer encoding"
    answers = [one for one in _answers(evidence) if one.octets is not None]
    if not answers:
        return CheckResult.without_material(requirement, "a part of the mail", "no URLFETCH returned any content")
    expected = ", ".join(dict.fromkeys(_content(one.octets or b"") for one in answers))
    seen = ", ".join(dict.fromkeys(_describe_content(one) for one in answers))
    breaches = [breach for one in answers for breach in _wrong_content(one, evidence.message or b"")]
    reached = [*_DECODED, *_NAMED]
    reached += _RANGE if any(one.url.offset is not None for one in answers) else ()
    reached += _LITERAL8 if any(b"\0" in (one.octets or b"") for one in answers) else ()
    return CheckResult(requirement, expected, seen, tuple(breaches), tuple(dict.fromkeys(reached)))


def _wrong_content(one: _Answer, mail: bytes) -> Iterator[Breach]:
    due, seen = one.octets or b"", _describe_content(one)
    if one.binary and not re.search(r"\(BINARY ", one.line.text, re.IGNORECASE):
        yield Breach(one.server, _DECODED, "an element BINARY", "content in another element", one.line.t, alone=True)
    if seen != _content(due):
        clauses = _RANGE if one.url.offset is not None else _named(seen, one, mail)
        yield Breach(one.server, clauses, _content(due), seen, one.line.t, alone=True)
    elif b"\0" in due and one.binary and not re.search(rf"~\{{{len(due)}\+?\}}", one.line.text):
        yield Breach(
            one.server, _LITERAL8, "literal8 (~{n}) for octets with NUL", one.line.text, one.line.t, alone=True
        )


def _named(seen: str, one: _Answer, mail: bytes) -> tuple[str, ...]:
    """Return the clauses that wrong content breaks: for content of another part, or for a wrong form of this part."""
    others = [part for part in parts_by_section(mail).values() if part is not one.part]
    forms = {_content(octets) for part in others for octets in (part.stored, part.decoded) if octets}
    return _NAMED if seen in forms else _DECODED


def _describe_content(one: _Answer) -> str:
    """Describe the content that was returned; only the size is known of a literal that is too long for the trace."""
    content = one.data.content
    if isinstance(content, LiteralText):
        return _sized(content.size, content.sha256 or hashlib.sha256(one.octets or b"").hexdigest())
    return _content((content or "").encode("utf-8", "surrogateescape"))


def _content(octets: bytes) -> str:
    return _sized(len(octets), hashlib.sha256(octets).hexdigest())


def _sized(size: int, sha256: str) -> str:
    return f"{size} octets with SHA-256 {sha256[:16]}..."


def _part_is_described(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH BODYPARTSTRUCTURE describes the part as it is returned"
    answers = [one for one in _answers(evidence) if one.structured and one.section is not None]
    if not answers:
        seen = "no URLFETCH returned any content with BODYPARTSTRUCTURE"
        return CheckResult.without_material(requirement, "a part in the mail", seen)
    expected = ", ".join(dict.fromkeys(_due(one) for one in answers))
    breaches = [breach for one in answers for breach in _wrong_structure(one)]
    seen = ", ".join(breach.seen for breach in breaches) or expected
    return CheckResult(requirement, expected, seen, tuple(breaches))


def _wrong_structure(one: _Answer) -> Iterator[Breach]:
    if one.data.structure is None:
        yield Breach(one.server, _STRUCTURED, _due(one), "nothing", one.line.t, alone=True)
        return
    encoding = _encoding_due(one, one.data.structure)
    wrong = list(of_leaf(one.data.structure, one.part, one.section, encoding, "the part"))
    if wrong and one.url.offset is not None:  # the size may be that of the section, or of the range that PARTIAL names
        shorter = list(of_leaf(one.data.structure, one.part, one.octets, encoding, "the part"))
        wrong = min(wrong, shorter, key=len)
    if wrong:
        expected = ", ".join(one_wrong.expected for one_wrong in wrong)
        seen = ", ".join(one_wrong.seen for one_wrong in wrong)
        yield Breach(one.server, _STRUCTURED, expected, seen, one.line.t, alone=True)


def _encoding_due(one: _Answer, structure: object) -> str:
    """Return the encoding that the structure must show.

    It is that of the part. If the URL was fetched with BINARY, it is an identity encoding (RFC 5524, section 3.2) that
    such octets may have (RFC 2045, sections 2.7 to 2.9), the one in the structure if it is allowed.
    """
    if not one.binary:
        return one.part.encoding
    octets = one.section or b""
    allowed = {"BINARY"} if b"\0" in octets else {"BINARY", "8BIT", "7BIT"} if octets.isascii() else {"BINARY", "8BIT"}
    shown = as_text(structure[_ENCODING]).upper() if isinstance(structure, list) and len(structure) > _ENCODING else ""
    return shown if shown in allowed else "BINARY"


def _due(one: _Answer) -> str:
    encoding = "BINARY" if one.binary else one.part.encoding
    return f"{one.part.content_type} {encoding} {len(one.section or b'')}"


CHECKS = (
    Check(
        "part is decoded",
        tuple(dict.fromkeys((*_DECODED, *_NAMED, *_RANGE, *_LITERAL8))),
        "URLFETCH returns the octets of the part that the URL names (PARTIAL's of them), transfer encoding removed",
        _part_is_decoded,
    ),
    Check(
        "part is described",
        _STRUCTURED,
        "URLFETCH returns the part's type, parameters and decoded size with it",
        _part_is_described,
    ),
)
