"""Decisions of the server that a configured fault can change, one method for each.

A fault is a deliberate error of the server; the testbed uses it to show that the judge finds such an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lemonade_imap import urlauth
from lemonade_imap.mail.mime import MimePart
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.command import Joined
from lemonade_wire.imap.url import ImapUrl, Partial
from lemonade_wire.imap.url_parts import Access


@dataclass(frozen=True)
class Rendition:
    """A message part after its content transfer encoding was removed.

    `size`: octets of the decoded part. `encoding`: the content transfer encoding that was removed.
    """

    size: int
    encoding: str


class ImapBehaviour:
    """The correct behaviour. Each class of the modules of faults overrides one or a few of these methods."""

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the capabilities that the server lists; `names` are those that are available in this session."""
        return names

    def authorised_url(self, rump: str, key: bytes) -> str:
        """Return the URL that GENURLAUTH returns: the unchanged rump, then the mechanism and the token (E-11)."""
        return f"{rump}:{urlauth.MECHANISM}:{self.token_of(key, rump)}"

    def token_of(self, key: bytes, rump: str) -> str:
        """Return the token that GENURLAUTH gives for a rump."""
        return urlauth.token_for(key, self.signed(rump))

    def signed(self, rump: str) -> bytes:
        """Return the octets over which a URL's token is computed: the whole rump, octet for octet (RFC 4467, 6)."""
        return rump.encode("ascii")

    def owner_of(self, url: ImapUrl, user: str) -> str:
        """Return the user whose URLs GENURLAUTH authorises in a session of `user`: that user (RFC 4467, 7)."""
        return user

    def mechanism_of(self, mechanism: str) -> str:
        """Return the mechanism that GENURLAUTH uses if the client asked for `mechanism`: the same one."""
        return mechanism

    def mailbox_of(self, url: ImapUrl) -> str:
        """Return the mailbox that a URL names."""
        return url.mailbox

    def section_of(self, url: ImapUrl) -> str:
        """Return the section that a URL names; empty for the whole message."""
        return url.section or ""

    def partial_of(self, url: ImapUrl) -> Partial | None:
        """Return the range of octets that a URL names, or None if it names none."""
        return url.partial

    def uidvalidity_fits(self, url: ImapUrl, uidvalidity: int) -> bool:
        """Tell whether the UIDVALIDITY in a URL, if there is one, is the mailbox's present one (RFC 5092, 6)."""
        return url.uidvalidity in {None, uidvalidity}

    def token_matches(self, key: bytes | None, url: ImapUrl) -> bool:
        """Tell whether the URL's token is the one that `key` gives for its rump; False if `key` is None."""
        return urlauth.token_matches(key, self.signed(url.rump), url.token or "")

    def expired(self, url: ImapUrl, now: float) -> bool:
        """Tell whether the URL's EXPIRE has passed at `now`, in seconds since 1970."""
        return urlauth.expired(url, now)

    def access_allows(self, access: Access, session_user: str | None, roles: Roles) -> bool:
        """Tell whether the session's user may use a URL with this access identifier; None is an anonymous session."""
        return urlauth.access_allows(access, session_user, roles)

    def may_fetch(self, policy: TicketPolicy, session_user: str | None, host: str) -> bool:
        """Tell whether the policy lets this user, or a client at this address, use URLFETCH (LS-2.2-3)."""
        return policy.may_fetch(session_user, host)

    def accepts_case_of(self, url: ImapUrl) -> bool:
        """Tell whether GENURLAUTH accepts the letter case of the URL's keywords: any letter case is valid (LS-7-1)."""
        return True

    def resets_keys(self, mailbox: str | None) -> bool:
        """Tell whether RESETKEY removes the key of `mailbox`, or of all the user's mailboxes if it is None."""
        return True

    def mailbox_to_reset(self, mailbox: str | None) -> str | None:
        """Return the mailbox whose key RESETKEY removes: the one that it names, or None for all of the user's."""
        return mailbox

    def lives_too_long(self, policy: TicketPolicy, url: ImapUrl, now: float) -> bool:
        """Tell whether GENURLAUTH refuses an anonymous URL because its EXPIRE lies too far in the future."""
        return policy.lives_too_long(url, now)

    def rendition(self, part: MimePart) -> Rendition | None:
        """Return the decoded form in which URLFETCH BINARY sends a part, or None if the part cannot be decoded."""
        return None if part.decoded_length is None else Rendition(part.decoded_length, part.encoding)

    def annotations(self, found: dict[str, bytes | None]) -> dict[str, bytes | None]:
        """Return the entries that GETMETADATA sends; `found` holds the entries that it should send."""
        return found

    def body_structure(self, structure: BodyStructure, *, extended: bool) -> Joined:
        """Return the text of BODY or, with `extended`, of BODYSTRUCTURE in a FETCH response (RFC 3501, 7.4.2)."""
        return structure.write(extended=extended)

    def part_structure(self, structure: BodyStructure, stored_size: int) -> Joined:
        """Return the text of BODYPARTSTRUCTURE in a URLFETCH response (RFC 5524, 3.2).

        `stored_size`: octets of the section as it is stored, with its content transfer encoding.
        """
        return structure.write()

    def refuses(self, command: str) -> bool:
        """Tell whether every command of this name is answered NO."""
        return False

    def refuses_command(self) -> bool:
        """Tell whether a refused URL makes the server answer NO to the whole URLFETCH instead of NIL (RFC 4467, 7)."""
        return False

    def tells_uid(self) -> bool:
        """Tell whether FETCH responses to a UID command contain the UID (RFC 3501, 6.4.8)."""
        return True

    def accepts_anonymous(self) -> bool:
        """Tell whether the server accepts AUTHENTICATE ANONYMOUS, which CAPABILITY lists."""
        return True

    def answers_refused(self) -> bool:
        """Tell whether URLFETCH sends a response for a refused URL."""
        return True

    def uses_literal8(self, has_nul: bool) -> bool:
        """Tell whether URLFETCH sends octets as a literal8: only if they contain NUL (RFC 5524, 3.1)."""
        return has_nul

    def sent_octets(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Return the octets that URLFETCH sends; `chunks` are the octets of the decoded part."""
        return chunks

    def marks_seen(self) -> bool:
        r"""Tell whether URLFETCH sets the flag \Seen on the message."""
        return False

    def shows_structure(self) -> bool:
        """Tell whether URLFETCH returns BODYPARTSTRUCTURE if the client asks for it."""
        return True

    def content_size(self, size: int) -> int:
        """Return how many octets of a part URLFETCH sends; `size` is the part's size in octets."""
        return size

    def echoed_url(self, url: bytes) -> bytes:
        """Return the URL as it stands in the URLFETCH response: the same octets as in the command."""
        return url

    edits_lines = False
    """Whether `edit_line` may change what is sent."""

    def edit_line(self, command: str, tag: str, text: bytes) -> bytes | None:
        """Return what is sent in the place of a line, or of what of it comes before its first literal; None: nothing.

        `command` is the name of the command that it answers, `tag` that command's tag.
        """
        return text

    def accepts_password(self, matches: bool) -> bool:
        """Tell whether a login succeeds; `matches`: the password is that of the account."""
        return matches

    def carries_out(self, command: str) -> bool:
        """Tell whether CREATE or COPY changes anything before it is answered OK."""
        return True

    def count_results(self, command: str) -> int:
        """Return how many tagged responses the server sends to a command of this name."""
        return 1

    def authorised_line(self, rump: str, authorised: str) -> str:
        """Return the log text for an authorised URL: the rump without the token, which is secret (LS-3-11)."""
        return f"authorised {rump}"

    def logged_mechanism(self, way: str, password: str) -> str:
        """Return the log text for a login's mechanism; it must not contain the password."""
        return way


CORRECT = ImapBehaviour()
