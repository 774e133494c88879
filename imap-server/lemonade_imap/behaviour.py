"""The few decisions in which a fault may make the server wrong: one method each, right here."""

from __future__ import annotations

from dataclasses import dataclass

from lemonade_imap import urlauth
from lemonade_imap.mail.mime import Part
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.urlauth import Roles
from lemonade_wire.imap.access import Access
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.writing import Joined


@dataclass(frozen=True)
class Rendition:
    """How a part is given without its encoding: the octets that come out, and the encoding taken off on the way."""

    size: int
    encoding: str


class Behaviour:
    """What a right server does; `faults` overrides one method each."""

    def capabilities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return what CAPABILITY lists, of what works."""
        return names

    def authorised_url(self, rump: str, key: bytes) -> str:
        """Return the URL that GENURLAUTH answers: the rump, and nothing but the token added (E-11)."""
        return f"{rump}:{urlauth.MECHANISM}:{urlauth.token_for(key, rump.encode('ascii'))}"

    def token_matches(self, key: bytes | None, url: ImapUrl) -> bool:
        """Tell whether the URL's token is the one made for it."""
        return urlauth.token_matches(key, url.rump.encode("ascii"), url.token or "")

    def expired(self, url: ImapUrl, now: float) -> bool:
        """Tell whether the URL's time has passed."""
        return urlauth.expired(url, now)

    def access_allows(self, access: Access, session_user: str | None, roles: Roles) -> bool:
        """Tell whether the session is one that the URL lets in."""
        return urlauth.access_allows(access, session_user, roles)

    def may_fetch(self, policy: TicketPolicy, session_user: str | None, host: str) -> bool:
        """Tell whether the session is one of a media server that URLFETCH is for."""
        return policy.may_fetch(session_user, host)

    def takes_words_of(self, url: ImapUrl) -> bool:
        """Tell whether GENURLAUTH takes the URL's literal words as they are spelt: in any case (LS-7-1)."""
        return True

    def resets_keys(self) -> bool:
        """Tell whether RESETKEY makes tickets worthless."""
        return True

    def lives_too_long(self, policy: TicketPolicy, url: ImapUrl, now: float) -> bool:
        """Tell whether an anonymous URL's EXPIRE is too far away for GENURLAUTH."""
        return policy.lives_too_long(url, now)

    def rendition(self, part: Part) -> Rendition | None:
        """Return how URLFETCH BINARY gives a part, or None where it does not decode."""
        return None if part.decoded_length is None else Rendition(part.decoded_length, part.encoding)

    def annotations(self, found: dict[str, bytes | None]) -> dict[str, bytes | None]:
        """Return what GETMETADATA answers of what it found."""
        return found

    def body_structure(self, structure: BodyStructure, *, extended: bool) -> Joined:
        """Return a message's structure as FETCH writes it."""
        return structure.write(extended=extended)

    def part_structure(self, structure: BodyStructure, stored_size: int) -> Joined:
        """Return the structure of what URLFETCH returns as it writes it; `stored_size` is the octets of the section."""
        return structure.write()

    def carries_urlfetch_out(self) -> bool:
        """Tell whether URLFETCH is carried out at all."""
        return True

    def shows_structure(self) -> bool:
        """Tell whether BODYPARTSTRUCTURE is answered when it is asked for."""
        return True

    def content_size(self, size: int) -> int:
        """Return how many of a part's octets URLFETCH sends."""
        return size

    def echoed_url(self, url: bytes) -> bytes:
        """Return the URL as URLFETCH answers it: the octets that came."""
        return url


CORRECT = Behaviour()
