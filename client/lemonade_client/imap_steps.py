"""The steps of a script that concern the mailbox: find-part, discover, authorise, and imap (raw commands).

Each step is a generator function (see `session.py`). Every step raises StepError if it fails.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime

from lemonade_client.behaviour import GUESSED_SECTION, ClientBehaviour
from lemonade_client.mailbox_session import MailAnswered
from lemonade_client.session import ChosenPart, ChosenServer, Session, StepError, Steps
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.mediaservers import MediaServers
from lemonade_wire.imap.response import FetchResponse, GenUrlAuthResponse, Metadata, SearchResponse, StatusResponse
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.imap.url_parts import Access, percent_encode
from lemonade_wire.script import verbs
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.uri import SipUri

_TICKET = re.compile(r":INTERNAL:[!-~]+", re.IGNORECASE)


def find_part(session: Session, args: verbs.FindPartVerb) -> Steps:
    """Step `find-part`: find the first part of a media type in the newest message, by its BODYSTRUCTURE alone.

    Source: LS-2.1-1, LS-1-2.
    """
    selected = yield from session.command(commands.select(args.mailbox))
    _require_ok("SELECT", selected.status)
    codes = [one for one in selected.untagged if isinstance(one, StatusResponse) and one.code_name == "UIDVALIDITY"]
    uidvalidity = int(codes[0].code_arguments) if codes and codes[0].code_arguments.isdecimal() else None
    searched = yield from session.command(commands.uid_search())
    _require_ok("UID SEARCH", searched.status)
    uids = [number for one in searched.untagged if isinstance(one, SearchResponse) for number in one.numbers]
    if not uids:
        raise StepError(f"the mailbox {args.mailbox} holds no message")
    uid = max(uids)
    found = (yield from _find_section(session, uid, args.type)) if session.behaviour.fetches_structure else None
    section = session.behaviour.section_to_ask(found or GUESSED_SECTION)
    session.part = ChosenPart(args.mailbox, uidvalidity, uid, section)
    if session.behaviour.downloads_part:
        yield from session.command(commands.raw(f"UID FETCH {uid} (BODY.PEEK[{section}])"))
    if session.behaviour.discovers_unasked:
        yield from look_up(session)


def _find_section(session: Session, uid: int, media_type: str) -> Generator[float | None, None, str]:
    """Fetch a message's BODYSTRUCTURE, and return the section of its first part with a media type."""
    fetched = yield from session.command(commands.uid_fetch_bodystructure(uid))
    _require_ok("UID FETCH", fetched.status)
    structures = [one.structure for one in fetched.untagged if isinstance(one, FetchResponse) and one.uid == uid]
    structure = next((one for one in structures if one is not None), None)
    if structure is None:
        raise StepError(f"the server gave no BODYSTRUCTURE for message {uid}")
    section, part = _first(structure, media_type, session.behaviour)
    session.notes.append(f"part {section}, {part.content_type}, of message {uid}")
    return section


def discover(session: Session, _args: verbs.DiscoverVerb) -> Steps:
    """Step `discover`: ask the IMAP server for media servers (LS-2.2-2), with one entry in each command (E-1).

    If it lists none, the configured media server is used (LS-2.2-5). Raises StepError if there is none either.
    """
    yield from look_up(session)
    if not session.targets and session.configured() is None:
        raise StepError("no media server: the server's metadata names none, and neither does the script")


def look_up(session: Session) -> Steps:
    """Set `session.targets` to the media servers in the profile's metadata entry, else to those in the other entry."""
    session.targets = ()
    if not session.behaviour.asks_for_list:
        return
    for entry in (session.profile.media_servers_entry, session.profile.other_entry):
        answer = yield from session.command(commands.getmetadata(entry))
        values = [
            value
            for one in answer.untagged
            if isinstance(one, Metadata) and not one.mailbox
            for name, value in one.values.items()
            if name == entry.lower() and value
        ]
        if answer.status.result != "OK" or not values:
            continue
        try:
            servers = MediaServers.parse(values[0])
        except ImapParseError as problem:
            # RFC 5464 section 7: values of entries are not to be trusted. The next entry or the configuration is used.
            session.notes.append(f"{entry} cannot be read: {problem}")
            continue
        behaviour = session.behaviour
        called = behaviour.servers_to_call(servers)
        found = tuple(target for one in called if (target := _target(one.uri, behaviour.is_authorised(one))))
        session.notes.append(f"{entry}: {len(found)} of {len(servers.servers)} media servers can be used")
        session.targets = found if behaviour.uses_list else ()
        return
    session.notes.append("no media servers are listed")


def authorise(session: Session, args: verbs.AuthoriseVerb) -> Steps:
    """Step `authorise`: get an authorised URL of the part, for the media server of the script's next call."""
    access = access_for(session, session.next_media_server(), args.access)
    yield from authorise_for(session, access, args)


def authorise_for(session: Session, access: Access, args: verbs.AuthoriseVerb) -> Steps:
    """Build the part's URL with `access` and get it authorised by GENURLAUTH; `args.access` is ignored.

    The answer must be that URL with a token (E-11). Raises StepError if no ticket comes back; if `args.expect` is
    "none", raises it if one does.
    """
    part, account, behaviour = session.part, session.script.account, session.behaviour
    if part is None:
        raise StepError("no part to authorise: find-part comes first")
    session.url = None
    life = behaviour.ticket_life(args.expire)
    try:
        plain = ImapUrl.build(
            host=account.host,
            port=account.port,
            user=account.user,
            mailbox=behaviour.mailbox_to_write(part.mailbox),
            uidvalidity=part.uidvalidity,
            uid=part.uid,
            section=part.section,
        )
        until = None if life is None else datetime.fromtimestamp(session.epoch + session.now + life, UTC)
        asked = behaviour.url_to_ask(plain, access, until)
    except (ImapParseError, ValueError, OverflowError) as problem:
        raise StepError(f"the URL cannot be built: {problem}") from problem
    if not behaviour.asks_for_ticket:
        session.url = asked
        return
    answer = yield from session.command(commands.genurlauth(asked, behaviour.mechanism))
    try:
        session.url = _ticket_in(answer, asked)
    except StepError as problem:
        session.notes.append(str(problem))
        if behaviour.goes_on_without_ticket:
            session.url = asked
        elif args.expect == "ticket":
            raise
    else:
        if args.expect == "none":
            raise StepError("a ticket came back; none is expected")


def _ticket_in(answer: MailAnswered, asked: str) -> str:
    """Return the authorised URL in the answer to GENURLAUTH.

    It must be the URL asked for, followed by `":" mech ":" enc-urlauth` with the mechanism INTERNAL (RFC 5092 section
    11). Raises StepError for any other answer.
    """
    _require_ok("GENURLAUTH", answer.status)  # LS-2.3-12: without success no streaming
    urls = [url for one in answer.untagged if isinstance(one, GenUrlAuthResponse) for url in one.urls]
    if len(urls) != 1:
        raise StepError(f"GENURLAUTH gave {len(urls)} URLs, one is expected")
    if not urls[0].startswith(asked) or not _TICKET.fullmatch(urls[0][len(asked) :]):
        raise StepError(f"the URL that came back is not the one asked for, {asked}, and :INTERNAL: with a token")
    return urls[0]


def imap(session: Session, args: verbs.ImapVerb) -> Steps:
    """Step `imap`: send a raw command and check its tagged result.

    If the answer has an authorised URL, later steps use it.
    """
    if not session.behaviour.sends_raw_imap:
        return
    answer = yield from session.command(commands.raw(session.text(args.command)))
    if answer.status.result != args.expect:
        raise StepError(f"{answer.status.result} {answer.status.text} came back; {args.expect} is expected")
    given = [url for one in answer.untagged if isinstance(one, GenUrlAuthResponse) for url in one.urls]
    session.url = given[-1] if given else session.url


def _require_ok(what: str, status: StatusResponse) -> None:
    if status.result != "OK":
        raise StepError(f"{what} got {status.result} {status.text}")


def _first(structure: BodyStructure, media_type: str, behaviour: ClientBehaviour) -> tuple[str, BodyStructure]:
    kind, _, subtype = media_type.lower().partition("/")
    parts = list(structure.walk())
    for section, part in parts:
        matches = part.type.lower() == kind and subtype in {"*", part.subtype.lower()}
        if matches and behaviour.may_stream(part):
            return section, part
    there = ", ".join(part.content_type for _, part in parts) or "none"
    raise StepError(f"no part is {media_type}; the message's parts: {there}")


def access_for(session: Session, target: ChosenServer | None, wanted: str | None) -> Access:
    """Return the access to ask for in a URL that the media server `target` will fetch.

    For a media server that is listed as authorised it is the profile's access, whatever the script wants (LS-2.2-8,
    LS-2.3-7, E-5). For any other one it is the script's, `wanted`, which may be `anonymous` (LS-2.3-9); if the script
    gives none, it is the profile's (LS-2.3-8).
    """
    user = session.script.account.user
    restricted = Access.parse(session.profile.access_for(percent_encode(user)))
    if wanted is None:
        access = restricted
    elif target is not None and target.authorised:
        access = restricted
        session.notes.append(f"{access}, and not {wanted}: the media server is listed as authorised")
    else:
        access = Access("submit", user) if wanted.lower() == "submit+" else Access.parse(wanted)
    return session.behaviour.access_to_ask(access, user)


def _target(text: str, authorised: bool) -> ChosenServer | None:
    try:
        uri = SipUri.parse(text)
    except SipParseError:
        return None
    # The client has no SIP over TLS: a sips URI is left out, and another media server is picked (LS-2.2-13).
    return ChosenServer(uri, authorised) if uri.scheme == "sip" else None
