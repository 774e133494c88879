"""Records what a server answered with OK, and checks that it is still true after the server was killed."""

from __future__ import annotations

import imaplib
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

BOXES = ("INBOX", "a", "b/c")
SIZES = (10, 5000, 200_000)
CARRIED = ("from", "to")
KEPT = "kept"
imaplib.Commands.update(dict.fromkeys(("SETMETADATA", "GETMETADATA"), ("AUTH", "SELECTED")))
imaplib.Commands["MOVE"] = ("SELECTED",)


@dataclass
class Seen:
    """All messages that were ever seen in one mailbox by any of its servers: a UID always names the same text."""

    validity: str = ""
    texts: dict[int, str] = field(default_factory=dict)

    def saw(self, uid: int, text: str) -> None:
        """Record that this UID has this text."""
        assert self.texts.setdefault(uid, text) == text, f"UID {uid} was given again"

    def look(self, client: imaplib.IMAP4, box: str) -> dict[int, tuple[str, set[str]]]:
        """Select a mailbox and return text and flags of its messages by UID; check that each is the complete one."""
        assert client.select(box)[0] == "OK"
        validity = told(client, "UIDVALIDITY").decode()
        assert self.validity in {"", validity}
        self.validity = validity
        there: dict[int, tuple[str, set[str]]] = {}
        for item in client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")[1]:
            if not isinstance(item, tuple):
                continue
            line, octets = item
            uid, size = (number_behind(word, line) for word in (rb"UID", rb"RFC822.SIZE"))
            flags = re.search(rb"FLAGS \(([^)]*)\)", line)
            assert flags is not None
            assert len(octets) == size
            subject, _, body = octets.partition(b"\r\n\r\n")
            text = subject.decode().removeprefix("Subject: ")
            self.saw(uid, text)
            assert body == b"x" * len(body)
            assert len(body) in SIZES
            there[uid] = (text, set(flags[1].decode().split()) - {"\\Recent"})
        assert int(told(client, "UIDNEXT")) > max(self.texts, default=0)
        return there


def told(client: imaplib.IMAP4, name: str) -> bytes:
    """Return the value that the server's last answer gives for a name."""
    (data,) = client.response(name)[1]
    assert isinstance(data, bytes)
    return data


def number_behind(pattern: bytes, text: bytes) -> int:
    """Return the number that follows, after a space, what a pattern matches; raises AssertionError without one."""
    found = re.search(pattern + rb" (\d+)", text)
    assert found is not None, text
    return int(found[1])


class Promised(ABC):
    """Commands of one kind that were answered with OK by any of the servers; `answered` is their number."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.answered = 0

    def ok(self, answer: tuple[str, Any]) -> bytes:
        """Check that an answer is OK, and return its text."""
        assert answer[0] == "OK", answer
        self.answered += 1
        text = answer[1][0]
        return text if isinstance(text, bytes) else b""

    def append(self, client: imaplib.IMAP4, box: str, text: str) -> int:
        """Append a message of this text; returns its UID."""
        body = f"Subject: {text}\r\n\r\n".encode() + b"x" * self.random.choice(SIZES)
        said = self.ok(client.append(box, "(begun)", "", body))
        return number_behind(rb"APPENDUID \d+", said)

    def new_text(self) -> str:
        """Return a text that no other message has."""
        return f"{self.random.getrandbits(64):x}"

    @abstractmethod
    def change(self, client: imaplib.IMAP4) -> None:
        """Send commands that change something, and record those that were answered with OK."""

    @abstractmethod
    def check(self, client: imaplib.IMAP4) -> None:
        """Compare the record with the present content, and continue from that content."""


class Changes(Promised):
    """APPEND, STORE and EXPUNGE in one mailbox.

    `kept`: flags of the messages that must exist, by UID. `doubtful`: UIDs that were named in a command without an
    answer.
    """

    def __init__(self, box: str, seed: int) -> None:
        super().__init__(seed)
        self.box = box
        self.seen = Seen()
        self.kept: dict[int, set[str]] = {}
        self.doubtful: set[int] = set()

    def change(self, client: imaplib.IMAP4) -> None:
        """Append a message and set a flag of another one; with more than 20 messages, expunge it."""
        if client.state != "SELECTED":
            self.ok(client.select(self.box))
        text = self.new_text()
        new = self.append(client, self.box, text)
        self.seen.saw(new, text)
        self.kept[new] = {"begun"}
        uid = self.random.choice([*self.kept])
        flags = self.kept.pop(uid)
        self.doubtful.add(uid)
        keyword = f"k{self.random.randrange(4)}"
        self.ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({keyword})"))
        if len(self.kept) > 20:
            self.ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
            self.ok(client.uid("EXPUNGE", str(uid)))
        else:
            self.kept[uid] = flags | {keyword}
        self.doubtful.discard(uid)

    def check(self, client: imaplib.IMAP4) -> None:
        """Check that no message is lost or came from nowhere, and that the flags are those that were set."""
        there = {uid: flags for uid, (_, flags) in self.seen.look(client, self.box).items()}
        for uid, wanted in self.kept.items():
            assert uid in there, f"{self.box}: message {uid} was answered OK and is lost"
            assert there[uid] == wanted, f"{self.box}: flags of message {uid}"
        surplus = there.keys() - self.kept.keys() - self.doubtful
        assert len(surplus) <= 1, f"{self.box}: {surplus} came from nowhere"  # of the APPEND without an answer
        self.kept, self.doubtful = there, set()


class Carrying(Promised):
    """COPY and MOVE between two mailboxes in both directions; a message that is in both is removed from one.

    `homes`: the mailboxes that contain a message, by its text. `asked`: texts of messages that were named in a command
    without an answer, with the possible values of `homes`; all of them changed in the same way.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.seen = {box: Seen() for box in CARRIED}
        self.uids: dict[str, dict[str, int]] = {box: {} for box in CARRIED}
        self.asked: tuple[list[str], list[set[str]]] | None = None

    def homes(self, text: str) -> set[str]:
        """Return the mailboxes that hold the message with this text."""
        return {box for box in CARRIED if text in self.uids[box]}

    def change(self, client: imaplib.IMAP4) -> None:
        """Append a message, copy or move up to three, and remove messages that are in both mailboxes."""
        text, source = self.new_text(), self.random.choice(CARRIED)
        (target,) = set(CARRIED) - {source}
        self.asked = ([text], [set(), {source}])
        self.uids[source][text] = self.append(client, source, text)
        self.asked = None
        self.ok(client.select(source))
        single = [one for one in self.uids[source] if one not in self.uids[target]]
        # There is at least one message, which was appended just before.
        self._carry(client, source, target, self.random.sample(single, min(len(single), 3)))
        both = [one for one in self.uids[source] if one in self.uids[target]]
        if len(both) > 5:
            self._remove(client, source, target, both[:4])

    def _carry(self, client: imaplib.IMAP4, source: str, target: str, texts: list[str]) -> None:
        moves = self.random.random() < 0.7
        uids = {self.uids[source][text]: text for text in texts}
        self.asked = (texts, [{source}, {target} if moves else {source, target}])
        self.ok(client.uid("MOVE" if moves else "COPY", ",".join(map(str, sorted(uids))), target))
        _, old, new = told(client, "COPYUID").decode().split()
        for before, after in zip(numbers(old), numbers(new), strict=True):
            self.uids[target][uids[before]] = after
            self.seen[target].saw(after, uids[before])
        if moves:
            for text in texts:
                del self.uids[source][text]
        self.asked = None

    def _remove(self, client: imaplib.IMAP4, source: str, target: str, texts: list[str]) -> None:
        uids = ",".join(str(self.uids[source][text]) for text in texts)
        self.asked = (texts, [{source, target}, {target}])
        self.ok(client.uid("STORE", uids, "+FLAGS.SILENT", r"(\Deleted)"))
        self.ok(client.uid("EXPUNGE", uids))
        for text in texts:
            del self.uids[source][text]
        self.asked = None

    def check(self, client: imaplib.IMAP4) -> None:
        """Check that each message is where the last command put it, and that no command was done in part."""
        there = {box: {text: uid for uid, (text, _) in self.seen[box].look(client, box).items()} for box in CARRIED}
        texts, allowed = self.asked or ([], [])
        for text in set().union(*self.uids.values(), *there.values(), texts):
            now = {box for box in CARRIED if text in there[box]}
            if text not in texts:
                assert now == self.homes(text), f"{text} was in {self.homes(text)} and is in {now}"
        states = {tuple(sorted(box for box in CARRIED if text in there[box])) for text in texts}
        assert len(states) <= 1, f"{texts} were carried in part: {states}"
        assert states <= {tuple(sorted(state)) for state in allowed}, f"{texts} are in {states}"
        self.uids, self.asked = there, None


class Naming(Promised):
    """CREATE, RENAME and DELETE of mailboxes that contain one message each.

    `texts`: the message of each mailbox by its name; None if its APPEND was not answered. `allowed`: the states that
    are possible after a command without an answer.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.texts: dict[str, str | None] = {}
        self.seen: dict[tuple[str, str], str] = {}
        self.allowed: list[dict[str, str | None]] = [{}]

    def change(self, client: imaplib.IMAP4) -> None:
        """Create, rename or delete a mailbox."""
        free = [name for name in (f"n/{number}" for number in range(6)) if name not in self.texts]
        taken = [*self.texts]
        what = self.random.choice(
            ["create"] * bool(free) + ["delete"] * bool(taken) + ["rename"] * bool(taken and free)
        )
        self.allowed = [dict(self.texts)]
        after = dict(self.texts)
        if what == "create":
            after[free[0]] = None
            self._ask(after, lambda: client.create(free[0]))
            text = self.new_text()
            self.allowed = [after, after | {free[0]: text}]
            self.append(client, free[0], text)
            self._is_now(after | {free[0]: text})
        elif what == "delete":
            name = self.random.choice(taken)
            del after[name]
            self._ask(after, lambda: client.delete(name))
        else:
            old, new = self.random.choice(taken), self.random.choice(free)
            after[new] = after.pop(old)
            self._ask(after, lambda: client.rename(old, new))

    def _ask(self, after: dict[str, str | None], ask: Callable[[], tuple[str, Any]]) -> None:
        self.allowed.append(after)
        self.ok(ask())
        self._is_now(after)

    def _is_now(self, texts: dict[str, str | None]) -> None:
        self.texts, self.allowed = texts, [texts]

    def check(self, client: imaplib.IMAP4) -> None:
        """Check that the mailboxes and their messages are one of the allowed states."""
        listed = [item for item in client.list('"n/"', "*")[1] if isinstance(item, bytes)]
        there: dict[str, str | None] = {}
        for name in (item.rpartition(b" ")[2].decode().strip('"') for item in listed):
            seen = Seen()
            messages = seen.look(client, name)
            there[name] = next((text for text, _ in messages.values()), None)
            for uid, (text, _) in messages.items():
                # A name, a UIDVALIDITY and a UID together always name the same message.
                assert self.seen.setdefault((name, seen.validity), text) == text
                assert uid == 1
        assert there in self.allowed, f"{there} is none of {self.allowed}"
        self._is_now(there)


class Noting(Promised):
    """SETMETADATA of two entries in one command; `allowed`: the possible values, which both must have."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.allowed: list[bytes] = [b"NIL"]

    def change(self, client: imaplib.IMAP4) -> None:
        """Set both entries to a new value, or remove them."""
        value = b'"%x"' % self.random.getrandbits(64) if self.random.random() < 0.8 else b"NIL"
        self.allowed.append(value)
        entries = f"(/private/one {value.decode()} /private/two {value.decode()})"
        self.ok(client.xatom("SETMETADATA", KEPT, entries))
        self.allowed = [value]

    def check(self, client: imaplib.IMAP4) -> None:
        """Check that both entries have the same value, and that it is an allowed one."""
        assert client.xatom("GETMETADATA", KEPT, "(/private/one /private/two)")[0] == "OK"
        found = re.fullmatch(rb'"kept" \(/private/one (\S+) /private/two (\S+)\)', told(client, "METADATA"))
        assert found is not None
        assert found[1] == found[2], "one entry was set without the other"
        assert found[1] in self.allowed
        self.allowed = [found[1]]


def numbers(written: str) -> list[int]:
    """Return the numbers in a set of UIDs."""
    found: list[int] = []
    for low, high in re.findall(r"(\d+)(?::(\d+))?", written):
        found += range(int(low), int(high or low) + 1)
    return found


def make_records(chance: random.Random, client: imaplib.IMAP4) -> list[Promised]:
    """Make the mailboxes that the records need, and return one record of each kind."""
    for box in (*BOXES[1:], *CARRIED, KEPT):
        assert client.create(box)[0] == "OK"
    boxes = [Changes(box, chance.getrandbits(32)) for box in BOXES]
    return [*boxes, *(made(chance.getrandbits(32)) for made in (Carrying, Naming, Noting))]
