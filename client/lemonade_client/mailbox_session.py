"""The client's IMAP connection for the script's steps: its interface, its events, and its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lemonade_wire.imap.command import ImapCommand
from lemonade_wire.imap.response import Response, StatusResponse


@dataclass(frozen=True)
class MailOpened:
    """The connection is open, and the server's greeting has come."""


@dataclass(frozen=True)
class MailAnswered:
    """A command was answered: its tagged response, and the untagged responses that came before it."""

    tag: str
    status: StatusResponse
    untagged: tuple[Response, ...]


@dataclass(frozen=True)
class MailLost:
    """The connection was lost or could not be made; no more events come from it."""

    why: str


MailEvent = MailOpened | MailAnswered | MailLost


class Mail(Protocol):
    """A connection to the account's IMAP server: over a socket, or in memory with `lemonade_wire.imap.client`."""

    @property
    def capabilities(self) -> frozenset[str] | None:
        """The capabilities that the server sent last; None if they are not known: at first, and after a login."""

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted by TLS."""

    def open(self) -> None:
        """Connect; `MailOpened` or `MailLost` follows."""

    def send(self, command: ImapCommand) -> str:
        """Send a command; returns its tag. `MailAnswered` or `MailLost` follows."""

    def close(self) -> None:
        """Close the connection; no event follows."""


@dataclass
class MailboxSession:
    """The IMAP connection of a script, with its state and the answers to its commands."""

    mail: Mail
    is_open: bool = False
    logged_in: bool = False
    lost: str | None = None
    answers: dict[str, MailAnswered] = field(default_factory=dict)
    """Answers that no step has read yet, by tag."""

    def open(self) -> None:
        """Connect, also again after a connection was lost."""
        self.lost = None
        self.mail.open()

    def note(self, event: MailEvent) -> None:
        """Update the state by an event of the connection."""
        match event:
            case MailOpened():
                self.is_open = True
            case MailAnswered(tag=tag):
                self.answers[tag] = event
            case MailLost(why=why):
                self.lost = why
                self.is_open = self.logged_in = False
