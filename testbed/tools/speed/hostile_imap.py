"""Attacks on the IMAP server: strangers before login, and an account that does its worst beside another one.

Each attack runs in a process of its own while `hostile_control` watches the server. Its connections come from addresses
other than that of the control, within the limits that the server has by default.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from speed.client import BenchConnection, ServerFailedError
from speed.hostile_nodes import PASSWORD, STRANGER, HostilePlace

_MARKS = "\u0301" * 16_383 + "\u0334" * 16_383
"""Combining marks in the wrong order, whose normalisation takes a time that grows with the square of their number."""


def _nothing(_at: HostilePlace) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Attack:
    """An attack on one node: `prepare` fills the node beforehand, `run` goes on until it is ended after `seconds`.

    `fetched`: MB of parts that the media server is allowed to fetch; it may take twice as much besides its limit.
    """

    name: str
    title: str
    run: Callable[[HostilePlace], None]
    node: Literal["imap", "media"] = "imap"
    prepare: Callable[[HostilePlace], None] = _nothing
    seconds: float = 3.0
    fetched: float = 0.0


def _login(at: HostilePlace, number: int = 0) -> BenchConnection:
    connection = BenchConnection(at.imap, at.source(number))
    connection.run(f"LOGIN {STRANGER} {PASSWORD}".encode())
    return connection


def _append(*messages: bytes, mailbox: str = "INBOX") -> bytes:
    literals = b"".join(b" {%d+}\r\n%s" % (len(message), message) for message in messages)
    return f"APPEND {mailbox}".encode() + literals


def _repeat(
    commands: Callable[[int], bytes] | bytes, connections: int = 5, *, select: bool = False
) -> Callable[[HostilePlace], None]:
    """Return an attack in which some connections repeat a command without an end; answers NO and BAD are as good."""
    make = commands if callable(commands) else lambda _number: commands

    def run(at: HostilePlace) -> None:
        opened = [_login(at) for _ in range(connections)]
        numbers = itertools.count()
        for one in opened:
            if select:
                one.run(b"SELECT INBOX")
            one.send(make(next(numbers)))
        while True:
            for one in opened:
                if one.receive() is not None:
                    one.send(make(next(numbers)))

    return run


def _with(*commands: bytes) -> Callable[[HostilePlace], None]:
    """Return a preparation that carries out these commands."""

    def prepare(at: HostilePlace) -> None:
        with _login(at) as connection:
            for command in commands:
                connection.run(command)

    return prepare


def _early(octets: Callable[[int], bytes], connections: int = 100) -> Callable[[HostilePlace], None]:
    """Return an attack in which connections send octets before login, and keep what they have."""

    def run(at: HostilePlace) -> None:
        opened = []
        for number in range(connections):
            made = socket.create_connection(at.imap, 10, (at.source(number // 50), 0))
            made.setblocking(False)
            opened.append(made)
            with suppress(OSError):
                made.send(octets(number))
        while True:
            time.sleep(0.05)
            for one in opened:
                with suppress(OSError):
                    one.recv(65536)

    return run


def _logins(at: HostilePlace) -> None:
    """Log in with wrong and right passwords from 200 addresses, on ten connections of each at most."""
    for number in itertools.count():
        with suppress(OSError):
            made = socket.create_connection(at.imap, 10, (at.source(number), 0))
            word = PASSWORD if number % 2 else "wrong"
            made.sendall(f"a LOGIN {STRANGER} {word}\r\nb LOGIN {STRANGER} {word}\r\n".encode())
            made.setblocking(False)
            _kept.append(made)
        if len(_kept) >= 1000:
            _kept.pop(0).close()


_kept: list[socket.socket] = []


def _connections(at: HostilePlace) -> None:
    """Open and close connections from 200 addresses."""
    for number in itertools.count():
        with suppress(OSError):
            socket.create_connection(at.imap, 10, (at.source(number), 0)).close()


def _pipelined(octets: bytes) -> Callable[[HostilePlace], None]:
    """Return an attack in which 90 connections send commands without waiting for the answers, which they read."""

    def run(at: HostilePlace) -> None:
        opened = [_login(at, number // 90).socket for number in range(90)]
        for one in opened:
            one.setblocking(False)
        while True:
            for one in opened:
                with suppress(BlockingIOError):
                    one.send(octets)
                with suppress(BlockingIOError):
                    one.recv(65536)

    return run


def _unread(at: HostilePlace) -> None:
    """Ask for a large message again and again, and read nothing of it."""
    opened = [_login(at) for _ in range(50)]
    for one in opened:
        one.run(b"SELECT INBOX")
        one.socket.setblocking(False)
    while True:
        for one in opened:
            with suppress(BlockingIOError):
                one.socket.send(b"a FETCH 1 BODY.PEEK[]\r\n")
        time.sleep(0.01)


def _unfinished(at: HostilePlace) -> None:
    """Send commands with a hundred messages each, and not their ends."""
    opened = [_login(at) for _ in range(50)]
    for one in opened:
        one.socket.sendall(b"a " + _append(*[b"a: b\r\n\r\n"] * 100))
    time.sleep(60)


def _parts(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * count


def _deep(count: int) -> Iterator[bytes]:
    """Yield the commands that make mailboxes of 20 levels and 1,000 octets, which have no superiors in common."""
    for number in range(count):
        levels = "/".join(f"{number:04d}{level:02d}{'x' * 43}" for level in range(20))
        yield f'CREATE "{levels[:1000]}"'.encode()


def _words(before: bytes, words: Iterable[bytes], after: bytes) -> bytes:
    return before + b" ".join(words) + after


_PIECES = b"".join(b"; p%d*1=x" % number for number in range(20_000))
_NOTE = b"Subject: note\r\n\r\nnote\r\n"


def _marks(octets: int) -> bytes:
    name = f"a{_MARKS[: octets // 4]}{_MARKS[-octets // 4 :]}".encode()[:octets]
    name = name[: len(name) - (len(name) - 1) % 2]
    return b"a LOGIN {%d+}\r\n%s secret\r\n" % (len(name), name) * 3


def _stored(at: HostilePlace) -> None:
    idle = [_login(at) for _ in range(80)]
    for one in idle:
        one.run(b"SELECT INBOX")
        one.start_idle()
        one.socket.setblocking(False)
    writer = _login(at)
    writer.run(b"SELECT INBOX")
    for number in itertools.count():
        writer.run(b"STORE 1:* %cFLAGS.SILENT (\\Flagged)" % (b"+-"[number % 2]))
        for one in idle:
            with suppress(OSError):
                one.socket.recv(1 << 20)


def run_attack(attack: Attack, at: HostilePlace) -> None:
    """Run an attack; it ends early where the server refuses it or closes its connections."""
    with suppress(OSError, ServerFailedError):
        attack.run(at)


IMAP_ATTACKS: Sequence[Attack] = (
    Attack("idle", "no attack, for comparison", lambda _at: time.sleep(60)),
    Attack(
        "login-marks",
        "LOGIN with 65 KB of combining marks, and with 1,000 octets of them",
        _early(lambda number: _marks(65_001 if number % 2 else 1000)),
    ),
    Attack("login-flood", "right and wrong logins from 200 addresses", _logins),
    Attack("connect-flood", "connections that close at once", _connections),
    Attack(
        "early-lines",
        "lines and literals before login that do not end",
        _early(lambda number: b"a ID (" + b"{9+}\r\n" * (number % 2) + b"x" * 60_000),
    ),
    Attack("pipelined-noop", "NOOP on 90 connections, without a pause", _pipelined(b"a NOOP\r\n" * 2000)),
    Attack(
        "pipelined-select",
        "SELECT and STATUS on 90 connections, without a pause",
        _pipelined(b"a SELECT INBOX\r\nb STATUS INBOX (MESSAGES)\r\n" * 500),
    ),
    Attack(
        "pipelined-long",
        "lines of 60 KB on 90 connections",
        _pipelined(b"a FETCH 1 (" + b"BODY[1.2.3] " * 5000 + b"UID)\r\n"),
    ),
    Attack("list-wildcards", "LIST with 2,000 wildcards", _repeat(b'LIST "" "' + b"*%" * 1000 + b'x"')),
    Attack("list-deep", "LIST of 400 mailboxes of 20 levels", _repeat(b'LIST "" "*"'), prepare=_with(*_deep(400))),
    Attack(
        "list-pattern",
        "LIST of these by a pattern of 900 letters",
        _repeat(b'LIST "" "' + b"*x" * 400 + b'*"'),
        prepare=_with(*_deep(400)),
    ),
    Attack(
        "subscribed",
        "LSUB of 400 names of 20 levels",
        _repeat(b'LSUB "" "%"'),
        prepare=_with(
            *(
                command
                for pair in zip(_deep(400), (c.replace(b"CREATE", b"SUBSCRIBE") for c in _deep(400)), strict=True)
                for command in pair
            )
        ),
    ),
    Attack(
        "append-quotes",
        "a header of 250 KB of backslashes and quotes",
        _repeat(_append(b"From: " + b'\\"' * 120_000 + b"\r\n\r\nx")),
    ),
    Attack(
        "append-comments",
        "a header of 250 KB of opened comments",
        _repeat(_append(b"To: " + b"\\((" * 80_000 + b"\r\n\r\nx")),
    ),
    Attack(
        "append-pieces",
        "20,000 loose pieces of parameters (RFC 2231)",
        _repeat(_append(b"Content-Type: text/plain" + _PIECES + b"\r\n\r\nx")),
    ),
    Attack(
        "append-parts",
        "1,000 parts below a long Content-Type",
        _repeat(
            _append(
                b"Content-Type: multipart/mixed; boundary=b" + _PIECES[:160_000] + b"\r\n\r\n" + b"--b\r\n\r\n" * 1000
            )
        ),
    ),
    Attack("append-many", "a hundred messages of 1,000 parts in one command", _repeat(_append(*[_parts(1000)] * 100))),
    Attack("append-open", "50 commands with 100 messages that do not end", _unfinished),
    Attack(
        "search-header",
        "249 HEADER keys over headers of 63,000 fields",
        _repeat(_words(b"SEARCH ", (b"NOT HEADER x%d y" % number for number in range(249)), b""), select=True),
        prepare=_with(*[_append(b"a:\r\n" * 63_000 + b"\r\nx")] * 2),
    ),
    Attack(
        "search-text",
        "TEXT over 20 MB",
        _repeat(b"SEARCH TEXT nowhere", select=True),
        prepare=_with(_append(b"a: b\r\n\r\n" + (b"some text " * 100 + b"\r\n") * 20_000)),
    ),
    Attack(
        "search-keys",
        "a thousand keys over 2,000 messages",
        _repeat(_words(b"SEARCH ", [b"NOT KEYWORD x"] * 1000, b""), select=True),
        prepare=_with(*[_append(*[_NOTE] * 100)] * 20),
    ),
    Attack(
        "fetch-structures",
        "BODYSTRUCTURE of 50 messages of 1,000 parts",
        _repeat(b"FETCH 1:* (BODYSTRUCTURE ENVELOPE)", select=True),
        prepare=_with(*[_append(_parts(999))] * 50),
    ),
    Attack(
        "fetch-items",
        "900 sections of a message in one command",
        _repeat(
            _words(b"FETCH 1:* (", (b"BODY.PEEK[%d.MIME]" % number for number in range(1, 900)), b")"), select=True
        ),
        prepare=_with(_append(_parts(999))),
    ),
    Attack(
        "sequence-sets",
        "sets of 15,000 numbers over 2,000 messages",
        _repeat(
            _words(b"FETCH ", [b",".join(b"%d" % (1 + number % 2000) for number in range(15_000))], b" (UID)"),
            select=True,
        ),
        prepare=_with(*[_append(*[_NOTE] * 100)] * 20),
    ),
    Attack(
        "store-flags",
        "flags of 2,000 messages, to 80 sessions in IDLE",
        _stored,
        prepare=_with(*[_append(*[_NOTE] * 100)] * 20),
    ),
    Attack(
        "metadata",
        "annotations with long names and values",
        _repeat(
            lambda number: _words(
                b'SETMETADATA "" (',
                (b'/private/%d/%d%s "%s"' % (number % 10, entry, b"x" * 500, b"y" * 500) for entry in range(50)),
                b")",
            )
        ),
    ),
    Attack(
        "genurlauth",
        "URLs of 60 KB",
        _repeat(
            _words(
                b"GENURLAUTH ",
                (
                    b'"imap://joe@imap.example.com/INBOX/;UID=%d;URLAUTH=anonymous" INTERNAL' % number
                    for number in range(1, 600)
                ),
                b"",
            )
        ),
    ),
    Attack(
        "unread",
        "answers of 20 MB that are not read",
        _unread,
        prepare=_with(_append(b"a: b\r\n\r\n" + (b"some text " * 100 + b"\r\n") * 20_000)),
    ),
)
