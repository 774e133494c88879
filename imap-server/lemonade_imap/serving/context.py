"""What carrying out a command is given, and what it gives back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemonade_imap.grammar.command import Command
from lemonade_imap.reply import Batch, Reply
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.session import ImapSession
from lemonade_imap.view import View

if TYPE_CHECKING:
    from lemonade_imap.serving.incoming import Incoming


@dataclass(frozen=True)
class Context:
    """The server, the session that asks, the time (seconds since 1970), the command's tag, and what came with it."""

    backend: Backend
    session: ImapSession
    now: float
    tag: str = ""
    incoming: Incoming | None = None

    @property
    def user(self) -> str:
        """The account; raises Refused in an anonymous session."""
        if self.session.user is None:
            raise Refused("BAD", "an anonymous session has no mailboxes")
        return self.session.user

    @property
    def view(self) -> View:
        """The selected mailbox; raises Refused where there is none."""
        if self.session.view is None:
            raise Refused("BAD", "no mailbox is selected")
        return self.session.view


Replies = AsyncIterator[Reply | Batch | Challenge | Done]
Handler = Callable[[Context, Any], Replies]
"""Carries one command out: untagged replies, then Done where the tagged OK says more than that it is completed."""
Handlers = Mapping[type[Command], Handler]


def line(text: str) -> Reply:
    """Return a reply of one line of text."""
    return Reply.of(text.encode("utf-8"))
