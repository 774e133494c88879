"""Two sessions whose calls of the store are interleaved in any way: the updates of each add up to the mailbox.

The store carries out one call after another. The sessions receive the results in the same order, but later: between a
change and the moment when its session continues, another session may have queried the store.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import ServerConnection
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.service import ImapService
from lemonade_imap.testing.job_queue import JobQueue, StoreJob
from lemonade_imap.testing.memory_store import MemoryStore
from lemonade_imap.testing.messages import mailbox_of
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived
from lemonade_wire.imap.lexer import ListValue, as_text
from lemonade_wire.imap.response import (
    Continuation,
    Exists,
    FetchResponse,
    Other,
    Response,
    StatusResponse,
    parse_response,
)
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

COMMANDS = st.sampled_from(
    [
        b"NOOP",
        b"CHECK",
        b"FETCH 1:* FLAGS",
        b"FETCH 1:* (UID FLAGS)",
        b"UID FETCH 1:* FLAGS",
        b"FETCH 2 BODY[]",
        b"UID FETCH 2:3 (FLAGS BODY[])",
        b"STORE 1 +FLAGS \\Deleted",
        b"STORE 2:* FLAGS (work)",
        b"UID STORE 2:3 +FLAGS (\\Deleted other)",
        b"UID STORE 1:* -FLAGS (\\Deleted)",
        b"EXPUNGE",
        b"UID EXPUNGE 2:4",
        b"COPY 1 INBOX",
        b"UID COPY 1:* a",
        b"MOVE 1 a",
        b"UID MOVE 2:4 INBOX",
        b"SEARCH ALL",
        b"UID SEARCH DELETED",
        b"APPEND INBOX {1+}\r\nx",
        b"APPEND INBOX (\\Deleted) {1+}\r\nx {1+}\r\ny",
        b"IDLE",
    ]
)
NUMBERS_STAY = (b"FETCH", b"STORE", b"SEARCH")


class Talker:
    """A session of joe and its client, which records each message as the server described it."""

    def __init__(self, room: Room, service: ImapService) -> None:
        trace = Trace("imap", None, Redactor(""))
        self.connection = ServerConnection(service, self, trace, ("127.0.0.1:143", "127.0.0.1:1"), lambda: 0.0)
        self.connection.session.log_in("joe")
        self.connection.session.wake = lambda: room.woken.append(self)
        self.messages: list[dict[str, Any]] = []
        self.command = b""
        self.answered = True
        self._framer = LineFramer(FramerRole.CLIENT)

    async def write(self, octets: bytes) -> None:
        self._framer.receive_data(octets)
        while (event := self._framer.next_event()) is not None:
            assert isinstance(event, LineReceived)
            self._take(parse_response(event.line))

    def _take(self, response: Response) -> None:
        match response:
            case StatusResponse(tag) if tag is not None:
                self.answered = True
            case Continuation():
                assert self.command == b"IDLE"
            case Exists(count):
                assert count >= len(self.messages)
                self.messages += [{} for _ in range(count - len(self.messages))]
            case Other("EXPUNGE", int(number)):
                assert not self.command.startswith(NUMBERS_STAY), self.command
                del self.messages[number - 1]
            case FetchResponse(number, uid=uid, items=items):
                message = self.messages[number - 1]
                if uid is not None:
                    assert message.setdefault("UID", uid) == uid
                if "FLAGS" in items:
                    flags = items["FLAGS"]
                    assert isinstance(flags, ListValue)
                    message["FLAGS"] = {as_text(flag) for flag in flags.items}


class Room:
    """The store, the jobs that wait for it, and two sessions."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.queue = JobQueue()
        self.done: list[StoreJob] = []
        self.woken: list[Talker] = []
        service = ImapService(Backend(ServerConfig(), self.store, self.queue))
        self.talkers = (Talker(self, service), Talker(self, service))
        self._works: dict[StoreJob, tuple[Talker, Coroutine[Any, Any, None]]] = {}

    def give(self, talker: Talker, command: bytes) -> None:
        """Send a command to a session that has answered the command before."""
        octets = b"t " + command
        if talker.connection.session.idling:
            octets = b"DONE"
        else:
            talker.command = command
        talker.answered = command == b"IDLE" and octets != b"DONE"
        talker.connection.session.receive_data(octets + b"\r\n")
        self._go_on(talker, talker.connection.pump())

    def is_free(self, talker: Talker) -> bool:
        """Tell whether the session carries out no command."""
        return all(other is not talker for other, _ in self._works.values())

    def work(self) -> None:
        """Carry out the oldest waiting job of the store."""
        if self.queue.jobs:
            self.done.append(self.queue.work())

    def hear(self) -> None:
        """Continue the session whose job was carried out first; sessions in IDLE then get their updates."""
        if self.done:
            self._go_on(*self._works.pop(self.done.pop(0)))
        woken, self.woken = self.woken, []
        for talker in woken:
            if self.is_free(talker):
                self._go_on(talker, talker.connection.pump())

    def settle(self) -> None:
        """Carry out all jobs and continue all sessions until none waits."""
        while self.queue.jobs or self.done or self.woken:
            self.work()
            self.hear()

    def say(self, talker: Talker, command: bytes) -> None:
        """Send a command and continue until no session waits."""
        self.give(talker, command)
        self.settle()
        assert talker.answered

    def _go_on(self, talker: Talker, work: Coroutine[Any, Any, None]) -> None:
        with suppress(StopIteration):
            self._works[work.send(None)] = (talker, work)


STEPS = st.lists(
    st.one_of(st.tuples(st.integers(0, 1), COMMANDS), st.sampled_from(["work", "hear", "work", "hear", "settle"])),
    min_size=15,
    max_size=100,
)


@settings(max_examples=int(os.environ.get("LEMONADE_EXAMPLES", "150")))
@given(STEPS)
def test_the_updates_of_each_session_add_up_to_the_mailbox(steps: list[tuple[int, bytes] | str]) -> None:
    room = Room()
    room.say(room.talkers[0], b"CREATE a")
    room.say(room.talkers[0], b"APPEND INBOX {1+}\r\n1 {1+}\r\n2 (work) {1+}\r\n3 (\\Deleted) {1+}\r\n4")
    for talker in room.talkers:
        room.say(talker, b"SELECT INBOX")
    assert [len(talker.messages) for talker in room.talkers] == [4, 4]
    for step in steps:
        if not isinstance(step, str):
            talker = room.talkers[step[0]]
            if room.is_free(talker):
                room.give(talker, step[1])
        else:
            {"work": room.work, "hear": room.hear, "settle": room.settle}[step]()
    room.settle()
    for talker in room.talkers:
        if talker.connection.session.idling:
            room.say(talker, b"DONE")
    mailbox = mailbox_of(room.store)
    there = {summary.uid: summary.flags for summary in room.store.summaries(mailbox)}
    recent: list[int] = []
    for talker in room.talkers:
        room.say(talker, b"NOOP")
        known = [dict(message) for message in talker.messages]
        assert len(known) == len(there)
        room.say(talker, b"UID FETCH 1:* FLAGS")
        assert [message["UID"] for message in talker.messages] == sorted(there)
        for before, now in zip(known, talker.messages, strict=True):
            assert before.get("UID", now["UID"]) == now["UID"]
            assert before.get("FLAGS", now["FLAGS"]) == now["FLAGS"], "a change of flags was not told"
            assert now["FLAGS"] - {"\\Recent"} == there[now["UID"]]
        recent += [message["UID"] for message in talker.messages if "\\Recent" in message["FLAGS"]]
    assert len(recent) == len(set(recent)), "recent in both"
