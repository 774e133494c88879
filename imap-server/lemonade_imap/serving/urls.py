"""GENURLAUTH, URLFETCH and RESETKEY carried out (RFC 4467, 7; RFC 5524, 3; facts 3.2 and 3.4).

What URLFETCH does with one URL is one visit to the store: `verify` judges the ticket, `render` writes what it gives.
"""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Piece, Reply
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.render import render
from lemonade_imap.serving.verify import Holder, verify
from lemonade_imap.session import ImapSession
from lemonade_imap.urlauth import MECHANISM, Authorisation, Refusal, why_not_authorise
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import quote
from lemonade_wire.imap.url import ImapUrl

_URLMECH = f"* OK [URLMECH {MECHANISM}] the key is new".encode("ascii")


async def _genurlauth(context: Context, command: c.GenUrlAuth) -> Replies:
    """Authorise URLs; one that may not be refuses the command, and then none is authorised."""
    backend, policy = context.backend, context.backend.config.tickets
    _admit(context, "GENURLAUTH", len(command.requests), policy.authorisations)
    urls = [_checked(context, text, mechanism) for text, mechanism in command.requests]
    authorised = await backend.call(_authorise, backend, context.user, urls)
    for url in urls:
        backend.log(f"authorised {url.rump}")
    yield Reply.join([b"* GENURLAUTH", *(b' "%s"' % url.encode("ascii") for url in authorised)])
    yield Done("GENURLAUTH completed")


def _admit(context: Context, name: str, count: int, limit: int | None) -> None:
    if not context.session.tickets.admits(name, count, limit, context.now):
        raise Refused("NO", f"[LIMIT] {name} takes {limit} URLs in a minute; try again later")


def _checked(context: Context, text: bytes, mechanism: str) -> ImapUrl:
    """Read a URL and judge it by itself (RFC 4467, 7: what is wrong with a URL is a BAD)."""
    config, behaviour = context.backend.config, context.backend.behaviour
    try:
        url = ImapUrl.parse(text)
    except ImapParseError as problem:
        raise Refused("BAD", str(problem)) from None
    applications = {"stream", *config.roles.applications}
    why = why_not_authorise(url, mechanism, Authorisation(context.user, context.backend.gate.known, applications))
    if why is not None:
        raise Refused("BAD", why)
    if not behaviour.takes_words_of(url):
        raise Refused("BAD", "an access identifier is expected")
    if not config.serves(url.host, url.port):
        raise Refused("BAD", "the URL names another server")
    if behaviour.lives_too_long(config.tickets, url, context.now):
        # LS-2.3-5; nothing is wrong with the URL, so NO
        raise Refused("NO", f"[LIMIT] an anonymous URL has an EXPIRE of at most {config.tickets.anonymous_life:g} s")
    return url


def _authorise(backend: Backend, user: str, urls: list[ImapUrl]) -> list[str]:
    """Return the URLs with their tokens; runs where the store lives."""
    authorised: list[str] = []
    for url in urls:
        mailbox, key = backend.store.with_key(user, url.mailbox) or (backend.store.mailbox(user, url.mailbox), None)
        if mailbox is None or url.uidvalidity not in {None, mailbox.uid_validity}:
            raise Refused("BAD", "the URL names no mailbox of its owner's")
        authorised.append(backend.behaviour.authorised_url(url.rump, key or backend.store.make_key(mailbox)))
    return authorised


async def _resetkey(context: Context, command: c.ResetKey) -> Replies:
    """Make tickets worthless, and tell the user's other sessions that have such a mailbox selected (RFC 4467, 7)."""
    backend, user = context.backend, context.user
    mailbox = None if command.mailbox is None else await backend.mailbox(user, command.mailbox)
    if backend.behaviour.resets_keys():
        await backend.call(backend.store.reset_keys, user, None if mailbox is None else mailbox.name)
    if mailbox is None:
        _tell(context, None)
        yield Done("all keys are removed")
        return
    _tell(context, mailbox.ident)
    code = f"[URLMECH {MECHANISM}] " if says_urlmech(backend, context.session) else ""
    yield Done(f"{code}the key is new")


def says_urlmech(backend: Backend, session: ImapSession) -> bool:
    """Tell whether URLMECH may be said to a session: it can be kept for those that are encrypted (RFC 4467, 10)."""
    return session.private or backend.config.clear_urlmech


def _tell(context: Context, mailbox: int | None) -> None:
    """Say the mechanisms to sessions; the one that asked hears them too where its tagged OK does not say them."""

    def concerned(session: ImapSession) -> bool:
        if session.user != context.user or session.view is None or not says_urlmech(context.backend, session):
            return False
        return mailbox is None or (session is not context.session and session.view.mailbox.ident == mailbox)

    context.backend.hub.tell(_URLMECH, concerned)


async def _urlfetch(context: Context, command: c.UrlFetch) -> Replies:
    """Answer every URL with a line of its own; a refusal is NIL, whatever its reason and the form asked for."""
    backend, session, policy = context.backend, context.session, context.backend.config.tickets
    _admit(context, "URLFETCH", len(command.arguments), policy.fetches)
    if not backend.behaviour.carries_urlfetch_out():
        raise Refused("NO", "[UNAVAILABLE] the messages are out of reach")
    holder = Holder(session.user, session.peer, context.now)
    for argument in command.arguments:
        answer = await backend.call(_answer, backend, argument, holder)
        if isinstance(answer, Refusal):
            backend.log(f"URLFETCH refused: {answer.value}: {_for_log(argument.url)}")
            if delay := session.tickets.delay(policy.refusals, context.now):
                await backend.pause(delay)
            answer = [b"NIL"]
        yield Reply.join([b"* URLFETCH ", quote(backend.behaviour.echoed_url(argument.url)), b" ", *answer])
    yield Done("URLFETCH completed")


def _answer(backend: Backend, argument: c.UrlFetchArgument, holder: Holder) -> list[Piece] | Refusal:
    """Return what stands behind the URL in the answer; runs where the store lives."""
    target = verify(backend, argument.url, holder)
    return target if isinstance(target, Refusal) else render(backend, target, argument.params)


def _for_log(text: bytes) -> str:
    try:
        return ImapUrl.parse(text).rump
    except ImapParseError as problem:
        return str(problem)


HANDLERS: Handlers = {c.GenUrlAuth: _genurlauth, c.ResetKey: _resetkey, c.UrlFetch: _urlfetch}
