"""Puts messages into a store directly, for tests that need stored mail and no IMAP session."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from lemonade_imap.store.base import NewMessage, Store, StoredMailbox, StoredMessage

RECEIVED = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def mailbox_of(store: Store, name: str = "INBOX", user: str = "joe") -> StoredMailbox:
    """Return a mailbox as it is stored now; raises AssertionError if there is none of this name."""
    mailbox = store.mailbox(user, name)
    assert mailbox is not None, name
    return mailbox


def append_message(
    store: Store, mailbox: StoredMailbox, *chunks: bytes, flags: Collection[str] = (), received: datetime = RECEIVED
) -> StoredMessage:
    """Store one message whose octets come in these chunks, received at this INTERNALDATE; returns it as stored."""
    arrival = store.arrive()
    for chunk in chunks:
        arrival.write(chunk)
    (message,) = store.append(mailbox, [NewMessage(arrival, flags, received)])
    return message
