"""What all command handlers use: the store, the settings, the server's behaviour, and the results of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ParamSpec, TypeVar

from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.session import Authenticate
from lemonade_imap.mail.decode import cut
from lemonade_imap.mail.sections import Extent, chosen_fields
from lemonade_imap.reply import Body, Piece
from lemonade_imap.serving.change_notifier import ChangeNotifier
from lemonade_imap.serving.login_policy import Authenticator, Lookup, no_accounts
from lemonade_imap.serving.turns import SessionTurns, UnlimitedTurns
from lemonade_imap.store.base import CHUNK, Store, StoredMailbox, StoredMessage, StoreError
from lemonade_imap.store.thread import InlineRunner, StoreRunner
from lemonade_wire.imap.framing import ImapLiteral

EMPTY = b'""'
"""An empty IMAP string, as it is written in a response."""
P = ParamSpec("P")
T = TypeVar("T")


class Refused(Exception):  # noqa: N818  what happened to the command
    """A command is refused: `result` is NO or BAD; the text goes to the client and may begin with a response code."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(text)
        self.result = result


@dataclass(frozen=True)
class Done:
    """A command was carried out: `text` is that of the tagged OK and may begin with a response code."""

    text: str


@dataclass(frozen=True)
class Challenge:
    """A SASL challenge of AUTHENTICATE: `message` is its content before base64.

    The client's response becomes a command with the same mechanism as `answered`.
    """

    message: bytes = field(repr=False)
    answered: Authenticate


async def at_once(_seconds: float) -> None:
    """Return at once: a pause for a server without a reactor, whose time the test sets."""


@dataclass(frozen=True)
class Backend:
    """What a server's sessions share.

    `runner`: runs the store's methods. `behaviour`: the correct behaviour or a fault. `log`: is called with each log
    line, which must contain no secret. `change_notifier`: informs sessions of changes by others. `pause`: waits for a
    number of seconds. `hashing`: runs the checks of passwords. `accounts`: finds accounts that are not in the settings.
    `secret`: a random value that stays the same when the server is started again, or None to make a new one. `turns`:
    counts the work of sessions in the reactor's thread, and makes them wait.
    """

    config: ServerConfig
    store: Store
    runner: StoreRunner
    behaviour: ImapBehaviour = field(default_factory=ImapBehaviour)
    log: Callable[[str], None] = lambda _text: None
    change_notifier: ChangeNotifier = field(default_factory=ChangeNotifier)
    pause: Callable[[float], Awaitable[None]] = at_once
    hashing: StoreRunner = field(default_factory=InlineRunner)
    accounts: Lookup = no_accounts
    secret: bytes | None = field(default=None, repr=False)
    turns: SessionTurns = field(default_factory=UnlimitedTurns)

    @cached_property
    def authenticator(self) -> Authenticator:
        """Checks logins; the first access takes milliseconds for each password of the settings, which it hashes."""
        return Authenticator(self.config.passwords, self.config.logins, self.accounts, self.secret)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of the store by the runner and return its result."""
        return await self.runner.call(function, *args, **kwargs)

    async def mailbox(self, user: str, name: str, *, code: str = "NONEXISTENT") -> StoredMailbox:
        """Return the user's mailbox; raises Refused with the response code `code` if it does not exist."""
        mailbox = await self.call(self.store.mailbox, user, name)
        if mailbox is None:
            raise Refused("NO", f"[{code}] there is no such mailbox")
        return mailbox


@dataclass(frozen=True)
class Wanted:
    """A range of a stored message to be sent, perhaps after a conversion such as decoding.

    `offset`, `length`: the stored octets. `render`: converts them. `size`: octets after the conversion. `binary`: send
    them as a literal8 if they contain NUL.
    """

    offset: int
    length: int
    size: int
    render: Callable[[Iterator[bytes]], Iterator[bytes]] = lambda chunks: chunks
    binary: bool = False


def within(offset: int | None, length: int | None, size: int) -> tuple[int, int]:
    """Return offset and length of a partial FETCH or URL, clipped to `size` octets; None means 0, or up to the end."""
    start = min(offset or 0, size)
    return start, size - start if length is None else min(length, size - start)


def content_of(store: Store, message: StoredMessage, want: Wanted) -> Piece:
    """Return octets of a message as an IMAP string: up to CHUNK octets at once, more as a `Body` that is read later.

    Must run by the store's runner. Raises StoreError if the octets cannot be read.
    """
    if not want.size:
        return EMPTY
    chunks = want.render(store.read(message, want.offset, want.length))
    if want.size > CHUNK:
        return Body(want.size, chunks, want.binary)
    octets = b"".join(chunks)
    if len(octets) != want.size:
        raise StoreError(f"{len(octets)} octets of a message came of {want.size}")
    # RFC 3516, 4.2 and RFC 5524, 3.1: a literal8 is for octets that contain NUL
    return ImapLiteral.of(octets, binary=want.binary and b"\0" in octets)


def fields_of(
    store: Store, message: StoredMessage, extent: Extent, offset: int | None, length: int | None
) -> tuple[int, Piece]:
    """Return the size of the header fields that the extent selects, and a range of their octets as an IMAP string.

    The range counts the octets after the selection (RFC 3501, 6.4.5). Must run by the store's runner. Raises StoreError
    if the octets cannot be read.
    """

    def chosen(chunks: Iterator[bytes]) -> Iterator[bytes]:
        return chosen_fields(chunks, extent.fields, all_but=extent.all_but)

    size = sum(map(len, chosen(store.read(message, extent.offset, extent.length))))
    start, count = within(offset, length, size)

    def render(chunks: Iterator[bytes]) -> Iterator[bytes]:
        return cut(chosen(chunks), start, count)

    return size, content_of(store, message, Wanted(extent.offset, extent.length, count, render))
