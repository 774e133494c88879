"""The steps at the mailbox: find-part, discover, authorise, and raw IMAP."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lemonade_client.mail import MailAnswered
from lemonade_client.session import Part, Session, StepError, Steps, Target
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.access import Access
from lemonade_wire.imap.bodystructure import BodyStructure
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.mediaservers import MediaServers
from lemonade_wire.imap.percent import percent_encode
from lemonade_wire.imap.response import Fetch, GenUrlAuth, Metadata, Search, Status
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.script import verbs
from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.uri import SipUri

_TICKET = re.compile(r":INTERNAL:[!-~]+", re.IGNORECASE)


def find_part(session: Session, args: verbs.FindPart) -> Steps:
    """Take the newest message's first part of a type, by its structure alone (LS-2.1-1, LS-1-2)."""
    selected = yield from session.command(commands.select(args.mailbox))
    _require_ok("SELECT", selected.status)
    codes = [one for one in selected.untagged if isinstance(one, Status) and one.code_name == "UIDVALIDITY"]
    uidvalidity = int(codes[0].code_arguments) if codes and codes[0].code_arguments.isdecimal() else None
    searched = yield from session.command(commands.uid_search())
    _require_ok("UID SEARCH", searched.status)
    uids = [number for one in searched.untagged if isinstance(one, Search) for number in one.numbers]
    if not uids:
        raise StepError(f"the mailbox {args.mailbox} holds no message")
    uid = max(uids)
    fetched = yield from session.command(commands.uid_fetch_bodystructure(uid))
    _require_ok("UID FETCH", fetched.status)
    structures = [one.structure for one in fetched.untagged if isinstance(one, Fetch) and one.uid == uid]
    structure = next((one for one in structures if one is not None), None)
    if structure is None:
        raise StepError(f"the server gave no BODYSTRUCTURE for message {uid}")
    section, part = _first(structure, args.type)
    session.part = Part(args.mailbox, uidvalidity, uid, section, part)
    session.notes.append(f"part {section}, {part.content_type}, of message {uid}")
    if session.behaviour.downloads_part:
        yield from session.command(commands.raw(f"UID FETCH {uid} (BODY.PEEK[{section}])"))


def discover(session: Session, _args: verbs.Discover) -> Steps:
    """Ask for the media servers (LS-2.2-2), one entry a command (E-1); none found is no failure (LS-2.2-5)."""
    yield from look_up(session)
    if not session.targets and session.configured() is None:
        raise StepError("no media server: the server's metadata names none, and neither does the script")


def look_up(session: Session) -> Steps:
    """Set `session.targets` from the profile's entry, else from the other one."""
    session.targets = ()
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
            # RFC 5464 section 7: a value is not to be trusted; a client goes on with its configuration.
            session.notes.append(f"{entry} cannot be read: {problem}")
            continue
        session.targets = tuple(target for one in servers.sip if (target := _target(one.uri, one.authorised)))
        session.notes.append(f"{entry}: {len(session.targets)} of {len(servers.servers)} media servers can be used")
        return
    session.notes.append("no media servers are listed")


def authorise(session: Session, args: verbs.Authorise) -> Steps:
    """Build the part's URL and have it authorised; what comes back must be that URL with a token (E-11)."""
    part, account = session.part, session.script.account
    if part is None:
        raise StepError("no part to authorise: find-part comes first")
    life = session.behaviour.ticket_life(args.expire)
    try:
        plain = ImapUrl.build(
            host=account.host,
            port=account.port,
            user=account.user,
            mailbox=part.mailbox,
            uidvalidity=part.uidvalidity,
            uid=part.uid,
            section=part.section,
        )
        until = None if life is None else datetime.fromtimestamp(session.epoch + session.now + life, UTC)
        asked = plain.with_access(_access(session, args.access), until)  # LS-2.3-3: EXPIRE, then URLAUTH
    except (ImapParseError, ValueError, OverflowError) as problem:
        raise StepError(f"the URL cannot be built: {problem}") from problem
    answer = yield from session.command(commands.genurlauth(asked.text))
    try:
        session.url = _ticket_in(answer, asked.text)
    except StepError as problem:
        if args.expect == "ticket":
            raise
        session.notes.append(str(problem))
    else:
        if args.expect == "none":
            raise StepError("a ticket came back; none is expected")


def _ticket_in(answer: MailAnswered, asked: str) -> str:
    """Return the URL that GENURLAUTH gives for the one asked for; raises StepError where it gives another or none."""
    _require_ok("GENURLAUTH", answer.status)  # LS-2.3-12: without success no streaming
    urls = [url for one in answer.untagged if isinstance(one, GenUrlAuth) for url in one.urls]
    if len(urls) != 1:
        raise StepError(f"GENURLAUTH gave {len(urls)} URLs, one is expected")
    if not urls[0].startswith(asked) or not _TICKET.fullmatch(urls[0][len(asked) :]):
        raise StepError(f"the URL that came back is not the one asked for, {asked}, and :INTERNAL: with a token")
    return urls[0]


def imap(session: Session, args: verbs.ImapCommand) -> Steps:
    """Send a raw command and compare its tagged result."""
    answer = yield from session.command(commands.raw(session.text(args.command)))
    if answer.status.result != args.expect:
        raise StepError(f"{answer.status.result} {answer.status.text} came back; {args.expect} is expected")


def _require_ok(what: str, status: Status) -> None:
    if status.result != "OK":
        raise StepError(f"{what} got {status.result} {status.text}")


def _first(structure: BodyStructure, media_type: str) -> tuple[str, BodyStructure]:
    kind, _, subtype = media_type.lower().partition("/")
    parts = list(structure.walk())
    for section, part in parts:
        if part.type.lower() == kind and subtype in {"*", part.subtype.lower()}:
            return section, part
    there = ", ".join(part.content_type for _, part in parts) or "none"
    raise StepError(f"no part is {media_type}; the message's parts: {there}")


def _access(session: Session, wanted: str | None) -> Access:
    """Return the access to ask for: the profile's where the script leaves it open (LS-2.3-7, LS-2.3-8, E-5)."""
    user = session.script.account.user
    if wanted is None:
        return Access.parse(session.profile.access_for(percent_encode(user)))
    return Access("submit", user) if wanted.lower() == "submit+" else Access.parse(wanted)


def _target(text: str, authorised: bool) -> Target | None:
    try:
        uri = SipUri.parse(text)
    except SipParseError:
        return None
    # Only SIP without TLS is done here; an alternate is picked instead (LS-2.2-13).
    return Target(uri, authorised) if uri.scheme == "sip" else None
