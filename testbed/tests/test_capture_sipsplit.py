"""SIP messages out of a stream of octets, whole and cut at every octet."""

from __future__ import annotations

from lemonade_testbed.capture.sipsplit import split_sip

BYE = b"BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
INFO = b"INFO sip:a SIP/2.0\r\nl : 21\r\n\r\nBYE sip:x SIP/2.0\r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n"
STREAM = b"\r\n\r\n" + BYE + INFO + b"\r\n" + OK


def test_messages_are_told_apart_by_their_lengths() -> None:
    assert list(split_sip([(1.0, 7, STREAM)])) == [(1.0, 7, BYE), (1.0, 7, INFO), (1.0, 7, OK)]


def test_cut_at_every_octet_they_are_the_same_with_the_time_of_their_first() -> None:
    octets = [(float(place), place, STREAM[place : place + 1]) for place in range(len(STREAM))]
    starts = [STREAM.index(message) for message in (BYE, INFO, OK)]
    assert list(split_sip(octets)) == [
        (float(start), start, message) for start, message in zip(starts, (BYE, INFO, OK), strict=True)
    ]


def test_a_message_that_is_cut_off_is_none() -> None:
    assert list(split_sip([(1.0, 1, BYE[:-1])])) == []
    assert list(split_sip([(1.0, 1, INFO[:-1])])) == []
