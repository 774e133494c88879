# ruff: noqa: PLR0917  a rule has an argument for each thing that Hypothesis draws
"""Two sessions send any commands in any order: the responses of each must agree with a model of the mailboxes.

LEMONADE_EXAMPLES=5000 pytest imap-server/tests/sessions

The file is long because a state machine of Hypothesis is one class, with a rule for each command.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lemonade_imap.config import LoginPolicy, ServerConfig
from lemonade_imap.store.base import Store
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing import LoopbackServer
from lemonade_imap.testing.mailbox_model import Box, Client, Mailboxes, canonical, spans
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_wire.imap.lexer import ListValue, as_number, as_text
from lemonade_wire.imap.response import Exists, Listed, Other, Response, SearchResponse, StatusResponse

EXAMPLES = int(os.environ.get("LEMONADE_EXAMPLES", "150"))
CONFIG = ServerConfig(passwords={"joe": "secret"}, logins=LoginPolicy())
WHO = st.sampled_from([0, 1])
NAMES = st.sampled_from(["INBOX", "a", "inbox", "a", "INBOX", "a/b", "d"])
MOSTLY_INBOX = st.sampled_from(["INBOX", "INBOX", "inbox", "a"])
NAMED = st.sampled_from(["a", "d", "a/b", "Inbox"])
CHANGES = st.lists(st.tuples(st.sampled_from(["create", "delete", "rename"]), NAMED, NAMED), min_size=1, max_size=3)
FLAGS = st.lists(st.sampled_from(["\\Seen", "\\Deleted", "work", "\\DELETED", "WORK", "x"]), max_size=3)
PAIRS = st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(1, 9)), min_size=1, max_size=3)
Pairs = list[tuple[int, int | None]]
SINCE = st.none() | st.integers(0, 9)
OFTEN = st.sampled_from([True, True, True, False])
SEEN, DELETED = "\\seen", "\\deleted"


@dataclass(frozen=True)
class Answer:
    """A command's tagged response and the untagged responses before it."""

    status: StatusResponse
    untagged: list[Response]

    def codes(self, name: str) -> list[str]:
        """Return the arguments of a response code in the tagged or an untagged response."""
        statuses = [one for one in [*self.untagged, self.status] if isinstance(one, StatusResponse)]
        return [one.code_arguments for one in statuses if one.code_name == name]


class TwoSessions(RuleBasedStateMachine):
    """Two sessions, and a third that only sends STATUS, which changes nothing."""

    def __init__(self, make_store: Callable[[Path], Store]) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = make_store(self.folder)
        self.server = LoopbackServer(CONFIG, self.store)
        self.mailboxes = Mailboxes()
        self.messages = 0

    @initialize(read_only=st.booleans())
    def begin(self, read_only: bool) -> None:
        self.clients = [self.login() for _ in range(3)]
        for name in ("a", "d"):
            self.create(0, name)
        for who in (0, 1):
            self.append(who, "INBOX", [["work"], ["WORK"]])
            self.select(who, "INBOX", read_only and bool(who), False)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def login(self) -> Client:
        client = Client(self.server.connect())
        client.connection.receive_data(b"l LOGIN joe secret\r\n")
        return client

    # parts that every command has

    def ready(self, who: int) -> Client:
        """Return a session that can send a command: it has left IDLE, and its mailbox was not deleted."""
        client = self.clients[who]
        self.remember()
        if client.idling:
            client.idling = False
            self.say(client, "DONE", tagged=False)
        if client.box and client.box.gone:
            self.say(client, "NOOP")
            assert client.ended_in
            self.nobody_is_sent_away_without_reason()
        self.remember()
        return self.clients[who]

    def remember(self) -> None:
        for client in self.clients:
            client.remember()

    def say(
        self,
        client: Client,
        command: str | bytes,
        *,
        ends: str = "OK",
        numbers_stay: bool = False,
        answered: Collection[int] = (),
        silently: tuple[list[int], Callable[[frozenset[str]], frozenset[str]]] | None = None,
        tagged: bool = True,
    ) -> Answer:
        """Send a command and check its answer; then check the updates that the others receive."""
        client.begin(answered, silently[0] if silently else ())
        octets = command if isinstance(command, bytes) else command.encode("ascii")
        *untagged, last = client.read(client.connection.receive_data(b"t " * tagged + octets + b"\r\n"))
        assert isinstance(last, StatusResponse)
        assert (last.tag, last.result in ends.split()) == ("t", True), last
        self.hear(client, untagged, numbers_stay=numbers_stay)
        if silently:
            uids, change = silently
            for uid in uids:
                client.known[uid] = change(client.known[uid])
        client.knows_all = False
        if last.result == "OK" and not client.ended_in:
            client.settled(numbers_stay=numbers_stay)
        self.tell_others(client)
        return Answer(last, untagged)

    def hear(self, client: Client, untagged: Iterable[Response], *, numbers_stay: bool) -> None:
        for response in untagged:
            client.take(response, numbers_stay=numbers_stay)
        if client.connection.ended:
            assert any(isinstance(one, StatusResponse) and one.result == "BYE" for one in untagged)
            client.ended_in = client.box

    def tell_others(self, client: Client) -> None:
        for other in self.clients:
            if other is not client and not other.ended_in:
                untagged = other.read(other.connection.receive_data(b""))
                assert other.idling or not untagged
                other.begin()
                self.hear(other, untagged, numbers_stay=False)
                if other.idling and not other.ended_in:
                    other.settled(numbers_stay=False)

    @invariant()
    def nobody_is_sent_away_without_reason(self) -> None:
        for who, client in enumerate(self.clients):
            if client.ended_in:
                assert client.ended_in.gone
                self.clients[who] = self.login()

    def learn(self, name: str) -> None:
        """Check the UIDVALIDITY of a mailbox, and all other items of STATUS."""
        box = self.mailboxes.boxes[canonical(name)]
        answer = self.say(
            self.clients[2], f'STATUS "{name}" (UIDVALIDITY UIDNEXT MESSAGES UNSEEN RECENT HIGHESTMODSEQ)'
        )
        told = self.status_of(answer)
        self.mailboxes.told_validity(name, told.pop("UIDVALIDITY"))
        box.told_value(box.moment, told.pop("HIGHESTMODSEQ"))
        unseen = sum(SEEN not in message.flags for message in box.messages.values())
        assert told == {
            "UIDNEXT": box.uid_next,
            "MESSAGES": len(box.messages),
            "UNSEEN": unseen,
            "RECENT": len(box.unclaimed),
        }

    @staticmethod
    def status_of(answer: Answer) -> dict[str, int]:
        (values,) = [one.values for one in answer.untagged if isinstance(one, Other) and one.name == "STATUS"]
        assert isinstance(values[1], ListValue)
        pairs = values[1].items
        return {as_text(key): as_number(value) for key, value in zip(pairs[::2], pairs[1::2], strict=True)}

    def chosen(self, client: Client, pairs: Pairs, *, by_uid: bool) -> tuple[str, list[int]] | None:
        """Return a set as text, and the UIDs that it names; None if no sequence number can be named."""
        if by_uid:
            return spans(client.view, pairs)
        count = len(client.view)
        if not count:
            return None
        within = [(1 + low % count, None if high is None else 1 + high % count) for low, high in pairs]
        text, numbers = spans(list(range(1, count + 1)), within)
        return text, [client.view[number - 1] for number in numbers]

    def without_mailbox(self, client: Client, command: str) -> bool:
        """If no mailbox is selected, check that the command is answered BAD; returns whether this was so."""
        if client.box is not None:
            return False
        self.say(client, command, ends="BAD")
        self.select(self.clients.index(client), "INBOX", False, False)
        return True

    # mailboxes

    @rule(who=WHO, name=MOSTLY_INBOX, read_only=OFTEN.map(lambda often: not often), condstore=st.booleans())
    def select(self, who: int, name: str, read_only: bool, condstore: bool) -> None:
        client, box = self.ready(who), self.mailboxes.find(name)
        client.leave()
        client.modseqs |= condstore
        word = f"{'EXAMINE' if read_only else 'SELECT'} {name}{' (CONDSTORE)' if condstore else ''}"
        if box is None:
            self.say(client, word, ends="NO")
            return
        client.enter(box, read_only=read_only)
        answer = self.say(client, word)
        assert answer.status.code == ("READ-ONLY" if read_only else "READ-WRITE")
        (validity,), (uid_next,), (highest,) = map(answer.codes, ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"))
        self.mailboxes.told_validity(name, int(validity))
        box.told_value(box.moment, int(highest))
        assert int(uid_next) == box.uid_next
        unseen = [number for number, uid in enumerate(client.view, 1) if SEEN not in box.messages[uid].flags]
        assert answer.codes("UNSEEN") == [str(number) for number in unseen[:1]]
        counts = [one for one in answer.untagged if isinstance(one, Exists) or getattr(one, "name", "") == "RECENT"]
        assert len(counts) == 2

    @rule(who=WHO, word=st.sampled_from(["CLOSE", "UNSELECT", "LOGOUT"]))
    def leave(self, who: int, word: str) -> None:
        client = self.ready(who)
        if word == "LOGOUT":
            client.leave()
            assert [one.result for one in self.say(client, word).untagged if isinstance(one, StatusResponse)] == ["BYE"]
            self.clients[who] = self.login()
        if self.without_mailbox(self.clients[who], word if word != "LOGOUT" else "CLOSE"):
            return
        box, read_only = client.selected, client.read_only
        client.leave()
        if word == "CLOSE" and not read_only:
            box.remove([uid for uid, message in box.messages.items() if DELETED in message.flags])
        assert not self.say(client, word).untagged

    @rule(who=WHO, changes=CHANGES)
    def change_names(self, who: int, changes: list[tuple[str, str, str]]) -> None:
        for what, name, other in changes:
            if what == "rename":
                self.rename(who, name, other)
            else:
                (self.create if what == "create" else self.delete)(who, name)
            # a session in IDLE ends at once when its mailbox is deleted; the next change needs a new one
            self.nobody_is_sent_away_without_reason()

    def create(self, who: int, name: str) -> None:
        client = self.ready(who)
        if self.mailboxes.find(name):
            self.say(client, f"CREATE {name}", ends="NO")
            return
        self.mailboxes.boxes[name] = Box()
        self.say(client, f"CREATE {name}")
        self.learn(name)

    def delete(self, who: int, name: str) -> None:
        client, box = self.ready(who), self.mailboxes.find(name)
        if box is None or canonical(name) == "INBOX":
            self.say(client, f"DELETE {name}", ends="NO")
            return
        if client.box is box:
            client.leave()
        box.gone = True
        del self.mailboxes.boxes[name]
        self.say(client, f"DELETE {name}")

    def rename(self, who: int, old: str, new: str) -> None:
        client = self.ready(who)
        renamed = self.mailboxes.renamed(old, new)
        if renamed is None:
            self.say(client, f"RENAME {old} {new}", ends="NO")
            return
        boxes = self.mailboxes.boxes
        if not renamed:
            # RFC 3501, 6.3.5: INBOX stays, and its messages move
            inbox, boxes[new] = boxes["INBOX"], Box()
            boxes[new].add((message.text, message.flags) for message in inbox.messages.values())
            inbox.remove(list(inbox.messages))
            self.say(client, f"RENAME {old} {new}")
            self.learn(new)
            return
        self.mailboxes.boxes = {renamed.get(name, name): box for name, box in boxes.items()}
        self.say(client, f"RENAME {old} {new}")
        for name in renamed.values():
            self.learn_renamed(name)

    def learn_renamed(self, name: str) -> None:
        """Check the UIDVALIDITY after RENAME: it stays, unless the new name had a greater one before."""
        box = self.mailboxes.boxes[canonical(name)]
        validity = self.status_of(self.say(self.clients[2], f"STATUS {name} (UIDVALIDITY)"))["UIDVALIDITY"]
        if validity != box.validity:
            assert box.validity is not None
            assert any(owned == name and other > box.validity for owned, other in self.mailboxes.owners)
            box.gone = True
            again = self.mailboxes.boxes[name] = Box()
            again.messages, again.uid_next, again.moment = box.messages, box.uid_next, box.moment
            again.unclaimed, again.values = box.unclaimed, box.values
        self.learn(name)

    @rule(who=WHO, name=NAMES, takes=OFTEN)
    def subscribe(self, who: int, name: str, takes: bool) -> None:
        client, subscribed = self.ready(who), self.mailboxes.subscribed
        known = self.mailboxes.known(name)
        if takes and known:
            subscribed.add(canonical(name))
        if not takes:
            subscribed.discard(canonical(name))
        self.say(client, f"{'' if takes else 'UN'}SUBSCRIBE {name}", ends="NO" if takes and not known else "OK")
        listed = self.say(client, 'LSUB "" "*"').untagged
        assert {one.mailbox for one in listed if isinstance(one, Listed)} == subscribed

    @rule(who=WHO, name=NAMES, with_modseq=st.booleans())
    def status(self, who: int, name: str, with_modseq: bool) -> None:
        client, box = self.ready(who), self.mailboxes.find(name)
        if box is None:
            self.say(client, f"STATUS {name} (MESSAGES)", ends="NO")
            return
        client.modseqs |= with_modseq
        told = self.status_of(
            self.say(client, f"STATUS {name} (UNSEEN UIDNEXT{' HIGHESTMODSEQ' if with_modseq else ''})")
        )
        if with_modseq:
            box.told_value(box.moment, told.pop("HIGHESTMODSEQ"))
        unseen = sum(SEEN not in message.flags for message in box.messages.values())
        assert told == {"UNSEEN": unseen, "UIDNEXT": box.uid_next}

    # messages

    @rule(who=WHO, name=NAMES, messages=st.lists(FLAGS, min_size=1, max_size=2))
    def append(self, who: int, name: str, messages: list[list[str]]) -> None:
        client, box = self.ready(who), self.mailboxes.find(name)
        new = []
        command = f"APPEND {name}"
        for flags in messages:
            self.messages += 1
            text = f"Subject: {self.messages}\r\n\r\n"
            command += f" ({' '.join(flags)}) {{{len(text)}+}}\r\n{text}"
            new.append((text, flags))
        if box is None:
            assert self.say(client, command, ends="NO").status.code == "TRYCREATE"
            return
        uids = box.add(new)
        validity, told = self.say(client, command).status.code_arguments.split()
        self.mailboxes.told_validity(name, int(validity))
        assert numbers_of(told) == uids

    @rule(
        who=WHO,
        pairs=PAIRS,
        by_uid=st.booleans(),
        mode=st.sampled_from("+- "),
        flags=FLAGS,
        silent=st.booleans(),
        since=SINCE,
    )
    def store_flags(
        self, who: int, pairs: Pairs, by_uid: bool, mode: str, flags: list[str], silent: bool, since: int | None
    ) -> None:
        client = self.ready(who)
        if self.without_mailbox(client, "STORE 1 FLAGS x") or not (chosen := self.chosen(client, pairs, by_uid=by_uid)):
            return
        written, uids = chosen
        mode = mode.strip()
        command = f"{'UID ' * by_uid}STORE {written} "
        end = f"{mode}FLAGS{'.SILENT' * silent} ({' '.join(flags)})"
        if client.read_only:
            self.say(client, command + end, ends="NO", numbers_stay=not by_uid)
            return
        box = client.selected
        moment = None
        if since is not None:
            client.modseqs = True
            moment, value = ([(0, 0), *sorted(box.values.items())] * 10)[since]
            command += f"(UNCHANGEDSINCE {value}) "
        gone = [uid for uid in uids if uid not in box.messages]
        stored, failed = box.store(uids, mode, flags, moment)
        own = (stored, lambda known: self.changed(known, mode, flags)) if silent else None
        answer = self.say(
            client,
            command + end,
            ends="OK NO" if gone else "OK",
            numbers_stay=not by_uid,
            silently=own,
            answered=[] if silent else stored,
        )
        names = failed if by_uid else [client.view.index(uid) + 1 for uid in failed]
        assert [numbers_of(told) for told in answer.codes("MODIFIED")] == [names] * bool(failed)
        self.check_fetched(client, answer, stored, set() if silent else {"FLAGS"}, by_uid=by_uid)

    @staticmethod
    def changed(known: frozenset[str], mode: str, flags: list[str]) -> frozenset[str]:
        given = frozenset(flag.lower() for flag in flags)
        return known | given if mode == "+" else known - given if mode == "-" else given

    def check_fetched(self, client: Client, answer: Answer, uids: list[int], wanted: set[str], *, by_uid: bool) -> None:
        """Check that every message got a response with all requested items, and with its UID after a UID command."""
        if answer.status.result == "OK":
            items = wanted | ({"UID"} if by_uid else set())
            assert set(uids) <= {uid for uid, names in client.fetched if items <= names} or not wanted

    @rule(who=WHO, marks=PAIRS)
    def mark_and_expunge(self, who: int, marks: Pairs) -> None:
        self.store_flags(who, marks, True, "+", ["\\Deleted"], True, None)
        self.expunge(who, None)

    @rule(who=WHO, pairs=st.none() | PAIRS)
    def expunge(self, who: int, pairs: Pairs | None) -> None:
        client = self.ready(who)
        if self.without_mailbox(client, "EXPUNGE"):
            return
        box, (written, among) = client.selected, spans(client.view, pairs or [(1, None)])
        command = "EXPUNGE" if pairs is None else f"UID EXPUNGE {written}"
        if client.read_only:
            self.say(client, command, ends="NO")
            return
        box.remove(
            [
                uid
                for uid, message in box.messages.items()
                if DELETED in message.flags and (pairs is None or uid in among)
            ]
        )
        self.say(client, command)

    @rule(who=WHO, pairs=PAIRS, by_uid=st.booleans(), name=NAMES, moves=st.booleans())
    def copy_or_move(self, who: int, pairs: Pairs, by_uid: bool, name: str, moves: bool) -> None:
        client, target = self.ready(who), self.mailboxes.find(name)
        word = "MOVE" if moves else "COPY"
        if self.without_mailbox(client, f"{word} 1 a") or not (chosen := self.chosen(client, pairs, by_uid=by_uid)):
            return
        written, uids = chosen
        box = client.selected
        command = f"{'UID ' * by_uid}{word} {written} {name}"
        there = [uid for uid in uids if uid in box.messages]
        refused = moves and client.read_only
        if target is None or refused or (len(there) < len(uids) and not by_uid):
            status = self.say(client, command, ends="NO").status
            assert refused or target or status.code == "TRYCREATE"
            return
        new = target.add((box.messages[uid].text, box.messages[uid].flags) for uid in there)
        if moves:
            box.remove(there)
        answer = self.say(client, command)
        told = [code.split() for code in answer.codes("COPYUID")]
        if told:
            ((validity, old_set, new_set),) = told
            self.mailboxes.told_validity(name, int(validity))
            assert (numbers_of(old_set), numbers_of(new_set)) == (there, new)
        assert bool(told) == bool(there)
        names = [getattr(one, "name", getattr(one, "code_name", "")) for one in answer.untagged]
        if moves and there:
            # RFC 6851, 4.3
            assert names.index("COPYUID") < names.index("EXPUNGE")

    @rule(
        who=WHO,
        pairs=PAIRS,
        by_uid=st.booleans(),
        items=st.sampled_from(
            [
                "FLAGS",
                "UID",
                "(UID FLAGS)",
                "(FLAGS MODSEQ)",
                "MODSEQ",
                "BODY[]",
                "(FLAGS BODY.PEEK[])",
                "(BODY[] FLAGS)",
            ]
        ),
        since=SINCE,
    )
    def fetch(self, who: int, pairs: Pairs, by_uid: bool, items: str, since: int | None) -> None:
        client = self.ready(who)
        if self.without_mailbox(client, "FETCH 1 FLAGS") or not (chosen := self.chosen(client, pairs, by_uid=by_uid)):
            return
        written, uids = chosen
        box = client.selected
        command = f"{'UID ' * by_uid}FETCH {written} {items}"
        wanted = set(items.strip("()").replace(".PEEK", "").split())
        there = [uid for uid in uids if uid in box.messages]
        if since is not None:
            moment, value = ([*sorted(box.values.items())] * 10)[since]
            command += f" (CHANGEDSINCE {value})"
            wanted.add("MODSEQ")
            there = [uid for uid in there if box.messages[uid].changed > moment]
        client.modseqs |= "MODSEQ" in wanted
        if "BODY[]" in items and not client.read_only:
            box.store(there, "+", ["\\Seen"], None)
        gone = set(uids) - box.messages.keys()
        answer = self.say(client, command, ends="OK NO" if gone else "OK", numbers_stay=not by_uid, answered=there)
        self.check_fetched(client, answer, there, wanted, by_uid=by_uid)
        assert all(uid in there for uid, names in client.fetched if names - {"FLAGS", "UID", "MODSEQ"})

    @rule(
        who=WHO,
        pairs=PAIRS,
        by_uid=st.booleans(),
        keys=st.lists(st.integers(0, 13), min_size=1, max_size=2),
        extended=st.booleans(),
        since=SINCE,
    )
    def search(self, who: int, pairs: Pairs, by_uid: bool, keys: list[int], extended: bool, since: int | None) -> None:
        client = self.ready(who)
        if self.without_mailbox(client, "SEARCH ALL"):
            return
        box = client.selected
        by_uids, among = spans(client.view, pairs)
        numbers, numbered = self.chosen(client, pairs, by_uid=False) or ("ALL", client.view)
        tests: list[tuple[str, Callable[[int, frozenset[str]], bool]]] = [
            ("SEEN", lambda _uid, flags: SEEN in flags),
            ("UNSEEN", lambda _uid, flags: SEEN not in flags),
            ("DELETED", lambda _uid, flags: DELETED in flags),
            ("KEYWORD Work", lambda _uid, flags: "work" in flags),
            ("UNKEYWORD x", lambda _uid, flags: "x" not in flags),
            ("RECENT", lambda uid, _flags: uid in client.recent),
            ("OLD", lambda uid, _flags: uid not in client.recent),
            ("NEW", lambda uid, flags: uid in client.recent and SEEN not in flags),
            ("NOT DELETED", lambda _uid, flags: DELETED not in flags),
            ("OR SEEN KEYWORD x", lambda _uid, flags: SEEN in flags or "x" in flags),
            (f"UID {by_uids}", lambda uid, _flags: uid in among),
            (f"NOT UID {by_uids}", lambda uid, _flags: uid not in among),
            (numbers, lambda uid, _flags: uid in numbered),
            (f"(UNDELETED {numbers})", lambda uid, flags: DELETED not in flags and uid in numbered),
        ]
        asked = [tests[key] for key in keys]
        if since is not None:
            client.modseqs = True
            moment, value = ([*sorted(box.values.items())] * 10)[since]
            asked.append((f"MODSEQ {value}", lambda uid, _flags: box.messages[uid].changed >= moment))
        found = [
            (number, uid)
            for number, uid in enumerate(client.view, 1)
            if uid in box.messages and all(test(uid, box.messages[uid].flags) for _, test in asked)
        ]
        shown = [uid if by_uid else number for number, uid in found]
        wanted = "RETURN (MIN MAX ALL COUNT) " if extended else ""
        command = f"{'UID ' * by_uid}SEARCH {wanted}{' '.join(key for key, _ in asked)}"
        newest = max((box.messages[uid].changed for _, uid in found), default=0)
        answer = self.say(client, command, numbers_stay=not by_uid)
        if not extended:
            assert [sorted(one.numbers) for one in answer.untagged if isinstance(one, SearchResponse)] == [shown]
            return
        told = self.extended_result(answer, by_uid=by_uid)
        assert told.pop("COUNT") == str(len(shown))
        assert numbers_of(told.pop("ALL", "")) == shown
        if since is not None and shown:
            # RFC 7162, 3.1.5: the highest mod-sequence of the messages that were found
            box.told_value(newest, int(told.pop("MODSEQ")))
        assert told == ({"MIN": str(shown[0]), "MAX": str(shown[-1])} if shown else {})

    @staticmethod
    def extended_result(answer: Answer, *, by_uid: bool) -> dict[str, str]:
        (values,) = [one.values for one in answer.untagged if isinstance(one, Other) and one.name == "ESEARCH"]
        tag, *words = values
        assert isinstance(tag, ListValue)
        assert [as_text(word) for word in tag.items] == ["TAG", "t"]
        texts = [as_text(word) for word in words]
        assert texts[:1] == ["UID"] * by_uid or not by_uid
        return dict(zip(texts[by_uid::2], texts[by_uid + 1 :: 2], strict=True))

    @rule(who=WHO, word=st.sampled_from(["FETCH {} FLAGS", "STORE {} FLAGS x", "COPY {} a", "MOVE {} a"]))
    def name_nobody(self, who: int, word: str) -> None:
        """Check that a sequence number that no message has is an error and changes nothing."""
        client = self.ready(who)
        if client.box is not None:
            self.say(client, word.format(len(client.view) + 1), ends="BAD NO", numbers_stay=True)

    @rule(who=WHO)
    def search_beyond_mailbox(self, who: int) -> None:
        """Check that a sequence number that no message has finds nothing in SEARCH, and is no error there."""
        client = self.ready(who)
        if client.box is not None:
            answer = self.say(client, f"SEARCH {len(client.view) + 1}", numbers_stay=True)
            assert [one.numbers for one in answer.untagged if isinstance(one, SearchResponse)] == [()]

    # updates from other sessions

    @rule(who=WHO, word=st.sampled_from(["NOOP", "CHECK", "NOOP"]))
    def hear_news(self, who: int, word: str) -> None:
        client = self.ready(who)
        if word == "NOOP" or not self.without_mailbox(client, word):
            self.say(client, word)

    @rule(who=WHO)
    def idle(self, who: int) -> None:
        client = self.ready(who)
        client.idling = True
        client.begin()
        untagged = client.read(client.connection.receive_data(b"t IDLE\r\n"))
        assert not any(isinstance(one, StatusResponse) and one.tag for one in untagged)
        self.hear(client, untagged, numbers_stay=False)
        client.settled(numbers_stay=False)

    @rule()
    def look_at_everything(self) -> None:
        """Check that after NOOP both sessions know all messages of their mailbox."""
        for who in (0, 1):
            client = self.ready(who)
            self.say(client, "NOOP")
            if client.box and client.view:
                self.say(client, "FETCH 1:* (UID FLAGS BODY.PEEK[])", numbers_stay=True, answered=client.view)
                assert [uid for uid, _ in client.fetched] == sorted(client.box.messages)
        for name in self.mailboxes.boxes:
            self.learn(name)
        listed = self.say(self.clients[2], 'LIST "" "*"').untagged
        names = {one.mailbox for one in listed if isinstance(one, Listed) and "\\Noselect" not in one.flags}
        assert names == set(self.mailboxes.boxes)


def numbers_of(written: str) -> list[int]:
    """Return the numbers in a set."""
    found: list[int] = []
    for low, high in re.findall(r"(\d+)(?::(\d+))?", written):
        found += range(int(low), int(high or low) + 1)
    return found


def run(make_store: Callable[[Path], Store], examples: int) -> None:
    class OnThisStore(TwoSessions):
        def __init__(self) -> None:
            super().__init__(make_store)

    run_state_machine_as_test(
        OnThisStore,
        settings=settings(max_examples=examples, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
    )


def test_two_sessions_on_a_store_in_memory() -> None:
    run(lambda _folder: MemoryStore(), EXAMPLES)


def test_two_sessions_on_a_store_on_disk() -> None:
    run(SqliteStore, max(EXAMPLES // 4, 1))
