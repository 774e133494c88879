from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed.client import BenchAnswer, BenchConnection, Reader, ServerFailedError, run_many

PLAIN = b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Seen))\r\ns OK done\r\n"
LITERALS = b'* URLFETCH "u" (BINARY ~{9}\r\ns OK no\r\n)\r\n* OK {3}\r\nabc {0}\r\n\r\ns NO [LIMIT] enough\r\n'
CASES = [
    (b"s OK done\r\n", (b"s OK done", 0, 0)),
    (PLAIN, (b"s OK done", 2, 0)),
    (LITERALS, (b"s NO [LIMIT] enough", 2, 12)),
    (b"* 1 FETCH (BODY[] {4}\r\ns OK)\r\ns OK done\r\n", (b"s OK done", 1, 4)),
]


def read(pieces: list[bytes]) -> BenchAnswer | None:
    reader = Reader()
    for time, piece in enumerate(pieces, 1):
        if reader.take(memoryview(piece), float(time)):
            return reader.answer
    return None


def told(answer: BenchAnswer | None) -> tuple[bytes, int, int] | None:
    return None if answer is None else (answer.status, answer.lines, answer.octets)


@pytest.mark.parametrize(("octets", "expected"), CASES)
def test_an_answer_is_read_whole_and_octet_by_octet(octets: bytes, expected: tuple[bytes, int, int]) -> None:
    assert told(read([octets])) == expected
    assert told(read([octets[at : at + 1] for at in range(len(octets))])) == expected
    assert read([octets[:-1]]) is None


@given(st.sampled_from(CASES), st.lists(st.integers(0, 200), max_size=6))
def test_an_answer_is_the_same_however_it_is_cut(case: tuple[bytes, tuple[bytes, int, int]], cuts: list[int]) -> None:
    octets, expected = case
    places = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    pieces = [octets[a:b] for a, b in pairwise(places)]
    assert told(read(pieces)) == expected


def test_the_first_octet_is_that_of_the_first_literal() -> None:
    answer = read([b'* URLFETCH "u" {2}\r\n', b"a", b"b\r\n", b"s OK done\r\n"])
    assert answer is not None
    assert (answer.first, answer.ended) == (2.0, 4.0)


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """A server that greets and answers every line with one literal, a `no` with NO, and a `bye` with nothing."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK here\r\n")
            for line in lines:
                if b"bye" in line:
                    return
                result = b"NO" if b"no" in line else b"OK"
                connection.sendall(b"* x {3}\r\nabc\r\ns %s said\r\n" % result)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()
    # closing a socket does not end a call of accept on it
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_many_connections_share_the_commands(server: tuple[str, int]) -> None:
    opened = [BenchConnection(server) for _ in range(3)]
    sent: list[int] = []

    def command(number: int) -> bytes:
        sent.append(number)
        return b"do"

    answers = run_many(opened, command, 10)
    assert [told(answer) for answer in answers] == [(b"s OK said", 1, 3)] * 10
    assert sent == list(range(10))
    for connection in opened:
        connection.socket.close()


def test_a_refusal_a_wrong_answer_and_an_end_are_failures(server: tuple[str, int]) -> None:
    with BenchConnection(server) as connection, pytest.raises(ServerFailedError, match="answered no with b's NO said'"):
        connection.run(b"no")
    with BenchConnection(server) as connection, pytest.raises(ServerFailedError, match="with 3 octets"):
        run_many([connection], b"do", 1, good=lambda answer: answer.octets == 4)
    with BenchConnection(server) as connection, pytest.raises(ServerFailedError, match="closed the connection"):
        connection.run(b"bye")


def test_a_server_that_cannot_be_reached_is_an_error() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        address = gone.getsockname()
    with pytest.raises(ServerFailedError, match="cannot be reached"):
        BenchConnection(address)
