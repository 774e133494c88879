"""A store on dictionaries: the in-memory engine tests' one, with the same promises but durability."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from lemonade_imap.mail.mime import Indexer, Part
from lemonade_imap.store.base import CHUNK, Arriving, Counts, Mailbox, Message, StoreError, Summary
from lemonade_imap.store.changes import changed_flags
from lemonade_imap.store.memory_names import Box, MemoryNames


class MemoryArrival:
    """An `Arrival` whose octets are in memory."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._indexer = Indexer()

    def write(self, chunk: bytes) -> None:
        """Take the next octets."""
        self._octets += chunk
        self._indexer.feed(chunk)

    def finish(self) -> tuple[bytes, Part]:
        """Return the octets and their index."""
        return bytes(self._octets), self._indexer.close()

    def discard(self) -> None:
        """Nothing is held elsewhere."""


class MemoryStore(MemoryNames):
    """A `Store` that forgets everything with its process."""

    def __init__(self) -> None:
        super().__init__()
        self._octets: dict[int, bytes] = {}

    def _messages_of(self, mailbox: Mailbox) -> dict[int, Message]:
        box = self._boxes.get(mailbox.ident)
        return box.messages if box else {}

    def delete(self, user: str, name: str) -> None:
        """Remove a mailbox; raises MailboxMissing."""
        mailbox = self.mailbox(user, name)
        if mailbox:
            self.expunge(mailbox, self.uids(mailbox))
        super().delete(user, name)

    def _empty_inbox(self, user: str, new: str) -> None:
        target, inbox = self.create(user, new), self.mailbox(user, "INBOX")
        if inbox:
            self.move(inbox, self.uids(inbox), target)

    def uids(self, mailbox: Mailbox) -> list[int]:
        """Return the UIDs in their order."""
        return list(self._messages_of(mailbox))

    def summaries(self, mailbox: Mailbox, since_modseq: int = 0) -> list[Summary]:
        """Return what changed after a mod-sequence."""
        messages = self._messages_of(mailbox).values()
        return [_summary(message) for message in messages if message.modseq > since_modseq]

    def counts(self, mailbox: Mailbox) -> Counts:
        """Return how many messages there are."""
        messages = self._messages_of(mailbox).values()
        return Counts(
            len(messages),
            len(self.recent(mailbox)),
            sum("\\Seen" not in message.flags for message in messages),
            sum("\\Deleted" in message.flags for message in messages),
            sum(message.size for message in messages),
        )

    def messages(self, mailbox: Mailbox) -> list[Message]:
        """Return the messages by UID."""
        return list(self._messages_of(mailbox).values())

    def message(self, mailbox: Mailbox, uid: int) -> Message | None:
        """Return one message or None."""
        return self._messages_of(mailbox).get(uid)

    def recent(self, mailbox: Mailbox) -> frozenset[int]:
        r"""Return the UIDs not claimed as `\Recent`."""
        box = self._boxes.get(mailbox.ident)
        return frozenset(uid for uid in box.messages if uid >= box.recent_from) if box else frozenset()

    def claim_recent(self, mailbox: Mailbox) -> frozenset[int]:
        """Claim them."""
        claimed = self.recent(mailbox)
        if claimed:
            box = self._boxes[mailbox.ident]
            box.recent_from = box.uid_next
        return claimed

    def arrive(self) -> MemoryArrival:
        """Begin to take a message in."""
        return MemoryArrival()

    def append(self, mailbox: Mailbox, arrivals: Sequence[Arriving]) -> list[Message]:
        """Keep messages; raises MailboxMissing."""
        box = self._box(mailbox)
        box.highest_modseq += bool(arrivals)
        made: list[Message] = []
        for arriving in arrivals:
            arrival = arriving.arrival
            if not isinstance(arrival, MemoryArrival):
                raise TypeError("the arrival is another store's")
            octets, root = arrival.finish()
            made.append(
                self._add(box, octets, Message(0, 0, frozenset(arriving.flags), arriving.received, len(octets), root))
            )
        return made

    def _add(self, box: Box, octets: bytes, message: Message) -> Message:
        kept = replace(message, ident=self._next(), uid=box.uid_next, modseq=box.highest_modseq)
        box.uid_next += 1
        box.messages[kept.uid] = kept
        self._octets[kept.ident] = octets
        return kept

    def change_flags(
        self,
        mailbox: Mailbox,
        uids: Collection[int],
        mode: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> tuple[list[Summary], list[int]]:
        """Change flags."""
        messages, given = self._messages_of(mailbox), frozenset(flags)
        found: list[Summary] = []
        failed: list[int] = []
        changed: list[Message] = []
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

    def copy(self, mailbox: Mailbox, uids: Collection[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy messages; raises MailboxMissing."""
        box, messages = self._box(target), self._messages_of(mailbox)
        wanted = [messages[uid] for uid in sorted(set(uids) & messages.keys())]
        box.highest_modseq += bool(wanted)
        return [(old.uid, self._add(box, self._octets[old.ident], old).uid) for old in wanted]

    def move(self, mailbox: Mailbox, uids: Collection[int], target: Mailbox) -> list[tuple[int, int]]:
        """Move messages; raises MailboxMissing."""
        pairs = self.copy(mailbox, uids, target)
        self.expunge(mailbox, [old for old, _ in pairs])
        return pairs

    def expunge(self, mailbox: Mailbox, uids: Collection[int]) -> list[int]:
        """Remove messages."""
        messages = self._messages_of(mailbox)
        gone = sorted(set(uids) & messages.keys())
        for uid in gone:
            del self._octets[messages.pop(uid).ident]
        if gone:
            self._boxes[mailbox.ident].highest_modseq += 1
        return gone

    def read(self, message: Message, offset: int, length: int) -> Iterator[bytes]:
        """Return the octets in chunks; raises StoreError where the message is gone."""
        octets = self._octets.get(message.ident)
        if octets is None:
            raise StoreError("the message is gone")
        wanted = octets[offset : offset + length]
        return (wanted[at : at + CHUNK] for at in range(0, len(wanted), CHUNK))

    def close(self) -> None:
        """Nothing is held."""


def _summary(message: Message) -> Summary:
    return Summary(message.uid, message.flags, message.modseq, message.received, message.size)
