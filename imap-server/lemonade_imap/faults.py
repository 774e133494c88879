"""The named ways in which this server can be wrong; each changes one decision of `behaviour.Behaviour`."""

from __future__ import annotations

import re
from datetime import timedelta

from lemonade_imap.behaviour import Behaviour, Rendition
from lemonade_imap.mail.mime import Part
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.faults import Fault, FaultList
from lemonade_wire.imap.access import Access, AccessKind
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.url import Expire, ImapUrl
from lemonade_wire.imap.writing import Joined


class Base64NotDecoded(Fault, Behaviour):
    """URLFETCH BINARY gives the encoded octets."""

    name = "base64-not-decoded"
    summary = "URLFETCH BINARY returns the part with its transfer encoding still on"
    breaks = ("LS-2.8-10",)

    def rendition(self, part: Part) -> Rendition | None:
        """Take nothing off."""
        return Rendition(part.length, "BINARY")


class TokenNotChecked(Fault, Behaviour):
    """Any token will do."""

    name = "token-not-checked"
    summary = "URLFETCH accepts any token of the right form"
    breaks = ("LS-2.1-10",)

    def token_matches(self, key: bytes | None, url: ImapUrl) -> bool:
        """Ask only that the mailbox ever had a key."""
        return key is not None


class ExpireIgnored(Fault, Behaviour):
    """Tickets live for ever."""

    name = "expire-ignored"
    summary = "URLFETCH accepts a URL whose EXPIRE has passed"
    breaks = ("LS-2.3-4",)

    def expired(self, url: ImapUrl, now: float) -> bool:
        """Find every ticket fresh."""
        return False


class AccessNotChecked(Fault, Behaviour):
    """Tickets let everybody in."""

    name = "access-not-checked"
    summary = "URLFETCH accepts a submit+, user+, authuser or application URL from any session"
    breaks = ("LS-2.2-3", "LS-3-3")

    def access_allows(self, access: Access, session_user: str | None, roles: Roles) -> bool:
        """Let the session in."""
        return True


class ExpireRewritten(Fault, Behaviour):
    """GENURLAUTH answers another EXPIRE than it was asked for, as the draft's second example does."""

    name = "genurlauth-rewrites-expire"
    summary = "GENURLAUTH answers a URL that expires a day later than the one asked for (E-11)"
    breaks = ("LS-2.3-10",)

    def authorised_url(self, rump: str, key: bytes) -> str:
        """Put the expiry off by a day, and sign that."""
        expire = ImapUrl.parse(rump).expire
        if expire is not None:
            rump = rump.replace(expire.text, Expire.of(expire.at + timedelta(days=1)).text)
        return super().authorised_url(rump, key)


class NoBodyPartStructure(Fault, Behaviour):
    """BODYPARTSTRUCTURE is not answered."""

    name = "no-bodypartstructure"
    summary = "URLFETCH leaves BODYPARTSTRUCTURE out of its answer"
    breaks = ("LS-2.1-11",)

    def shows_structure(self) -> bool:
        """Leave it out."""
        return False


class CapabilityWithoutBinary(Fault, Behaviour):
    """URLAUTH=BINARY works, and is not said to."""

    name = "capability-without-binary"
    summary = "CAPABILITY does not list URLAUTH=BINARY"
    breaks = ("LS-2.1-10",)

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """List all but that."""
        return tuple(name for name in names if name != "URLAUTH=BINARY")


class CapabilityWithoutAnonymous(Fault, Behaviour):
    """AUTHENTICATE ANONYMOUS works, and is not said to."""

    name = "capability-without-anonymous"
    summary = "CAPABILITY does not list AUTH=ANONYMOUS"
    breaks = ("LS-2.1-10",)

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """List all but that."""
        return tuple(name for name in names if name != "AUTH=ANONYMOUS")


class UrlEchoChanged(Fault, Behaviour):
    """URLFETCH answers another spelling of the URL."""

    name = "url-echo-changed"
    summary = "URLFETCH answers the URL with its literal words in the other case"
    breaks = ("LS-2.8-11",)

    def echoed_url(self, url: bytes) -> bytes:
        """Spell the words that have no case in the other one."""
        return re.sub(rb";(?:UID|SECTION|URLAUTH|EXPIRE)=", lambda word: word[0].swapcase(), url, flags=re.IGNORECASE)


class ShortPart(Fault, Behaviour):
    """URLFETCH sends less than the part."""

    name = "short-part"
    summary = "URLFETCH sends the part without its last octet"
    breaks = ("LS-2.8-11",)

    def content_size(self, size: int) -> int:
        """Leave the last octet out."""
        return max(0, size - 1)


class FetchListIgnored(Fault, Behaviour):
    """URLFETCH is for everybody."""

    name = "fetch-list-ignored"
    summary = "URLFETCH answers sessions that are of no listed media server"
    breaks = ("LS-2.2-3",)

    def may_fetch(self, policy: TicketPolicy, session_user: str | None, host: str) -> bool:
        """Answer everybody."""
        return True


class AnonymousHourRefused(Fault, Behaviour):
    """Anonymous URLs get half an hour."""

    name = "anonymous-hour-refused"
    summary = "GENURLAUTH refuses an anonymous URL whose EXPIRE is more than half an hour away"
    breaks = ("LS-2.3-6",)

    def lives_too_long(self, policy: TicketPolicy, url: ImapUrl, now: float) -> bool:
        """Refuse what the profile says must pass."""
        anonymous = url.access is not None and url.access.kind is AccessKind.ANONYMOUS
        return anonymous and url.expire is not None and url.expire.at.timestamp() > now + 1800


class AnonymousLifeIgnored(Fault, Behaviour):
    """Anonymous URLs may live for ever."""

    name = "anonymous-life-ignored"
    summary = "GENURLAUTH authorises anonymous URLs that live longer than its policy allows"
    breaks = ("LS-2.3-5",)

    def lives_too_long(self, policy: TicketPolicy, url: ImapUrl, now: float) -> bool:
        """Find nothing too long."""
        return False


class WordsByCase(Fault, Behaviour):
    """The words of URLs are told apart by case."""

    name = "access-by-case"
    summary = "GENURLAUTH knows access identifiers in lower case alone"
    breaks = ("LS-7-1",)

    def takes_words_of(self, url: ImapUrl) -> bool:
        """Take lower case alone."""
        return url.access is None or url.rump.endswith(f"={url.access}")


class ResetKeyIdle(Fault, Behaviour):
    """RESETKEY does nothing."""

    name = "resetkey-idle"
    summary = "RESETKEY is answered OK, and old tickets stay good"
    breaks = ("LS-2.1-10",)

    def resets_keys(self) -> bool:
        """Keep the keys."""
        return False


class MediaServersWithheld(Fault, Behaviour):
    """The media servers' entry is empty."""

    name = "media-servers-withheld"
    summary = "GETMETADATA answers NIL for the media servers' entry"
    breaks = ("LS-2.2-6",)

    def annotations(self, found: dict[str, bytes | None]) -> dict[str, bytes | None]:
        """Leave the values out."""
        return {name: None if name.lower().endswith("/mediaservers") else value for name, value in found.items()}


class MediaServersGarbled(Fault, Behaviour):
    """The media servers' entry is no UTF-8."""

    name = "media-servers-garbled"
    summary = "GETMETADATA answers the media servers' entry with octets that are no UTF-8"
    breaks = ("LS-4-1", "LS-7-2")

    def annotations(self, found: dict[str, bytes | None]) -> dict[str, bytes | None]:
        """Put an octet in front that begins no character."""
        return {
            name: b"\xff" + value if value is not None and name.lower().endswith("/mediaservers") else value
            for name, value in found.items()
        }


class UrlFetchRefused(Fault, Behaviour):
    """URLFETCH is refused as a command."""

    name = "urlfetch-refused"
    summary = "URLFETCH is answered NO, whatever is asked for"
    breaks = ("LS-2.8-11",)

    def carries_urlfetch_out(self) -> bool:
        """Refuse it."""
        return False


class DraftBodyStructure(Fault, Behaviour):
    """FETCH BODYSTRUCTURE is written as in the draft's examples (E-9, E-10)."""

    name = "draft-bodystructure"
    summary = "FETCH BODYSTRUCTURE lacks the multipart's subtype and a NIL of each part that is no text (E-9, E-10)"
    breaks = ("LS-2.1-1",)

    def body_structure(self, structure: BodyStructure, *, extended: bool) -> Joined:
        """Leave both out, and what may follow them."""
        if not structure.is_multipart:
            return _one_nil_less(structure)
        parts = [piece for part in structure.parts for piece in self.body_structure(part, extended=False)]
        return [b"(", *parts, b")"]


def _one_nil_less(part: BodyStructure) -> Joined:
    written = part.write(extended=False)
    if part.type.upper() != "TEXT" and b"NIL" in written:
        at = written.index(b"NIL")
        del written[at : at + 2]  # and the blank behind it
    return written


class DraftPartStructure(Fault, Behaviour):
    """BODYPARTSTRUCTURE is written as in the draft's example (E-32, E-33)."""

    name = "draft-part-structure"
    summary = "URLFETCH tells the encoded size of what it decodes, and () where there are no parameters (E-32, E-33)"
    breaks = ("LS-2.8-10",)

    def part_structure(self, structure: BodyStructure, stored_size: int) -> Joined:
        """Write the seven fields of the example, a blank behind the last."""
        text = f'("{structure.type}" "{structure.subtype}" () NIL NIL "{structure.encoding}" {stored_size} )'
        return [text.encode("ascii")]


FAULTS = FaultList.of(
    Base64NotDecoded,
    TokenNotChecked,
    ExpireIgnored,
    AccessNotChecked,
    ExpireRewritten,
    NoBodyPartStructure,
    CapabilityWithoutBinary,
    CapabilityWithoutAnonymous,
    UrlEchoChanged,
    ShortPart,
    FetchListIgnored,
    AnonymousHourRefused,
    AnonymousLifeIgnored,
    WordsByCase,
    ResetKeyIdle,
    MediaServersWithheld,
    MediaServersGarbled,
    UrlFetchRefused,
    DraftBodyStructure,
    DraftPartStructure,
)
