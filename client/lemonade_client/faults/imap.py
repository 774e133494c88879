"""The faults of the client as an IMAP client: which part it takes, and which ticket it asks for."""

from __future__ import annotations

from datetime import datetime

from lemonade_client.behaviour import GUESSED_SECTION, ClientBehaviour
from lemonade_wire.imap.mediaservers import AUTHORISED_TOKENS
from lemonade_wire.imap.url import Expire, ImapUrl
from lemonade_wire.imap.url_parts import Access, percent_encode


def _expire_last(plain: ImapUrl, access: Access, until: datetime | None) -> str:
    expire = f";EXPIRE={Expire.of(until).text}" if until else ""
    return f"{plain.text};URLAUTH={access}{expire}"


IMAP_FAULTS = (
    ClientBehaviour(
        "no-starttls",
        "logs in to the IMAP server without STARTTLS",
        ("LS-3-2",),
        begins_tls=False,
    ),
    ClientBehaviour(
        "raw-imap-unsent",
        "sends none of the IMAP commands that a script gives as they stand",
        ("LS-2.9-1",),
        sends_raw_imap=False,
    ),
    ClientBehaviour(
        "structure-not-fetched",
        "takes section 2 without having fetched the BODYSTRUCTURE",
        ("LS-2.1-1", "LS-2.3-1"),
        fetches_structure=False,
    ),
    ClientBehaviour(
        "section-guessed",
        "fetches the BODYSTRUCTURE, and takes section 2 whatever it says",
        ("LS-2.1-1", "LS-2.3-1"),
        section_to_ask=lambda section: GUESSED_SECTION,
    ),
    ClientBehaviour(
        "audio-alone",
        "streams no part but those whose type is audio",
        ("LS-1-5",),
        may_stream=lambda part: part.type.lower() == "audio",
    ),
    ClientBehaviour(
        "downloads-part",
        "fetches the part's body itself before it is streamed",
        ("LS-1-2",),
        downloads_part=True,
    ),
    ClientBehaviour(
        "always-anonymous",
        "asks for urlauth=anonymous, whatever discovery, script and profile want",
        ("LS-2.2-8", "LS-2.3-7", "LS-2.3-8", "LS-2.2-4", "LS-3-3", "LS-3-8"),
        access_to_ask=lambda access, user: Access("anonymous"),
    ),
    ClientBehaviour(
        "draft-access",
        "asks for submit+ and its own user where the profile wants stream",
        ("LS-2.2-8", "LS-2.3-7"),
        access_to_ask=lambda access, user: Access("submit", user) if access.name == "stream" else access,
    ),
    ClientBehaviour(
        "token-by-case",
        "knows the token of an authorised media server in lower case alone",
        ("LS-7-1", "LS-2.2-8"),
        is_authorised=lambda server: server.token in AUTHORISED_TOKENS,
    ),
    ClientBehaviour(
        "asks-for-no-ticket",
        "hands over the URL that it built, without GENURLAUTH",
        ("LS-2.1-3", "LS-2.3-9", "LS-2.3-12"),
        asks_for_ticket=False,
    ),
    ClientBehaviour(
        "goes-on-without-ticket",
        "hands over the URL that it asked for where no ticket came back",
        ("LS-2.3-12",),
        goes_on_without_ticket=True,
    ),
    ClientBehaviour(
        "no-expire",
        "asks for a ticket without EXPIRE though the script sets one",
        ("LS-2.3-4",),
        ticket_life=lambda expire: None,
    ),
    ClientBehaviour(
        "expire-two-hours",
        "asks for tickets of two hours, whatever life the script wants",
        ("LS-2.3-4",),
        ticket_life=lambda expire: 7200.0,
    ),
    ClientBehaviour(
        "expire-after-urlauth",
        "puts EXPIRE behind URLAUTH",
        ("LS-2.3-3",),
        url_to_ask=_expire_last,
    ),
    ClientBehaviour(
        "other-mechanism",
        "asks for a ticket by another mechanism than INTERNAL",
        ("LS-2.3-10",),
        mechanism="X-OTHER",
    ),
    ClientBehaviour(
        "mailbox-escaped-twice",
        "percent-encodes the mailbox name twice into the URL",
        ("LS-2.3-2",),
        mailbox_to_write=percent_encode,
    ),
)
