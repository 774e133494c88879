"""The messages between media server and sender."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.sender.protocol import (
    MAX_MESSAGE,
    AddStream,
    ChangeStream,
    Finished,
    LoadContent,
    Message,
    Play,
    Seek,
    Stopped,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    LoadContent(3, 96_000, 33, 20),
    AddStream(1, 2**32 - 1, 65535, 2**32 - 1, 0, ("127.0.0.3", 20000), ("::1", 20001), "ü" * 255, resume=True),
    Play(1, 9, 3, 4000, None),
    Play(1, 9, 3, 0, 9000, None, 250),
    ChangeStream(1, 9, 8, 20, ("127.0.0.3", 20000), ("127.0.0.3", 20001), held=False, content=4),
    ChangeStream(1, 9, 8, 20, ("0.0.0.0", 20000), None, held=True),  # noqa: S104  where nothing goes
    Seek(1, 10, -4000),
    Finished(1, 9, 12_000, 16_000),
    Stopped(1, 9, 0, 0),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_encoded_and_back(message: Message) -> None:
    octets = encode(message)
    assert len(octets) < MAX_MESSAGE
    assert decode(octets) == message


def test_the_octets_of_a_play() -> None:
    assert encode(Play(1, 9, 3, 4000)) == b'["Play",1,9,3,4000,null,1,0]'


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b"3", b'["Dance",1]', b'["Play"]', b'["Seek",1,2,3,4]', b"\xff", b'[["a"]]']
)
def test_bad_ones(octets: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(octets)


@given(st.binary(max_size=40))
def test_nothing_else_is_raised(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(octets)
