"""Carries out GENURLAUTH, URLFETCH and RESETKEY (RFC 4467, 7; RFC 5524, 3).

URLFETCH processes each URL in one call of the store: `verify` checks the ticket, `render` writes the response.
"""

from __future__ import annotations

from lemonade_imap.grammar import commands as c
from lemonade_imap.reply import Piece, Reply
from lemonade_imap.serving.backend import Backend, Done, Refused
from lemonade_imap.serving.context import Context, Handlers, Replies
from lemonade_imap.serving.urlfetch import Holder, render, verify
from lemonade_imap.session import ImapSession
from lemonade_imap.urlauth import MECHANISM, Authorisation, UrlAuthRefusal, why_not_authorise
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.lexer import quote
from lemonade_wire.imap.url import ImapUrl

_URLMECH = f"* OK [URLMECH {MECHANISM}] the key is new".encode("ascii")


async def _genurlauth(context: Context, command: c.GenUrlAuth) -> Replies:
    """Authorise all URLs of the command, or none: one that must be refused refuses the command."""
    backend, policy = context.backend, context.backend.config.tickets
    _admit(context, "GENURLAUTH", len(command.requests), policy.authorisations)
    urls = [_checked(context, text, mechanism) for text, mechanism in command.requests]
    authorised = await backend.call(_authorise, backend, context.user, urls)
    for url, answer in zip(urls, authorised, strict=True):
        backend.log(backend.behaviour.authorised_line(url.rump, answer))
    yield Reply.join([b"* GENURLAUTH", *(b' "%s"' % url.encode("ascii") for url in authorised)])
    yield Done("GENURLAUTH completed")


def _admit(context: Context, name: str, count: int, limit: int | None) -> None:
    if not context.session.tickets.admits(name, count, limit, context.now):
        raise Refused("NO", f"[LIMIT] {name} takes {limit} URLs in a minute; try again later")


def _checked(context: Context, text: bytes, mechanism: str) -> ImapUrl:
    """Parse a URL and check all that does not need its mailbox; raises Refused (RFC 4467, 7: BAD)."""
    config, behaviour = context.backend.config, context.backend.behaviour
    try:
        url = ImapUrl.parse(text)
    except ImapParseError as problem:
        raise Refused("BAD", str(problem)) from None
    applications = {"stream", *config.roles.applications}
    asked = Authorisation(behaviour.owner_of(url, context.user), context.backend.authenticator.known, applications)
    why = why_not_authorise(url, behaviour.mechanism_of(mechanism), asked)
    if why is not None:
        raise Refused("BAD", why)
    if not behaviour.accepts_case_of(url):
        raise Refused("BAD", "an access identifier is expected")
    if not config.serves(url.host, url.port):
        raise Refused("BAD", "the URL names another server")
    if behaviour.lives_too_long(config.tickets, url, context.now):
        # LS-2.3-5; the URL itself is correct, therefore NO and not BAD
        raise Refused("NO", f"[LIMIT] an anonymous URL has an EXPIRE of at most {config.tickets.anonymous_life:g} s")
    return url


def _authorise(backend: Backend, user: str, urls: list[ImapUrl]) -> list[str]:
    """Return the URLs with their tokens; must run by the store's runner. Raises Refused."""
    authorised: list[str] = []
    behaviour = backend.behaviour
    for url in urls:
        owner, name = behaviour.owner_of(url, user), behaviour.mailbox_of(url)
        mailbox, key = backend.store.with_key(owner, name) or (backend.store.mailbox(owner, name), None)
        if mailbox is None or not behaviour.uidvalidity_fits(url, mailbox.uid_validity):
            raise Refused("BAD", "the URL names no mailbox of its owner's")
        authorised.append(behaviour.authorised_url(url.rump, key or backend.store.make_key(mailbox)))
    return authorised


async def _resetkey(context: Context, command: c.ResetKey) -> Replies:
    """Remove keys, which makes their tickets invalid, and inform the user's sessions with such a mailbox selected.

    Source: RFC 4467, 7.
    """
    backend, user = context.backend, context.user
    mailbox = None if command.mailbox is None else await backend.mailbox(user, command.mailbox)
    if backend.behaviour.resets_keys(command.mailbox):
        name = backend.behaviour.mailbox_to_reset(None if mailbox is None else mailbox.name)
        await backend.call(backend.store.reset_keys, user, name)
    if mailbox is None:
        _notify(context, None)
        yield Done("all keys are removed")
        return
    _notify(context, mailbox.ident)
    code = f"[URLMECH {MECHANISM}] " if says_urlmech(backend, context.session) else ""
    yield Done(f"{code}the key is new")


def says_urlmech(backend: Backend, session: ImapSession) -> bool:
    """Tell whether URLMECH may be sent to a session: a setting restricts it to encrypted connections (RFC 4467, 10)."""
    return session.private or backend.config.clear_urlmech


def _notify(context: Context, mailbox: int | None) -> None:
    """Send URLMECH to the user's sessions that have the mailbox selected, or any mailbox if it is None.

    The session that sent RESETKEY gets it only without a mailbox: else its tagged OK contains URLMECH.
    """

    def concerned(session: ImapSession) -> bool:
        if session.user != context.user or session.view is None or not says_urlmech(context.backend, session):
            return False
        return mailbox is None or (session is not context.session and session.view.mailbox.ident == mailbox)

    context.backend.change_notifier.notify(_URLMECH, concerned)


async def _urlfetch(context: Context, command: c.UrlFetch) -> Replies:
    """Send one response for each URL; for a refused URL it is NIL, with no reason and in the same form each time."""
    backend, session, policy = context.backend, context.session, context.backend.config.tickets
    _admit(context, "URLFETCH", len(command.arguments), policy.fetches)
    holder = Holder(session.user, session.peer, context.now)
    for argument in command.arguments:
        answer, changed = await backend.call(_answer, backend, argument, holder)
        if changed is not None:
            backend.change_notifier.changed(changed)
        if isinstance(answer, UrlAuthRefusal):
            backend.log(f"URLFETCH refused: {answer.value}: {_for_log(argument.url)}")
            if delay := session.tickets.delay(policy.refusals, context.now):
                await backend.pause(delay)
            if backend.behaviour.refuses_command():
                raise Refused("NO", "the URL is refused")
            if not backend.behaviour.answers_refused():
                continue
            answer = [b"NIL"]
        yield Reply.join([b"* URLFETCH ", quote(backend.behaviour.echoed_url(argument.url)), b" ", *answer])
    yield Done("URLFETCH completed")


def _answer(
    backend: Backend, argument: c.UrlFetchArgument, holder: Holder
) -> tuple[list[Piece] | UrlAuthRefusal, int | None]:
    """Return the pieces of the response behind the URL or a refusal, and the `ident` of a mailbox whose flags changed.

    The `ident` is None if no flags changed. Must run by the store's runner.
    """
    target = verify(backend, argument.url, holder)
    if isinstance(target, UrlAuthRefusal):
        return target, None
    changed = None
    if backend.behaviour.marks_seen():
        backend.store.change_flags(target.mailbox, [target.message.uid], "+", ["\\Seen"])
        changed = target.mailbox.ident
    return render(backend, target, argument.params), changed


def _for_log(text: bytes) -> str:
    try:
        return ImapUrl.parse(text).rump
    except ImapParseError as problem:
        return str(problem)


HANDLERS: Handlers = {c.GenUrlAuth: _genurlauth, c.ResetKey: _resetkey, c.UrlFetch: _urlfetch}
