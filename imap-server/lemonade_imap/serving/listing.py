"""LIST, LSUB, NAMESPACE and subscriptions (RFC 3501, 6.3.6 to 6.3.9; RFC 2342; RFC 3348)."""

from __future__ import annotations

from collections.abc import Iterable

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.arguments import INBOX
from lemonade_imap.reply import Reply
from lemonade_imap.serving.backend import Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.store.base import SEPARATOR, Store
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.lexer import quote


class Pattern:
    """A name with wildcards: `*` matches anything, `%` anything but the separator (RFC 3501, 6.3.8).

    Takes time in proportion to the lengths of pattern and name, whatever the pattern.
    """

    def __init__(self, reference: str, pattern: str) -> None:
        self._text = reference + pattern
        if self._text.upper().startswith(f"{INBOX}{SEPARATOR}"):
            self._text = INBOX + self._text[len(INBOX) :]

    def matches(self, name: str) -> bool:
        """Tell whether the pattern matches the whole name; INBOX has no case (5.1)."""
        return _matches(self._text, name) or (name == INBOX and _matches(self._text.upper(), INBOX))


def _matches(pattern: str, name: str) -> bool:
    places = _without_wildcards(pattern, {0})
    for char in name:
        stay = {at for at in places if pattern[at : at + 1] == "*" or (pattern[at : at + 1] == "%" and char != "/")}
        taken = {at + 1 for at in places if pattern[at : at + 1] == char and char not in "*%"}
        places = _without_wildcards(pattern, stay | taken)
        if not places:
            return False
    return len(pattern) in places


def _without_wildcards(pattern: str, places: set[int]) -> set[int]:
    """Add the places behind wildcards, which may match nothing."""
    reached = set(places)
    for at in sorted(places):
        end = at
        while pattern[end : end + 1] in {"*", "%"}:
            end += 1
            reached.add(end)
    return reached


def superiors(name: str) -> Iterable[str]:
    """Return the names above a name, the nearest first."""
    while SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        yield name


def is_known(names: Iterable[str], name: str) -> bool:
    """Tell whether a name is a mailbox's, or stands above one."""
    return any(other == name or other.startswith(name + SEPARATOR) for other in names)


async def _list(context: Context, command: c.ListMailboxes) -> Replies:
    if not command.pattern:
        # the separator, and no root: there are no rooted names
        yield line(r'* LIST (\Noselect) "/" ""')
        return
    mailboxes = frozenset(await context.backend.call(context.backend.store.mailboxes, context.user))
    parents = {superior for name in mailboxes for superior in superiors(name)}
    pattern = Pattern(command.reference, command.pattern)
    for name in _sorted(mailboxes | parents):
        if pattern.matches(name):
            selectable = "" if name in mailboxes else "\\Noselect "
            children = "\\HasChildren" if name in parents else "\\HasNoChildren"
            yield _row("LIST", f"{selectable}{children}", name)


async def _lsub(context: Context, command: c.ListSubscribed) -> Replies:
    if not command.pattern:
        yield line(r'* LSUB (\Noselect) "/" ""')
        return
    subscribed, mailboxes = await context.backend.call(_subscriptions, context.backend.store, context.user)
    pattern = Pattern(command.reference, command.pattern)
    rows = {name: "" if name in mailboxes else "\\Noselect" for name in subscribed if pattern.matches(name)}
    if command.pattern.endswith("%"):
        # a name below one that % stops at shows as that one (RFC 3501, 6.3.9)
        above = {superior for name in subscribed for superior in superiors(name) if pattern.matches(superior)}
        rows = dict.fromkeys(above, "\\Noselect") | rows
    for name in _sorted(rows):
        yield _row("LSUB", rows[name], name)


def _subscriptions(store: Store, user: str) -> tuple[list[str], frozenset[str]]:
    return store.subscriptions(user), frozenset(store.mailboxes(user))


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name))


def _row(word: str, attributes: str, name: str) -> Reply:
    return Reply.of(f'* {word} ({attributes}) "{SEPARATOR}" '.encode("ascii"), quote(mutf7.encode(name)))


async def _subscribe(context: Context, command: c.Subscribe) -> Replies:
    names = await context.backend.call(context.backend.store.mailboxes, context.user)
    if not is_known(names, command.mailbox):
        raise Refused("NO", "[NONEXISTENT] there is no such mailbox")
    await context.backend.call(context.backend.store.subscribe, context.user, command.mailbox)
    return
    yield


async def _unsubscribe(context: Context, command: c.Unsubscribe) -> Replies:
    await context.backend.call(context.backend.store.unsubscribe, context.user, command.mailbox)
    return
    yield


async def _namespace(_context: Context, _command: c.Namespace) -> Replies:
    # all names are the user's own
    yield line(f'* NAMESPACE (("" "{SEPARATOR}")) NIL NIL')


HANDLERS: Handlers = {
    c.ListMailboxes: _list,
    c.ListSubscribed: _lsub,
    c.Subscribe: _subscribe,
    c.Unsubscribe: _unsubscribe,
    c.Namespace: _namespace,
}
