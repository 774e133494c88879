"""The result of checking an image: for each point of the vendor contract whether it is kept, broken or not checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

READY = 30.0
"""Seconds that a node has to become ready."""
STOP = 10.0
"""Seconds that a node has to stop."""
UNSUPPORTED = 127
"""The exit code of a client for a scenario that it does not support."""
REQUIREMENTS: Mapping[str, str] = {
    "ready": f"it answers in its protocol within {READY:.0f} s of its start",
    "seed": "its seed hook, where it has one, ends with 0",
    "accounts": "the accounts of LEMONADE_USER may log in and store mail",
    "ticket": "no ticket stands in its log",
    "stop": f"it ends by itself within {STOP:.0f} s of SIGTERM",
    "restart": "started again it is ready in time",
    "empty": "started again it begins empty",
    "mail": "a message below /lemonade/mail is stored once, where it is stored at all",
    "unsupported": f"a scenario that it cannot know ends with {UNSUPPORTED}, and that says something: not all do",
}


@dataclass(frozen=True)
class ContractFinding:
    """The result for one point of the contract; `kept` is None if it could not be checked."""

    name: str
    requirement: str
    kept: bool | None
    seen: str


@dataclass
class ContractVerdict:
    """The results for an image in a role."""

    role: str
    image: str
    findings: list[ContractFinding] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether no point is broken; a point that could not be checked counts as not broken."""
        return all(finding.kept is not False for finding in self.findings)

    def note(self, name: str, kept: bool | None, seen: str) -> bool:
        """Add a finding; returns whether the point is kept."""
        self.findings.append(ContractFinding(name, REQUIREMENTS[name], kept, seen))
        return kept is True

    def note_token(self, log: str, token: str, where: str) -> None:
        """Note whether a log has a token, in upper or lower case; `where` says what was asked of the node before."""
        lines = log.splitlines()
        found = [number for number, line in enumerate(lines, 1) if token.lower() in line.lower()]
        self.note("ticket", not found, f"in line {found[0]}" if found else f"not in {len(lines)} lines{where}")

    def json(self) -> str:
        """Return the verdict as JSON."""
        return json.dumps(asdict(self) | {"kept": self.kept}, indent=1, ensure_ascii=False) + "\n"
