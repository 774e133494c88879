"""Checks of what URLFETCH returns: the part itself, decoded and described."""

from __future__ import annotations

import hashlib

from lemonade_testbed.audio.part import UnheardPartError, part_of
from lemonade_testbed.checks.base import Check
from lemonade_testbed.checks.facts import fetched_data
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.ladder.imaptext import Literal, as_text
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import CheckResult


def _part_is_decoded(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH BINARY returns the part's octets without transfer encoding"
    try:
        octets = part_of(evidence.message or b"", "the mail of the run").octets
    except UnheardPartError as problem:
        return CheckResult(False, requirement, "a part in the mail", str(problem))
    digest = hashlib.sha256(octets).hexdigest()
    expected = _content(len(octets), digest)
    got = [data.content for data in fetched_data(evidence)]
    if not got:
        return CheckResult(False, requirement, expected, "no URLFETCH was answered")
    seen = [_describe(content, digest) for content in got]
    return CheckResult(all(one == expected for one in seen), requirement, expected, ", ".join(dict.fromkeys(seen)))


def _describe(content: Literal | str | None, digest: str) -> str:
    """Say what was returned; of a literal that its node streamed past, the size is all that is known."""
    if content is None:
        return "NIL"
    if isinstance(content, Literal):
        return _content(content.size, content.sha256 or digest)
    octets = content.encode("utf-8", "surrogateescape")
    return _content(len(octets), hashlib.sha256(octets).hexdigest())


def _content(size: int, sha256: str) -> str:
    return f"{size} octets with SHA-256 {sha256[:16]}..."


def _part_is_described(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "URLFETCH BODYPARTSTRUCTURE describes the part as it is returned"
    try:
        part = part_of(evidence.message or b"", "the mail of the run")
    except UnheardPartError as problem:
        return CheckResult(False, requirement, "a part in the mail", str(problem))
    expected = f"{part.content_type} BINARY {len(part.octets)}"
    answers = fetched_data(evidence)
    seen = []
    for data in answers:
        words = [as_text(token) for token in data.structure or ()]
        described = f"{words[0]}/{words[1]}".lower() + f" {words[5]} {words[6]}" if len(words) > 6 else "nothing"
        seen.append(described)
    ok = bool(seen) and all(one.lower() == expected.lower() for one in seen)
    return CheckResult(ok, requirement, expected, ", ".join(dict.fromkeys(seen)) or "no URLFETCH was answered")


CHECKS = (
    Check(
        "part is decoded",
        ("LS-2.1-10", "LS-2.8-10", "LS-2.8-11"),
        "URLFETCH returns the octets of the part of the mail, transfer encoding removed",
        _part_is_decoded,
    ),
    Check(
        "part is described",
        ("LS-2.1-11", "LS-2.8-10"),
        "URLFETCH returns the part's type and decoded size with it",
        _part_is_described,
    ),
)
