"""Commands of two sessions whose visits to the store are interleaved in any way: what each is told still adds up.

The store does one piece of work after the other, and the sessions hear of it in that order, but later: between a change
and the moment its session goes on, others may have looked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.connection import Connection
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.service import Service
from lemonade_imap.store.memory import MemoryStore
from lemonade_wire.imap.framing import LineFramer, LineReceived, Role
from lemonade_wire.imap.lexer import as_text
from lemonade_wire.imap.response import Continuation, Exists, Fetch, Other, Response, Status, parse_response
from lemonade_wire.redact import Redactor
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


class Job:
    """Work for the store: awaiting it yields it to whoever drives."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.problem: Exception | None = None

    def __await__(self) -> Generator[Job, None, Any]:
        yield self
        if self.problem is not None:
            raise self.problem
        return self.result

    def do(self) -> None:
        try:
            self.result = self.work()
        except Exception as problem:  # it is raised where it is awaited
            self.problem = problem


class Talker:
    """A session of joe's and its client, which keeps of each message what it was told."""

    def __init__(self, room: Room, service: Service) -> None:
        trace = Trace("imap", None, Redactor(""))
        self.connection = Connection(service, self, trace, ("127.0.0.1:143", "127.0.0.1:1"), lambda: 0.0)
        self.connection.session.log_in("joe")
        self.connection.session.wake = lambda: room.woken.append(self)
        self.messages: list[dict[str, Any]] = []
        self.command = b""
        self.answered = True
        self._framer = LineFramer(Role.CLIENT)

    async def write(self, octets: bytes) -> None:
        self._framer.receive_data(octets)
        while (event := self._framer.next_event()) is not None:
            assert isinstance(event, LineReceived)
            self._take(parse_response(event.line))

    async def turn(self) -> None:
        """There is no reactor."""

    def _take(self, response: Response) -> None:
        match response:
            case Status(tag) if tag is not None:
                self.answered = True
            case Continuation():
                assert self.command == b"IDLE"
            case Exists(count):
                assert count >= len(self.messages)
                self.messages += [{} for _ in range(count - len(self.messages))]
            case Other("EXPUNGE", int(number)):
                assert not self.command.startswith(NUMBERS_STAY), self.command
                del self.messages[number - 1]
            case Fetch(number, uid=uid, items=items):
                message = self.messages[number - 1]
                if uid is not None:
                    assert message.setdefault("UID", uid) == uid
                if "FLAGS" in items:
                    message["FLAGS"] = {as_text(flag) for flag in items["FLAGS"].items}


class Room:
    """The store, what waits for it, and two talkers."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.waiting: list[Job] = []
        self.done: list[Job] = []
        self.woken: list[Talker] = []
        service = Service(Backend(ServerConfig(), self.store, self))
        self.talkers = (Talker(self, service), Talker(self, service))
        self._works: dict[Job, tuple[Talker, Coroutine[Any, Any, None]]] = {}

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Job:  # noqa: ANN401  a `Runner`
        self.waiting.append(Job(partial(function, *args, **kwargs)))
        return self.waiting[-1]

    def give(self, talker: Talker, command: bytes) -> None:
        """Give a command to a session that has answered the one before."""
        octets = b"t " + command
        if talker.connection.session.idling:
            octets = b"DONE"
        else:
            talker.command = command
        talker.answered = command == b"IDLE" and octets != b"DONE"
        talker.connection.session.receive_data(octets + b"\r\n")
        self._go_on(talker, talker.connection.pump())

    def is_free(self, talker: Talker) -> bool:
        """Tell whether nothing is being carried out for a session."""
        return all(other is not talker for other, _ in self._works.values())

    def work(self) -> None:
        """Have the store do what waits longest."""
        if self.waiting:
            job = self.waiting.pop(0)
            job.do()
            self.done.append(job)

    def hear(self) -> None:
        """Have the session go on whose work was done first; those that idle are told when they are free."""
        if self.done:
            self._go_on(*self._works.pop(self.done.pop(0)))
        woken, self.woken = self.woken, []
        for talker in woken:
            if self.is_free(talker):
                self._go_on(talker, talker.connection.pump())

    def settle(self) -> None:
        """Go on until nobody waits."""
        while self.waiting or self.done or self.woken:
            self.work()
            self.hear()

    def say(self, talker: Talker, command: bytes) -> None:
        """Give a command and go on until nobody waits."""
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
def test_what_each_is_told_adds_up_to_what_is_there(steps: list[tuple[int, bytes] | str]) -> None:
    room = Room()
    room.say(room.talkers[0], b"CREATE a")
    room.say(room.talkers[0], b"APPEND INBOX {1+}\r\n1 {1+}\r\n2 (work) {1+}\r\n3 (\\Deleted) {1+}\r\n4")
    for talker in room.talkers:
        room.say(talker, b"SELECT INBOX")
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
    mailbox = room.store.mailbox("joe", "INBOX")
    assert mailbox is not None
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
