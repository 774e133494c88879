"""A store in memory for tests without a disk: it behaves like the store on disk, but nothing survives the process."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from lemonade_imap.mail.mime import Indexer, MimePart
from lemonade_imap.store.base import (
    CHUNK,
    INBOX,
    Counts,
    MailboxMissing,
    NewMessage,
    StoredMailbox,
    StoredMessage,
    StoreError,
    Summary,
    mailbox_key,
    renamed,
)
from lemonade_imap.store.values import changed_flags
from lemonade_imap.testing.memory_mailboxes import Box, MemoryAnnotations, MemoryMailboxes, MemorySubscriptions


class MemoryArrival:
    """An `IncomingMessage` whose octets are kept in memory."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._indexer = Indexer()

    def write(self, chunk: bytes) -> None:
        """Add the next octets of the message."""
        self._octets += chunk
        self._indexer.feed(chunk)

    @property
    def parts(self) -> int:
        """The number of parts so far."""
        return self._indexer.parts

    def end(self) -> None:
        """Do nothing: there is no descriptor to release."""

    def finish(self) -> tuple[bytes, MimePart]:
        """Return the message's octets and its part index."""
        return bytes(self._octets), self._indexer.close()

    def discard(self) -> None:
        """Do nothing: there is no file to remove."""


class MemoryStore:
    """A `Store` that keeps everything in dictionaries; the methods are described in `base.Store`.

    It keeps the messages, and holds parts for mailboxes, annotations and subscriptions. A method of the contract that
    one part carries out alone is the part's own.
    """

    def __init__(self) -> None:
        self._octets: dict[int, bytes] = {}
        self._mailboxes = MemoryMailboxes()
        self._annotations = MemoryAnnotations(self._mailboxes)
        subscriptions = MemorySubscriptions()
        self._boxes = self._mailboxes.boxes
        self.mailboxes, self.mailbox = self._mailboxes.mailboxes, self._mailboxes.mailbox
        self.create = self._mailboxes.create
        self.with_key, self.key = self._mailboxes.with_key, self._mailboxes.key
        self.make_key, self.reset_keys = self._mailboxes.make_key, self._mailboxes.reset_keys
        self.entries = self._annotations.entries
        self.set_entries, self.set_entries_of = self._annotations.set_entries, self._annotations.set_entries_of
        self.subscribe, self.unsubscribe = subscriptions.subscribe, subscriptions.unsubscribe
        self.subscriptions = subscriptions.subscriptions

    def _messages_of(self, mailbox: StoredMailbox) -> dict[int, StoredMessage]:
        box = self._boxes.get(mailbox.ident)
        return box.messages if box else {}

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox; raises MailboxMissing."""
        mailbox = self.mailbox(user, name)
        if mailbox is None:
            raise MailboxMissing(f"no mailbox {name!r}")
        self.expunge(mailbox, self.uids(mailbox))
        self._annotations.remove(mailbox)
        self._mailboxes.remove(mailbox)

    def rename(self, user: str, old: str, new: str) -> None:
        """Rename a mailbox and those below it; for INBOX, move its messages. Raises MailboxMissing or MailboxExists."""
        old, new = mailbox_key(old), mailbox_key(new)
        inbox = self.mailbox(user, INBOX)
        if old != INBOX:
            self._mailboxes.rename(user, old, new)
        elif inbox:
            renamed(self.mailboxes(user), old, new)
            self.move(inbox, self.uids(inbox), self.create(user, new))

    def uids(self, mailbox: StoredMailbox) -> list[int]:
        """Return the UIDs, ascending."""
        return list(self._messages_of(mailbox))

    def summaries(self, mailbox: StoredMailbox, since_modseq: int = 0) -> list[Summary]:
        """Return the messages that changed after a mod-sequence, without their part indexes."""
        messages = self._messages_of(mailbox).values()
        return [_summary(message) for message in messages if message.modseq > since_modseq]

    def counts(self, mailbox: StoredMailbox) -> Counts:
        """Return the numbers of messages that STATUS reports."""
        messages = self._messages_of(mailbox).values()
        return Counts(
            len(messages),
            len(self.recent(mailbox)),
            sum("\\Seen" not in message.flags for message in messages),
        )

    def messages(self, mailbox: StoredMailbox) -> list[StoredMessage]:
        """Return all messages by ascending UID."""
        return list(self._messages_of(mailbox).values())

    def message(self, mailbox: StoredMailbox, uid: int) -> StoredMessage | None:
        """Return the message with this UID, or None."""
        return self._messages_of(mailbox).get(uid)

    def recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent`."""
        box = self._boxes.get(mailbox.ident)
        return frozenset(uid for uid in box.messages if uid >= box.recent_from) if box else frozenset()

    def claim_recent(self, mailbox: StoredMailbox) -> frozenset[int]:
        r"""Return the UIDs that no session has claimed as `\Recent`, and claim them."""
        claimed = self.recent(mailbox)
        if claimed:
            box = self._boxes[mailbox.ident]
            box.recent_from = box.uid_next
        return claimed

    def arrive(self) -> MemoryArrival:
        """Begin to receive a new message."""
        return MemoryArrival()

    def append(self, mailbox: StoredMailbox, arrivals: Sequence[NewMessage]) -> list[StoredMessage]:
        """Add messages to a mailbox; raises MailboxMissing."""
        box = self._mailboxes.present(mailbox)
        box.highest_modseq += bool(arrivals)
        made: list[StoredMessage] = []
        for arriving in arrivals:
            arrival = arriving.arrival
            if not isinstance(arrival, MemoryArrival):
                raise TypeError("the new message belongs to another store")
            octets, root = arrival.finish()
            made.append(
                self._add(
                    box, octets, StoredMessage(0, 0, frozenset(arriving.flags), arriving.received, len(octets), root)
                )
            )
        return made

    def _add(self, box: Box, octets: bytes, message: StoredMessage) -> StoredMessage:
        kept = replace(message, ident=self._mailboxes.next_ident(), uid=box.uid_next, modseq=box.highest_modseq)
        box.uid_next += 1
        box.messages[kept.uid] = kept
        self._octets[kept.ident] = octets
        return kept

    def change_flags(
        self,
        mailbox: StoredMailbox,
        uids: Collection[int],
        mode: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> tuple[list[Summary], list[int]]:
        """Change the flags of messages; returns their summaries and the UIDs that were left unchanged."""
        messages, given = self._messages_of(mailbox), frozenset(flags)
        found: list[Summary] = []
        failed: list[int] = []
        changed: list[StoredMessage] = []
        for uid in sorted(set(uids) & messages.keys()):
            message = messages[uid]
            if unchanged_since is not None and message.modseq > unchanged_since:
                failed.append(uid)
                continue
            wanted = changed_flags(message.flags, mode, given)
            if wanted != message.flags:
                message = replace(message, flags=wanted, modseq=self._boxes[mailbox.ident].highest_modseq + 1)
                changed.append(message)
            found.append(_summary(message))
        if changed:
            self._boxes[mailbox.ident].highest_modseq += 1
            messages.update((message.uid, message) for message in changed)
        return found, failed

    def copy(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Copy messages to another mailbox; raises MailboxMissing."""
        box, messages = self._mailboxes.present(target), self._messages_of(mailbox)
        wanted = [messages[uid] for uid in sorted(set(uids) & messages.keys())]
        box.highest_modseq += bool(wanted)
        return [(old.uid, self._add(box, self._octets[old.ident], old).uid) for old in wanted]

    def move(self, mailbox: StoredMailbox, uids: Collection[int], target: StoredMailbox) -> list[tuple[int, int]]:
        """Move messages to another mailbox; raises MailboxMissing."""
        pairs = self.copy(mailbox, uids, target)
        self.expunge(mailbox, [old for old, _ in pairs])
        return pairs

    def expunge(self, mailbox: StoredMailbox, uids: Collection[int]) -> list[int]:
        """Remove messages and return the UIDs of those that existed."""
        messages = self._messages_of(mailbox)
        gone = sorted(set(uids) & messages.keys())
        for uid in gone:
            del self._octets[messages.pop(uid).ident]
        if gone:
            self._boxes[mailbox.ident].highest_modseq += 1
        return gone

    def read(self, message: StoredMessage, offset: int, length: int) -> Iterator[bytes]:
        """Return octets of a message in chunks; raises StoreError if the message was expunged."""
        octets = self._octets.get(message.ident)
        if octets is None:
            raise StoreError("the message was expunged")
        wanted = octets[offset : offset + length]
        return (wanted[at : at + CHUNK] for at in range(0, len(wanted), CHUNK))

    def close(self) -> None:
        """Do nothing: the store holds no file."""


def _summary(message: StoredMessage) -> Summary:
    return Summary(message.uid, message.flags, message.modseq, message.received, message.size)
