"""The messages between the media server and its RTP sender."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.rtp.sender.protocol import (
    MAX_MESSAGE,
    AddStream,
    ChangeStream,
    ContentFinished,
    ContentStopped,
    LoadContent,
    Message,
    PlayContent,
    Seek,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    LoadContent(3, 96_000, 33, 20),
    AddStream(1, 2**32 - 1, 65535, 2**32 - 1, 0, ("127.0.0.3", 20000), ("::1", 20001), "ü" * 255, resume=True),
    PlayContent(1, 9, 3, 4000, None),
    PlayContent(1, 9, 3, 0, 9000, None, 250),
    ChangeStream(1, 9, 8, 20, ("127.0.0.3", 20000), ("127.0.0.3", 20001), held=False, content=4),
    ChangeStream(1, 9, 8, 20, ("0.0.0.0", 20000), None, held=True),  # noqa: S104  where nothing goes
    Seek(1, 10, -4000),
    ContentFinished(1, 9, 12_000, 16_000),
    ContentStopped(1, 9, 0, 0),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_decode_returns_the_encoded_message(message: Message) -> None:
    octets = encode(message)
    assert len(octets) < MAX_MESSAGE
    assert decode(octets) == message


def test_the_octets_of_play_content() -> None:
    assert encode(PlayContent(1, 9, 3, 4000)) == b'["PlayContent",1,9,3,4000,null,1,0]'


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b"3", b'["Dance",1]', b'["PlayContent"]', b'["Seek",1,2,3,4]', b"\xff", b'[["a"]]']
)
def test_malformed_messages_raise_value_error(octets: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(octets)


@given(st.binary(max_size=40))
def test_decode_raises_no_error_but_value_error(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(octets)
