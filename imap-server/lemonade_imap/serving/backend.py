"""What the carrying out of every command shares: the store behind its runner, settings, and refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ParamSpec, TypeVar

from lemonade_imap.behaviour import Behaviour
from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.session import Authenticate
from lemonade_imap.reply import Body, Piece
from lemonade_imap.serving.gate import Gate, Lookup, nobody
from lemonade_imap.serving.hub import Hub
from lemonade_imap.store.base import CHUNK, Mailbox, Message, Store, StoreError
from lemonade_imap.store.runner import InlineRunner, Runner
from lemonade_wire.imap.framing import Literal

EMPTY = b'""'
"""How no octets are written."""
P = ParamSpec("P")
T = TypeVar("T")


class Refused(Exception):  # noqa: N818  what happened to the command
    """A command is not carried out: `result` is NO or BAD, the text what the client is told (a code may lead it)."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(text)
        self.result = result


@dataclass(frozen=True)
class Done:
    """A command is carried out: what its tagged OK says (a code may lead the text)."""

    text: str


@dataclass(frozen=True)
class Challenge:
    """AUTHENTICATE goes on: `message` is what the mechanism says, the answer becomes a command like `answered`."""

    message: bytes = field(repr=False)
    answered: Authenticate


async def at_once(_seconds: float) -> None:
    """Wait for nothing: where there is no reactor, time does not pass."""


@dataclass(frozen=True)
class Backend:
    """A store, where its work is done, how the server behaves, who hears of it; `log` takes lines without secrets.

    `pause` waits for some seconds; `hashing` is where passwords are checked. `accounts` finds those that are
    not in the settings; `secret` is the same after every start, or None where there is no other one.
    """

    config: ServerConfig
    store: Store
    runner: Runner
    behaviour: Behaviour = field(default_factory=Behaviour)
    log: Callable[[str], None] = lambda _text: None
    hub: Hub = field(default_factory=Hub)
    pause: Callable[[float], Awaitable[None]] = at_once
    hashing: Runner = field(default_factory=InlineRunner)
    accounts: Lookup = nobody
    secret: bytes | None = field(default=None, repr=False)

    @cached_property
    def gate(self) -> Gate:
        """Who is let in; making it hashes the passwords of the command line."""
        return Gate(self.config.passwords, self.config.logins, self.accounts, self.secret)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of the store where the store lives."""
        return await self.runner.call(function, *args, **kwargs)

    async def mailbox(self, user: str, name: str, *, code: str = "NONEXISTENT") -> Mailbox:
        """Return the user's mailbox; raises Refused."""
        mailbox = await self.call(self.store.mailbox, user, name)
        if mailbox is None:
            raise Refused("NO", f"[{code}] there is no such mailbox")
        return mailbox


@dataclass(frozen=True)
class Wanted:
    """Octets to be sent: `length` stored ones from `offset`, which `render` turns into `size` others."""

    offset: int
    length: int
    size: int
    render: Callable[[Iterator[bytes]], Iterator[bytes]] = lambda chunks: chunks
    binary: bool = False


def within(offset: int | None, length: int | None, size: int) -> tuple[int, int]:
    """Return offset and length of a partial, where either may be left out, as far as it lies within `size` octets."""
    start = min(offset or 0, size)
    return start, size - start if length is None else min(length, size - start)


def content_of(store: Store, message: Message, want: Wanted) -> Piece:
    """Return octets of a message as a string: a short one whole, a long one to be read as it is sent.

    Runs where the store lives. Raises StoreError where they are gone.
    """
    if not want.size:
        return EMPTY
    chunks = want.render(store.read(message, want.offset, want.length))
    if want.size > CHUNK:
        return Body(want.size, chunks, want.binary)
    octets = b"".join(chunks)
    if len(octets) != want.size:
        raise StoreError(f"{len(octets)} octets of a message came of {want.size}")
    # RFC 3516, 4.2 and RFC 5524, 3.1: literal8 is for what holds NUL
    return Literal.of(octets, binary=want.binary and b"\0" in octets)
