"""The IMAP client of the differential tests, against a server that answers from a list."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from differential.talk import Talk
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine

Exchange = list[tuple[bytes, bytes]]


@contextmanager
def server(*exchange: tuple[bytes, bytes]) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Greet, then for each pair read what ends with the first and answer the second; close at the end."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"* OK hello\r\n")
            for end, answer in exchange:
                got = b""
                while not got.endswith(end):
                    got += connection.recv(1)
                heard.append(got)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname(), heard
    finally:
        thread.join()
        listener.close()


def texts(lines: list[LogicalLine]) -> list[bytes]:
    return [line.text for line in lines]


def test_a_literal_is_sent_after_the_continuation_request() -> None:
    with (
        server((b"{3}\r\n", b"+ go\r\n"), (b"abc\r\n", b"* 1 EXISTS\r\nt1 OK done\r\n")) as (address, heard),
        Talk(address) as talk,
    ):
        assert texts(talk.greeting()) == [b"* OK hello"]
        tag, lines = talk.command(LogicalLine.of(b"APPEND a ", ImapLiteral.of(b"abc"), b""))
        assert (tag, texts(lines)) == ("t1", [b"* 1 EXISTS", b"t1 OK done"])
    assert heard == [b"t1 APPEND a {3}\r\n", b"abc\r\n"]


def test_a_literal_that_is_refused_is_not_sent() -> None:
    with (
        server((b"{3}\r\n", b"t1 NO too big\r\n"), (b"NOOP\r\n", b"t2 OK\r\n")) as (address, heard),
        Talk(address) as talk,
    ):
        talk.greeting()
        assert texts(talk.command(LogicalLine.of(b"A ", ImapLiteral.of(b"abc"), b""))[1]) == [b"t1 NO too big"]
        talk.command(LogicalLine.of(b"NOOP"))
    assert heard[1] == b"t2 NOOP\r\n"


def test_a_raw_line_continues_the_waiting_command() -> None:
    with (
        server((b"IDLE\r\n", b"+ idling\r\n"), (b"DONE\r\n", b"* 2 EXISTS\r\nt1 OK\r\n")) as (address, heard),
        Talk(address) as talk,
    ):
        talk.greeting()
        assert texts(talk.command(LogicalLine.of(b"IDLE"))[1]) == [b"+ idling"]
        tag, lines = talk.raw(LogicalLine.of(b"DONE"))
        assert (tag, texts(lines)) == ("t1", [b"* 2 EXISTS", b"t1 OK"])
    assert heard[1] == b"DONE\r\n"


def test_a_line_without_a_tag_is_followed_by_one_that_has_an_answer() -> None:
    with server((b"NOOP\r\n", b"* BAD what\r\nt1 OK\r\n")) as (address, heard), Talk(address) as talk:
        talk.greeting()
        assert texts(talk.raw(LogicalLine.of(b"nonsense"))[1]) == [b"* BAD what"]
    assert heard == [b"nonsense\r\nt1 NOOP\r\n"]


def test_a_closed_connection_is_noted() -> None:
    with server((b"NOOP\r\n", b"* BYE gone\r\n")) as (address, _), Talk(address) as talk:
        talk.greeting()
        assert texts(talk.command(LogicalLine.of(b"NOOP"))[1]) == [b"* BYE gone"]
        assert (talk.closed, talk.silent) == (True, False)


def test_a_server_that_does_not_answer_in_time_is_noted_as_silent() -> None:
    with server((b"NOOP\r\n", b""), (b"bye", b"")) as (address, _), Talk(address, patience=0.2) as talk:
        talk.greeting()
        assert talk.command(LogicalLine.of(b"NOOP"))[1] == []
        assert (talk.closed, talk.silent) == (False, True)
        talk.raw(LogicalLine.of(b"bye"))
