"""Splitting a SIP stream that comes in pieces of any size: the messages are whole and no octet is lost or added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_testbed.relay.reading import MAX_HEAD, STREAM, SipFramer

INFO = b"INFO sip:x SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Length: 10\r\n\r\nSignal=6\r\n"
OK = b"SIP/2.0 200 OK\r\nCSeq: 2 INFO\r\nl : 0\r\n\r\n"
BARE = b"BYE sip:x SIP/2.0\nCSeq: 3 BYE\ncontent-length:3\n\n\r\n\r"
MESSAGES = (INFO, OK, BARE)


@given(st.lists(st.sampled_from(MESSAGES), max_size=5), st.lists(st.integers(1, 30), max_size=60))
def test_messages_are_returned_whole_for_pieces_of_any_size(messages: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(messages)
    framer, found, at = SipFramer(), [], 0
    for size in [*sizes, len(stream)]:
        found += framer.receive(stream[at : at + size])
        at += size
    assert [data for _, data in found] == messages
    labels = {INFO: "SIP INFO", OK: "SIP 200 INFO", BARE: "SIP BYE"}
    assert [message.label for message, _ in found] == [labels[data] for data in messages]
    assert all(message.stream for message, _ in found)
    assert framer.rest() == b""


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from((*MESSAGES, INFO[:40], b"\r\n\r\n"))), max_size=12))
def test_not_an_octet_is_lost_or_added(pieces: list[bytes]) -> None:
    framer = SipFramer()
    given_back = [one for piece in pieces for one in framer.receive(piece)]
    assert b"".join(data for _, data in given_back) + framer.rest() == b"".join(pieces)
    assert framer.rest() == b""


def test_empty_lines_are_pieces_of_their_own_and_leave_at_once() -> None:
    framer = SipFramer()
    assert framer.receive(b"\r\n\r\n") == [(STREAM, b"\r\n\r\n")]
    assert [data for _, data in framer.receive(b"\r\n" + INFO + b"\r\n")] == [b"\r\n", INFO, b"\r\n"]


@pytest.mark.parametrize(
    "strange",
    [
        b"INFO sip:x SIP/2.0\r\nCSeq: 2 INFO\r\n\r\nbody",
        b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"x" * (MAX_HEAD + 1),
        b"this is\r\nno SIP",
        b"INFO sip:x SIP/2.0\r\nX: Content-Length: 3\r\n\r\n",
    ],
)
def test_after_octets_that_are_no_sip_message_all_octets_pass_as_they_come(strange: bytes) -> None:
    framer = SipFramer()
    assert framer.receive(INFO + strange)[1:] == [(STREAM, strange)]
    assert framer.receive(INFO[:20]) == [(STREAM, INFO[:20])]
    assert framer.receive(INFO) == [(STREAM, INFO)]
