"""Faults in response lines, in what CREATE and COPY do, and in how passwords are compared."""

from __future__ import annotations

import itertools
import re

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.faults.kinds import DecisionFault, LineFault, without
from lemonade_wire.faults import Fault


class UidValidityChanges(Fault, ImapBehaviour):
    """SELECT tells a greater UIDVALIDITY each time, and the server accepts URLs with any UIDVALIDITY."""

    name = "uidvalidity-changes"
    summary = "SELECT tells another UIDVALIDITY each time, and URLs of any are taken"
    breaks = ("RFC3501-2.3.1.1",)
    edits_lines = True

    def __init__(self) -> None:
        self._times = itertools.count(1)

    def edit_line(self, command: str, tag: str, text: bytes) -> bytes | None:
        """Add to UIDVALIDITY how often it was told."""
        more = next(self._times) if b"[UIDVALIDITY " in text else 0
        return re.sub(rb"(\[UIDVALIDITY )(\d+)", lambda found: b"%s%d" % (found[1], int(found[2]) + more), text)

    def uidvalidity_fits(self, url: object, uidvalidity: int) -> bool:
        """Accept any UIDVALIDITY: with the told one the client's URLs would be refused, which is another error."""
        return True


class CapabilityUnanswered(Fault, ImapBehaviour):
    """CAPABILITY gets its list in the code of the tagged OK alone, and a login gets no list."""

    name = "capability-unanswered"
    summary = "lists capabilities in a code of CAPABILITY's OK, without the untagged response, and not upon a login"
    breaks = ("RFC3501-6.1.1-2",)
    edits_lines = True

    def __init__(self) -> None:
        self._listed = b""

    def edit_line(self, command: str, tag: str, text: bytes) -> bytes | None:
        """Send the list of the untagged response in the tagged one."""
        if text.startswith(b"* CAPABILITY "):
            self._listed = text.removeprefix(b"* CAPABILITY ")
            return None
        if command == "CAPABILITY":
            return b"%s OK [CAPABILITY %s] done" % (tag.encode("ascii"), self._listed)
        return re.sub(rb"\[CAPABILITY [^\]]*\] ", b"", text)


class PasswordsUnchecked(Fault, ImapBehaviour):
    """A login succeeds with any password."""

    name = "passwords-unchecked"
    summary = "lets accounts in by any password, and offers no way in that cannot"
    breaks = ("RFC3501-6.2",)

    def accepts_password(self, matches: bool) -> bool:
        """Accept the password."""
        return True

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Leave SCRAM out, with which a wrong password fails in the client's computation."""
        return tuple(name for name in names if "SCRAM" not in name)


class LaterPasswordsRefused(Fault, ImapBehaviour):
    """Only the first login succeeds; each later one is refused, though its password is right."""

    name = "later-passwords-refused"
    summary = "refuses every login by a password but the first, and offers no mechanism that proves one"
    breaks = ("RFC3501-6.2",)

    def __init__(self) -> None:
        self._logins = 0

    def accepts_password(self, matches: bool) -> bool:
        """Accept the password of the first login alone."""
        self._logins += 1
        return matches and self._logins == 1

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Leave SCRAM out, with which the password is proved by a computation."""
        return tuple(name for name in names if "SCRAM" not in name)


LINE_FAULTS: tuple[Fault | type[Fault], ...] = (
    UidValidityChanges,
    CapabilityUnanswered,
    PasswordsUnchecked,
    LaterPasswordsRefused,
    LineFault(
        "fetch-unspaced",
        "writes FETCH responses without the space before the list of data items",
        ("RFC3501-7",),
        "FETCH",
        rb"FETCH \(",
        b"FETCH(",
    ),
    LineFault(
        "exists-too-low",
        "SELECT returns EXISTS 0 for every mailbox",
        ("RFC3501-6.3.1",),
        "SELECT",
        rb"^\* \d+ EXISTS",
        b"* 0 EXISTS",
    ),
    LineFault(
        "exists-too-high",
        "SELECT returns EXISTS 9 for every mailbox",
        ("RFC3501-6.3.1",),
        "SELECT",
        rb"^\* \d+ EXISTS",
        b"* 9 EXISTS",
    ),
    LineFault(
        "search-finds-nothing",
        "SEARCH lists no message",
        ("RFC3501-6.4.4",),
        "SEARCH",
        rb"^\* SEARCH.*",
        b"* SEARCH",
    ),
    LineFault(
        "genurlauth-url-twice",
        "GENURLAUTH returns every URL twice",
        ("RFC4467-7-6",),
        "GENURLAUTH",
        rb"^\* GENURLAUTH (.*)",
        rb"* GENURLAUTH \1 \1",
    ),
    LineFault(
        "tag-changed",
        "answers FETCH with another tag than the command's",
        ("RFC3501-2.2.2",),
        "FETCH",
        rb"^([^*+ ]+) (OK|NO|BAD) ",
        rb"x\1 \2 ",
    ),
    LineFault(
        "select-without-uidvalidity",
        "SELECT does not tell UIDVALIDITY",
        ("RFC3501-6.3.1",),
        "SELECT",
        rb"\[UIDVALIDITY ",
    ),
    LineFault(
        "search-unanswered", "SEARCH is answered OK without SEARCH", ("RFC3501-6.4.4",), "SEARCH", rb"^\* SEARCH"
    ),
    LineFault(
        "seen-set-by-structure",
        r"FETCH BODYSTRUCTURE sets the flag \Seen of the message",
        ("RFC3501-6.4.5-2",),
        "FETCH",
        rb"FETCH \((UID \d+ )?(BODYSTRUCTURE|FLAGS \()",
        rb"FETCH (\1FLAGS (\\Seen) \2",
    ),
    LineFault("fetch-unanswered", "FETCH is answered OK without FETCH", ("RFC3501-6.4.5",), "FETCH", rb"^\* "),
    LineFault(
        "uid-of-another",
        "UID FETCH tells UID 99, whichever message was asked for",
        ("RFC3501-6.4.8",),
        "FETCH",
        rb"UID \d+",
        rb"UID 99",
    ),
    LineFault("urlfetch-unanswered", "says nothing upon URLFETCH", ("RFC3501-2.2.2",), "URLFETCH", rb""),
    DecisionFault(
        "capability-without-imap4rev1",
        "CAPABILITY does not list IMAP4rev1",
        ("RFC3501-7.2.1",),
        ImapBehaviour.capabilities,
        without("IMAP4rev1"),
    ),
    DecisionFault(
        "create-idle",
        "CREATE is answered OK, and makes no mailbox",
        ("RFC3501-6.3.3",),
        ImapBehaviour.carries_out,
        lambda command: command != "CREATE",
    ),
    DecisionFault(
        "copy-idle",
        "COPY is answered OK, and copies nothing",
        ("RFC3501-6.4.7",),
        ImapBehaviour.carries_out,
        lambda command: command != "COPY",
    ),
)
