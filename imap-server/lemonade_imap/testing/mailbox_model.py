"""A model of a user's mailboxes and of a client's knowledge of them (RFC 3501, 4315, 6851 and 7162).

It shares no code with the server. Flags are kept in lower case, since their letter case has no meaning. Each mailbox
counts its *moments*: every change of its messages is one, and each mod-sequence belongs to one moment.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from lemonade_imap.testing import LoopbackConnection
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived
from lemonade_wire.imap.lexer import ListValue, Value, as_number, as_octets, as_text
from lemonade_wire.imap.response import Exists, FetchResponse, Other, Response, StatusResponse, parse_response

RECENT = "\\recent"


@dataclass(frozen=True)
class Message:
    """A message; `changed`: the moment of its mailbox at which it was added or its flags changed last."""

    text: str
    flags: frozenset[str]
    changed: int


def changed_flags(flags: frozenset[str], mode: str, given: Iterable[str]) -> frozenset[str]:
    """Return the flags of a message after a STORE (RFC 3501, 6.4.6)."""
    lowered = {flag.lower() for flag in given}
    return flags | lowered if mode == "+" else flags - lowered if mode == "-" else frozenset(lowered)


class Box:
    r"""One mailbox. `unclaimed`: UIDs that are `\Recent` in no session yet.

    `gone`: it was deleted, or got a new UIDVALIDITY. `values`: the mod-sequences of moments, as far as the server sent
    them. `bounds`: mod-sequences with the latest moment that they can belong to.
    """

    def __init__(self) -> None:
        self.validity: int | None = None
        self.uid_next = 1
        self.moment = 1
        self.messages: dict[int, Message] = {}
        self.unclaimed: set[int] = set()
        self.gone = False
        self.values: dict[int, int] = {}
        self.bounds: list[tuple[int, int]] = []

    def add(self, new: Iterable[tuple[str, Iterable[str]]]) -> list[int]:
        """Add messages, given as text and flags, in one change; returns their UIDs."""
        given = list(new)
        self.moment += bool(given)
        uids = list(range(self.uid_next, self.uid_next + len(given)))
        for uid, (text, flags) in zip(uids, given, strict=True):
            self.messages[uid] = Message(text, changed_flags(frozenset(), "", flags), self.moment)
        self.uid_next += len(given)
        self.unclaimed.update(uids)
        return uids

    def store(
        self, uids: Iterable[int], mode: str, flags: Iterable[str], since: int | None
    ) -> tuple[list[int], list[int]]:
        """Change flags of messages that have not changed after a moment; returns the changed ones and the others."""
        there = [uid for uid in uids if uid in self.messages]
        failed = [uid for uid in there if since is not None and self.messages[uid].changed > since]
        stored = [uid for uid in there if uid not in failed]
        new = {uid: changed_flags(self.messages[uid].flags, mode, flags) for uid in stored}
        new = {uid: wanted for uid, wanted in new.items() if wanted != self.messages[uid].flags}
        self.moment += bool(new)
        self.messages |= {
            uid: replace(self.messages[uid], flags=wanted, changed=self.moment) for uid, wanted in new.items()
        }
        return stored, failed

    def remove(self, uids: Iterable[int]) -> None:
        """Remove messages from the mailbox."""
        gone = [uid for uid in uids if uid in self.messages]
        self.moment += bool(gone)
        for uid in gone:
            del self.messages[uid]
        self.unclaimed.difference_update(gone)

    def told_validity(self, validity: int) -> None:
        """Check a UIDVALIDITY that the server sent: it must always be the same."""
        assert self.validity in {None, validity}
        self.validity = validity

    def told_value(self, moment: int, value: int) -> None:
        """Check a mod-sequence that the server sent: each moment has one, and later moments have greater ones.

        Source: RFC 7162, 3.1.
        """
        assert self.values.setdefault(moment, value) == value
        values = [value for _, value in sorted(self.values.items())]
        assert values == sorted(set(values)), self.values
        for bound, until in self.bounds:
            assert all(bound < value for moment, value in self.values.items() if moment > until), (bound, until)


class Client:
    """One session as its client knows it from the server's responses alone.

    `view`: UIDs by sequence number; `known`: the flags of each. `before`: the mailbox's messages before the command.
    `answered`: the UIDs for which the command asks for a FETCH response. `silent`: those for which none may come.
    `fetched`: those for which one came, with its items. `told`: the moment up to which the server has sent all changes.
    `knows_all`: whether it cannot have sent later ones; a refused command may send flags but no new messages.
    """

    def __init__(self, connection: LoopbackConnection) -> None:
        self.connection = connection
        self.framer = LineFramer(FramerRole.CLIENT)
        self.idling = self.modseqs = False
        self.ended_in: Box | None = None
        self.begin()
        self.leave()

    def leave(self) -> None:
        """Note that no mailbox is selected any more."""
        self.box: Box | None = None
        self.enter(Box(), read_only=False)
        self.box = None

    def enter(self, box: Box, *, read_only: bool) -> None:
        """Note that a mailbox is being selected; its EXISTS and RECENT follow."""
        self.box, self.read_only = box, read_only
        self.view: list[int] = []
        self.newest = 0
        self.known: dict[int, frozenset[str]] = {}
        self.recent: set[int] = set()
        self.recent_told = 0
        self.keywords: set[str] = set()
        self.used: set[str] = set()
        self.told = box.moment
        self.knows_all = True
        self.before: dict[int, Message] = {}

    def begin(self, answered: Collection[int] = (), silent: Collection[int] = ()) -> None:
        """Note that a command is being sent."""
        self.answered, self.silent = answered, silent
        self.fetched: list[tuple[int, set[str]]] = []

    def remember(self) -> None:
        """Note the state of the mailbox before the next command."""
        self.before = dict(self.box.messages) if self.box else {}

    def read(self, octets: bytes) -> list[Response]:
        """Return the responses that the server's octets contain."""
        self.framer.receive_data(octets)
        found: list[Response] = []
        while (event := self.framer.next_event()) is not None:
            assert isinstance(event, LineReceived), event
            found.append(parse_response(event.line))
        return found

    def take(self, response: Response, *, numbers_stay: bool) -> None:
        """Check an untagged response: it must be true and allowed at this moment (RFC 3501, 7.3 and 7.4)."""
        match response:
            case Exists(count):
                self._take_exists(self.selected, count)
            case Other("RECENT", int(count)):
                self.recent_told = count
                assert count == self._recent_now()
            case Other("EXPUNGE", int(number)):
                assert not numbers_stay, "EXPUNGE while sequence numbers are in use"
                uid = self.view.pop(number - 1)
                assert uid not in self.selected.messages
                self.recent.discard(uid)
                del self.known[uid]
            case Other("FLAGS", None, (ListValue(flags),)):
                self.keywords = {as_text(flag).lower() for flag in flags}
            case FetchResponse(number, items=items):
                self._take_fetch(self.selected, number, items)
            case StatusResponse(None, "OK") if response.code_name == "HIGHESTMODSEQ":
                box = self.selected
                if self.knows_all:
                    box.bounds.append((int(response.code_arguments), self.told))

    @property
    def selected(self) -> Box:
        """The selected mailbox; raises AssertionError if none is."""
        assert self.box is not None, "a mailbox's responses without a mailbox"
        return self.box

    def _recent_now(self) -> int:
        return len(self.recent.intersection(self.view))

    def _take_exists(self, box: Box, count: int) -> None:
        new = [uid for uid in box.messages if uid > self.newest]
        self.view += new
        assert count == len(self.view)
        self.newest = max([self.newest, *new])
        self.known |= {uid: box.messages[uid].flags for uid in new}
        # RFC 3501, 2.3.2: \Recent in the first session that is informed; a read-only session does not claim it
        self.recent |= {uid for uid in box.unclaimed if uid <= self.newest}
        if not self.read_only:
            box.unclaimed -= self.recent

    def _take_fetch(self, box: Box, number: int, items: dict[str, Value]) -> None:
        uid = self.view[number - 1]
        states = [messages[uid] for messages in (self.before, box.messages) if uid in messages]
        assert states, "a message that is not there"
        self.fetched.append((uid, set(items)))
        if "UID" in items:
            assert as_number(items["UID"]) == uid
        if "FLAGS" in items:
            listed = items["FLAGS"]
            assert isinstance(listed, ListValue)
            flags = frozenset(as_text(flag).lower() for flag in listed.items)
            assert len(flags) == len(listed.items), "a flag twice"
            assert (RECENT in flags) == (uid in self.recent)
            self.used |= flags
            flags -= {RECENT}
            states = [state for state in states[: 1 if uid in self.silent else None] if state.flags == flags]
            assert states, (flags, self.before.get(uid), box.messages.get(uid))
            self.known[uid] = flags
            assert uid in self.answered or ("MODSEQ" in items) == self.modseqs
            assert uid in self.answered or states[-1].changed > self.told, "that is no news"
        if "MODSEQ" in items:
            modseq = items["MODSEQ"]
            assert isinstance(modseq, ListValue)
            (value,) = modseq.items
            box.told_value(states[-1].changed, as_number(value))
        if "BODY[]" in items:
            assert as_octets(items["BODY[]"]).decode() == states[-1].text

    def settled(self, *, numbers_stay: bool) -> None:
        """Check at the end of a command that the server has sent all changes that it could send (RFC 3501, 5.2)."""
        if self.box is None:
            return
        there = self.box.messages
        assert set(there) <= set(self.view), "new messages were not told"
        assert numbers_stay or self.view == sorted(there), "an EXPUNGE was not told"
        assert self.view == sorted(set(self.view)), "UIDs are ascending"
        for uid in there:
            assert self.known[uid] == there[uid].flags, f"flags of UID {uid} were not told"
        assert self.recent_told == self._recent_now()
        assert self.used - {RECENT} <= self.keywords, "a keyword that FLAGS did not tell"
        self.told = self.box.moment
        self.knows_all = True


class Mailboxes:
    """A user's mailboxes by name. `owners`: the one mailbox that ever had a name together with its UIDVALIDITY."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {"INBOX": Box()}
        self.subscribed: set[str] = set()
        self.owners: dict[tuple[str, int], Box] = {}

    def find(self, name: str) -> Box | None:
        """Return the mailbox, or None."""
        return self.boxes.get(canonical(name))

    def known(self, name: str) -> bool:
        """Tell whether the name is that of a mailbox, or is above one."""
        name = canonical(name)
        return any(other == name or other.startswith(f"{name}/") for other in self.boxes)

    def renamed(self, old: str, new: str) -> dict[str, str] | None:
        """Return the new name of each mailbox that RENAME renames, or None if it must be refused (RFC 3501, 6.3.5)."""
        old, new = canonical(old), canonical(new)
        if old == "INBOX":
            return None if new in self.boxes else {}
        moved = {name: new + name[len(old) :] for name in self.boxes if name == old or name.startswith(f"{old}/")}
        taken = {name for name in self.boxes if name not in moved}
        blocked = new == old or new.startswith(f"{old}/") or new in taken or taken.intersection(moved.values())
        return None if blocked or not moved else moved

    def told_validity(self, name: str, validity: int) -> None:
        """Check a name's UIDVALIDITY that the server sent: it never decreases, and with it a UID names one message."""
        name = canonical(name)
        box = self.boxes[name]
        if self.owners.setdefault((name, validity), box) is not box:
            raise AssertionError("a UIDVALIDITY came back")
        assert validity == max(other for owned, other in self.owners if owned == name)
        box.told_validity(validity)


def canonical(name: str) -> str:
    """Return a name as it is stored: INBOX ignores letter case (RFC 3501, 5.1)."""
    return "INBOX" if name.upper() == "INBOX" else name


def spans(numbers: list[int], pairs: Iterable[tuple[int, int | None]]) -> tuple[str, list[int]]:
    """Return a set of ranges as text, with `*` for None, and those of the ascending numbers that it names."""
    last = numbers[-1] if numbers else 0
    picked: list[int] = []
    for low, high in pairs:
        ends = sorted((low, last if high is None else high))
        for number in numbers:
            if ends[0] <= number <= ends[1] and number not in picked:
                insort(picked, number)
    return ",".join(f"{low}:{'*' if high is None else high}" for low, high in pairs), picked
