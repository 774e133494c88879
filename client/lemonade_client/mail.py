"""The client's IMAP connection as the steps see it: what it can be asked, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lemonade_wire.imap.command import Command
from lemonade_wire.imap.response import Response, Status


@dataclass(frozen=True)
class MailOpened:
    """The server greeted."""


@dataclass(frozen=True)
class MailAnswered:
    """A command was answered: its tagged status, and the untagged responses that came with it."""

    tag: str
    status: Status
    untagged: tuple[Response, ...]


@dataclass(frozen=True)
class MailLost:
    """The connection is gone, or could not be made; nothing more comes from it."""

    why: str


MailEvent = MailOpened | MailAnswered | MailLost


class Mail(Protocol):
    """A connection to the account's server; of the engine `lemonade_wire.imap.client.ImapClient`, or of a socket."""

    @property
    def capabilities(self) -> frozenset[str] | None:
        """What the server said last, None where that is not known (before the first, after a login)."""

    @property
    def encrypted(self) -> bool:
        """Whether TLS is there."""

    def open(self) -> None:
        """Connect; `MailOpened` or `MailLost` follows."""

    def send(self, command: Command) -> str:
        """Send a command; returns its tag. `MailAnswered` or `MailLost` follows."""

    def close(self) -> None:
        """Close the connection; nothing follows."""


@dataclass
class Mailbox:
    """The connection with its state."""

    mail: Mail
    is_open: bool = False
    logged_in: bool = False
    lost: str | None = None
    answers: dict[str, MailAnswered] = field(default_factory=dict)
    """Answers that no step has taken yet, by tag."""

    def open(self) -> None:
        """Connect, anew where a connection was lost."""
        self.lost = None
        self.mail.open()

    def note(self, event: MailEvent) -> None:
        """Take an event."""
        match event:
            case MailOpened():
                self.is_open = True
            case MailAnswered(tag=tag):
                self.answers[tag] = event
            case MailLost(why=why):
                self.lost = why
                self.is_open = self.logged_in = False
