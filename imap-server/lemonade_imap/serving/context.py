"""The arguments and results of command handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemonade_imap.grammar.base import ParsedCommand
from lemonade_imap.reply import Reply, ReplyBatch
from lemonade_imap.selected_mailbox import SelectedMailbox
from lemonade_imap.serving.backend import Backend, Challenge, Done, Refused
from lemonade_imap.session import ImapSession

if TYPE_CHECKING:
    from lemonade_imap.serving.append import Incoming


@dataclass(frozen=True)
class Context:
    """The circumstances in which a command is carried out.

    `backend`: what all sessions share. `now`: seconds since 1970. `tag`: the command's tag. `incoming`: the message
    literals that were received with the command, or None.
    """

    backend: Backend
    session: ImapSession
    now: float
    tag: str = ""
    incoming: Incoming | None = None

    @property
    def user(self) -> str:
        """The session's account; raises Refused in an anonymous session."""
        if self.session.user is None:
            raise Refused("BAD", "an anonymous session has no mailboxes")
        return self.session.user

    @property
    def view(self) -> SelectedMailbox:
        """The selected mailbox; raises Refused if none is selected."""
        if self.session.view is None:
            raise Refused("BAD", "no mailbox is selected")
        return self.session.view


Replies = AsyncIterator[Reply | ReplyBatch | Challenge | Done]
Handler = Callable[[Context, Any], Replies]
"""Carries out one command: yields untagged replies, and then Done if the tagged OK needs a text of its own."""
Handlers = Mapping[type[ParsedCommand], Handler]


def line(text: str) -> Reply:
    """Return a reply that consists of one line of text."""
    return Reply.of(text.encode("utf-8"))
