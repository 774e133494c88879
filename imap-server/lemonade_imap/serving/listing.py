"""Carries out LIST, LSUB, NAMESPACE, SUBSCRIBE and UNSUBSCRIBE (RFC 3501, 6.3.6 to 6.3.9; RFC 2342; RFC 3348)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from lemonade_imap.grammar import commands as c
from lemonade_imap.grammar.base import INBOX
from lemonade_imap.reply import Reply
from lemonade_imap.serving.backend import Refused
from lemonade_imap.serving.context import Context, Handlers, Replies, line
from lemonade_imap.store.base import SEPARATOR, Store
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.lexer import quote

LONGEST_NAME = 1000
"""Octets that a mailbox's name may have in modified UTF-7, and so at least its number of characters."""
MOST_LEVELS = 20
"""Levels that a mailbox's name may have; LIST holds each name above a mailbox in memory."""
MOST_NAMES = 5000
"""Mailboxes that an account may have, and names to which it may subscribe."""
_TURN = 4_000
"""Characters of names that are compared with a pattern before other sessions may have their turn: about 2 ms."""
_WILDCARDS = re.compile(r"[*%]{2,}")


class Pattern:
    """A mailbox name with wildcards: `*` matches any text, `%` any text without the separator (RFC 3501, 6.3.8).

    A run of wildcards is one wildcard, and a pattern with more other characters than a name is not compared with it.
    A name of n characters therefore meets at most 2n + 1 places of a pattern. `compared`: characters of names that
    were compared so far.
    """

    def __init__(self, reference: str, pattern: str) -> None:
        text = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", reference + pattern)
        if text.upper().startswith(f"{INBOX}{SEPARATOR}"):
            text = INBOX + text[len(INBOX) :]
        self.text = text
        self.literals = len(text) - text.count("*") - text.count("%")
        self.compared = 0
        readable = self.literals <= LONGEST_NAME
        self._given = _Places(text) if readable else None
        self._upper = _Places(text.upper()) if readable else None

    def matches(self, name: str) -> bool:
        """Tell whether the pattern matches the whole name; INBOX matches in any letter case (RFC 3501, 5.1)."""
        if self._given is None or self._upper is None or self.literals > len(name):
            return False
        self.compared += len(name)
        return self._given.match(name) or (name == INBOX and self._upper.match(name))


class _Places:
    """The places of a pattern as bits of integers, so that all places that are reached move in one step."""

    def __init__(self, pattern: str) -> None:
        self._any = self._level = 0
        self._chars: dict[str, int] = {}
        self._end = 1 << len(pattern)
        for at, char in enumerate(pattern):
            if char == "*":
                self._any |= 1 << at
            elif char == "%":
                self._level |= 1 << at
            else:
                self._chars[char] = self._chars.get(char, 0) | 1 << at
        self._wild = self._any | self._level

    def match(self, name: str) -> bool:
        """Tell whether the pattern matches the whole name."""
        reached = self._with_next(1)
        for char in name:
            stay = reached & (self._any if char == SEPARATOR else self._wild)
            reached = self._with_next(stay | (reached & self._chars.get(char, 0)) << 1)
            if not reached:
                return False
        return bool(reached & self._end)

    def _with_next(self, reached: int) -> int:
        """Add the places behind wildcards, which may match an empty text; no two wildcards are neighbours."""
        return reached | (reached & self._wild) << 1


async def _matching(context: Context, names: Iterable[str], pattern: Pattern) -> AsyncIterator[str]:
    """Yield the names that the pattern matches; other sessions may have their turn after each _TURN of work."""
    turn = _TURN
    for name in names:
        if pattern.compared > turn:
            turn = pattern.compared + _TURN
            await context.backend.turns.take(context.session, _TURN)
        if pattern.matches(name):
            yield name


def superiors(name: str) -> Iterable[str]:
    """Yield the names above a name in the hierarchy, the nearest first."""
    while SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        yield name


def is_known(names: Iterable[str], name: str) -> bool:
    """Tell whether a name is that of a mailbox, or is above one in the hierarchy."""
    return any(other == name or other.startswith(name + SEPARATOR) for other in names)


async def _list(context: Context, command: c.ListMailboxes) -> Replies:
    if not command.pattern:
        # RFC 3501, 6.3.8: an empty pattern asks for the separator and the root; this server has no rooted names.
        yield line(r'* LIST (\Noselect) "/" ""')
        return
    found = await context.backend.call(_tree, context.backend.store, context.user)
    pattern = Pattern(command.reference, command.pattern)
    async for name in _matching(context, found.names, pattern):
        selectable = "" if name in found.mailboxes else "\\Noselect "
        children = "\\HasChildren" if name in found.parents else "\\HasNoChildren"
        yield _row("LIST", f"{selectable}{children}", name)


@dataclass(frozen=True)
class _Tree:
    """A user's mailboxes, the names above them, and all these names in the order of LIST."""

    mailboxes: frozenset[str]
    parents: set[str]
    names: list[str]


def _tree(store: Store, user: str) -> _Tree:
    mailboxes = frozenset(store.mailboxes(user))
    parents = {superior for name in mailboxes for superior in superiors(name)}
    return _Tree(mailboxes, parents, _sorted(mailboxes | parents))


async def _lsub(context: Context, command: c.ListSubscribed) -> Replies:
    if not command.pattern:
        yield line(r'* LSUB (\Noselect) "/" ""')
        return
    subscribed, above, mailboxes = await context.backend.call(_subscriptions, context.backend.store, context.user)
    pattern = Pattern(command.reference, command.pattern)
    rows: dict[str, str] = {}
    if command.pattern.endswith("%"):
        # A subscribed name below one that % matches is listed as the matching name (RFC 3501, 6.3.9).
        async for name in _matching(context, above, pattern):
            rows[name] = "\\Noselect"
    async for name in _matching(context, subscribed, pattern):
        rows[name] = "" if name in mailboxes else "\\Noselect"
    for name in _sorted(rows):
        yield _row("LSUB", rows[name], name)


def _subscriptions(store: Store, user: str) -> tuple[list[str], set[str], frozenset[str]]:
    """Return the subscribed names, the names above them, and the names of all mailboxes."""
    subscribed = store.subscriptions(user)
    return subscribed, {above for name in subscribed for above in superiors(name)}, frozenset(store.mailboxes(user))


def _sorted(names: Iterable[str]) -> list[str]:
    # Texts alone are compared several times faster than tuples of them; one comparison of all holds up other threads.
    return sorted(names, key=lambda name: "" if name == INBOX else name)


def _row(word: str, attributes: str, name: str) -> Reply:
    return Reply.of(f'* {word} ({attributes}) "{SEPARATOR}" '.encode("ascii"), quote(mutf7.encode(name)))


async def _subscribe(context: Context, command: c.Subscribe) -> Replies:
    subscribed, _, names = await context.backend.call(_subscriptions, context.backend.store, context.user)
    if not is_known(names, command.mailbox):
        raise Refused("NO", "[NONEXISTENT] there is no such mailbox")
    if len(subscribed) >= MOST_NAMES and command.mailbox not in subscribed:
        raise Refused("NO", f"[LIMIT] an account subscribes to at most {MOST_NAMES} names")
    await context.backend.call(context.backend.store.subscribe, context.user, command.mailbox)
    return
    yield


async def _unsubscribe(context: Context, command: c.Unsubscribe) -> Replies:
    await context.backend.call(context.backend.store.unsubscribe, context.user, command.mailbox)
    return
    yield


async def _namespace(_context: Context, _command: c.Namespace) -> Replies:
    # RFC 2342: one personal namespace, without prefix; no namespaces of other users, no shared ones
    yield line(f'* NAMESPACE (("" "{SEPARATOR}")) NIL NIL')


HANDLERS: Handlers = {
    c.ListMailboxes: _list,
    c.ListSubscribed: _lsub,
    c.Subscribe: _subscribe,
    c.Unsubscribe: _unsubscribe,
    c.Namespace: _namespace,
}
